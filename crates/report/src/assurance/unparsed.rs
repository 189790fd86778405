//! Answers that the parser could not read, counted both ways.
//!
//! An unreadable answer counts as wrong in every other number here. The FDA's "Statistical Guidance on Reporting Results from Studies Evaluating
//! Diagnostic Tests" (2007) asks of equivocal results that they be reported and counted both ways, so that nobody gains by giving them.

use serde::Serialize;

use crate::measurements::AnswerRow;

/// How many answers could not be read, and what had come out had they been right.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Unparsed {
    /// Of the baseline's answers.
    pub before: u64,
    /// Of the accelerated model's.
    pub after: u64,
    /// Accuracy after minus before if unread answers counted as right, as a fraction.
    pub accuracy_change_if_right: f64,
    /// The share of questions that went from right to wrong if they did.
    pub ndr_if_right: f64,
}

impl Unparsed {
    pub(super) fn of(before: &[&AnswerRow], after: &[&AnswerRow]) -> Option<Self> {
        let unread = |answers: &[&AnswerRow]| answers.iter().filter(|answer| answer.parsed.is_none()).count() as u64;
        let right = |answer: &AnswerRow| answer.correct || answer.parsed.is_none();
        let (mut change, mut broken) = (0_i64, 0_u64);
        for (before, after) in before.iter().zip(after) {
            let (before, after) = (right(before), right(after));
            change += i64::from(after) - i64::from(before);
            broken += u64::from(before && !after);
        }
        let of = after.len() as f64;
        (of > 0.0).then(|| Self {
            before: unread(before),
            after: unread(after),
            accuracy_change_if_right: change as f64 / of,
            ndr_if_right: broken as f64 / of,
        })
    }
}
