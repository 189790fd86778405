//! The study of the Study view: it runs on while other views are on the screen.

pub(crate) mod choices;
mod gathered;
pub(crate) mod kept;
pub(crate) mod last;
pub(crate) mod model;
mod one_of;
pub(crate) mod progress;
pub(crate) mod run;
pub(crate) mod settings;
mod view;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use leptos::ev;
use leptos::prelude::*;
use leptos::task::spawn_local;
use steady_protocol::{Questions, Request, Response, StudyRequest};
use steady_records::{RecordsError, pause};

use crate::folder::Picked;
use crate::opened::Opened;
use crate::own_questions::Reader;
use crate::worker::Worker;
use gathered::{Gathered, step_by_step};
use kept::{Begun, Kept};
use last::Last;
use run::{Phase, StudyRun};
use settings::Settings;
pub(crate) use view::StudyView;

/// Where the choices are kept.
const SETTINGS: &str = "steady.settings";

/// Between two times at which the page says how far a study is. Answers come faster than anybody reads, and each time the page is laid out anew.
const TOLD: Duration = Duration::from_millis(250);

/// The study and what was chosen for it.
#[derive(Clone, Copy)]
pub(crate) struct Study {
    pub(crate) settings: RwSignal<Settings>,
    pub(crate) run: RwSignal<StudyRun>,
    /// The report of what is answered by now.
    pub(crate) opened: RwSignal<Option<Arc<Opened>>>,
    /// What went wrong beside the study itself.
    pub(crate) notice: RwSignal<Option<String>>,
    /// Whether the page was out of sight while the study was at work.
    pub(crate) was_hidden: RwSignal<bool>,
    /// The study that was finished last.
    pub(crate) last: RwSignal<Option<Last>>,
    /// The visitor's own checkpoint.
    pub(crate) picked: Picked,
    /// The visitor's own questions.
    pub(crate) reader: Reader,
    worker: StoredValue<Option<Worker>, LocalStorage>,
    kept: StoredValue<Option<Rc<Kept>>, LocalStorage>,
    /// Which study `run` is, and how many of its groups are kept.
    key: StoredValue<String>,
    saved: StoredValue<usize>,
    gathered: StoredValue<Gathered>,
    /// How long the report on the screen took to derive and to draw, in seconds.
    took: StoredValue<f64>,
    redraw_due: StoredValue<bool>,
    /// Counts the reports that were begun: what became of an earlier one is not shown.
    round: StoredValue<u32>,
    tell_due: StoredValue<bool>,
}

impl Study {
    /// The study that an earlier visit left behind, or none.
    pub(crate) fn new(picked: Picked) -> Self {
        let storage = move || window().local_storage().ok().flatten();
        let text = storage().and_then(|storage| storage.get_item(SETTINGS).ok().flatten()).unwrap_or_default();
        let settings = Settings::from_text(&text);
        let study = Self {
            key: StoredValue::new(settings.key()),
            settings: RwSignal::new(settings),
            run: RwSignal::new(StudyRun::default()),
            opened: RwSignal::new(None),
            notice: RwSignal::new(None),
            was_hidden: RwSignal::new(false),
            last: RwSignal::new(Last::kept()),
            picked,
            reader: Reader::new(),
            worker: StoredValue::new_local(None),
            kept: StoredValue::new_local(None),
            saved: StoredValue::new(0),
            gathered: StoredValue::new(Gathered::default()),
            took: StoredValue::new(0.0),
            redraw_due: StoredValue::new(false),
            round: StoredValue::new(0),
            tell_due: StoredValue::new(false),
        };
        spawn_local(async move {
            match Kept::open().await {
                Ok(kept) => study.kept.set_value(Some(Rc::new(kept))),
                Err(_) => study
                    .notice
                    .set(Some("This browser keeps nothing from visit to visit here: leave the page open until the study ends.".to_owned())),
            }
            study.look_back();
        });
        Effect::new(move |before: Option<()>| {
            let text = study.settings.with(Settings::to_text);
            if before.is_some() {
                if let Some(storage) = storage() {
                    // without room for a few words there is nothing to be done
                    drop(storage.set_item(SETTINGS, &text));
                }
                study.look_back();
            }
        });
        window_event_listener(ev::visibilitychange, move |_| {
            if document().hidden() && study.run.with_untracked(StudyRun::at_work) {
                study.was_hidden.set(true);
            }
        });
        study
    }

