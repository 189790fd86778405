//! Asking one question about one image, again and again as the image changes.

mod answers;
mod distribution;
mod flips;
mod inquiry;
mod sliders;
mod tokens;
mod turns;

use std::sync::Arc;

use image::RgbImage;
use leptos::prelude::*;
use leptos::task::spawn_local;
use steady_protocol::{AskReply, AskRequest, Engine, LeftOut, Loading, Pixels, Preparing, Request, Response, Setting};

use crate::folder::Picked;
use crate::worker::Worker;
use turns::Turns;

pub(crate) use answers::Judge;
pub(crate) use flips::neutral;
pub(crate) use inquiry::Inquiry;

/// What is asked.
#[derive(Clone, PartialEq)]
pub(crate) struct Asking {
    /// Which [`Inquiry`] asks.
    pub(crate) inquiry: u32,
    pub(crate) setting: Setting,
    /// The image as the model gets it.
    pub(crate) image: Arc<RgbImage>,
    pub(crate) question: String,
    /// What was done to the image.
    pub(crate) amounts: Vec<f64>,
}

/// What is going on.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Progress {
    #[default]
    Idle,
    /// The worker's program is on its way.
    Starting,
    /// The model is on its way.
    Loading(Loading),
    /// The GPU compiles what it computes with.
    Preparing(Preparing),
    /// The model answers.
    Asking,
    /// It cannot.
    Failed(String),
}

/// Whom to ask. One worker serves all views that ask, and is started by the first question.
#[derive(Clone, Copy)]
pub(crate) struct Asker {
    /// The visitor's own checkpoint.
    pub(crate) picked: Picked,
    worker: StoredValue<Option<Worker>, LocalStorage>,
    turns: StoredValue<Turns<Asking>>,
    inquiries: StoredValue<u32>,
    pub(crate) progress: RwSignal<Progress>,
    pub(crate) engine: RwSignal<Option<Engine>>,
    /// Accelerations that are not asked.
    pub(crate) left_out: RwSignal<Vec<LeftOut>>,
    /// The latest answer, and to what.
    pub(crate) heard: RwSignal<Option<(Asking, AskReply)>>,
}

impl Asker {
    pub(crate) fn new(picked: Picked) -> Self {
        Self {
            picked,
            worker: StoredValue::new_local(None),
            turns: StoredValue::new(Turns::default()),
            inquiries: StoredValue::new(0),
            progress: RwSignal::new(Progress::Idle),
            engine: RwSignal::new(None),
            left_out: RwSignal::new(Vec::new()),
            heard: RwSignal::new(None),
        }
    }

    /// The number of a new [`Inquiry`].
    pub(crate) fn inquiry(self) -> u32 {
        self.inquiries.update_value(|inquiries| *inquiries += 1);
        self.inquiries.get_value()
    }

    /// Asks, as soon as the worker is free.
    pub(crate) fn ask(self, asking: Asking) {
        if let Some((id, asking)) = self.turns.try_update_value(|turns| turns.ask(asking)).flatten() {
            self.send(id, &asking);
        }
    }

    /// Another question is on the screen: answers to the last one are of no interest any more.
    pub(crate) fn turn_away(self) {
        self.turns.update_value(Turns::give_up);
        self.heard.set(None);
        self.left_out.set(Vec::new());
        self.progress.set(Progress::Idle);
    }

    /// Lets go of the worker and the model that it holds; the next question starts another.
    pub(crate) fn rest(self) {
        self.turn_away();
        self.worker.set_value(None);
    }

    fn send(self, id: u32, asking: &Asking) {
        let running = self.worker.with_value(Option::is_some);
        self.progress.set(if running { Progress::Asking } else { Progress::Starting });
        let begun = if running {
            Ok(())
        } else {
            Worker::spawn(move |response| self.hear(response)).map(|worker| self.worker.set_value(Some(worker)))
        };
        let (width, height) = asking.image.dimensions();
        let request = Request::Ask(AskRequest {
            id,
            setting: asking.setting.clone(),
            image: Pixels { width, height, rgb: asking.image.as_raw().clone() },
            question: asking.question.clone(),
        });
        let sent = begun.and_then(|()| {
            let files = self.picked.files(&asking.setting.model)?;
            self.worker.with_value(|worker| worker.as_ref().map_or(Ok(()), |worker| worker.send(&request, &files)))
        });
        if let Err(reason) = sent {
            self.hear(Response::Failed(reason));
        }
    }

    fn hear(self, response: Response) {
        match response {
            Response::Loading(loading) => self.progress.set(Progress::Loading(loading)),
            Response::Preparing(preparing) => self.progress.set(Progress::Preparing(preparing)),
            Response::LeftOut(left_out) => self.left_out.set(left_out),
            Response::Ready(engine) => {
                self.engine.set(Some(engine));
                self.progress.set(Progress::Asking);
            }
            Response::Asked(asked) => {
                let Some((asking, next)) = self.turns.try_update_value(|turns| turns.answered(asked.id)).flatten() else { return };
                match next {
                    Some((id, next)) => self.send(id, &next),
                    None => self.progress.set(Progress::Idle),
                }
                self.heard.set(Some((asking, asked)));
            }
            Response::Failed(reason) => {
                self.turns.update_value(Turns::give_up);
                self.progress.set(Progress::Failed(reason));
                // this is the worker's own call: it must return before the worker goes
                let worker = self.worker.try_update_value(Option::take);
                spawn_local(async move { drop(worker) });
            }
            Response::Planned(_) | Response::Answered(_) | Response::Finished | Response::Looked(_) | Response::Shown(_) => {}
        }
    }
}
