//! SEED-Bench: questions with four options about pictures. Li et al. 2023 (arXiv 2307.16125).
//!
//! Prompt and scorer are lmms-eval's (0.7.3, task `seedbench`). Asked are the questions about pictures (`seed_image`); those about videos are not.

use crate::benchmark::{BenchmarkRow, Origin, Place};
use crate::files::published::{self, Split};
use crate::files::{Draft, Refusal};
use crate::{AnswerKind, BenchError, Benchmark, OfficialScorer};

const NAME: &str = "seed-bench";

const SPLIT: Split = Split {
    folder: "data",
    split: "test",
    wanted: "those of lmms-lab/SEED-Bench on the hub: `hf download lmms-lab/SEED-Bench --repo-type dataset --include \"data/test-*\" --local-dir DIR`, and name DIR",
};

/// The columns that are read.
const COLUMNS: [(&str, &str); 9] = [
    ("id", "question_id"),
    ("question", "question"),
    ("choices", "choice_a"),
    ("choices", "choice_b"),
    ("choices", "choice_c"),
    ("choices", "choice_d"),
    ("gold", "answer"),
    ("picture or video", "data_type"),
    ("image", "image"),
];

/// SEED-Bench among the benchmarks.
pub(super) const SEED_BENCH: BenchmarkRow = BenchmarkRow {
    name: NAME,
    title: NAME,
    what: "SEED-Bench: four options about a picture (seed-bench:DIR)",
    questions: "14,232",
    origin: Origin::Files { wanted: SPLIT.wanted, options: published::OPTIONS, read },
};

fn read(place: &Place) -> Result<Box<dyn Benchmark>, BenchError> {
    SPLIT.read(NAME, place, &COLUMNS, None, |fields, pictures| {
        if fields.text("data_type")? != "image" {
            return Err(Refusal::Aside("about videos"));
        }
        let options = ["choice_a", "choice_b", "choice_c", "choice_d"].map(|column| fields.optional(column).map(Option::unwrap_or_default));
        let [a, b, c, d] = options;
        let (question, answer) = (fields.text("question")?, fields.text("answer")?.trim());
        if !["A", "B", "C", "D"].contains(&answer.to_uppercase().as_str()) {
            return Err(Refusal::Broken(format!("column answer: expected A, B, C or D, found `{answer}`")));
        }
        Ok(Draft {
            id: fields.text("question_id")?.to_owned(),
            family: fields.extra("question_type_id").map_or_else(|| NAME.to_owned(), |kind| format!("type {kind}")),
            text: format!("{question}\nA. {}\nB. {}\nC. {}\nD. {}{}", a?, b?, c?, d?, published::LETTER),
            gold: vec![answer.to_owned()],
            kind: AnswerKind::Official(OfficialScorer::Seed),
            images: fields.pictures("image", pictures)?,
            weight: 1.0,
        })
    })
}
