//! What is on the screen, and how it gets there.

use std::sync::Arc;

use leptos::ev;
use leptos::prelude::*;
use leptos::task::spawn_local;
use web_sys::{DragEvent, File};

use crate::ask::Asker;
use crate::folder::Picked;
use crate::landing::OpenReport;
use crate::opened::Opened;
use crate::playground::Playground;
use crate::question::{Looked, QuestionView};
use crate::source::{self, Wanted};
use crate::study::run::StudyRun;
use crate::study::{Study, StudyView};
use crate::viewer::Viewer;

/// The page's title while it shows no report.
const TITLE: &str = "steady: does an accelerated vision-language model still give the same answers?";

/// What is on the screen.
#[derive(Clone)]
pub(crate) enum Screen {
    /// The study.
    Study,
    /// An image and a question of one's own.
    Playground,
    /// A report is on its way from there.
    Loading(String),
    /// What was to be opened is no report.
    Failed(String),
    /// A report.
    Showing(Arc<Opened>),
}

/// The screen, and how to change it.
#[derive(Clone, Copy)]
pub(crate) struct Stage {
    screen: RwSignal<Screen>,
    study: Study,
    /// Counts what was asked for, so that a slow answer to an earlier wish does not replace a later one.
    wish: StoredValue<u32>,
    /// The report that was open last.
    held: StoredValue<Option<Arc<Opened>>>,
    /// A question in front of the screen, which stays as it is behind it.
    looked_at: RwSignal<Option<Looked>>,
    /// Fragment and height at which the screen behind the question was left.
    left: StoredValue<(String, f64)>,
}

impl Stage {
    fn new(study: Study) -> Self {
        Self {
            screen: RwSignal::new(Screen::Study),
            study,
            wish: StoredValue::new(0),
            held: StoredValue::new(None),
            looked_at: RwSignal::new(None),
            left: StoredValue::new((String::new(), 0.0)),
        }
    }

    /// Opens what the page's address asks for.
    fn follow_address(self) {
        let wanted = source::wanted();
        if let Some(Wanted::Question(sought)) = &wanted {
            self.look(sought);
            return;
        }
        let (fragment, height) = self.left.get_value();
        if wanted.is_some() && self.looked_at.with_untracked(Option::is_some) {
            self.looked_at.set(None);
            if source::fragment() == fragment {
                // back to where the question was opened
                request_animation_frame(move || window().scroll_to_with_x_and_y(0.0, height));
                return;
            }
        }
        match wanted {
            Some(Wanted::Study) => self.show(Screen::Study),
            Some(Wanted::Link(payload)) => {
                let opened = Opened::from_link(&payload);
                self.show(opened.map_or_else(|error| Screen::Failed(error.to_string()), |opened| Screen::Showing(Arc::new(opened))));
            }
            Some(Wanted::Address(address)) => {
                let name = address.clone();
                self.open(name, async move { source::fetch(&address).await });
            }
            Some(Wanted::Opened) => self.show(self.held.get_value().map_or(Screen::Study, Screen::Showing)),
            Some(Wanted::Playground) => self.show(Screen::Playground),
            Some(Wanted::Question(_)) | None => {}
        }
        self.left.set_value((source::fragment(), 0.0));
    }

    /// Opens a question of the embedded suite in front of the screen, with what the report on the screen says about it.
    fn look(self, sought: &str) {
        let report = match self.screen.get_untracked() {
            Screen::Showing(opened) => Some(opened),
            Screen::Study => self.study.opened.get_untracked(),
            _ => None,
        };
        match Looked::at(sought, report) {
            Ok(looked) => {
                if self.looked_at.with_untracked(Option::is_none) {
                    self.left.update_value(|(_, height)| *height = window().scroll_y().unwrap_or(0.0));
                }
                self.looked_at.set(Some(looked));
                window().scroll_to_with_x_and_y(0.0, 0.0);
            }
            Err(reason) => self.show(Screen::Failed(reason)),
        }
    }

    /// Opens a file that someone picked or dropped.
    pub(crate) fn open_file(self, file: File) {
        // The address would still name another report, to be shown on the next reload.
        let here = format!("{}#{}", source::bare_address(), source::OPENED);
        if let Ok(history) = window().history() {
            drop(history.replace_state_with_url(&wasm_bindgen::JsValue::NULL, "", Some(&here)));
        }
        self.open(file.name(), async move { source::read(&file).await });
    }

