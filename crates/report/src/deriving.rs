//! A report on its way.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::take;

use crate::error::ReportError;
use crate::measurements::Measurements;
use crate::report::{Perturbed, Report};
use crate::statistics::{BOOTSTRAP_REPLICATES, SKETCH_REPLICATES};
use crate::summary::{Condition, Counted, Families, Summary, draw_family};

/// A report on its way, for those who have something else to do between two steps of it, which are short.
///
/// ```
/// # use steady_report::{Deriving, Report};
/// # let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../bench/tests/version-1/report.json"));
/// # let measurements = Report::from_json(text)?.measurements().clone();
/// let mut deriving = Deriving::new(measurements.clone());
/// while deriving.step()? {
///     // whatever else there is to do
/// }
/// assert_eq!(deriving.report()?, Report::new(measurements)?);
/// # Ok::<(), steady_report::ReportError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Deriving {
    measurements: Measurements,
    replicates: usize,
    checked: Option<Checked>,
    /// What was done to the images, as far as it is derived: nothing, and then the perturbations of the plan.
    conditions: Vec<(Option<Summary>, Condition)>,
    /// Of the next one, what it did to the baseline's own answers, what was counted, and how many task families were drawn of it.
    baseline: Option<Summary>,
    counted: Vec<Counted>,
    families: Families,
    drawn: usize,
}

/// What is known of measurements that do not contradict each other.
#[derive(Clone, Debug)]
struct Checked {
    tie_margin: Option<f64>,
    families: Vec<String>,
}

impl Deriving {
    /// Nothing is derived yet.
    pub fn new(measurements: Measurements) -> Self {
        Self::of(measurements, BOOTSTRAP_REPLICATES)
    }

    /// As [`Deriving::new`], of what becomes a [`Report::sketch`].
    pub fn sketch(measurements: Measurements) -> Self {
        Self::of(measurements, SKETCH_REPLICATES)
    }

    fn of(measurements: Measurements, replicates: usize) -> Self {
        Self {
            measurements,
            replicates,
            checked: None,
            conditions: Vec::new(),
            baseline: None,
            counted: Vec::new(),
            families: Families::new(),
            drawn: 0,
        }
    }

    /// Goes a step further; `false` where there is none. First of all the measurements are checked against each other.
    ///
    /// # Errors
    /// [`ReportError`] naming the field that contradicts another, or that is out of range.
    pub fn step(&mut self) -> Result<bool, ReportError> {
        let Self { measurements, replicates, .. } = self;
        let (measurements, replicates, condition) = (&*measurements, *replicates, self.conditions.len());
        let Some(Checked { tie_margin, families }) = &self.checked else {
            measurements.check()?;
            let families: BTreeSet<&String> = measurements.questions.iter().map(|question| &question.family).collect();
            let families = families.into_iter().cloned().collect();
            self.checked = Some(Checked { tie_margin: measurements.tie_margin(), families });
            return Ok(true);
        };
        if condition > measurements.plan.perturbations.len() {
            return Ok(false);
        }
        if condition > 0 && self.baseline.is_none() {
            self.baseline = Some(Summary::of_perturbation(measurements, condition, replicates)?);
        } else if let Some(family) = families.get(self.drawn) {
            if self.drawn == 0 {
                self.counted = Condition::count(measurements, condition)?;
                self.families = self.counted.iter().map(|_| BTreeMap::new()).collect();
            }
            draw_family(&self.counted, family, replicates, &mut self.families)?;
            self.drawn += 1;
        } else {
            let (counted, families) = (take(&mut self.counted), take(&mut self.families));
            let derived = Condition::of(measurements, condition, *tie_margin, replicates, counted, families)?;
            self.conditions.push((self.baseline.take(), derived));
            self.drawn = 0;
        }
        Ok(true)
    }

    /// The report, with all steps that are left.
    ///
    /// # Errors
    /// As [`Deriving::step`].
    pub fn report(mut self) -> Result<Report, ReportError> {
        while self.step()? {}
        let Self { measurements, checked, conditions, .. } = self;
        let mut conditions = conditions.into_iter();
        let (_, clean) = conditions.next().ok_or(ReportError::NoQuestions)?;
        let perturbed = conditions.zip(&measurements.plan.perturbations).filter_map(|((baseline, condition), perturbation)| {
            Some(Perturbed { perturbation: perturbation.clone(), baseline: baseline?, condition })
        });
        let perturbed = perturbed.collect();
        Ok(Report::of(measurements, clean, perturbed, checked.and_then(|checked| checked.tie_margin)))
    }
}
