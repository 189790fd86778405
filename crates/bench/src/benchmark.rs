//! A list of questions about images, and how it is opened by its name.

use std::collections::HashMap;

use crate::{BenchError, Question};

/// A benchmark: questions and the images they are about.
pub trait Benchmark: Send + Sync {
    /// Name, as it appears in plans, records and reports.
    fn name(&self) -> &str;

    /// All questions, in the benchmark's own order.
    fn questions(&self) -> &[Question];

    /// The image with this id ([`Question::image`]).
    ///
    /// # Errors
    /// [`BenchError::UnknownImage`] if no question refers to such an image.
    fn image(&self, id: &str) -> Result<image::RgbImage, BenchError>;

    /// Width and height of the image with this id, for whoever needs to know no more: it is asked of every image before a study begins. Where
    /// sizes are known without decoding an image, a benchmark says so here.
    ///
    /// # Errors
    /// As [`Self::image`].
    fn size(&self, id: &str) -> Result<(u32, u32), BenchError> {
        Ok(self.image(id)?.dimensions())
    }

    /// Hash (hex) over questions, gold answers and pixels: two runs with equal fingerprints asked the same things.
    fn fingerprint(&self) -> String;
}

/// Opens a benchmark that is large enough to ask so many questions of the families of these names, of all families where none is named. One of fixed size
/// gives what it has.
pub type OpenBenchmark = fn(questions: usize, families: &[String]) -> Result<Box<dyn Benchmark>, BenchError>;

/// A benchmark that can be opened by its name: a row of [`Benchmarks`].
#[derive(Clone, Copy, Debug)]
pub struct BenchmarkRow {
    /// What is typed to choose it.
    pub name: &'static str,
    /// What it is called in plans and reports ([`Benchmark::name`]), by which it can be chosen too.
    pub title: &'static str,
    /// What it is, in a line.
    pub what: &'static str,
    /// How many questions it has, in words.
    pub questions: &'static str,
    /// How it is opened.
    pub open: OpenBenchmark,
}

/// A table of benchmarks, for whatever opens them by name.
#[derive(Clone, Copy, Debug)]
pub struct Benchmarks<'a>(pub &'a [BenchmarkRow]);

/// Most questions of a benchmark that is opened because a report names it: drawing and hashing takes time, and a report may say anything.
const MOST_REOPENED: usize = 5_000;

impl BenchmarkRow {
    /// Opens it, and chooses `count` of its questions as [`select`] does, of the families of these names alone unless there are none.
    ///
    /// # Errors
    /// [`BenchError::UnknownName`] for a family that it does not have, or what opening it says.
    pub fn draw(&self, count: usize, families: &[String]) -> Result<(Box<dyn Benchmark>, Vec<Question>), BenchError> {
        let benchmark = (self.open)(count, families)?;
        let all = benchmark.questions();
        if let Some(unknown) = families.iter().find(|name| !all.iter().any(|question| question.family == **name)) {
            let mut known: Vec<&str> = all.iter().map(|question| question.family.as_str()).collect();
            known.sort_unstable();
            known.dedup();
            return Err(BenchError::UnknownName { what: "family", found: unknown.clone(), expected: known.join(", ") });
        }
        let chosen = select(all.iter().filter(|question| families.is_empty() || families.contains(&question.family)), count);
        Ok((benchmark, chosen))
    }
}

impl<'a> Benchmarks<'a> {
    /// The benchmark of this name or title.
    ///
    /// # Errors
    /// [`BenchError::UnknownName`] listing the names.
    pub fn find(self, name: &str) -> Result<&'a BenchmarkRow, BenchError> {
        self.0.iter().find(|row| row.name == name || row.title == name).ok_or_else(|| BenchError::UnknownName {
            what: "benchmark",
            found: name.to_owned(),
            expected: self.0.iter().map(|row| row.name).collect::<Vec<_>>().join(", "),
        })
    }

    /// The benchmark that a plan or a report speaks of: the one of this name, at least `questions` large, if it has that fingerprint.
    pub fn reopen(self, name: &str, fingerprint: &str, questions: usize) -> Option<Box<dyn Benchmark>> {
        if questions > MOST_REOPENED {
            return None;
        }
        let benchmark = (self.find(name).ok()?.open)(questions, &[]).ok()?;
        (benchmark.name() == name && benchmark.fingerprint() == fingerprint).then_some(benchmark)
    }
}

/// The first `count` questions, families taking turns so that each has its share. Order within a family is kept, and so is the
/// given order in the result: questions on one image stay together.
pub fn select<'a>(questions: impl IntoIterator<Item = &'a Question>, count: usize) -> Vec<Question> {
    let mut families: HashMap<&str, (usize, usize)> = HashMap::new();
    let mut turns = Vec::new();
    for (index, question) in questions.into_iter().enumerate() {
        let first = families.len();
        let (family, turn) = families.entry(&question.family).or_insert((first, 0));
        turns.push(((*turn, *family), index, question));
        *turn += 1;
    }
    turns.sort_unstable_by_key(|(turn, ..)| *turn);
    turns.truncate(count);
    turns.sort_unstable_by_key(|(_, index, _)| *index);
    turns.into_iter().map(|(.., question)| question.clone()).collect()
}
