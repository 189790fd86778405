//! The report: what was measured, and what follows from it.

use std::collections::BTreeMap;

use crate::assurance::Collapse;
use crate::counted::counted;
use crate::deriving::Deriving;
use crate::error::ReportError;
use crate::measurements::{AccelerationReport, AnswerRow, BASELINE, ControlReport, Flag, Measurements, PlanSummary, QuestionRow};
use crate::outcome::Outcome;
use crate::rates::Tally;
use crate::statistics::PairedTest;
use crate::summary::{Condition, Summary};

/// A stability report: what was measured, checked, with the summaries that follow from it.
///
/// It is made of [`Measurements`] and cannot be changed afterwards, so its summaries are always those of its measurements.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    measurements: Measurements,
    clean: Condition,
    perturbed: Vec<Perturbed>,
    tie_margin: Option<f64>,
    /// Places of the flags, by row.
    flagged: BTreeMap<usize, Vec<usize>>,
}

/// What became of the answers when something was done to the images.
#[derive(Clone, Debug, PartialEq)]
pub struct Perturbed {
    /// What was done to the images.
    pub perturbation: String,
    /// What it did to the baseline's own answers: before on the clean images, after on the perturbed ones.
    pub baseline: Summary,
    /// What the accelerations did to answers about the perturbed images: before the baseline's, after theirs.
    pub condition: Condition,
}

impl Report {
    /// Checks the measurements against each other and derives the summaries.
    ///
    /// # Errors
    /// [`ReportError`] naming the field that contradicts another, or that is out of range.
    pub fn new(measurements: Measurements) -> Result<Self, ReportError> {
        Deriving::new(measurements).report()
    }

    /// The same in a fraction of the time, for a report that is derived anew as soon as more is known: all is as in [`Report::new`], but the ends of the
    /// intervals by image come from a tenth of the draws.
    ///
    /// # Errors
    /// As [`Report::new`].
    pub fn sketch(measurements: Measurements) -> Result<Self, ReportError> {
        Deriving::sketch(measurements).report()
    }

    /// What was derived, put together.
    pub(crate) fn of(measurements: Measurements, clean: Condition, perturbed: Vec<Perturbed>, tie_margin: Option<f64>) -> Self {
        let mut flagged: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (place, flag) in measurements.flagged.iter().enumerate() {
            flagged.entry(flag.row).or_default().push(place);
        }
        let mut report = Self { measurements, clean, perturbed, tie_margin, flagged };
        report.adjust();
        report
    }

    /// Adjusts the p-values of all accelerations under all conditions for one another, as one family of tests; those of the excess over the noise floor
    /// are another.
    fn adjust(&mut self) {
        let conditions = std::iter::once(&mut self.clean).chain(self.perturbed.iter_mut().map(|perturbed| &mut perturbed.condition));
        let (mut accuracy, mut excess): (Vec<&mut PairedTest>, Vec<&mut PairedTest>) = (Vec::new(), Vec::new());
        for summary in conditions.flat_map(|condition| &mut condition.accelerations) {
            accuracy.push(&mut summary.mcnemar);
            excess.extend(&mut summary.excess);
        }
        PairedTest::adjust(accuracy);
        PairedTest::adjust(excess);
    }

    /// What was measured.
    pub fn measurements(&self) -> &Measurements {
        &self.measurements
    }

    /// What was run.
    pub fn plan(&self) -> &PlanSummary {
        &self.measurements.plan
    }

    /// The questions with the baseline's answers: once about the clean images, and then, in the same order, once more under each perturbation of
    /// the plan.
    pub fn questions(&self) -> &[QuestionRow] {
        &self.measurements.questions
    }

    /// The same question about the clean image.
    pub fn clean(&self, question: usize) -> usize {
        question % self.plan().questions
    }

    /// Whether answers are right or wrong at all: some question has a gold answer, or some answer was taken for right by whoever scored it. Where not, there is no
    /// accuracy, and all that can be said is which answers changed.
    pub fn judged(&self) -> bool {
        let Measurements { questions, accelerations, controls, .. } = &self.measurements;
        let columns = accelerations.iter().map(|a| &a.answers).chain(controls.iter().map(|c| &c.answers));
        questions.iter().any(|question| !question.gold.is_empty() || question.baseline.correct)
            || columns.flatten().any(|answer| answer.correct)
    }

    /// Whether any lead of a first token is known.
    pub(crate) fn tells_margins(&self) -> bool {
        self.summaries().iter().chain(self.control_summaries()).any(|summary| summary.margin_same.or(summary.margin_diverged).is_some())
    }

    /// Whether any divergence of a first token's distribution is known.
    pub(crate) fn tells_divergences(&self) -> bool {
        self.summaries().iter().chain(self.control_summaries()).any(|summary| summary.kl_mean.is_some())
    }

    /// Under what a question is asked: 0 for nothing, else one more than an index into the plan's perturbations.
    pub fn condition(&self, question: usize) -> usize {
        question / self.plan().questions
    }

    /// The accelerations, aligned with [`Report::summaries`].
    pub fn accelerations(&self) -> &[AccelerationReport] {
        &self.measurements.accelerations
    }

    /// One summary for each acceleration, in their order, of the answers about clean images.
    pub fn summaries(&self) -> &[Summary] {
        &self.clean.accelerations
    }

