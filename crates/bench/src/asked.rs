//! A benchmark and its questions as a report knows them.

use steady_report::QuestionKind;
use steady_report::share::{Suite, SuiteQuestion};

use crate::{AnswerKind, Benchmark, OfficialScorer, Question};

impl From<&AnswerKind> for QuestionKind {
    fn from(kind: &AnswerKind) -> Self {
        match kind {
            AnswerKind::YesNo | AnswerKind::Official(OfficialScorer::Pope | OfficialScorer::Mme) => Self::YesNo,
            AnswerKind::Choice { .. }
            | AnswerKind::Official(
                OfficialScorer::ScienceQa
                | OfficialScorer::Ai2d
                | OfficialScorer::Seed
                | OfficialScorer::MmStar
                | OfficialScorer::MmBench { .. }
                | OfficialScorer::Mmmu { .. },
            ) => Self::Choice,
            AnswerKind::Number | AnswerKind::NumberWithin { .. } => Self::Number,
            AnswerKind::Short | AnswerKind::ShortOrUnanswerable | AnswerKind::Official(_) => Self::Short,
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
            weight: question.weight,
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
