//! What is on the screen, and how it gets there.

use std::sync::Arc;

use leptos::ev;
use leptos::prelude::*;
use leptos::task::spawn_local;
use send_wrapper::SendWrapper;
use steady_verdict::Guard;
use web_sys::{DragEvent, File, KeyboardEvent};

use crate::address::{self, Address, View};
use crate::ask::Asker;
use crate::evidence::Evidence;
use crate::folder::Picked;
use crate::guard::guarded;
use crate::landing::OpenReport;
use crate::opened::Opened;
use crate::playground::{Own, Playground};
use crate::question::{Looked, QuestionView};
use crate::runs::{self, Runs, Waiting};
use crate::source;
use crate::spec;
use crate::study::kept::Kept;
use crate::study::last;
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
    /// A guard from a file.
    Guarded(Arc<Guard>),
}

/// Where in a file of ours its format is named: near its beginning.
const MARK_WITHIN: usize = 4_096;

/// What a file turned out to be.
enum Found {
    /// A report, and its text.
    Report(Box<Opened>, String),
    /// A guard's file.
    Guard(Arc<Guard>),
    /// A run, which waits for another.
    Waits,
}

/// A file that was to be opened.
#[derive(Clone)]
struct Refused {
    reason: String,
    /// The file, where it is an image, which can be asked about.
    image: Option<SendWrapper<File>>,
}

fn is_image(file: &File) -> bool {
    file.type_().starts_with("image/")
}

/// The screen, and how to change it.
#[derive(Clone, Copy)]
pub(crate) struct Stage {
    screen: RwSignal<Screen>,
    study: Study,
    evidence: Evidence,
    /// Which view the screen is of.
    view: StoredValue<Option<View>>,
    /// Counts what was asked for, so that a slow answer to an earlier wish does not replace a later one.
    wish: StoredValue<u32>,
    /// The report that came from a file, and its text.
    held: StoredValue<Option<Arc<Opened>>>,
    /// A file that could not be opened; what is on the screen stays.
    refused: RwSignal<Option<Refused>>,
    /// What the Playground asks about.
    own: Own,
    /// Logs of other tools.
    runs: Runs,
    /// A question in front of the screen, which stays as it is behind it; or why it is not there.
    looked_at: RwSignal<Option<Result<Looked, String>>>,
    /// Height at which the screen behind the question was left; `None` where the question was there first.
    left: StoredValue<Option<f64>>,
}

impl Stage {
    fn new(study: Study) -> Self {
        Self {
            screen: RwSignal::new(Screen::Study),
            study,
            evidence: Evidence::new(),
            view: StoredValue::new(None),
            wish: StoredValue::new(0),
            held: StoredValue::new(None),
            refused: RwSignal::new(None),
            own: Own::none(),
            runs: Runs::none(),
            looked_at: RwSignal::new(None),
            left: StoredValue::new(None),
        }
    }

    /// Shows what the page's address says.
    fn follow_address(self) {
        // a place in the page is the browser's affair
        let Some(address) = Address::parse(&source::fragment(), source::decoded) else { return };
        let view = address.view.clone();
        self.evidence.address.set(address);
        if self.view.get_value().as_ref() == Some(&view) {
            self.look(true);
            return;
        }
        self.refused.set(None);
        self.view.set_value(Some(view.clone()));
        match view {
            View::Study => self.show(Screen::Study),
            View::Playground => self.show(Screen::Playground),
            View::Link(payload) => {
                let opened = Opened::from_link(&payload);
                self.show(opened.map_or_else(|error| Screen::Failed(error.to_string()), |opened| Screen::Showing(Arc::new(opened))));
            }
            View::Source(address) => {
                let name = address.clone();
                self.load(name.clone(), async move {
                    let text = source::fetch(&address).await?;
                    Opened::from_json(name, &text).map_err(|error| error.to_string())
                });
            }
            View::File => match self.held.get_value() {
                Some(held) => self.show(Screen::Showing(held)),
                None => self.load("the report that was opened last".to_owned(), async {
                    let kept = Kept::open().await.ok();
                    let file = match kept {
                        Some(kept) => kept.file().await.ok().flatten(),
                        None => None,
                    };
                    let (name, text) = file.ok_or("this browser keeps no report from a file any more; open the file again")?;
                    Opened::from_json(name, &text).map_err(|error| error.to_string())
                }),
            },
            View::Last => self.load("your last study".to_owned(), last::open(self.study.reader)),
        }
    }

    /// The report on the screen.
    fn report(self) -> Option<Arc<Opened>> {
        match self.screen.get_untracked() {
            Screen::Showing(opened) => Some(opened),
            Screen::Study => self.study.opened.get_untracked(),
            _ => None,
        }
    }

