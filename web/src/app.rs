//! What is on the screen, and how it gets there.

use std::sync::Arc;

use leptos::ev;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::JsCast;
use web_sys::{DragEvent, Event, File, HtmlInputElement};

use crate::landing::OpenReport;
use crate::opened::Opened;
use crate::source::{self, Wanted};
use crate::study::{Study, StudyView};
use crate::viewer::Viewer;

/// What is on the screen.
#[derive(Clone)]
pub(crate) enum Screen {
    /// The study.
    Study,
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
}

impl Stage {
    fn new(study: Study) -> Self {
        Self { screen: RwSignal::new(Screen::Study), study, wish: StoredValue::new(0), held: StoredValue::new(None) }
    }

    /// Opens what the page's address asks for.
    fn follow_address(self) {
        match source::wanted() {
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
            Some(Wanted::Question(_) | Wanted::Playground) | None => {}
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
        if let Screen::Showing(opened) = &screen {
            let plan = opened.report.plan();
            document().set_title(&format!("steady: {} on {}", plan.model, plan.benchmark));
            self.held.set_value(Some(Arc::clone(opened)));
        }
        self.screen.set(screen);
        window().scroll_to_with_x_and_y(0.0, 0.0);
    }
}

/// The page.
#[component]
pub(crate) fn App() -> impl IntoView {
    let study = Study::new();
    let stage = Stage::new(study);
    stage.follow_address();
    window_event_listener(ev::hashchange, move |_| stage.follow_address());
    let dragging = RwSignal::new(false);
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
        if let Some(file) = event.data_transfer().and_then(|data| data.files()).and_then(|files| files.get(0)) {
            stage.open_file(file);
        }
    });
    view! {
        <div class="bar">
            <a class="brand" href="#">"steady"</a>
            <PickFile stage />
        </div>
        <p class="drop" hidden=move || !dragging.get()>"Drop a report.json to open it"</p>
        <main>
            {move || match stage.screen.get() {
                Screen::Study => view! { <StudyView study /> }.into_any(),
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
    let picked = move |event: Event| {
        let Some(input) = event.target().and_then(|target| target.dyn_into::<HtmlInputElement>().ok()) else { return };
        if let Some(file) = input.files().and_then(|files| files.get(0)) {
            stage.open_file(file);
        }
        // so that picking the same file again is a change
        input.set_value("");
    };
    view! {
        <label class="button">
            "Open report.json"
            <input type="file" accept=".json,application/json" on:change=picked />
        </label>
    }
}
