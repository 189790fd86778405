//! MME: two yes/no questions about each picture, in 14 subtasks. Fu et al. 2023 (arXiv 2306.13394).
//!
//! Prompt and scorer are lmms-eval's (0.7.3, task `mme`). Its score of a subtask adds to the accuracy the share of pictures with both answers right;
//! here each question counts, and intervals are by picture.

use std::collections::HashMap;

use crate::benchmark::{BenchmarkRow, Origin, Place};
use crate::files::Draft;
use crate::files::published::{self, SHORT, Split, yes_or_no};
use crate::{AnswerKind, BenchError, Benchmark, OfficialScorer};

const NAME: &str = "mme";

const SPLIT: Split = Split {
    folder: "data",
    split: "test",
    wanted: "those of lmms-lab/MME on the hub: `hf download lmms-lab/MME --repo-type dataset --include \"data/test-*\" --local-dir DIR`, and name DIR",
};

/// The columns that are read.
const COLUMNS: [(&str, &str); 5] =
    [("id", "question_id"), ("question", "question"), ("gold", "answer"), ("group", "category"), ("image", "image")];

/// MME among the benchmarks.
pub(super) const MME: BenchmarkRow = BenchmarkRow {
    name: NAME,
    title: NAME,
    what: "MME: 14 subtasks of paired yes/no questions (mme:DIR)",
    questions: "2,374",
    origin: Origin::Files { wanted: SPLIT.wanted, options: published::OPTIONS, read },
};

fn read(place: &Place) -> Result<Box<dyn Benchmark>, BenchError> {
    // Both questions about a picture go by its name.
    let mut seen: HashMap<String, usize> = HashMap::new();
    SPLIT.read(NAME, place, &COLUMNS, Some(16), |fields, pictures| {
        let question = fields.text("question")?;
        let name = fields.text("question_id")?.to_owned();
        let seen = seen.entry(name.clone()).and_modify(|seen| *seen += 1).or_insert(1);
        Ok(Draft {
            id: format!("{name}#{seen}"),
            family: fields.text("category")?.to_owned(),
            text: format!("{}{SHORT}", question.trim().replace(" Please answer yes or no.", "")),
            gold: yes_or_no(fields.text("answer")?)?,
            kind: AnswerKind::Official(OfficialScorer::Mme),
            images: fields.pictures("image", pictures)?,
            weight: 1.0,
        })
    })
}
