//! How far a study has come, from what its worker says. Plain data: nothing here knows of a browser.

use std::sync::Arc;

use steady_protocol::{Answered, Engine, LeftOut, Loading, Preparing, Response};
use steady_records::Work;

/// What is going on.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Phase {
    /// Nothing was asked yet, or it was forgotten.
    #[default]
    Idle,
    /// The worker's program is on its way.
    Starting,
    /// The model is on its way.
    Loading(Loading),
    /// The GPU compiles what it computes with.
    Preparing(Preparing),
    /// Questions are being answered.
    Running,
    /// It can go on where it stopped.
    Stopped(Cause),
    /// Every question is answered.
    Finished,
}

/// Why a study stopped before its end.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cause {
    /// Somebody pressed Cancel.
    Cancelled,
    /// The page was left, and this is a later visit.
    Left,
    /// The worker cannot go on, for this reason.
    Failed(String),
}

/// A study from Run to its end.
#[derive(Debug, Default)]
pub(crate) struct StudyRun {
    phase: Phase,
    engine: Option<Engine>,
    left_out: Vec<LeftOut>,
    work: Option<Arc<[u8]>>,
    groups: Vec<Vec<u8>>,
    latest: Option<Answered>,
    pace: Pace,
}

impl StudyRun {
    /// A study that an earlier visit left behind; `latest` is the last that was heard of it.
    pub(crate) fn left(work: Vec<u8>, groups: Vec<Vec<u8>>, latest: Answered) -> Self {
        let phase = if latest.done < latest.total { Phase::Stopped(Cause::Left) } else { Phase::Finished };
        Self { phase, work: Some(work.into()), groups, latest: Some(latest), ..Self::default() }
    }

    /// Run or Resume was pressed. Gives the groups that need not be answered again; `None` while the study is running as it is.
    pub(crate) fn start(&mut self) -> Option<Vec<Vec<u8>>> {
        if self.at_work() {
            return None;
        }
        if self.phase == Phase::Finished {
            *self = Self::default();
        }
        self.phase = Phase::Starting;
        self.engine = None;
        self.left_out.clear();
        self.pace = Pace::default();
        Some(self.groups.clone())
    }

    /// Takes in what the worker says at `now` seconds. What a worker says after its end is not listened to.
    pub(crate) fn hear(&mut self, response: Response, now: f64) {
        if !self.at_work() {
            return;
        }
        match response {
            Response::Loading(loading) => self.phase = Phase::Loading(loading),
            Response::Preparing(preparing) => self.phase = Phase::Preparing(preparing),
            Response::LeftOut(left_out) => self.left_out = left_out,
            Response::Ready(engine) => {
                self.engine = Some(engine);
                self.phase = Phase::Running;
                self.pace.begin(now, self.done());
            }
            Response::Planned(work) => {
                // one that goes on is planned as it was
                if self.work.as_deref() != Some(&*work) {
                    self.work = Some(work.into());
                }
            }
            Response::Answered(answered) => {
                self.phase = Phase::Running;
                if answered.group.is_empty() {
                    // what was recorded is there again: no work, so no measure of the pace
                    self.pace.begin(now, answered.done);
                } else {
                    self.groups.push(answered.group.clone());
                    self.pace.step(now, answered.done);
                }
                self.latest = Some(Answered { group: Vec::new(), ..answered });
            }
            Response::Finished => self.phase = Phase::Finished,
            Response::Failed(reason) => self.phase = Phase::Stopped(Cause::Failed(reason)),
            Response::Asked(_) | Response::Looked(_) | Response::Shown(_) => {}
        }
    }

    /// Cancel was pressed.
    pub(crate) fn cancel(&mut self) {
        if self.at_work() {
            self.phase = if self.groups.is_empty() { Phase::Idle } else { Phase::Stopped(Cause::Cancelled) };
        }
    }

    /// What is going on.
    pub(crate) fn phase(&self) -> &Phase {
        &self.phase
    }

    /// Whether a worker is at it.
    pub(crate) fn at_work(&self) -> bool {
        matches!(self.phase, Phase::Starting | Phase::Loading(_) | Phase::Preparing(_) | Phase::Running)
    }

    /// What computes, as soon as that is known.
    pub(crate) fn engine(&self) -> Option<&Engine> {
        self.engine.as_ref()
    }

    /// The accelerations that the study does without.
    pub(crate) fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    /// The last state heard of, without its group.
    pub(crate) fn latest(&self) -> Option<&Answered> {
        self.latest.as_ref()
    }

    /// The plan with its questions, as the worker said them.
    pub(crate) fn work(&self) -> Option<&Arc<[u8]>> {
        self.work.as_ref()
    }

    /// The device that what was answered so far was computed on.
    pub(crate) fn device(&self) -> Option<String> {
        Some(Work::from_bytes(self.work.as_deref()?).ok()?.plan().device.clone())
    }

    /// Every group there is, in the order of their coming.
    pub(crate) fn groups(&self) -> &[Vec<u8>] {
        &self.groups
    }

    /// Answers there are, and answers planned where that is known.
    pub(crate) fn progress(&self) -> Option<(usize, usize)> {
        self.latest.as_ref().map(|latest| (latest.done, latest.total))
    }

    /// Seconds that the rest will take if it goes on as it went.
    pub(crate) fn seconds_left(&self) -> Option<f64> {
        let (done, total) = self.progress()?;
        (self.phase == Phase::Running).then(|| self.pace.seconds_for(total.saturating_sub(done)))?
    }

