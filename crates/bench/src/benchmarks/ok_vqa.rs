//! OK-VQA: questions that need knowledge from outside of the picture. Marino et al. 2019 (arXiv 1906.00067), split val2014.
//!
//! Prompt and scorer are lmms-eval's (0.7.3, task `ok_vqa_val2014`). The score is graded; an answer counts as right from 0.5 on.

use crate::benchmark::{BenchmarkRow, Origin, Place};
use crate::files::Draft;
use crate::files::published::{self, SHORT, Split, UNANSWERABLE, answers};
use crate::{AnswerKind, BenchError, Benchmark, OfficialScorer};

const NAME: &str = "ok-vqa";

const SPLIT: Split = Split {
    folder: "data",
    split: "val2014",
    wanted: "those of lmms-lab/OK-VQA on the hub: `hf download lmms-lab/OK-VQA --repo-type dataset --include \"data/val2014-*\" --local-dir DIR`, and name DIR",
};

/// The columns that are read.
const COLUMNS: [(&str, &str); 4] = [("id", "question_id"), ("question", "question"), ("gold", "answers"), ("image", "image")];

/// OK-VQA among the benchmarks.
pub(super) const OK_VQA: BenchmarkRow = BenchmarkRow {
    name: NAME,
    title: NAME,
    what: "OK-VQA: questions that need knowledge (ok-vqa:DIR)",
    questions: "5,046",
    origin: Origin::Files { wanted: SPLIT.wanted, options: published::OPTIONS, read },
};

fn read(place: &Place) -> Result<Box<dyn Benchmark>, BenchError> {
    SPLIT.read(NAME, place, &COLUMNS, None, |fields, pictures| {
        let question = fields.text("question")?;
        Ok(Draft {
            id: fields.text("question_id")?.to_owned(),
            family: NAME.to_owned(),
            text: format!("{question}{UNANSWERABLE}{SHORT}"),
            gold: answers(fields)?,
            kind: AnswerKind::Official(OfficialScorer::Vqa),
            images: fields.pictures("image", pictures)?,
            weight: 1.0,
        })
    })
}
