//! TextVQA: what does it say? Singh et al. 2019 (arXiv 1904.08920), validation split.
//!
//! Prompt and scorer are lmms-eval's (0.7.3, task `textvqa_val`, without OCR tokens). The score is graded; an answer counts as right from 0.5 on.

use crate::benchmark::{BenchmarkRow, Origin, Place};
use crate::files::Draft;
use crate::files::published::{self, SHORT, Split, answers, capitalized};
use crate::{AnswerKind, BenchError, Benchmark, OfficialScorer};

const NAME: &str = "textvqa";

const SPLIT: Split = Split {
    folder: "data",
    split: "validation",
    wanted: "those of lmms-lab/textvqa on the hub: `hf download lmms-lab/textvqa --repo-type dataset --include \"data/validation-*\" --local-dir DIR`, and name DIR",
};

/// The columns that are read.
const COLUMNS: [(&str, &str); 4] = [("id", "question_id"), ("question", "question"), ("gold", "answers"), ("image", "image")];

/// TextVQA among the benchmarks.
pub(super) const TEXTVQA: BenchmarkRow = BenchmarkRow {
    name: NAME,
    title: NAME,
    what: "TextVQA: reading in pictures (textvqa:DIR)",
    questions: "5,000",
    origin: Origin::Files { wanted: SPLIT.wanted, options: published::OPTIONS, read },
};

fn read(place: &Place) -> Result<Box<dyn Benchmark>, BenchError> {
    SPLIT.read(NAME, place, &COLUMNS, None, |fields, pictures| {
        let question = fields.text("question")?;
        Ok(Draft {
            id: fields.text("question_id")?.to_owned(),
            family: NAME.to_owned(),
            text: format!("{}{SHORT}", capitalized(question)),
            gold: answers(fields)?,
            kind: AnswerKind::Official(OfficialScorer::Vqa),
            images: fields.pictures("image", pictures)?,
            weight: 1.0,
        })
    })
}