    fn open(self, name: String, text: impl Future<Output = Result<String, String>> + 'static) {
        self.show(Screen::Loading(name.clone()));
        let wish = self.wish.get_value();
        spawn_local(async move {
            let opened = text.await.and_then(|text| Opened::from_json(name, &text).map_err(|error| error.to_string()));
            if self.wish.get_value() == wish {
                self.show(opened.map_or_else(Screen::Failed, |opened| Screen::Showing(Arc::new(opened))));
            }
        });
    }

    fn show(self, screen: Screen) {
        self.wish.update_value(|wish| *wish += 1);
        self.looked_at.set(None);
        if let Screen::Showing(opened) = &screen {
            let plan = opened.report.plan();
            document().set_title(&format!("steady: {} on {}", plan.model, plan.benchmark));
            self.held.set_value(Some(Arc::clone(opened)));
        } else {
            document().set_title(TITLE);
        }
        self.screen.set(screen);
        window().scroll_to_with_x_and_y(0.0, 0.0);
    }
}

/// The page.
#[component]
pub(crate) fn App() -> impl IntoView {
    let picked = Picked::none();
    let study = Study::new(picked);
    let asker = Asker::new(picked);
    // what a worker has loaded may be of a folder that is another now
    picked.on_change(move || asker.rest());
    // a study has a worker of its own: one copy of the model at a time, unless somebody asks meanwhile
    let at_work = Memo::new(move |_| study.run.with(StudyRun::at_work));
    Effect::new(move |_| {
        if at_work.get() {
            asker.rest();
        }
    });
    let stage = Stage::new(study);
    stage.follow_address();
    window_event_listener(ev::hashchange, move |_| stage.follow_address());
    let dragging = RwSignal::new(false);
    let dropped = RwSignal::new_local(None::<File>);
    window_event_listener(ev::dragover, move |event: DragEvent| {
        event.prevent_default();
        dragging.set(true);
    });
    window_event_listener(ev::dragleave, move |event: DragEvent| {
        if event.related_target().is_none() {
            dragging.set(false);
        }
    });
    window_event_listener(ev::drop, move |event: DragEvent| {
        event.prevent_default();
        dragging.set(false);
        let Some(file) = event.data_transfer().and_then(|data| data.files()).and_then(|files| files.get(0)) else { return };
        if file.type_().starts_with("image/") && matches!(stage.screen.get_untracked(), Screen::Playground) {
            dropped.set(Some(file));
        } else {
            stage.open_file(file);
        }
    });
    view! {
        <div class="bar">
            <a class="brand" href="#">"steady"</a>
            <nav aria-label="Views">
                <a href="#" aria-current=move || matches!(stage.screen.get(), Screen::Study).then_some("page")>"Study"</a>
                <a href=format!("#{}", source::PLAYGROUND) aria-current=move || matches!(stage.screen.get(), Screen::Playground).then_some("page")>
                    "Playground"
                </a>
            </nav>
            <PickFile stage />
        </div>
        <p class="drop" hidden=move || !dragging.get()>{move || match stage.screen.get() {
            Screen::Playground => "Drop an image to ask about it, or a report.json to open it",
            _ => "Drop a report.json to open it",
        }}</p>
        {move || stage.looked_at.get().map(|looked| {
            let back = format!("#{}", stage.left.with_value(|(fragment, _)| fragment.clone()));
            view! { <main><QuestionView looked asker settings=study.settings back /></main> }
        })}
        <main hidden=move || stage.looked_at.with(Option::is_some)>
            {move || match stage.screen.get() {
                Screen::Study => view! { <StudyView study /> }.into_any(),
                Screen::Playground => view! { <Playground asker settings=study.settings dropped=dropped.read_only() /> }.into_any(),
                Screen::Loading(name) => view! { <p role="status">"Opening " <bdi>{name}</bdi> " …"</p> }.into_any(),
                Screen::Failed(reason) => view! {
                    <div role="alert" class="failed"><strong>"This cannot be shown. "</strong><bdi>{reason}</bdi></div>
                    <OpenReport />
                }.into_any(),
                Screen::Showing(opened) => view! { <Viewer opened=Signal::stored(opened) /> }.into_any(),
            }}
        </main>
    }
}

/// A button that picks a `report.json`.
#[component]
fn PickFile(stage: Stage) -> impl IntoView {
    let picked = move |event| {
        if let Some(file) = source::picked(&event).pop() {
            stage.open_file(file);
        }
    };
    view! {
        <label class="button">
            "Open report.json"
            <input type="file" accept=".json,application/json" on:change=picked />
        </label>
    }
}
