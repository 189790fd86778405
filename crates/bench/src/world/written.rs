//! What files leave out of the suite's questions.
//!
//! Its questions were written before a kind said how far off a number may be, or that there may be no answer: the family stands for that. It still
//! does, so that the hash of the questions in a plan, and with it every run that was begun, stays what it was.

use super::{NAME, TaskFamily};
use crate::{AnswerKind, Question};

/// Chart values may be off by this share of the gold value (ChartQA's relaxed accuracy).
const CHART_TOLERANCE: f64 = 0.05;

/// What a family's questions are answered with, where a file says the second: the kind, and how it is written.
const LEFT_OUT: [(TaskFamily, AnswerKind, AnswerKind); 2] = [
    (TaskFamily::Chart, AnswerKind::NumberWithin { tolerance: CHART_TOLERANCE }, AnswerKind::Number),
    (TaskFamily::Unanswerable, AnswerKind::ShortOrUnanswerable, AnswerKind::Short),
];

/// The kind of a family's question whose draft says `kind`.
pub(super) fn kind(family: TaskFamily, kind: AnswerKind) -> AnswerKind {
    LEFT_OUT.into_iter().find(|(of, _, written)| (*of, written) == (family, &kind)).map_or(kind, |(_, meant, _)| meant)
}

/// A question as a file has it.
pub(crate) fn written(question: Question) -> Question {
    let left_out =
        family(&question).and_then(|family| LEFT_OUT.into_iter().find(|(of, meant, _)| (*of, meant) == (family, &question.kind)));
    match left_out {
        Some((_, _, kind)) => Question { kind, ..question },
        None => question,
    }
}

/// A question as a file means it.
pub(crate) fn read(question: Question) -> Question {
    match family(&question) {
        Some(family) => Question { kind: kind(family, question.kind.clone()), ..question },
        None => question,
    }
}

/// The family of one of the suite's questions.
fn family(question: &Question) -> Option<TaskFamily> {
    if question.benchmark == NAME { question.family.parse().ok() } else { None }
}