    /// Shows the question that the address names in front of the screen, and behind it the questions that it names; `within` says that the screen was there before.
    fn look(self, within: bool) {
        let report = self.report();
        if let Some(opened) = &report {
            self.evidence.follow(&opened.report);
        }
        let Some(sought) = self.evidence.address.with_untracked(|address| address.question.clone()) else {
            if self.looked_at.with_untracked(Option::is_some) {
                self.looked_at.set(None);
                let height = self.left.try_update_value(Option::take).flatten().unwrap_or(0.0);
                // back to where the question was opened
                request_animation_frame(move || window().scroll_to_with_x_and_y(0.0, height));
            }
            return;
        };
        if within && self.looked_at.with_untracked(Option::is_none) {
            self.left.set_value(Some(window().scroll_y().unwrap_or(0.0)));
        }
        self.looked_at.set(Some(Looked::at(&sought, report.as_ref())));
        window().scroll_to_with_x_and_y(0.0, 0.0);
    }

    /// Takes the question away: back to where it was opened, or to what stands behind it.
    fn back(self) {
        match window().history() {
            Ok(history) if self.left.with_value(Option::is_some) => drop(history.back()),
            _ => {
                let behind = self.evidence.address.with_untracked(|address| address.behind().fragment(source::encoded));
                // whoever cannot set the fragment sees that nothing happens; there is no more to say
                drop(location().set_hash(&behind));
            }
        }
    }

    /// Opens files that someone picked or dropped: a report, a guard, or runs that other tools logged.
    pub(crate) fn open_files(self, files: Vec<File>) {
        if let [file] = files.as_slice()
            && is_image(file)
        {
            let reason = format!("{} is an image and no report", file.name());
            self.refused.set(Some(Refused { reason, image: Some(SendWrapper::new(file.clone())) }));
            return;
        }
        self.wish.update_value(|wish| *wish += 1);
        let wish = self.wish.get_value();
        let single = files.len() == 1;
        spawn_local(async move {
            for file in files {
                let name = file.name();
                let read = source::bytes(&file).await;
                if self.wish.get_value() != wish {
                    return;
                }
                let found = read.and_then(|bytes| self.read(&name, bytes, single));
                match found {
                    Ok(Found::Report(opened, text)) => {
                        self.runs.forget();
                        self.hold(*opened, text);
                        return;
                    }
                    Ok(Found::Guard(guard)) => {
                        self.view.set_value(None);
                        self.show(Screen::Guarded(guard));
                        return;
                    }
                    Ok(Found::Waits) => {}
                    Err(reason) => {
                        self.refused.set(Some(Refused { reason, image: None }));
                        return;
                    }
                }
            }
        });
    }

    /// What a file is; `single` where no other came with it.
    fn read(self, name: &str, bytes: Vec<u8>, single: bool) -> Result<Found, String> {
        let says = |what: &str| bytes.windows(what.len()).take(MARK_WITHIN).any(|window| window == what.as_bytes());
        if single && says("\"steady-report/") {
            let text = String::from_utf8(bytes).map_err(|_| format!("{name} is not a text"))?;
            let opened = Opened::from_json(name.to_owned(), &text).map_err(|error| error.to_string())?;
            return Ok(Found::Report(Box::new(opened), text));
        }
        if says("\"steady-guard/") {
            let guard = Guard::read(&String::from_utf8_lossy(&bytes), name).map_err(|error| error.to_string())?;
            return Ok(Found::Guard(Arc::new(guard)));
        }
        Ok(match self.runs.take(runs::log(name, bytes)?)? {
            Some(opened) => {
                let text = opened.report.to_json().map_err(|error| error.to_string())?;
                Found::Report(Box::new(opened), text)
            }
            None => Found::Waits,
        })
    }

    /// Shows a report that came from files, and keeps it. The address changes only now that it is known to be one.
    fn hold(self, opened: Opened, text: String) {
        let name = opened.name();
        self.held.set_value(Some(Arc::new(opened)));
        // shown anew even where another file is on the screen
        self.view.set_value(None);
        if source::fragment() == address::FILE {
            self.follow_address();
        } else {
            drop(location().set_hash(address::FILE));
        }
        spawn_local(async move {
            if let Ok(kept) = Kept::open().await {
                // a browser without room shows it as long as the page is open
                drop(kept.keep_file(&name, &text).await);
            }
        });
    }

    /// Whether files that are dropped are the visitor's own questions, because these are to be asked.
    fn takes_questions(self) -> bool {
        let chosen = self.study.settings.with(|settings| settings.own) && !self.study.run.with(StudyRun::at_work);
        chosen && self.looked_at.with(Option::is_none) && matches!(self.screen.get(), Screen::Study)
    }

    /// Asks about an image in the Playground.
    fn play(self, image: File) {
        self.refused.set(None);
        self.own.open(image);
        drop(location().set_hash(address::PLAYGROUND));
    }

    fn load(self, name: String, opened: impl Future<Output = Result<Opened, String>> + 'static) {
        self.show(Screen::Loading(name));
        let wish = self.wish.get_value();
        spawn_local(async move {
            let opened = opened.await;
            if self.wish.get_value() == wish {
                self.show(opened.map_or_else(Screen::Failed, |opened| Screen::Showing(Arc::new(opened))));
            }
        });
    }

