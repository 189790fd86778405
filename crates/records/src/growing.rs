//! What is answered by now, and its report.

use std::collections::BTreeMap;
use std::time::Duration;

use steady_bench::Question;
use steady_report::{Deriving, Measurements, Report};

use crate::pairing::{self, Judged, Pairing};
use crate::plan::Plan;
use crate::record::Timing;
use crate::work::Work;

use crate::RecordsError;

/// Shortest time between two drawings of a growing report.
const SHORTEST: Duration = Duration::from_millis(700);

/// How many times as long as it took to derive a report it is shown before the next one is derived.
const SHOWN: u32 = 60;

/// How long a growing report stands when it took so long to derive. A report takes the longer the more is answered; because it stands in proportion,
/// all reports of a study together take no more than a share of its time, however long it is.
pub fn pause(took: Duration) -> Duration {
    SHORTEST.max(took.saturating_mul(SHOWN))
}

/// The groups of a study that are answered.
#[derive(Clone, Debug)]
pub struct Growing {
    work: Work,
    /// By index of the group.
    answered: BTreeMap<usize, Scored>,
}

/// A group's answers. They are scored as they come, since a report is derived of them many times.
#[derive(Clone, Debug)]
struct Scored {
    /// Question by question, each with all variants.
    answers: Vec<Judged>,
    timings: Vec<Timing>,
}

impl Growing {
    /// A study of which nothing is answered yet.
    pub fn new(work: Work) -> Self {
        Self { work, answered: BTreeMap::new() }
    }

    /// Whose answers they are.
    pub fn work(&self) -> &Work {
        &self.work
    }

    /// Takes a group out of bytes that may come from anywhere. One that is there already is replaced.
    ///
    /// # Errors
    /// As [`Work::open`].
    pub fn take(&mut self, sealed: &[u8]) -> Result<(), RecordsError> {
        let (group, answers) = self.work.open(sealed)?;
        let judged = pairing::judge(&self.work, &self.work.groups()[group], &answers.records)?;
        self.answered.insert(group, Scored { answers: judged, timings: answers.timings });
        Ok(())
    }

    /// Answers there are.
    pub fn done(&self) -> usize {
        self.answered.values().map(|scored| scored.answers.len()).sum()
    }

    /// The report of what is answered, which is that of a study of these questions alone; nothing before the first group. Questions
    /// about an image come with the last of its perturbations, those about the first one as it is before that. The whole study's is
    /// that of the same plan run into a folder.
    ///
    /// # Errors
    /// [`RecordsError::Report`] if the answers make no report, which those that [`Growing::take`] took always do.
    pub fn report(&self) -> Result<Option<Report>, RecordsError> {
        self.report_of(Deriving::new)
    }

    /// The same for a report that is shown until the next one is derived: [`Report::sketch`].
    ///
    /// # Errors
    /// As [`Growing::report`].
    pub fn sketch(&self) -> Result<Option<Report>, RecordsError> {
        self.report_of(Deriving::sketch)
    }

    /// [`Growing::report`] on its way, for those who cannot wait for it.
    ///
    /// # Errors
    /// As [`Growing::report`].
    pub fn deriving(&self) -> Result<Option<Deriving>, RecordsError> {
        self.begun(Deriving::new)
    }

    fn report_of(&self, begin: fn(Measurements) -> Deriving) -> Result<Option<Report>, RecordsError> {
        let report = |deriving: Deriving| deriving.report().map_err(|error| RecordsError::Report(error.to_string()));
        self.begun(begin)?.map(report).transpose()
    }

    fn begun(&self, begin: fn(Measurements) -> Deriving) -> Result<Option<Deriving>, RecordsError> {
        let mut plan: Plan = self.work.plan().clone();
        let mut asked = self.answered_under(plan.perturbations.len());
        if asked.is_empty() {
            // the first image, as it is
            plan.perturbations.truncate(1);
            asked = self.answered_under(1);
        }
        if asked.is_empty() {
            return Ok(None);
        }
        asked.sort_unstable();
        let questions: Vec<Question> = asked.into_iter().map(|question| self.work.questions()[question].clone()).collect();
        plan.benchmark.questions = questions.len();
        let mut pairing = Pairing::new(&plan, &questions)?;
        for (&group, scored) in &self.answered {
            let group = &self.work.groups()[group];
            for (&question, answers) in group.questions.iter().zip(scored.answers.chunks(plan.variants().len())) {
                let id = &self.work.questions()[question].id;
                answers.iter().enumerate().for_each(|(variant, judged)| pairing.seat(id, &group.perturbation, variant, judged));
            }
        }
        pairing.begun(begin).map(Some)
    }

    /// Machine time of what is answered, in seconds, by the spec of an acceleration, `none`, or the name of a control: what
    /// [`Report::timed`](steady_report::Report::timed) puts beside the costs.
    pub fn seconds(&self) -> BTreeMap<&str, f64> {
        let mut seconds = BTreeMap::new();
        for timing in self.answered.values().flat_map(|scored| &scored.timings) {
            *seconds.entry(timing.acceleration.as_str()).or_default() += timing.wall_ms / 1e3;
        }
        seconds
    }

    /// Indices of the questions that are answered under the first `perturbations` of the plan.
    fn answered_under(&self, perturbations: usize) -> Vec<usize> {
        let of_image = self.work.plan().perturbations.len();
        let images = self.work.groups().chunks(of_image).enumerate();
        let answered = |image: usize| (0..perturbations).all(|i| self.answered.contains_key(&(image * of_image + i)));
        images.filter(|(image, _)| answered(*image)).flat_map(|(_, groups)| groups[0].questions.iter().copied()).collect()
    }
}
