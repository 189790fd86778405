//! POPE: is there such an object in the picture? Li et al. 2023 (arXiv 2305.10355).
//!
//! Prompt and scorer are lmms-eval's (0.7.3, task `pope`), which takes "yes" and "no" alone for an answer: "Yes." is wrong.

use crate::benchmark::{BenchmarkRow, Origin, Place};
use crate::files::Draft;
use crate::files::published::{self, SHORT, Split, yes_or_no};
use crate::{AnswerKind, BenchError, Benchmark, OfficialScorer};

const NAME: &str = "pope";

const SPLIT: Split = Split {
    folder: "data",
    split: "test",
    wanted: "those of lmms-lab/POPE on the hub: `hf download lmms-lab/POPE --repo-type dataset --include \"data/test-*\" --local-dir DIR`, and name DIR",
};

/// The columns that are read.
const COLUMNS: [(&str, &str); 5] = [("id", "id"), ("question", "question"), ("gold", "answer"), ("group", "category"), ("image", "image")];

/// POPE among the benchmarks.
pub(super) const POPE: BenchmarkRow = BenchmarkRow {
    name: NAME,
    title: NAME,
    what: "POPE: is an object there? (pope:DIR)",
    questions: "9,000",
    origin: Origin::Files { wanted: SPLIT.wanted, options: published::OPTIONS, read },
};

fn read(place: &Place) -> Result<Box<dyn Benchmark>, BenchError> {
    SPLIT.read(NAME, place, &COLUMNS, Some(128), |fields, pictures| {
        let question = fields.text("question")?;
        Ok(Draft {
            id: fields.text("id")?.to_owned(),
            family: fields.text("category")?.to_owned(),
            text: format!("{}{SHORT}", question.trim()),
            gold: yes_or_no(fields.text("answer")?)?,
            kind: AnswerKind::Official(OfficialScorer::Pope),
            images: fields.pictures("image", pictures)?,
            weight: 1.0,
        })
    })
}
