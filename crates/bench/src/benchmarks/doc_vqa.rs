//! DocVQA, validation split: questions about scanned pages. Mathew et al. 2020 (arXiv 2007.00398).
//!
//! Prompt and scorer are lmms-eval's (0.7.3, task `docvqa_val`): ANLS, graded.

use crate::benchmark::{BenchmarkRow, Origin, Place};
use crate::files::Draft;
use crate::files::published::{self, SHORT, Split, answers};
use crate::{AnswerKind, BenchError, Benchmark, OfficialScorer};

const NAME: &str = "docvqa";

const SPLIT: Split = Split {
    folder: "DocVQA",
    split: "validation",
    wanted: "those of lmms-lab/DocVQA on the hub: `hf download lmms-lab/DocVQA --repo-type dataset --include \"DocVQA/validation-*\" --local-dir DIR`, and name DIR",
};

/// The columns that are read.
const COLUMNS: [(&str, &str); 4] = [("id", "questionId"), ("question", "question"), ("gold", "answers"), ("image", "image")];

/// DocVQA among the benchmarks.
pub(super) const DOC_VQA: BenchmarkRow = BenchmarkRow {
    name: NAME,
    title: NAME,
    what: "DocVQA: scanned pages (docvqa:DIR)",
    questions: "5,349",
    origin: Origin::Files { wanted: SPLIT.wanted, options: published::OPTIONS, read },
};

fn read(place: &Place) -> Result<Box<dyn Benchmark>, BenchError> {
    SPLIT.read(NAME, place, &COLUMNS, Some(32), |fields, pictures| {
        Ok(Draft {
            id: fields.text("questionId")?.to_owned(),
            family: NAME.to_owned(),
            text: format!("{}{SHORT}", fields.text("question")?),
            gold: answers(fields)?,
            kind: AnswerKind::Official(OfficialScorer::Anls),
            images: fields.pictures("image", pictures)?,
            weight: 1.0,
        })
    })
}
