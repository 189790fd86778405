//! GQA: compositional questions, split testdev, balanced. Hudson and Manning 2019 (arXiv 1902.09506).
//!
//! Prompt and scorer are lmms-eval's (0.7.3, task `gqa`). Pictures lie in a configuration of their own.

use std::sync::Arc;

use crate::benchmark::{BenchmarkRow, Origin, Place};
use crate::files::published::{self, SHORT, Split};
use crate::files::{Draft, Images, Pictures, Refusal, disk, read as read_rows};
use crate::{AnswerKind, BenchError, Benchmark, OfficialScorer};

const NAME: &str = "gqa";

const WANTED: &str = "those of lmms-lab/GQA on the hub: `hf download lmms-lab/GQA --repo-type dataset --include \"testdev_balanced_*\" --local-dir DIR`, and name DIR";

const QUESTIONS: Split = Split { folder: "testdev_balanced_instructions", split: "testdev", wanted: WANTED };
const PICTURES: Split = Split { folder: "testdev_balanced_images", split: "testdev", wanted: WANTED };

/// The columns that are read.
const COLUMNS: [(&str, &str); 4] = [("id", "id"), ("question", "question"), ("gold", "answer"), ("image", "imageId")];

/// GQA among the benchmarks.
pub(super) const GQA: BenchmarkRow = BenchmarkRow {
    name: NAME,
    title: NAME,
    what: "GQA: compositional questions (gqa:DIR)",
    questions: "12,578",
    origin: Origin::Files { wanted: WANTED, options: published::OPTIONS, read },
};

fn read(place: &Place) -> Result<Box<dyn Benchmark>, BenchError> {
    let table = QUESTIONS.open(place, &COLUMNS.map(|(_, column)| column))?;
    let understood = published::understood(&*table, &COLUMNS);
    let images = PICTURES.open(place, &["id", "image"])?;
    let mut pictures = Pictures::new(Images::Folder(disk(), place.path.clone()), vec![table, Arc::clone(&images)]);
    published::pictures_by_id(place, &*images, &mut pictures)?;
    read_rows(NAME, place, pictures, understood, Some(16), |fields, pictures| {
        let image = fields.text("imageId")?;
        if !pictures.contains(image) {
            return Err(Refusal::Broken(format!("column imageId: there is no picture {image} in {}", PICTURES.folder)));
        }
        Ok(Draft {
            id: fields.text("id")?.to_owned(),
            family: NAME.to_owned(),
            text: format!("{}{SHORT}", fields.text("question")?),
            gold: vec![fields.text("answer")?.to_owned()],
            kind: AnswerKind::Official(OfficialScorer::ExactMatch),
            images: vec![image.to_owned()],
            weight: 1.0,
        })
    })
}
