//! RealWorldQA: questions about photographs, many out of cars. xAI 2024 (no paper).
//!
//! Prompt and scorer are lmms-eval's (0.7.3, task `realworldqa`): a question says itself how it is to be answered.

use crate::benchmark::{BenchmarkRow, Origin, Place};
use crate::files::Draft;
use crate::files::published::{self, Split};
use crate::{AnswerKind, BenchError, Benchmark, OfficialScorer};

const NAME: &str = "realworldqa";

const SPLIT: Split = Split {
    folder: "data",
    split: "test",
    wanted: "those of lmms-lab/RealWorldQA on the hub: `hf download lmms-lab/RealWorldQA --repo-type dataset --include \"data/test-*\" --local-dir DIR`, and name DIR",
};

/// The columns that are read.
const COLUMNS: [(&str, &str); 3] = [("question", "question"), ("gold", "answer"), ("image", "image")];

/// RealWorldQA among the benchmarks.
pub(super) const REAL_WORLD_QA: BenchmarkRow = BenchmarkRow {
    name: NAME,
    title: NAME,
    what: "RealWorldQA: photographs, many out of cars (realworldqa:DIR)",
    questions: "765",
    origin: Origin::Files { wanted: SPLIT.wanted, options: published::OPTIONS, read },
};

fn read(place: &Place) -> Result<Box<dyn Benchmark>, BenchError> {
    SPLIT.read(NAME, place, &COLUMNS, Some(16), |fields, pictures| {
        Ok(Draft {
            id: fields.row.replace(' ', "-"),
            family: NAME.to_owned(),
            text: fields.text("question")?.trim().to_owned(),
            gold: vec![fields.text("answer")?.trim().to_owned()],
            kind: AnswerKind::Official(OfficialScorer::RealWorldQa),
            images: fields.pictures("image", pictures)?,
            weight: 1.0,
        })
    })
}
