//! Did one answer take over? A broken checkpoint may say the same to every image while accuracy stays plausible
//! (<https://github.com/vllm-project/llm-compressor/issues/2072>).

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::measurements::{AnswerRow, QuestionRow};
use crate::printable::one_line;
use crate::statistics::mcnemar;

/// An answer that takes at least this share of a family has taken over, if it did not before.
const SHARE: f64 = 0.8;

/// Chance below which its rise is none: that of the exact test of those who came to it against those who left.
const CHANCE: f64 = 0.001;

/// One answer that took over a task family.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Collapse {
    /// The task family.
    pub family: String,
    /// The answer.
    pub answer: String,
    /// How many questions had it before.
    pub before: u64,
    /// How many have it now.
    pub after: u64,
    /// Of how many.
    pub of: u64,
}

impl fmt::Display for Collapse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { family, answer, before, after, of } = self;
        write!(f, "in {} one answer took over: {:?} to {after} of {of} questions, {before} before", one_line(family), one_line(answer))
    }
}

/// The families in which one answer took over: it has four fifths of the questions, and its rise is no chance.
pub(super) fn collapsed(questions: &[QuestionRow], before: &[&AnswerRow], after: &[&AnswerRow]) -> Vec<Collapse> {
    let mut families: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    for ((question, before), after) in questions.iter().zip(before).zip(after) {
        families.entry(&question.family).or_default().push((said(before), said(after)));
    }
    families.into_iter().filter_map(|(family, answers)| taken_over(family, &answers)).collect()
}

fn taken_over(family: &str, answers: &[(&str, &str)]) -> Option<Collapse> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for (_, after) in answers {
        *counts.entry(after).or_default() += 1;
    }
    // of equally common ones the first in order
    let (answer, after) = counts.into_iter().rev().max_by_key(|&(_, count)| count)?;
    let came = answers.iter().filter(|pair| pair.0 != answer && pair.1 == answer).count() as u64;
    let left = answers.iter().filter(|pair| pair.0 == answer && pair.1 != answer).count() as u64;
    let of = answers.len() as u64;
    let takes = after as f64 >= SHARE * of as f64 && came > left && mcnemar(came, left) < CHANCE;
    takes.then(|| Collapse { family: family.to_owned(), answer: answer.to_owned(), before: after + left - came, after, of })
}

/// What the parser read, else what was said.
fn said(answer: &AnswerRow) -> &str {
    answer.parsed.as_deref().unwrap_or(&answer.text).trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_answer_for_all_is_a_collapse() {
        let varied = ["red", "blue", "green", "red", "two", "three", "left", "a lamp", "door", "no", "yes", "red", "blue", "six"];
        let pairs = |after: &'static str| varied.iter().map(|&before| (before, after)).collect::<Vec<_>>();
        let found = taken_over("colour", &pairs("red")).unwrap();
        assert_eq!((found.answer.as_str(), found.before, found.after, found.of), ("red", 3, 14, 14));
    }

    /// A family that always had one answer did not collapse, nor did one that kept its answers, nor one too small to tell.
    #[test]
    fn what_was_so_before_is_none() {
        assert_eq!(taken_over("a", &[("yes", "yes"); 40]), None);
        assert_eq!(taken_over("a", &[("yes", "yes"), ("no", "no"), ("no", "yes")].repeat(9)), None);
        assert_eq!(taken_over("a", &[("yes", "no"), ("no", "no"), ("yes", "no")]), None);
        assert_eq!(taken_over("a", &[]), None);
    }
}
