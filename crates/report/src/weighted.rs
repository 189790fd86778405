//! Rates where some questions count more than others.

use std::collections::BTreeMap;
use std::ops::{AddAssign, Mul};

use serde::Serialize;

use crate::measurements::{AnswerRow, QuestionRow};
use crate::number::percent;
use crate::outcome::Outcome;
use crate::statistics::{Interval, cluster_bootstrap};
use crate::summary::{BOOTSTRAP_SEED, Change, ends};

/// What an acceleration did to the answers, each question by its weight. Shares are fractions of the sum of all weights.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Weighted {
    /// Share of right answers of the baseline.
    pub accuracy_before: WeightedShare,
    /// Share of right answers under the acceleration.
    pub accuracy_after: WeightedShare,
    /// Accuracy after minus before.
    pub accuracy_change: Change,
    /// Divergence ratio.
    pub dr: WeightedShare,
    /// Negative divergence ratio.
    pub ndr: WeightedShare,
    /// Positive divergence ratio.
    pub pdr: WeightedShare,
    /// As many questions of equal weight tell as much: `(sum of w)^2 / sum of w^2`. L. Kish, "Survey Sampling" (1965).
    pub effective_questions: f64,
}

/// A share by weight.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct WeightedShare {
    /// The share.
    pub value: f64,
    /// Its interval from a bootstrap by image, where that has one.
    pub interval: Option<Interval>,
}

/// The heaviest question weighs so many units: the bootstrap counts in whole numbers, and no rate shows a part in a billion.
const UNITS: f64 = (1_u64 << 30) as f64;

/// Weights of the questions about one image, in units.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
struct Sums {
    all: u64,
    right_before: u64,
    right_after: u64,
    changed: u64,
    broken: u64,
    repaired: u64,
}

impl AddAssign for Sums {
    fn add_assign(&mut self, other: Self) {
        self.all += other.all;
        self.right_before += other.right_before;
        self.right_after += other.right_after;
        self.changed += other.changed;
        self.broken += other.broken;
        self.repaired += other.repaired;
    }
}

/// That of so many images with the same.
impl Mul<u64> for Sums {
    type Output = Self;

    fn mul(self, times: u64) -> Self {
        let Self { all, right_before, right_after, changed, broken, repaired } = self;
        Self {
            all: all * times,
            right_before: right_before * times,
            right_after: right_after * times,
            changed: changed * times,
            broken: broken * times,
            repaired: repaired * times,
        }
    }
}

impl WeightedShare {
    /// In percent with the ends of its interval, e.g. `12.3 (9.1-16.5)`.
    pub(crate) fn shown(self) -> String {
        format!("{} ({})", percent(self.value), ends(self.interval))
    }
}

/// The shares, in the order of [`Weighted`]'s fields.
fn shares(sums: &Sums) -> [Option<f64>; 6] {
    let &Sums { all, right_before, right_after, changed, broken, repaired } = sums;
    let share = |part: f64| (all > 0).then(|| part / all as f64);
    let [before, after] = [right_before as f64, right_after as f64];
    [share(before), share(after), share(after - before), share(changed as f64), share(broken as f64), share(repaired as f64)]
}

impl Weighted {
    /// Heads of [`Self::cells`].
    pub(crate) fn heads(judged: bool) -> Vec<&'static str> {
        if judged { vec!["accuracy", "DR (95 %)", "NDR (95 %)", "PDR (95 %)"] } else { vec!["DR (95 %)"] }
    }

    /// Accuracy before and after, and the three rates; DR alone where nothing is judged.
    pub(crate) fn cells(&self, judged: bool) -> Vec<String> {
        let accuracy = format!("{} -> {}", percent(self.accuracy_before.value), percent(self.accuracy_after.value));
        if judged { vec![accuracy, self.dr.shown(), self.ndr.shown(), self.pdr.shown()] } else { vec![self.dr.shown()] }
    }

    /// How much the weights leave to go by, in a sentence.
    pub(crate) fn hint(&self, questions: usize) -> String {
        format!(
            "Each question by its weight. That tells as much as {:.0} questions of equal weight, of {questions}; verdicts and tests above count each question once.",
            self.effective_questions
        )
    }

    /// Of answers that are compared with those beside the questions; `None` where all questions weigh the same.
    pub(crate) fn of(questions: &[QuestionRow], after: &[&AnswerRow], replicates: usize) -> Option<Self> {
        let weights = || questions.iter().map(|question| question.weight);
        let heaviest = weights().fold(0.0, f64::max);
        if weights().all(|weight| weight >= heaviest) {
            return None;
        }
        let mut images: BTreeMap<&str, Sums> = BTreeMap::new();
        for (question, answer) in questions.iter().zip(after) {
            // The lightest count for something.
            let units = (question.weight / heaviest * UNITS).round().max(1.0) as u64;
            let outcome = answer.outcome.unwrap_or(Outcome::Same);
            let units_if = |holds: bool| if holds { units } else { 0 };
            *images.entry(&question.image).or_default() += Sums {
                all: units,
                right_before: units_if(question.baseline.correct),
                right_after: units_if(answer.correct),
                changed: units_if(outcome.diverged()),
                broken: units_if(outcome == Outcome::Broken),
                repaired: units_if(outcome == Outcome::Repaired),
            };
        }
        let images: Vec<Sums> = images.into_values().collect();
        let mut all = Sums::default();
        for &sums in &images {
            all += sums;
        }
        let drawn = cluster_bootstrap(replicates, &[images.as_slice()], shares, BOOTSTRAP_SEED).pop()?;
        let values = shares(&all);
        let share = |i: usize| Some(WeightedShare { value: values[i]?, interval: drawn[i] });
        let (sum, squares) = weights().fold((0.0, 0.0), |(sum, squares), weight| (sum + weight, squares + weight * weight));
        Some(Self {
            accuracy_before: share(0)?,
            accuracy_after: share(1)?,
            accuracy_change: Change { value: values[2]?, interval: drawn[2] },
            dr: share(3)?,
            ndr: share(4)?,
            pdr: share(5)?,
            effective_questions: sum * sum / squares,
        })
    }
}
