//! MMMU, validation split: questions of college exams in thirty subjects. Yue et al. 2023 (arXiv 2311.16502).
//!
//! Prompt and scorer are lmms-eval's (0.7.3, task `mmmu_val`). Where that draws a letter at random, the reply is unread here. Questions about several pictures
//! are not asked.

use crate::benchmark::{BenchmarkRow, Origin, Place};
use crate::files::published::{self, LETTER, SHORT, Split, given_letter, lettered};
use crate::files::{Draft, Refusal};
use crate::{AnswerKind, BenchError, Benchmark, OfficialScorer};

const NAME: &str = "mmmu";

const SPLIT: Split = Split {
    folder: "data",
    split: "validation",
    wanted: "those of lmms-lab/MMMU on the hub: `hf download lmms-lab/MMMU --repo-type dataset --include \"data/validation-*\" --local-dir DIR`, and name DIR",
};

/// The columns that are read.
const COLUMNS: [(&str, &str); 12] = [
    ("id and group", "id"),
    ("question", "question"),
    ("choices", "options"),
    ("kind", "question_type"),
    ("gold", "answer"),
    ("image", "image_1"),
    ("image", "image_2"),
    ("image", "image_3"),
    ("image", "image_4"),
    ("image", "image_5"),
    ("image", "image_6"),
    ("image", "image_7"),
];

/// MMMU among the benchmarks.
pub(super) const MMMU: BenchmarkRow = BenchmarkRow {
    name: NAME,
    title: NAME,
    what: "MMMU: college exams in thirty subjects (mmmu:DIR)",
    questions: "900",
    origin: Origin::Files { wanted: SPLIT.wanted, options: published::OPTIONS, read },
};

fn read(place: &Place) -> Result<Box<dyn Benchmark>, BenchError> {
    SPLIT.read(NAME, place, &COLUMNS, Some(128), |fields, pictures| {
        let (id, question, answer) = (fields.text("id")?, fields.text("question")?, fields.text("answer")?);
        let (text, gold, scorer) = match fields.text("question_type")? {
            "multiple-choice" => {
                let options = fields.list("options")?;
                let gold = given_letter(answer, options.len())?;
                (lettered(question, &options, &format!("\n{LETTER}")), gold, OfficialScorer::Mmmu { options })
            }
            "open" => (format!("{question}\n{SHORT}"), answer.to_owned(), OfficialScorer::MmmuOpen),
            other => return Err(Refusal::Broken(format!("column question_type: expected multiple-choice or open, found `{other}`"))),
        };
        // Which pictures it is about is written in the question and its options.
        let named: Vec<String> = (1..=7).filter(|n| text.contains(&format!("<image {n}>"))).map(|n| format!("image_{n}")).collect();
        let image = match named.as_slice() {
            [one] => one,
            [] => return Err(Refusal::Broken("column question: names no picture, as <image 1>".to_owned())),
            _ => return Err(Refusal::Aside("about several pictures")),
        };
        // validation_Accounting_12
        let subject = id.split_once('_').and_then(|(_, rest)| rest.rsplit_once('_')).map_or(NAME, |(subject, _)| subject);
        Ok(Draft {
            id: id.to_owned(),
            family: subject.to_owned(),
            text,
            gold: vec![gold],
            kind: AnswerKind::Official(scorer),
            images: fields.pictures(image, pictures)?,
            weight: 1.0,
        })
    })
}