    /// Looks whether the study that is chosen now was begun on an earlier visit.
    fn look_back(self) {
        let key = self.settings.with_untracked(Settings::key);
        let kept = self.kept.get_value();
        spawn_local(async move {
            let found = match kept {
                Some(kept) => kept.find(&key).await.ok().flatten(),
                None => None,
            };
            // meanwhile another study may have been chosen, or this one begun
            let chosen = self.settings.with_untracked(Settings::key) == key;
            let on_screen = self.key.get_value() == key;
            let busy = self.run.with_untracked(|run| run.at_work() || on_screen && *run.phase() != Phase::Idle);
            if !chosen || busy {
                return;
            }
            if let Some(Begun { work, groups, latest }) = found {
                self.become_study(key, groups.len(), StudyRun::left(work, groups, latest));
            } else if self.run.with_untracked(|run| *run.phase() != Phase::Finished) {
                self.become_study(key, 0, StudyRun::default());
            }
        });
    }

    fn become_study(self, key: String, saved: usize, run: StudyRun) {
        self.key.set_value(key);
        self.saved.set_value(saved);
        self.run.set(run);
        self.draw_whole(|| ());
    }

    /// Runs the study, or goes on with it.
    pub(crate) fn start(self) {
        let settings = self.settings.get_untracked();
        if self.run.with_untracked(StudyRun::at_work) {
            return;
        }
        if self.run.with_untracked(|run| *run.phase() == Phase::Finished) && self.key.get_value() == settings.key() {
            // what it answered goes: groups of two runs are not mixed
            self.forget();
        } else if self.key.get_value() != settings.key() {
            self.become_study(settings.key(), 0, StudyRun::default());
        }
        let Some(recorded) = self.run.try_update(StudyRun::start).flatten() else { return };
        self.was_hidden.set(false);
        let begun = self.run.with_untracked(StudyRun::device);
        let mut study = StudyRequest { recorded, begun, ..settings.study() };
        let begun = self.picked.files(&settings.model()).and_then(|mut files| {
            if let Some(own) = settings.own_files() {
                let (questions, behind) = self.reader.questions(own)?;
                study.questions = Questions::Own(questions);
                files = files.concat(&behind);
            }
            let worker = Worker::spawn(move |response| self.hear(response))?;
            worker.send(&Request::Study(study), &files)?;
            Ok(worker)
        });
        match begun {
            Ok(worker) => self.worker.set_value(Some(worker)),
            Err(reason) => self.hear(Response::Failed(reason)),
        }
    }

    /// Ends the worker at once; what was answered stays.
    pub(crate) fn cancel(self) {
        if self.run.with_untracked(StudyRun::at_work) {
            self.worker.set_value(None);
            self.run.update(StudyRun::cancel);
            self.draw_whole(|| ());
        }
    }

    /// The study is finished: it is kept whole, in place of the one that was finished before.
    fn remember(self) {
        let key = self.key.get_value();
        let before = self.last.get_untracked().map(|last| last.key).filter(|before| *before != key);
        self.last.set(self.opened.with_untracked(|opened| Some(Last::keep(opened.as_deref()?, key))));
        if let Some(before) = before {
            self.forget_kept(before);
        }
    }

    /// Forgets a finished study.
    pub(crate) fn forget_last(self, key: String) {
        Last::forget();
        self.last.set(None);
        self.forget_kept(key);
    }

    /// Forgets what was answered.
    pub(crate) fn forget(self) {
        self.cancel();
        let key = self.key.get_value();
        self.saved.set_value(0);
        if self.last.with_untracked(|last| last.as_ref().is_some_and(|last| last.key == key)) {
            self.forget_last(key);
        } else {
            self.forget_kept(key);
        }
        self.become_study(self.settings.with_untracked(Settings::key), 0, StudyRun::default());
    }

    fn forget_kept(self, key: String) {
        let kept = self.kept.get_value();
        spawn_local(async move {
            if let Some(kept) = kept {
                // what stays by mistake is offered on the next visit, where it can be forgotten again
                drop(kept.forget(&key).await);
            }
        });
    }

