//! VQA-RAD: questions of clinicians about radiology images, test split. Lau et al. 2018 (doi 10.1038/sdata.2018.251).
//!
//! lmms-eval has no such task: prompt and scorer are those of SLAKE. A question is closed where the right answer is yes or no, else open.

use super::slake;
use crate::benchmark::{BenchmarkRow, Origin, Place};
use crate::files::published::{self, Split};
use crate::{BenchError, Benchmark};

const NAME: &str = "vqa-rad";

const SPLIT: Split = Split {
    folder: "data",
    split: "test",
    wanted: "those of flaviagiammarino/vqa-rad on the hub: `hf download flaviagiammarino/vqa-rad --repo-type dataset --include \"data/test-*\" --local-dir DIR`, and name DIR",
};

/// The columns that are read.
const COLUMNS: [(&str, &str); 3] = [("question", "question"), ("gold", "answer"), ("image", "image")];

/// VQA-RAD among the benchmarks.
pub(super) const VQA_RAD: BenchmarkRow = BenchmarkRow {
    name: NAME,
    title: NAME,
    what: "VQA-RAD: radiology images (vqa-rad:DIR)",
    questions: "451",
    origin: Origin::Files { wanted: SPLIT.wanted, options: published::OPTIONS, read },
};

fn read(place: &Place) -> Result<Box<dyn Benchmark>, BenchError> {
    SPLIT.read(NAME, place, &COLUMNS, Some(32), slake::closed_or_open)
}
