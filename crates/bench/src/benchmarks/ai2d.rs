//! AI2D: questions about diagrams, with options. Kembhavi et al. 2016 (arXiv 1603.07396), test split.
//!
//! Prompt and scorer are lmms-eval's (0.7.3, task `ai2d`).

use crate::benchmark::{BenchmarkRow, Origin, Place};
use crate::files::Draft;
use crate::files::published::{self, LETTER, Split, letter, lettered};
use crate::{AnswerKind, BenchError, Benchmark, OfficialScorer};

const NAME: &str = "ai2d";

const SPLIT: Split = Split {
    folder: "data",
    split: "test",
    wanted: "those of lmms-lab/ai2d on the hub: `hf download lmms-lab/ai2d --repo-type dataset --include \"data/test-*\" --local-dir DIR`, and name DIR",
};

/// The columns that are read.
const COLUMNS: [(&str, &str); 4] = [("question", "question"), ("choices", "options"), ("gold", "answer"), ("image", "image")];

/// AI2D among the benchmarks.
pub(super) const AI2D: BenchmarkRow = BenchmarkRow {
    name: NAME,
    title: NAME,
    what: "AI2D: questions about diagrams (ai2d:DIR)",
    questions: "3,088",
    origin: Origin::Files { wanted: SPLIT.wanted, options: published::OPTIONS, read },
};

fn read(place: &Place) -> Result<Box<dyn Benchmark>, BenchError> {
    SPLIT.read(NAME, place, &COLUMNS, Some(16), |fields, pictures| {
        let question = fields.text("question")?;
        let options = fields.list("options")?;
        Ok(Draft {
            id: fields.row.replace(' ', "-"),
            family: NAME.to_owned(),
            text: lettered(question, &options, LETTER),
            gold: vec![letter(fields.index("answer")?, options.len())?],
            kind: AnswerKind::Official(OfficialScorer::Ai2d),
            images: fields.pictures("image", pictures)?,
            weight: 1.0,
        })
    })
}