    fn hear(self, response: Response) {
        if matches!(response, Response::Answered(_)) {
            self.run.update_untracked(|run| run.hear(response, now()));
            // what cannot be read is told when it is drawn
            self.run.with_untracked(|run| self.gathered.update_value(|gathered| _ = gathered.read(run)));
            self.tell_soon();
            self.keep();
            self.draw_soon();
        } else if matches!(response, Response::Finished) {
            // told once the report of all is there
            self.run.update_untracked(|run| run.hear(response, now()));
        } else {
            self.run.update(|run| run.hear(response, now()));
        }
        let (at_work, finished) = self.run.with_untracked(|run| (run.at_work(), *run.phase() == Phase::Finished));
        if !at_work {
            self.draw_whole(move || {
                if finished {
                    self.run.notify();
                    self.remember();
                }
            });
            // this is the worker's own call: it must return before the worker goes
            let worker = self.worker.try_update_value(Option::take);
            spawn_local(async move { drop(worker) });
        }
    }

    /// Keeps the groups that are not kept yet.
    fn keep(self) {
        let Some(kept) = self.kept.get_value() else { return };
        let (key, first) = (self.key.get_value(), self.saved.get_value());
        let (fresh, planned) =
            self.run.with_untracked(|run| (run.groups()[first..].to_vec(), run.work().cloned().zip(run.latest().cloned())));
        let Some((work, latest)) = planned else { return };
        self.saved.set_value(first + fresh.len());
        spawn_local(async move {
            if kept.keep(&key, &work, first, fresh, &latest).await.is_err() {
                self.notice.set(Some("This browser has no room for the answers: leave the page open until the study ends.".to_owned()));
            }
        });
    }

    /// Says a moment later how far the study is, for all answers that came until then.
    fn tell_soon(self) {
        if !self.tell_due.get_value() {
            self.tell_due.set_value(true);
            set_timeout(
                move || {
                    self.tell_due.set_value(false);
                    self.run.notify();
                },
                TOLD,
            );
        }
    }

    /// Draws the report a while later, so that answers which come fast are not drawn one by one, and a long study is not drawn all the time.
    fn draw_soon(self) {
        if self.opened.with_untracked(Option::is_none) {
            self.draw();
        } else if !self.redraw_due.get_value() {
            self.redraw_due.set_value(true);
            set_timeout(
                move || {
                    if self.redraw_due.get_value() {
                        self.draw();
                    }
                },
                pause(Duration::from_secs_f64(self.took.get_value())),
            );
        }
    }

    /// Draws a sketch of the report.
    fn draw(self) {
        self.redraw_due.set_value(false);
        self.round.update_value(|round| *round += 1);
        let begun = now();
        let before = self.opened.get_untracked();
        let sketched =
            self.run.with_untracked(|run| self.gathered.try_update_value(|gathered| gathered.sketch(run, before.as_deref(), self.reader)));
        self.show(sketched.unwrap_or(Ok(None)));
        // what the browser lays out and paints, it does behind the next frame
        request_animation_frame(move || set_timeout(move || self.took.set_value((now() - begun).max(0.0)), Duration::ZERO));
    }

    /// Draws the report of all there is, a piece at a time, so that the page can be used meanwhile; `then` is what follows, unless another report is drawn before.
    fn draw_whole(self, then: impl FnOnce() + 'static) {
        self.redraw_due.set_value(false);
        self.round.update_value(|round| *round += 1);
        let round = self.round.get_value();
        let begun = self.run.with_untracked(|run| self.gathered.try_update_value(|gathered| gathered.begin(run)));
        let deriving = match begun.unwrap_or(Ok(None)) {
            Ok(Some(deriving)) => deriving,
            other => {
                self.show(other.map(|_| None));
                return then();
            }
        };
        spawn_local(async move {
            let derived = match step_by_step(deriving, move || self.round.get_value() == round).await {
                Ok(Some(derived)) => derived,
                Ok(None) => return,
                Err(reason) => return self.show(Err(reason)),
            };
            let before = self.opened.get_untracked();
            let whole = self.gathered.try_update_value(|gathered| gathered.whole(derived, before.as_deref(), self.reader));
            self.show(whole.unwrap_or(Ok(None)));
            then();
        });
    }

    fn show(self, opened: Result<Option<Opened>, RecordsError>) {
        match opened {
            Ok(opened) => self.opened.set(opened.map(Arc::new)),
            Err(reason) => self.notice.set(Some(reason.to_string())),
        }
    }
}

/// Seconds since some moment.
fn now() -> f64 {
    js_sys::Date::now() / 1e3
}
