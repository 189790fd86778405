//! Yes/no questions as a diagnostic test: agreement with the baseline, and sensitivity apart from specificity.
//!
//! Where the comparator is no gold standard, as a baseline is none, its agreement is called positive and negative percent agreement and not sensitivity:
//! FDA, "Statistical Guidance on Reporting Results from Studies Evaluating Diagnostic Tests" (2007). An answer that is neither yes nor no agrees with
//! nothing and finds nothing.

use serde::Serialize;

use crate::measurements::{AnswerRow, QuestionKind, QuestionRow};
use crate::rates::{Proportion, Rate};

/// What the accelerated model says to yes/no questions, against the baseline and against the gold answers. Rates have Wilson's intervals.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Agreement {
    /// Of the questions to which the baseline says yes, how many the accelerated model says yes to.
    pub positive: Option<Rate>,
    /// Of those to which the baseline says no, how many it says no to.
    pub negative: Option<Rate>,
    /// The baseline against the gold answers.
    pub before: Diagnostic,
    /// The accelerated model against them.
    pub after: Diagnostic,
}

/// Answers against gold answers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Diagnostic {
    /// Of the questions whose answer is yes, how many got a yes.
    pub sensitivity: Option<Rate>,
    /// Of those whose answer is no, how many got a no.
    pub specificity: Option<Rate>,
}

impl Agreement {
    /// `None` without yes/no questions, and where the gold answer to one is not known.
    pub(super) fn of(questions: &[QuestionRow], before: &[&AnswerRow], after: &[&AnswerRow]) -> Option<Self> {
        let asked = || questions.iter().zip(before).zip(after).filter(|((question, _), _)| question.kind == QuestionKind::YesNo);
        let of =
            |told: &dyn Fn(&QuestionRow, &AnswerRow) -> Option<bool>, said: &dyn Fn(&AnswerRow, &AnswerRow) -> Option<bool>, what: bool| {
                let mut share = Proportion { count: 0, of: 0 };
                for ((question, before), after) in asked() {
                    let counts = told(question, before) == Some(what);
                    share.of += u64::from(counts);
                    share.count += u64::from(counts && said(before, after) == Some(what));
                }
                share.rate()
            };
        let baseline = |_: &QuestionRow, before: &AnswerRow| yes(before.parsed.as_deref());
        let gold = |question: &QuestionRow, _: &AnswerRow| yes(question.gold.first().map(String::as_str));
        let (first, second) = (
            |before: &AnswerRow, _: &AnswerRow| yes(before.parsed.as_deref()),
            |_: &AnswerRow, after: &AnswerRow| yes(after.parsed.as_deref()),
        );
        let diagnostic = |said: &dyn Fn(&AnswerRow, &AnswerRow) -> Option<bool>| Diagnostic {
            sensitivity: of(&gold, said, true),
            specificity: of(&gold, said, false),
        };
        asked().next()?;
        if asked().any(|((question, _), _)| question.gold.is_empty()) {
            return None;
        }
        Some(Self {
            positive: of(&baseline, &second, true),
            negative: of(&baseline, &second, false),
            before: diagnostic(&first),
            after: diagnostic(&second),
        })
    }
}

/// Whether a parsed answer is a yes.
fn yes(parsed: Option<&str>) -> Option<bool> {
    match parsed?.trim().to_ascii_lowercase().as_str() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}
