//! ScienceQA, the questions with a picture. Lu et al. 2022 (arXiv 2209.09513), test split.
//!
//! Prompt and scorer are lmms-eval's (0.7.3, task `scienceqa_img`), which are LLaVA's: "A)" and "Answer: A" are wrong.

use crate::benchmark::{BenchmarkRow, Origin, Place};
use crate::files::Draft;
use crate::files::published::{self, LETTER, Split, letter, lettered};
use crate::{AnswerKind, BenchError, Benchmark, OfficialScorer};

const NAME: &str = "scienceqa-img";

const SPLIT: Split = Split {
    folder: "ScienceQA-IMG",
    split: "test",
    wanted: "those of lmms-lab/ScienceQA on the hub: `hf download lmms-lab/ScienceQA --repo-type dataset --include \"ScienceQA-IMG/test-*\" --local-dir DIR`, and name DIR",
};

/// The columns that are read.
const COLUMNS: [(&str, &str); 5] =
    [("question", "question"), ("context", "hint"), ("choices", "choices"), ("gold", "answer"), ("image", "image")];

/// ScienceQA-IMG among the benchmarks.
pub(super) const SCIENCE_QA: BenchmarkRow = BenchmarkRow {
    name: NAME,
    title: NAME,
    what: "ScienceQA-IMG: school questions with options (scienceqa-img:DIR)",
    questions: "2,017",
    origin: Origin::Files { wanted: SPLIT.wanted, options: published::OPTIONS, read },
};

fn read(place: &Place) -> Result<Box<dyn Benchmark>, BenchError> {
    SPLIT.read(NAME, place, &COLUMNS, Some(16), |fields, pictures| {
        let question = fields.text("question")?;
        let choices = fields.list("choices")?;
        let context = fields.optional("hint")?.map(|hint| format!("Context: {hint}\n")).unwrap_or_default();
        Ok(Draft {
            id: fields.row.replace(' ', "-"),
            family: fields.extra("subject").unwrap_or(NAME).to_owned(),
            text: lettered(&format!("{context}{question}"), &choices, LETTER),
            gold: vec![letter(fields.index("answer")?, choices.len())?],
            kind: AnswerKind::Official(OfficialScorer::ScienceQa),
            images: fields.pictures("image", pictures)?,
            weight: 1.0,
        })
    })
}
