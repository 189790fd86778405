//! The report: what was measured, and what follows from it.

use crate::error::ReportError;
use crate::measurements::{AccelerationReport, Measurements, PlanSummary, QuestionRow};
use crate::summary::{BASELINE, Condition, Summary};

/// A stability report: what was measured, checked, with the summaries that follow from it.
///
/// It is made of [`Measurements`] and cannot be changed afterwards, so its summaries are always those of its measurements.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    measurements: Measurements,
    clean: Condition,
    perturbed: Vec<Perturbed>,
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
    pub fn new(measurements: Measurements) -> Result<Self, ReportError> {
        measurements.check()?;
        let clean = Condition::of(&measurements, 0)?;
        let perturbations = measurements.plan.perturbations.iter().enumerate();
        let perturbed = perturbations
            .map(|(i, perturbation)| {
                Ok(Perturbed {
                    perturbation: perturbation.clone(),
                    baseline: Summary::of_perturbation(&measurements, 1 + i)?,
                    condition: Condition::of(&measurements, 1 + i)?,
                })
            })
            .collect::<Result<_, ReportError>>()?;
        Ok(Self { measurements, clean, perturbed })
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

    /// The summary of the baseline against itself, on clean images.
    pub fn noise_floor(&self) -> Option<&Summary> {
        self.clean.noise_floor.as_ref()
    }

    /// What became of the answers under each perturbation of the plan.
    pub fn perturbed(&self) -> &[Perturbed] {
        &self.perturbed
    }

    /// The summary to open with: of the accelerations under which accuracy hides what happened, the one under which it hides most;
    /// where there is none, the one with the highest DR. `None` without accelerations.
    pub fn headline(&self) -> Option<&Summary> {
        let hides = |summary: &Summary| summary.dr.value - summary.accuracy_change.value.abs();
        let hidden = self.summaries().iter().filter(|summary| summary.hidden()).max_by(|a, b| hides(a).total_cmp(&hides(b)));
        hidden.or_else(|| self.summaries().iter().max_by(|a, b| a.dr.value.total_cmp(&b.dr.value)))
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
