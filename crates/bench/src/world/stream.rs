//! Pictures as bytes, for a training program in another language.
//!
//! Line 1 is a JSON header: `image_size`, `patch`, `grid`, `planes` (name and class names of each label plane) and
//! `image_labels` (name and number of classes). Then, for every picture and all little-endian: a `u32` length and that many
//! bytes of JSON (`id`, `scene`, `questions`), 144*144*3 bytes of RGB row by row, 144 class ids (12x12, row by row) for
//! every plane, and one byte per image label.

use super::{EmbeddedSuite, GRID, IMAGE_LABELS, Level, PATCH, PLANES, Picture, SIZE, Split, TaskFamily, classes, written};
use crate::{BenchError, Benchmark, Question};
use serde_json::{Value, json};
use std::io::Write;

/// Writes the header line.
///
/// # Errors
/// [`BenchError::Write`].
pub fn write_header(out: &mut impl Write) -> Result<(), BenchError> {
    let planes: Vec<Value> = PLANES.iter().map(|name| json!({ "name": name, "classes": classes(name) })).collect();
    let image_labels: Vec<Value> = IMAGE_LABELS.iter().map(|(name, classes)| json!({ "name": name, "classes": classes })).collect();
    let header = json!({
        "image_size": SIZE, "patch": PATCH, "grid": GRID, "planes": planes, "image_labels": image_labels,
    });
    writeln!(out, "{header}")?;
    Ok(())
}

/// Writes a picture with up to `count` questions of the given families.
///
/// # Errors
/// [`BenchError::Write`].
pub fn write_picture(out: &mut impl Write, picture: &Picture, families: &[TaskFamily], count: usize) -> Result<(), BenchError> {
    let questions = picture.questions(families, count);
    let questions: Vec<Value> =
        questions.iter().map(|q| json!({ "text": q.words.text, "answer": q.answer, "family": q.family.name() })).collect();
    write_frame(out, picture, &questions)
}

/// Writes the header and all pictures of the embedded suite, each with its questions of the suite (`id` and `gold` added).
///
/// # Errors
/// [`BenchError::Write`].
pub fn write_suite(out: &mut impl Write, suite: &EmbeddedSuite) -> Result<(), BenchError> {
    write_header(out)?;
    for (id, position) in suite.images() {
        let questions: Vec<Value> = suite.questions().iter().filter(|q| q.image == id).map(suite_question).collect();
        let picture = Picture::draw(Split::Test, position, Level::Full, &TaskFamily::ALL);
        write_frame(out, &picture, &questions)?;
    }
    Ok(())
}

fn suite_question(q: &Question) -> Value {
    json!({
        "id": q.id, "text": q.text, "answer": q.gold.first(), "gold": q.gold, "family": q.family, "kind": written(q.clone()).kind,
    })
}

fn write_frame(out: &mut impl Write, picture: &Picture, questions: &[Value]) -> Result<(), BenchError> {
    let about = json!({ "id": picture.id, "scene": picture.kind.name(), "questions": questions }).to_string();
    out.write_all(&(about.len() as u32).to_le_bytes())?;
    out.write_all(about.as_bytes())?;
    out.write_all(picture.image.as_raw())?;
    for plane in &picture.labels.planes {
        out.write_all(plane)?;
    }
    out.write_all(&picture.image_labels)?;
    Ok(())
}