    fn done(&self) -> usize {
        self.latest.as_ref().map_or(0, |latest| latest.done)
    }
}

/// Answers per second since the model was in place.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Pace {
    from: Option<(f64, usize)>,
    to: Option<(f64, usize)>,
}

impl Pace {
    fn begin(&mut self, now: f64, done: usize) {
        *self = Self { from: Some((now, done)), to: None };
    }

    fn step(&mut self, now: f64, done: usize) {
        self.to = Some((now, done));
    }

    fn seconds_for(&self, answers: usize) -> Option<f64> {
        let ((t0, n0), (t1, n1)) = (self.from?, self.to?);
        (n1 > n0).then(|| (t1 - t0) / (n1 - n0) as f64 * answers as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loading(received: u64) -> Response {
        Response::Loading(Loading { file: "model.safetensors".into(), received, total: Some(8_000_000) })
    }

    fn ready() -> Response {
        Response::Ready(Engine { device: "flex".into(), dtype: "f32".into(), reason: "chosen".into() })
    }

    fn answered(group: &[u8], done: usize) -> Response {
        Response::Answered(Answered { group: group.to_vec(), done, total: 16 })
    }

    /// A study of 16 answers that has 8 of them, 4 seconds each two after another.
    fn halfway() -> StudyRun {
        let mut run = StudyRun::default();
        assert_eq!(run.start(), Some(vec![]));
        let planned = Response::Planned(b"plan".to_vec());
        for (now, response) in [(0.0, loading(1)), (10.0, ready()), (10.5, planned), (12.0, answered(b"a", 4)), (14.0, answered(b"b", 8))] {
            run.hear(response, now);
        }
        run
    }

    #[test]
    fn a_study_loads_runs_and_ends() {
        let mut run = StudyRun::default();
        assert_eq!((run.phase(), run.progress()), (&Phase::Idle, None));
        run.start();
        assert_eq!(run.phase(), &Phase::Starting);
        run.hear(loading(3), 0.0);
        assert!(matches!(run.phase(), Phase::Loading(loading) if loading.received == 3));
        run.hear(ready(), 1.0);
        assert_eq!(run.engine().unwrap().device, "flex");
        run.hear(answered(b"a", 16), 2.0);
        assert_eq!(run.progress(), Some((16, 16)));
        run.hear(Response::Finished, 3.0);
        assert_eq!(run.phase(), &Phase::Finished);
        assert!(!run.at_work());
    }

    #[test]
    fn what_is_left_takes_as_long_as_what_was_done() {
        // 8 answers in the 4 seconds since the model was in place; loading it does not count
        assert_eq!(halfway().seconds_left(), Some(4.0));
    }

    #[test]
    fn a_cancelled_study_keeps_what_it_has_and_goes_on_from_there() {
        let mut run = halfway();
        run.cancel();
        assert_eq!(run.phase(), &Phase::Stopped(Cause::Cancelled));
        let planned = Arc::clone(run.work().unwrap());
        assert_eq!(&*planned, b"plan");
        assert_eq!(run.start(), Some(vec![b"a".to_vec(), b"b".to_vec()]));
        assert_eq!(run.progress(), Some((8, 16)));
        // the worker first says that it took the recorded groups over
        run.hear(ready(), 100.0);
        run.hear(Response::Planned(b"plan".to_vec()), 100.5);
        assert!(Arc::ptr_eq(run.work().unwrap(), &planned));
        run.hear(answered(b"", 8), 101.0);
        assert_eq!(run.seconds_left(), None);
        run.hear(answered(b"c", 12), 103.0);
        assert_eq!(run.seconds_left(), Some(2.0));
        run.cancel();
        assert_eq!(run.start().unwrap().len(), 3);
    }

    #[test]
    fn a_word_of_a_worker_that_was_ended_changes_nothing() {
        let mut run = halfway();
        run.cancel();
        run.hear(answered(b"late", 12), 15.0);
        run.hear(Response::Finished, 16.0);
        assert_eq!((run.phase(), run.progress()), (&Phase::Stopped(Cause::Cancelled), Some((8, 16))));
        assert_eq!(run.start().unwrap().len(), 2);
    }

    #[test]
    fn cancelling_before_the_first_answer_leaves_nothing() {
        let mut run = StudyRun::default();
        run.start();
        run.hear(loading(1), 0.0);
        run.cancel();
        assert_eq!(run.phase(), &Phase::Idle);
    }

    #[test]
    fn a_failure_is_told_and_the_study_can_go_on() {
        let mut run = halfway();
        run.hear(Response::Failed("device lost".into()), 15.0);
        assert_eq!(run.phase(), &Phase::Stopped(Cause::Failed("device lost".into())));
        assert_eq!(run.start().unwrap().len(), 2);
    }

    #[test]
    fn a_later_visit_goes_on() {
        let Response::Answered(latest) = answered(b"", 8) else { unreachable!() };
        let mut run = StudyRun::left(b"plan".to_vec(), vec![b"a".to_vec()], latest);
        assert_eq!((run.progress(), run.work().map(|work| work.to_vec())), (Some((8, 16)), Some(b"plan".to_vec())));
        assert_eq!(run.start(), Some(vec![b"a".to_vec()]));
    }

    #[test]
    fn a_finished_study_runs_anew_and_a_running_one_does_not() {
        let mut run = halfway();
        assert_eq!(run.start(), None);
        run.hear(Response::Finished, 20.0);
        assert_eq!(run.start(), Some(vec![]));
        assert_eq!(run.progress(), None);
    }
}
