//! The report of what a run has by now. Every group is read once; what follows from all of them is derived when it is asked for.

use std::sync::Arc;
use std::time::Duration;

use futures_channel::oneshot;
use leptos::prelude::{document, set_timeout};
use steady_records::{Growing, RecordsError, Work};
use steady_report::{Deriving, Report};

use super::now;
use super::run::StudyRun;
use crate::opened::Opened;
use crate::own_questions::Reader;

/// The groups of a run that were read so far.
#[derive(Default)]
pub(crate) struct Gathered(Option<OfPlan>);

struct OfPlan {
    work: Arc<[u8]>,
    growing: Growing,
    read: usize,
}

impl Gathered {
    /// Reads what came since the last time, and sketches the report; nothing before the first group. `before` is what was shown last, and `reader` may have the
    /// files of what is asked.
    ///
    /// # Errors
    /// When plan or groups are none, as a browser's store may have them.
    pub(crate) fn sketch(&mut self, run: &StudyRun, before: Option<&Opened>, reader: Reader) -> Result<Option<Opened>, RecordsError> {
        let Some(growing) = self.read(run)? else { return Ok(None) };
        growing.sketch()?.map(|report| opened(growing, report, before, reader)).transpose()
    }

    /// Reads what came since the last time, and begins the report of all of it, for [`step_by_step`] and [`Gathered::whole`].
    ///
    /// # Errors
    /// As [`Gathered::sketch`].
    pub(crate) fn begin(&mut self, run: &StudyRun) -> Result<Option<Deriving>, RecordsError> {
        self.read(run)?.map_or(Ok(None), Growing::deriving)
    }

    /// The report that was begun.
    ///
    /// # Errors
    /// As [`Gathered::sketch`].
    pub(crate) fn whole(&self, derived: Deriving, before: Option<&Opened>, reader: Reader) -> Result<Option<Opened>, RecordsError> {
        let Some(OfPlan { growing, .. }) = &self.0 else { return Ok(None) };
        let report = derived.report().map_err(|error| RecordsError::Report(error.to_string()))?;
        opened(growing, report, before, reader).map(Some)
    }

    /// Reads what came since the last time, so that little is left to be read when the report is wanted.
    ///
    /// # Errors
    /// As [`Gathered::sketch`].
    pub(crate) fn read(&mut self, run: &StudyRun) -> Result<Option<&Growing>, RecordsError> {
        let Some(work) = run.work() else {
            self.0 = None;
            return Ok(None);
        };
        let of_plan = match self.0.take().filter(|of_plan| Arc::ptr_eq(&of_plan.work, work)) {
            Some(of_plan) => self.0.insert(of_plan),
            None => self.0.insert(OfPlan { work: Arc::clone(work), growing: Growing::new(Work::from_bytes(work)?), read: 0 }),
        };
        for group in &run.groups()[of_plan.read..] {
            of_plan.growing.take(group)?;
            of_plan.read += 1;
        }
        Ok(Some(&of_plan.growing))
    }
}

fn opened(growing: &Growing, report: Report, before: Option<&Opened>, reader: Reader) -> Result<Opened, RecordsError> {
    let seconds = growing.seconds();
    let report = report.timed(|spec| seconds.get(spec).copied()).map_err(|error| RecordsError::Report(error.to_string()))?;
    Ok(Opened::from_study(report, before, growing.work(), reader))
}

/// How long a report is worked on at a stretch, in seconds. What holds a page's thread for 50 ms is felt.
const STRETCH: f64 = 0.01;

/// Goes all steps, and lets the browser do what waits in between, as long as `wanted` says so; `None` if it does not any more.
///
/// # Errors
/// When the answers make no report.
pub(crate) async fn step_by_step(mut deriving: Deriving, wanted: impl Fn() -> bool) -> Result<Option<Deriving>, RecordsError> {
    loop {
        let begun = now();
        loop {
            if !deriving.step().map_err(|error| RecordsError::Report(error.to_string()))? {
                return Ok(Some(deriving));
            }
            // nobody waits for a page that is out of sight, and a browser lets its timers sleep
            if now() - begun > STRETCH && !document().hidden() {
                break;
            }
        }
        let (go_on, gone_by) = oneshot::channel();
        set_timeout(move || _ = go_on.send(()), Duration::ZERO);
        if gone_by.await.is_err() || !wanted() {
            return Ok(None);
        }
    }
}
