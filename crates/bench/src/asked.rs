//! Questions as a report knows them, and the embedded suite drawn again for a report that names it.

use steady_report::QuestionKind;
use steady_report::share::{Suite, SuiteQuestion};

use crate::world::{EmbeddedSuite, TaskFamily};
use crate::{AnswerKind, Benchmark, Question};

/// Most questions of a suite that is drawn again because a report says so: drawing and hashing takes time, and a report may say anything.
const MOST_REDRAWN: usize = 5_000;

impl From<&AnswerKind> for QuestionKind {
    fn from(kind: &AnswerKind) -> Self {
        match kind {
            AnswerKind::YesNo => Self::YesNo,
            AnswerKind::Choice { .. } => Self::Choice,
            AnswerKind::Short => Self::Short,
            AnswerKind::Number => Self::Number,
        }
    }
}

impl From<&Question> for SuiteQuestion {
    fn from(question: &Question) -> Self {
        Self {
            id: question.id.clone(),
            family: question.family.clone(),
            image: question.image.clone(),
            text: question.text.clone(),
            gold: question.gold.clone(),
            kind: (&question.kind).into(),
        }
    }
}

/// A benchmark's questions, as a report knows them.
pub fn asked(benchmark: &dyn Benchmark) -> Vec<SuiteQuestion> {
    benchmark.questions().iter().map(SuiteQuestion::from).collect()
}

/// What a link says about a benchmark that its readers can draw again.
pub fn suite_of(benchmark: &dyn Benchmark) -> Suite {
    Suite { name: benchmark.name().to_owned(), fingerprint: benchmark.fingerprint(), size: benchmark.questions().len() }
}

/// The embedded suite of at least `questions` questions, rounded up to whole rounds, if this program draws it with that fingerprint.
pub fn embedded_suite(name: &str, fingerprint: &str, questions: usize) -> Option<EmbeddedSuite> {
    if questions > MOST_REDRAWN {
        return None;
    }
    let suite = EmbeddedSuite::test(questions.div_ceil(TaskFamily::ALL.len()));
    (suite.name() == name && suite.fingerprint() == fingerprint).then_some(suite)
}