    fn show(self, screen: Screen) {
        self.wish.update_value(|wish| *wish += 1);
        self.looked_at.set(None);
        self.left.set_value(None);
        if let Screen::Showing(opened) = &screen {
            let plan = opened.report.plan();
            document().set_title(&format!("steady: {} on {}", plan.model, plan.benchmark));
        } else {
            document().set_title(TITLE);
        }
        self.screen.set(screen);
        window().scroll_to_with_x_and_y(0.0, 0.0);
        self.look(false);
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
    // a study that an earlier visit left behind comes a moment after its address
    let has_report = Memo::new(move |_| study.opened.with(Option::is_some));
    Effect::new(move |_| {
        if has_report.get() && matches!(stage.screen.get_untracked(), Screen::Study) {
            stage.look(false);
        }
    });
    window_event_listener(ev::keydown, move |event: KeyboardEvent| {
        let over_it = document().query_selector("dialog[open]").ok().flatten().is_some();
        if event.key() == "Escape" && !over_it && stage.looked_at.with_untracked(Option::is_some) {
            stage.back();
        }
    });
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
        let Some(data) = event.data_transfer() else { return };
        if stage.takes_questions() {
            study.reader.take_dropped(study.settings, &data);
            return;
        }
        let Some(files) = data.files() else { return };
        let files: Vec<File> = (0..files.length()).filter_map(|i| files.get(i)).collect();
        match files.as_slice() {
            [file, ..] if is_image(file) && matches!(stage.screen.get_untracked(), Screen::Playground) => stage.own.open(file.clone()),
            [] => {}
            _ => stage.open_files(files),
        }
    });
    let evidence = stage.evidence;
    view! {
        <header class="bar">
            <a class="brand" href="#">"steady"</a>
            <nav aria-label="Views">
                <a href="#" aria-current=move || matches!(stage.screen.get(), Screen::Study).then_some("page")>"Study"</a>
                <a href=format!("#{}", address::PLAYGROUND) aria-current=move || matches!(stage.screen.get(), Screen::Playground).then_some("page")>
                    "Playground"
                </a>
            </nav>
            <PickFile stage />
        </header>
        <p class="drop" hidden=move || !dragging.get()>{move || match stage.screen.get() {
            Screen::Playground => "Drop an image to ask about it, or a report.json to open it",
            Screen::Study if stage.takes_questions() => "Drop your questions and the pictures that they name",
            _ => "Drop a report.json, or two logs of another tool to compare them",
        }}</p>
        {move || stage.refused.get().map(|Refused { reason, image }| {
            let end = if reason.ends_with('.') { "" } else { "." };
            let ask = image.map(|image| view! {
                <button type="button" class="button ask" on:click=move |_| stage.play((*image).clone())>"Ask about it in the Playground"</button>
            });
            view! {
                <div role="alert" class="failed refused">
                    <span><strong>"Not opened. "</strong><bdi>{reason}</bdi>{end}</span>
                    <span class="buttons">{ask}<button type="button" class="button" on:click=move |_| stage.refused.set(None)>"Close"</button></span>
                </div>
            }
        })}
        <Waiting
            runs=stage.runs
            on_files=Callback::new(move |files| stage.open_files(files))
            on_opened=Callback::new(move |opened: Opened| {
                if let Ok(text) = opened.report.to_json() {
                    stage.hold(opened, text);
                }
            })
        />
        {move || stage.looked_at.get().map(|looked| match looked {
            Ok(looked) => {
                let on_back = Callback::new(move |()| stage.back());
                view! { <main><QuestionView looked asker settings=study.settings evidence on_back /></main> }.into_any()
            }
            Err(reason) => view! { <main><Failed reason /></main> }.into_any(),
        })}
        <main hidden=move || stage.looked_at.with(Option::is_some)>
            {move || match stage.screen.get() {
                Screen::Study => view! { <StudyView study evidence /> }.into_any(),
                Screen::Playground => view! { <Playground asker settings=study.settings own=stage.own /> }.into_any(),
                Screen::Loading(name) => view! { <p role="status">"Opening " <bdi>{name}</bdi> " …"</p> }.into_any(),
                Screen::Failed(reason) => view! { <Failed reason /> }.into_any(),
                Screen::Guarded(guard) => view! {
                    <div class="landing"><h1>"A guard for " {spec::shown(&guard.spec)}</h1>{guarded(&guard)}</div>
                }.into_any(),
                Screen::Showing(opened) => view! { <Viewer opened=Signal::stored(opened) evidence grows=Signal::stored(false) /> }.into_any(),
            }}
        </main>
    }
}

/// Why there is nothing to see, and how to go on.
#[component]
fn Failed(reason: String) -> impl IntoView {
    let end = if reason.ends_with('.') { "" } else { "." };
    view! {
        <div role="alert" class="failed"><strong>"This cannot be shown. "</strong><bdi>{reason}</bdi>{end}</div>
        <OpenReport />
    }
}

/// A button that picks what is to be opened.
#[component]
fn PickFile(stage: Stage) -> impl IntoView {
    let picked = move |event| {
        let files = source::picked(&event);
        if !files.is_empty() {
            stage.open_files(files);
        }
    };
    view! {
        <label class="button" title="A report.json, a guard.json, or two logs of another tool to compare">
            "Open report or logs"
            <input type="file" multiple on:change=picked />
        </label>
    }
}
