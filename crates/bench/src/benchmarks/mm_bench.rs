//! MMBench, in English, dev split: questions with up to five options. Liu et al. 2023 (arXiv 2307.06281).
//!
//! Prompt and scorer are lmms-eval's (0.7.3, task `mmbench_en_dev_static`, which asks no GPT). A question stands there several times, its options turned
//! round (CircularEval), and lmms-eval counts it as right where every copy is; here each copy counts, and intervals are by picture.

use crate::benchmark::{BenchmarkRow, Origin, Place};
use crate::files::published::{self, LETTER, Split, given_letter, lettered};
use crate::files::{Draft, Refusal};
use crate::{AnswerKind, BenchError, Benchmark, OfficialScorer};

const NAME: &str = "mmbench-en";

const SPLIT: Split = Split {
    folder: "en",
    split: "dev",
    wanted: "those of lmms-lab/MMBench on the hub: `hf download lmms-lab/MMBench --repo-type dataset --include \"en/dev-*\" --local-dir DIR`, and name DIR",
};

/// The columns that are read.
const COLUMNS: [(&str, &str); 10] = [
    ("id", "index"),
    ("question", "question"),
    ("context", "hint"),
    ("choices", "A"),
    ("choices", "B"),
    ("choices", "C"),
    ("choices", "D"),
    ("gold", "answer"),
    ("group", "category"),
    ("image", "image"),
];

/// MMBench-EN among the benchmarks.
pub(super) const MM_BENCH: BenchmarkRow = BenchmarkRow {
    name: NAME,
    title: NAME,
    what: "MMBench in English: up to five options, each question in every order of them (mmbench-en:DIR)",
    questions: "4,329",
    origin: Origin::Files { wanted: SPLIT.wanted, options: published::OPTIONS, read },
};

fn read(place: &Place) -> Result<Box<dyn Benchmark>, BenchError> {
    SPLIT.read(NAME, place, &COLUMNS, Some(1024), |fields, pictures| {
        // What is missing stands there as a text, as pandas writes it.
        let there = |text: &&str| *text != "nan";
        let hint = fields.optional("hint")?.filter(there).map(|hint| format!("{hint} ")).unwrap_or_default();
        let options = ["A", "B", "C", "D", "E"].map(|letter| fields.extra(letter).filter(there));
        if let Some(gap) = options.iter().position(Option::is_none).filter(|gap| options[*gap..].iter().any(Option::is_some)) {
            return Err(Refusal::Broken(format!("column {}: is empty, and an option follows", char::from(b'A' + gap as u8))));
        }
        let options: Vec<String> = options.into_iter().flatten().map(str::to_owned).collect();
        let question = format!("{hint}{} There are several options:", fields.text("question")?);
        Ok(Draft {
            id: fields.text("index")?.to_owned(),
            family: fields.text("category")?.to_owned(),
            text: lettered(&question, &options, &format!("\n{LETTER}")),
            gold: vec![given_letter(fields.text("answer")?, options.len())?],
            kind: AnswerKind::Official(OfficialScorer::MmBench { options }),
            images: fields.pictures("image", pictures)?,
            weight: 1.0,
        })
    })
}
