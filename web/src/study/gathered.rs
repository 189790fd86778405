//! The report of what a run has by now. Every group is read once; what follows from all of them is derived when it is asked for.

use std::sync::Arc;

use steady_records::{Growing, RecordsError, Work};

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
    /// Reads what came since the last time, and derives the report, a sketch of it while there is more to come; nothing before the first group. `before` is what it derived last,
    /// and `reader` may have the files of what is asked.
    ///
    /// # Errors
    /// When plan or groups are none, as a browser's store may have them.
    pub(crate) fn opened(&mut self, run: &StudyRun, before: Option<&Opened>, reader: Reader) -> Result<Option<Opened>, RecordsError> {
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
        let growing = &of_plan.growing;
        let report = if run.at_work() { growing.sketch()? } else { growing.report()? };
        let Some(report) = report else { return Ok(None) };
        let seconds = growing.seconds();
        let report = report.timed(|spec| seconds.get(spec).copied()).map_err(|error| RecordsError::Report(error.to_string()))?;
        Ok(Some(Opened::from_study(report, before, growing.work(), reader)))
    }
}
