//! easy-VQA: coloured shapes, 13 possible answers.
//!
//! Victor Zhou, 2019 (github.com/vzhou842/easy-VQA, MIT). The PyPI package `easy-vqa` holds all of it. Asked is the test half: 1,000 pictures of 64x64
//! pixels and 9,673 questions, `test/questions.json` with `[question, answer, image]` in a row and `test/images/<image>.png`.

use crate::benchmark::{BenchmarkRow, Origin, Place, Understood};
use crate::files::{Draft, Images, Pictures, Refusal, disk, each_item, finish};
use crate::{AnswerKind, BenchError, Benchmark};

const NAME: &str = "easy-vqa";

const WANTED: &str = "in the PyPI package of the same name: `pip install easy-vqa`, or `pip download easy-vqa` and unzip it, and name the folder that holds easy_vqa";

/// easy-VQA among the benchmarks.
pub(super) const EASY_VQA: BenchmarkRow = BenchmarkRow {
    name: NAME,
    title: NAME,
    what: "easy-VQA's test half: shapes and colours (easy-vqa:DIR)",
    questions: "9,673",
    origin: Origin::Files { wanted: WANTED, options: &[("broken", "skip: leave out rows that cannot be asked")], read },
};

fn read(place: &Place) -> Result<Box<dyn Benchmark>, BenchError> {
    // The folder that the package was unpacked into, the package, its data, or the test half.
    let inside = ["easy_vqa/data/test", "data/test", "test", ""].map(|inside| place.path.join(inside));
    let Some(test) = inside.iter().find(|folder| folder.join("questions.json").is_file()) else {
        let problem = format!("has no easy_vqa/data/test/questions.json in it; the files are {WANTED}");
        return Err(BenchError::File { path: place.path.clone(), problem });
    };
    let pictures = Pictures::new(Images::open(&disk(), &test.join("images"))?, Vec::new());
    let columns = ["question", "gold", "image"].iter().zip(["1st", "2nd", "3rd"]);
    let columns = columns.map(|(role, place)| ((*role).to_owned(), format!("{place} of each row"))).collect();
    let understood = Understood { columns, ..Understood::default() };
    finish(NAME, place, pictures, understood, None, |pictures, rows| {
        each_item(&*disk(), &test.join("questions.json"), &mut |number, row| {
            let row: Result<(String, String, u64), _> = serde_json::from_value(row);
            let draft =
                row.map_err(|error| format!("expected [question, answer, number of an image]: {error}")).and_then(|(text, gold, image)| {
                    let (family, kind) = if ["yes", "no"].contains(&gold.as_str()) { ("yes/no", AnswerKind::YesNo) } else { family(&text) };
                    let images = vec![pictures.named(format!("{image}.png"))?];
                    Ok(Draft { id: format!("test-{number}"), family: family.to_owned(), text, gold: vec![gold], kind, images, weight: 1.0 })
                });
            rows.take(&format!("row {number}"), draft.map_err(Refusal::from));
            Ok(())
        })
    })
}

/// What is asked for, where it is a word.
fn family(text: &str) -> (&'static str, AnswerKind) {
    (if text.contains("color") { "color" } else { "shape" }, AnswerKind::Short)
}
