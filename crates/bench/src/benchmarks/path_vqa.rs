//! PathVQA: questions about pathology images, test split. He et al. 2020 (arXiv 2003.10286).
//!
//! lmms-eval has no such task: prompt and scorer are those of SLAKE. A question is closed where the right answer is yes or no, else open.

use super::slake;
use crate::benchmark::{BenchmarkRow, Origin, Place};
use crate::files::published::{self, Split};
use crate::{BenchError, Benchmark};

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
    SPLIT.read(NAME, place, &COLUMNS, Some(32), slake::closed_or_open)
}
