//! VQAv2: the VQA challenge with balanced pairs. Goyal et al. 2017 (arXiv 1612.00837), validation split.
//!
//! Prompt and scorer are lmms-eval's (0.7.3, task `vqav2_val`), which leaves out the first step of the normaliser. The score is graded; an answer counts
//! as right from 0.5 on.

use crate::benchmark::{BenchmarkRow, Origin, Place};
use crate::files::Draft;
use crate::files::published::{self, SHORT, Split, answers};
use crate::{AnswerKind, BenchError, Benchmark, OfficialScorer};

const NAME: &str = "vqav2";

const SPLIT: Split = Split {
    folder: "data",
    split: "validation",
    wanted: "those of lmms-lab/VQAv2 on the hub: `hf download lmms-lab/VQAv2 --repo-type dataset --include \"data/validation-*\" --local-dir DIR`, and name DIR",
};

/// The columns that are read.
const COLUMNS: [(&str, &str); 5] =
    [("id", "question_id"), ("question", "question"), ("gold", "answers"), ("group", "answer_type"), ("image", "image")];

/// VQAv2 among the benchmarks.
pub(super) const VQAV2: BenchmarkRow = BenchmarkRow {
    name: NAME,
    title: NAME,
    what: "VQAv2: the VQA challenge (vqav2:DIR)",
    questions: "214,354",
    origin: Origin::Files { wanted: SPLIT.wanted, options: published::OPTIONS, read },
};

fn read(place: &Place) -> Result<Box<dyn Benchmark>, BenchError> {
    SPLIT.read(NAME, place, &COLUMNS, Some(16), |fields, pictures| {
        let question = fields.text("question")?;
        Ok(Draft {
            id: fields.text("question_id")?.to_owned(),
            family: fields.text("answer_type")?.to_owned(),
            text: format!("{question}{SHORT}"),
            gold: answers(fields)?,
            kind: AnswerKind::Official(OfficialScorer::VqaV2),
            images: fields.pictures("image", pictures)?,
            weight: 1.0,
        })
    })
}
