//! VizWiz-VQA: questions of blind people about their photos. Gurari et al. 2018 (arXiv 1802.08218), validation split.
//!
//! Prompt and scorer are lmms-eval's (0.7.3, task `vizwiz_vqa_val`). The score is graded; an answer counts as right from 0.5 on.

use crate::benchmark::{BenchmarkRow, Origin, Place};
use crate::files::Draft;
use crate::files::published::{self, SHORT, Split, UNANSWERABLE, answers, capitalized};
use crate::{AnswerKind, BenchError, Benchmark, OfficialScorer};

const NAME: &str = "vizwiz";

const SPLIT: Split = Split {
    folder: "data",
    split: "val",
    wanted: "those of lmms-lab/VizWiz-VQA on the hub: `hf download lmms-lab/VizWiz-VQA --repo-type dataset --include \"data/val-*\" --local-dir DIR`, and name DIR",
};

/// The columns that are read.
const COLUMNS: [(&str, &str); 5] =
    [("id", "question_id"), ("question", "question"), ("gold", "answers"), ("group", "category"), ("image", "image")];

/// VizWiz-VQA among the benchmarks.
pub(super) const VIZWIZ: BenchmarkRow = BenchmarkRow {
    name: NAME,
    title: NAME,
    what: "VizWiz-VQA: questions of blind people (vizwiz:DIR)",
    questions: "4,319",
    origin: Origin::Files { wanted: SPLIT.wanted, options: published::OPTIONS, read },
};

fn read(place: &Place) -> Result<Box<dyn Benchmark>, BenchError> {
    SPLIT.read(NAME, place, &COLUMNS, None, |fields, pictures| {
        let question = fields.text("question")?;
        Ok(Draft {
            id: fields.text("question_id")?.to_owned(),
            family: fields.text("category")?.to_owned(),
            text: format!("{}{UNANSWERABLE}{SHORT}", capitalized(question)),
            gold: answers(fields)?,
            kind: AnswerKind::Official(OfficialScorer::Vqa),
            images: fields.pictures("image", pictures)?,
            weight: 1.0,
        })
    })
}
