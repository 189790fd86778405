//! PathVQA: questions about pathology images, test split. He et al. 2020 (arXiv 2003.10286).
//!
//! lmms-eval has no such task: prompt and scorer are those of SLAKE. A question is closed where the right answer is yes or no, else open.

use crate::benchmark::{BenchmarkRow, Origin, Place};
use crate::files::published::{self, SHORT, Split};
use crate::files::{Draft, Images, Pictures, read as read_rows};
use crate::{AnswerKind, BenchError, Benchmark, OfficialScorer};

const NAME: &str = "path-vqa";

const SPLIT: Split = Split {
    folder: "data",
    split: "test",
    wanted: "those of flaviagiammarino/path-vqa on the hub: `hf download flaviagiammarino/path-vqa --repo-type dataset --include \"data/test-*\" --local-dir DIR`, and name DIR",
};

/// The columns that are read.
const COLUMNS: [(&str, &str); 3] = [("question", "question"), ("gold", "answer"), ("image", "image")];

/// PathVQA among the benchmarks.
pub(super) const PATH_VQA: BenchmarkRow = BenchmarkRow {
    name: NAME,
    title: NAME,
    what: "PathVQA: pathology images (path-vqa:DIR)",
    questions: "6,719",
    origin: Origin::Files { wanted: SPLIT.wanted, options: published::OPTIONS, read },
};

fn read(place: &Place) -> Result<Box<dyn Benchmark>, BenchError> {
    let table = SPLIT.open(place, &COLUMNS.map(|(_, column)| column))?;
    let understood = published::understood(&*table, &COLUMNS);
    let pictures = Pictures::new(Images::Folder(place.path.clone()), vec![table]);
    read_rows(NAME, place, pictures, understood, Some(32), |fields, pictures| {
        let answer = fields.text("answer")?.trim();
        let closed = ["yes", "no"].contains(&answer.to_lowercase().as_str());
        Ok(Draft {
            id: fields.row.replace(' ', "-"),
            family: if closed { "closed" } else { "open" }.to_owned(),
            text: format!("{}{SHORT}", fields.text("question")?.trim()),
            gold: vec![answer.to_owned()],
            kind: AnswerKind::Official(OfficialScorer::Slake),
            images: fields.pictures("image", pictures)?,
        })
    })
}
