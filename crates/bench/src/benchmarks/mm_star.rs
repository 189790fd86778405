//! MMStar: questions with four options that need the picture. Chen et al. 2024 (arXiv 2403.20330).
//!
//! Prompt and scorer are lmms-eval's (0.7.3, task `mmstar`). Its score is the mean over the finer categories; here each question counts.

use crate::benchmark::{BenchmarkRow, Origin, Place};
use crate::files::Draft;
use crate::files::published::{self, Split, given_letter};
use crate::{AnswerKind, BenchError, Benchmark, OfficialScorer};

const NAME: &str = "mmstar";

const SPLIT: Split = Split {
    folder: "",
    split: "mmstar",
    wanted: "that of Lin-Chen/MMStar on the hub: `hf download Lin-Chen/MMStar --repo-type dataset --include mmstar.parquet --local-dir DIR`, and name DIR",
};

/// The columns that are read.
const COLUMNS: [(&str, &str); 5] =
    [("id", "index"), ("question", "question"), ("gold", "answer"), ("group", "category"), ("image", "image")];

/// What stands behind a question. As there, it ends without a point.
const BEHIND: &str = "\nAnswer with the option's letter from the given choices directly";

/// MMStar among the benchmarks.
pub(super) const MM_STAR: BenchmarkRow = BenchmarkRow {
    name: NAME,
    title: NAME,
    what: "MMStar: four options, unanswerable without the picture (mmstar:DIR)",
    questions: "1,500",
    origin: Origin::Files { wanted: SPLIT.wanted, options: published::OPTIONS, read },
};

fn read(place: &Place) -> Result<Box<dyn Benchmark>, BenchError> {
    SPLIT.read(NAME, place, &COLUMNS, None, |fields, pictures| {
        // The options stand in the question.
        let question = fields.text("question")?.trim().replace(" Please answer yes or no.", "");
        Ok(Draft {
            id: fields.text("index")?.to_owned(),
            family: fields.text("category")?.to_owned(),
            text: format!("{question}{BEHIND}"),
            gold: vec![given_letter(fields.text("answer")?, 4)?],
            kind: AnswerKind::Official(OfficialScorer::MmStar),
            images: fields.pictures("image", pictures)?,
            weight: 1.0,
        })
    })
}
