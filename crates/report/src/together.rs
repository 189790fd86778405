//! Which question breaks under what: whether accelerations change the same answers.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::against_random::AgainstRandom;
use crate::outcome::Outcome;
use crate::report::Report;

/// Accelerations beside each other, on clean images.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Together {
    /// Specs, in the report's order.
    #[serde(skip)]
    pub specs: Vec<String>,
    /// For each pair of them, how far they change the same answers.
    #[serde(skip)]
    pub overlaps: Vec<Vec<Overlap>>,
    /// Under how many accelerations a question breaks, or changes where nothing was judged: at `i` the number of questions that do under `i`.
    pub questions_by_count: Vec<usize>,
    /// The same of questions by their ids: those of the highest count.
    pub most: BTreeMap<String, usize>,
    /// Those that drop visual tokens beside random ones at the same budget.
    #[serde(skip)]
    pub against_random: Vec<AgainstRandom>,
}

/// What two accelerations have in common.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Overlap {
    /// Questions whose answer both changed.
    pub both: usize,
    /// Questions whose answer one or both changed.
    pub either: usize,
    /// The share of `either` that would be `both` if they changed answers independently of each other; `None` where neither changed any.
    pub by_chance: Option<f64>,
}

impl Overlap {
    /// The share of changed answers that both changed; `None` where neither changed any.
    pub fn share(self) -> Option<f64> {
        (self.either > 0).then(|| self.both as f64 / self.either as f64)
    }

    fn of(a: &[bool], b: &[bool]) -> Self {
        let count = |which: &dyn Fn(bool, bool) -> bool| a.iter().zip(b).filter(|(a, b)| which(**a, **b)).count();
        let (both, either) = (count(&|a, b| a && b), count(&|a, b| a || b));
        let [p, q] = [count(&|a, _| a), count(&|_, b| b)].map(|changed| changed as f64 / a.len().max(1) as f64);
        Self { both, either, by_chance: (either > 0).then(|| p * q / (p + q - p * q)) }
    }
}

impl Report {
    /// The accelerations beside each other; `None` of fewer than two.
    pub fn together(&self) -> Option<Together> {
        let questions = self.plan().questions;
        let columns: Vec<&[_]> = self.accelerations().iter().map(|acceleration| &acceleration.answers[..questions]).collect();
        if columns.len() < 2 {
            return None;
        }
        let which = |counts: &dyn Fn(Outcome) -> bool| -> Vec<Vec<bool>> {
            columns.iter().map(|answers| answers.iter().map(|answer| answer.outcome.is_some_and(counts)).collect()).collect()
        };
        let changed = which(&Outcome::diverged);
        let broken = which(&self.harm());
        let counts: Vec<usize> = (0..questions).map(|question| broken.iter().filter(|column| column[question]).count()).collect();
        let mut questions_by_count = vec![0; columns.len() + 1];
        for &count in &counts {
            questions_by_count[count] += 1;
        }
        let highest = counts.iter().copied().max().filter(|highest| *highest > 1);
        let most = self.questions().iter().zip(&counts).filter(|(_, count)| Some(**count) == highest);
        Some(Together {
            specs: self.accelerations().iter().map(|acceleration| acceleration.spec.clone()).collect(),
            overlaps: changed.iter().map(|a| changed.iter().map(|b| Overlap::of(a, b)).collect()).collect(),
            questions_by_count,
            most: most.map(|(question, count)| (question.id.clone(), *count)).collect(),
            against_random: self.against_random(),
        })
    }
}
