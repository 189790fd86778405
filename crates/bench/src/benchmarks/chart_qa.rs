//! ChartQA: questions about charts. Masry et al. 2022 (arXiv 2203.10244), test split.
//!
//! Prompt and scorer are lmms-eval's (0.7.3, task `chartqa`).

use crate::benchmark::{BenchmarkRow, Origin, Place};
use crate::files::Draft;
use crate::files::published::{self, Split};
use crate::{AnswerKind, BenchError, Benchmark, OfficialScorer};

const NAME: &str = "chartqa";

const SPLIT: Split = Split {
    folder: "data",
    split: "test",
    wanted: "those of lmms-lab/ChartQA on the hub: `hf download lmms-lab/ChartQA --repo-type dataset --include \"data/test-*\" --local-dir DIR`, and name DIR",
};

/// The columns that are read.
const COLUMNS: [(&str, &str); 4] = [("question", "question"), ("gold", "answer"), ("group", "type"), ("image", "image")];

/// ChartQA among the benchmarks.
pub(super) const CHART_QA: BenchmarkRow = BenchmarkRow {
    name: NAME,
    title: NAME,
    what: "ChartQA: questions about charts (chartqa:DIR)",
    questions: "2,500",
    origin: Origin::Files { wanted: SPLIT.wanted, options: published::OPTIONS, read },
};

fn read(place: &Place) -> Result<Box<dyn Benchmark>, BenchError> {
    SPLIT.read(NAME, place, &COLUMNS, Some(16), |fields, pictures| {
        let question = fields.text("question")?;
        Ok(Draft {
            id: fields.row.replace(' ', "-"),
            family: fields.text("type")?.to_owned(),
            text: format!("{question}\nAnswer the question with a single word."),
            gold: vec![fields.text("answer")?.to_owned()],
            kind: AnswerKind::Official(OfficialScorer::ChartQa),
            images: fields.pictures("image", pictures)?,
            weight: 1.0,
        })
    })
}