    /// The one of the acceleration with this spec.
    pub fn summary(&self, spec: &str) -> Option<&Summary> {
        self.summaries().iter().find(|summary| summary.spec == spec)
    }

    /// The controls, in the order of their summaries.
    pub fn controls(&self) -> &[ControlReport] {
        &self.measurements.controls
    }

    /// The controls' summaries on clean images.
    pub fn control_summaries(&self) -> &[Summary] {
        &self.clean.controls
    }

    /// The summary of the control under which most answers changed, on clean images.
    pub fn noise_floor(&self) -> Option<&Summary> {
        self.clean.noise_floor()
    }

    pub(crate) fn condition_of_clean(&self) -> &Condition {
        &self.clean
    }

    /// Whether the baseline led so little in its answer to this question that its change is a tie flip; `None` where nobody knows.
    pub fn is_tie(&self, question: usize) -> Option<bool> {
        let margin = self.tie_margin?;
        let baseline = &self.measurements.questions[question].baseline;
        baseline.margin.is_some().then(|| baseline.is_tie(margin))
    }

    /// The tallies of the images that some rows are about, in the order of their names; `answers` are an acceleration's or a control's.
    ///
    /// # Errors
    /// None of answers of this report: their outcomes fit their verdicts.
    pub fn tallies(&self, answers: &[AnswerRow], keep: impl Fn(usize) -> bool) -> Result<BTreeMap<&str, Tally>, ReportError> {
        let mut images: BTreeMap<&str, Tally> = BTreeMap::new();
        for (i, (question, answer)) in self.questions().iter().zip(answers).enumerate().filter(|(i, _)| keep(*i)) {
            let tally = images.entry(&question.image).or_default();
            tally
                .record(answer.outcome.unwrap_or(Outcome::Same), question.baseline.correct, answer.correct)
                .map_err(|reason| ReportError::Contradiction { field: format!("answers[{i}].outcome"), reason })?;
        }
        Ok(images)
    }

    /// What is odd about an answer, by the row of its question and the spec of whoever gave it.
    pub fn flag(&self, question: usize, spec: &str) -> Option<Flag> {
        let of_row = self.flagged.get(&question)?.iter().map(|&place| &self.measurements.flagged[place]);
        of_row.filter(|flagged| flagged.spec == spec).map(|flagged| flagged.flag).next()
    }

    /// What is odd about answers of this report, a line for each kind, and what was not run.
    pub fn remarks(&self) -> Vec<String> {
        let mut kinds: BTreeMap<Flag, usize> = BTreeMap::new();
        for flagged in &self.measurements.flagged {
            *kinds.entry(flagged.flag).or_default() += 1;
        }
        let collapses = self.summaries().iter().flat_map(|summary| {
            let of = |collapse: &Collapse| format!("{}: {collapse}", summary.spec);
            summary.assurance.collapsed.iter().flatten().map(of).collect::<Vec<_>>()
        });
        let line = |(flag, count): (Flag, usize)| format!("{} {}: flagged in report.json", counted(count as u64, "answer"), flag.label());
        let left_out = self.plan().left_out.iter().map(|(spec, reason)| format!("{spec}: not run, {reason}"));
        kinds.into_iter().map(line).chain(collapses).chain(left_out).collect()
    }

    /// The findings in words, a line for each acceleration, the headline first: it is the largest of all and says so.
    pub fn findings(&self) -> Vec<String> {
        let headline = self.headline().map(|summary| summary.spec.as_str());
        let mut summaries: Vec<&Summary> = self.whole_summaries().collect();
        summaries.sort_by_key(|summary| headline != Some(summary.spec.as_str()));
        let largest =
            |i: usize| if i == 0 && summaries.len() > 1 { format!(", the largest of {}", summaries.len()) } else { String::new() };
        let finding = |summary: &Summary| if self.judged() { summary.finding() } else { summary.change() };
        let lines = summaries.iter().enumerate().map(|(i, summary)| format!("{}{}: {}", summary.spec, largest(i), finding(summary)));
        lines.chain(self.sensitive()).collect()
    }

    /// What became of the answers under each perturbation of the plan.
    pub fn perturbed(&self) -> &[Perturbed] {
        &self.perturbed
    }

    /// The summary to open with: of the accelerations under which accuracy hides what happened, the one under which it hides most;
    /// where there is none, the one with the highest DR. `None` without accelerations.
    pub fn headline(&self) -> Option<&Summary> {
        let hides = |summary: &Summary| summary.dr.value - summary.accuracy_change.value.abs();
        let hidden =
            self.whole_summaries().filter(|summary| self.judged() && summary.hidden()).max_by(|a, b| hides(a).total_cmp(&hides(b)));
        hidden.or_else(|| self.whole_summaries().max_by(|a, b| a.dr.value.total_cmp(&b.dr.value)))
    }

    /// This report with machine times in its costs, in seconds: of the baseline, called `none`, and of the accelerations by their specs. No summary
    /// depends on them, so nothing is derived again.
    ///
    /// # Errors
    /// [`ReportError::Number`] naming a time that is none.
    pub fn timed(mut self, seconds: impl Fn(&str) -> Option<f64>) -> Result<Self, ReportError> {
        self.measurements.baseline_cost.seconds = seconds(BASELINE);
        for acceleration in &mut self.measurements.accelerations {
            acceleration.cost.seconds = seconds(&acceleration.spec);
        }
        self.measurements.check_costs()?;
        Ok(self)
    }
}
