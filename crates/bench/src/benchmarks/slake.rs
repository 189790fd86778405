//! SLAKE: questions about CT, MRI and X-ray images, the English ones of the test split. Liu et al. 2021 (arXiv 2102.09542).
//!
//! Prompt and scorer are lmms-eval's (0.7.3, task `slake_en`). Groups are the modality and whether the answer is open.

use crate::benchmark::{BenchmarkRow, Origin, Place};
use crate::files::published::{self, SHORT};
use crate::files::{Draft, Fields, Images, Pictures, Refusal, disk, open, read as read_rows};
use crate::{AnswerKind, BenchError, Benchmark, OfficialScorer};

const NAME: &str = "slake";

const WANTED: &str =
    "test.json and imgs.zip of BoKelvin/SLAKE on the hub: `hf download BoKelvin/SLAKE --repo-type dataset --local-dir DIR`, and name DIR";

/// The columns that are read.
const COLUMNS: [(&str, &str); 7] = [
    ("id", "qid"),
    ("question", "question"),
    ("gold", "answer"),
    ("language", "q_lang"),
    ("group", "modality"),
    ("group", "answer_type"),
    ("image", "img_name"),
];

/// SLAKE among the benchmarks.
pub(super) const SLAKE: BenchmarkRow = BenchmarkRow {
    name: NAME,
    title: NAME,
    what: "SLAKE: CT, MRI and X-ray, in English (slake:DIR)",
    questions: "1,061",
    origin: Origin::Files { wanted: WANTED, options: published::OPTIONS, read },
};

fn read(place: &Place) -> Result<Box<dyn Benchmark>, BenchError> {
    let fail = |problem: String| BenchError::File { path: place.path.clone(), problem: format!("{problem}; the files are {WANTED}") };
    let file = place.path.join("test.json");
    if !file.is_file() {
        return Err(fail("has no test.json in it".to_owned()));
    }
    let folders = [place.path.join("imgs"), place.path.join("imgs.zip")];
    let images = folders.iter().find(|images| images.exists()).ok_or_else(|| fail("has neither imgs nor imgs.zip in it".to_owned()))?;
    let table = open(&disk(), &file, None)?;
    if let Some((_, missing)) = COLUMNS.iter().find(|(_, column)| !table.columns().iter().any(|found| found == column)) {
        return Err(fail(format!("has no field `{missing}` in test.json")));
    }
    let understood = published::understood(&*table, &COLUMNS);
    read_rows(NAME, place, Pictures::new(Images::open(&disk(), images)?, vec![table]), understood, Some(32), |fields, pictures| {
        if !fields.text("q_lang")?.trim().eq_ignore_ascii_case("en") {
            return Err(Refusal::Aside("in another language"));
        }
        Ok(Draft {
            id: fields.text("qid")?.to_owned(),
            family: format!("{} {}", fields.text("modality")?, fields.text("answer_type")?).to_lowercase(),
            text: format!("{}{SHORT}", fields.text("question")?.trim()),
            gold: vec![fields.text("answer")?.to_owned()],
            kind: AnswerKind::Official(OfficialScorer::Slake),
            images: fields.pictures("img_name", pictures)?,
            weight: 1.0,
        })
    })
}

/// What a row asks in the layout of PathVQA and VQA-RAD, in SLAKE's words: closed where the right answer is yes or no, else open.
///
/// # Errors
/// When a column is not what it should be, or there is no such picture.
pub(super) fn closed_or_open(fields: &Fields<'_>, pictures: &mut Pictures) -> Result<Draft, Refusal> {
    let answer = fields.text("answer")?.trim();
    let closed = ["yes", "no"].contains(&answer.to_lowercase().as_str());
    Ok(Draft {
        id: fields.row.replace(' ', "-"),
        family: if closed { "closed" } else { "open" }.to_owned(),
        text: format!("{}{SHORT}", fields.text("question")?.trim()),
        gold: vec![answer.to_owned()],
        kind: AnswerKind::Official(OfficialScorer::Slake),
        images: fields.pictures("image", pictures)?,
        weight: 1.0,
    })
}
