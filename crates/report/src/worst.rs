//! Which questions to look at first.

use std::cmp::Reverse;

use crate::outcome::Outcome;
use crate::report::Report;

impl Report {
    /// Indices of the questions with any changed answer, those about clean images first, then perturbation by perturbation; among them most broken
    /// first, then most repaired, then most changed, then as asked.
    pub fn worst_first(&self) -> Vec<usize> {
        let count = |i: usize, outcome: Outcome| {
            self.accelerations().iter().filter(|acceleration| acceleration.answers[i].outcome == Some(outcome)).count()
        };
        let mut order: Vec<([usize; 3], usize)> = (0..self.questions().len())
            .map(|i| ([Outcome::Broken, Outcome::Repaired, Outcome::Changed].map(|outcome| count(i, outcome)), i))
            .filter(|(counts, _)| counts.iter().sum::<usize>() > 0)
            .collect();
        order.sort_by_key(|&(counts, i)| (self.condition(i), Reverse(counts), i));
        order.into_iter().map(|(_, i)| i).collect()
    }
}
