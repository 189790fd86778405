//! A list of questions about images, and how it is opened by its name.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};

use image::RgbImage;

use crate::{BenchError, Question};

/// A benchmark: questions and the images they are about.
pub trait Benchmark: Send + Sync {
    /// Name, as it appears in plans, records and reports.
    fn name(&self) -> &str;

    /// All questions, in the benchmark's own order.
    fn questions(&self) -> &[Question];

    /// The image with this id ([`Question::image`]). Where an id stands for several that are shown together, all of them [`side_by_side`].
    ///
    /// # Errors
    /// [`BenchError::UnknownImage`] if no question refers to such an image.
    fn image(&self, id: &str) -> Result<RgbImage, BenchError>;

    /// The images that questions with this id show, in their order, each with an id of its own. Mostly it is one.
    ///
    /// # Errors
    /// As [`Self::image`].
    fn images(&self, id: &str) -> Result<Vec<(String, RgbImage)>, BenchError> {
        Ok(vec![(id.to_owned(), self.image(id)?)])
    }

    /// Width and height of each of [`Self::images`], for whoever needs to know no more: it is asked of every image before a study begins. Where
    /// sizes are known without decoding an image, a benchmark says so here.
    ///
    /// # Errors
    /// As [`Self::image`].
    fn sizes(&self, id: &str) -> Result<Vec<(u32, u32)>, BenchError> {
        Ok(self.images(id)?.iter().map(|(_, image)| image.dimensions()).collect())
    }

    /// Hash (hex) over questions, gold answers and pixels: two runs with equal fingerprints asked the same things.
    fn fingerprint(&self) -> String;

    /// What opens it again, as it is typed to choose it.
    fn spec(&self) -> String {
        self.name().to_owned()
    }

    /// Most tokens that an answer may have, where the benchmark says so.
    fn max_new_tokens(&self) -> Option<u32> {
        None
    }

    /// How its files were read, of one that has any.
    fn understood(&self) -> Option<&Understood> {
        None
    }
}

/// Pixels between two images that are shown side by side.
const GAP: u32 = 8;

/// Several images as one, for people: in a row from the left, on white.
pub fn side_by_side(images: &[RgbImage]) -> RgbImage {
    if let [image] = images {
        return image.clone();
    }
    let gaps = GAP * images.len().saturating_sub(1) as u32;
    let width = gaps + images.iter().map(RgbImage::width).sum::<u32>();
    let height = images.iter().map(RgbImage::height).max().unwrap_or_default();
    let mut row = RgbImage::from_pixel(width, height, image::Rgb([255; 3]));
    let mut left = 0;
    for image in images {
        image::imageops::replace(&mut row, image, i64::from(left), 0);
        left += image.width() + GAP;
    }
    row
}

/// What was taken for what in files of questions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Understood {
    /// What a column was taken for, and its name.
    pub columns: Vec<(String, String)>,
    /// Columns that play no part.
    pub unused: Vec<String>,
    /// What is odd: rows that were left out, and whatever else a reader should know.
    pub odd: Vec<String>,
}

/// Draws a benchmark that is large enough to ask so many questions of the families of these names, of all families where none is named. One of fixed
/// size gives what it has.
pub type DrawBenchmark = fn(questions: usize, families: &[String]) -> Result<Box<dyn Benchmark>, BenchError>;

/// Opens a benchmark out of the files in a place.
pub type ReadBenchmark = fn(&Place) -> Result<Box<dyn Benchmark>, BenchError>;

/// Where a benchmark's questions come from.
#[derive(Clone, Copy, Debug)]
pub enum Origin {
    /// The program makes them.
    Drawn(DrawBenchmark),
    /// They lie in files that somebody has.
    Files {
        /// Which files these are and where they can be had, for whoever lacks them: the end of a sentence.
        wanted: &'static str,
        /// What may stand behind the place as `,name=value`: the name, and what it means.
        options: &'static [(&'static str, &'static str)],
        /// How they are read.
        read: ReadBenchmark,
    },
}

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
    /// Where its questions come from.
    pub origin: Origin,
}

/// Where files are, and how they are to be read: what stands behind a benchmark's name, `DIR,question=prompt`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The name before it.
    pub benchmark: String,
    /// File or folder.
    pub path: PathBuf,
    /// What was chosen, by name.
    pub options: BTreeMap<String, String>,
}

impl Place {
    /// Reads `PATH[,name=value]..`: from the end, whatever is one of `options`. So a comma in a path is no trouble unless such a name follows.
    ///
    /// # Errors
    /// [`BenchError::UnknownName`] for something else that looks like an option while the path with it does not exist.
    pub(crate) fn parse(benchmark: &str, text: &str, options: &[(&str, &str)]) -> Result<Self, BenchError> {
        let (mut path, mut chosen) = (text, BTreeMap::new());
        while let Some((before, last)) = path.rsplit_once(',') {
            let Some((name, value)) = last.split_once('=') else { break };
            if options.iter().any(|(known, _)| *known == name) {
                if chosen.insert(name.to_owned(), value.to_owned()).is_some() {
                    return Err(BenchError::Spec { spec: text.to_owned(), problem: format!("`{name}` is given twice") });
                }
                path = before;
            } else if Path::new(path).exists() {
                break;
            } else {
                let expected = options.iter().map(|(known, _)| *known).collect::<Vec<_>>().join(", ");
                return Err(BenchError::UnknownName { what: "option", found: name.to_owned(), expected });
            }
        }
        Ok(Self { benchmark: benchmark.to_owned(), path: PathBuf::from(path), options: chosen })
    }

    /// What was chosen by this name; nothing also where it was left empty.
    pub fn option(&self, name: &str) -> Option<&str> {
        self.options.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// What opens the benchmark again from any folder: its paths are absolute if there is something at them.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let absolute = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        write!(f, "{}:{}", self.benchmark, absolute(&self.path).display())?;
        self.options.iter().try_for_each(|(name, value)| match name.as_str() {
            "images" => write!(f, ",images={}", absolute(value.as_ref()).display()),
            _ => write!(f, ",{name}={value}"),
        })
    }
}

/// A benchmark that was chosen: a row, and where its files are if it has any.
#[derive(Clone, Debug)]
pub struct Chosen<'a> {
    /// The row.
    pub row: &'a BenchmarkRow,
    place: Option<Place>,
}

/// A table of benchmarks, for whatever opens them by name.
#[derive(Clone, Copy, Debug)]
pub struct Benchmarks<'a>(pub &'a [BenchmarkRow]);

/// Most questions of a benchmark that is opened because a report names it: drawing and hashing takes time, and a report may say anything.
const MOST_REOPENED: usize = 5_000;
/// How often larger a benchmark may be than what was asked of it: one family of ten is the smallest share.
const MOST_LEFT_OUT: usize = 10;

impl BenchmarkRow {
    /// Opens one that the program draws; see [`DrawBenchmark`].
    ///
    /// # Errors
    /// [`BenchError::Spec`] for one that lies in files, since nobody said where; or what drawing it says.
    pub fn open(&self, questions: usize, families: &[String]) -> Result<Box<dyn Benchmark>, BenchError> {
        Chosen { row: self, place: None }.open(questions, families)
    }

    /// As [`Chosen::draw`], of one that the program draws.
    ///
    /// # Errors
    /// As [`Self::open`] and [`Chosen::draw`].
    pub fn draw(&self, count: usize, families: &[String]) -> Result<(Box<dyn Benchmark>, Vec<Question>), BenchError> {
        Chosen { row: self, place: None }.draw(count, families)
    }
}

impl Chosen<'_> {
    /// Opens it, large enough for so many questions of these families.
    ///
    /// # Errors
    /// Whatever drawing or reading it says.
    pub fn open(&self, questions: usize, families: &[String]) -> Result<Box<dyn Benchmark>, BenchError> {
        match (self.row.origin, &self.place) {
            (Origin::Drawn(draw), _) => draw(questions, families),
            (Origin::Files { read, .. }, Some(place)) => read(place),
            (Origin::Files { wanted, .. }, None) => Err(BenchError::Spec {
                spec: self.row.name.to_owned(),
                problem: format!("say where its files are, as {}:PATH; they are {wanted}", self.row.name),
            }),
        }
    }

    /// Opens it, and chooses `count` of its questions as [`select`] does, of the families of these names alone unless there are none.
    ///
    /// # Errors
    /// [`BenchError::UnknownName`] for a family that it does not have, or what opening it says.
    pub fn draw(&self, count: usize, families: &[String]) -> Result<(Box<dyn Benchmark>, Vec<Question>), BenchError> {
        let benchmark = self.open(count, families)?;
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
    /// The benchmark of this name or title; of one that lies in files, `NAME:PATH[,option=value]..`.
    ///
    /// # Errors
    /// [`BenchError::UnknownName`] listing the names, or the options; [`BenchError::Spec`] for a place of one that has no files.
    pub fn find(self, spec: &str) -> Result<Chosen<'a>, BenchError> {
        let (name, place) = match spec.split_once(':') {
            Some((name, place)) => (name, Some(place)),
            None => (spec, None),
        };
        let row = self.0.iter().find(|row| row.name == name || row.title == name).ok_or_else(|| BenchError::UnknownName {
            what: "benchmark",
            found: name.to_owned(),
            expected: self.0.iter().map(|row| row.name).collect::<Vec<_>>().join(", "),
        })?;
        let place = match (row.origin, place) {
            (_, None) => None,
            (Origin::Files { options, .. }, Some(place)) => Some(Place::parse(row.name, place, options)?),
            (Origin::Drawn(_), Some(_)) => {
                return Err(BenchError::Spec {
                    spec: spec.to_owned(),
                    problem: format!("{name} is drawn by this program and has no files"),
                });
            }
        };
        Ok(Chosen { row, place })
    }

    /// The benchmark in files that a plan speaks of, if they are still there and have that fingerprint.
    pub fn reopen_at(self, spec: &str, fingerprint: &str) -> Option<Box<dyn Benchmark>> {
        let benchmark = self.find(spec).ok()?.open(0, &[]).ok()?;
        (benchmark.fingerprint() == fingerprint).then_some(benchmark)
    }

    /// The benchmark that a report speaks of: the one of this name, at least `questions` large, if it has that fingerprint. A report may come from anywhere,
    /// so it opens no files, and none that is too large to be drawn at once.
    pub fn reopen(self, name: &str, fingerprint: &str, questions: usize) -> Option<Box<dyn Benchmark>> {
        self.reopen_asked(name, fingerprint, questions, 0)
    }

    /// The same of a run whose folder holds the words of `asked` questions, so that a benchmark of that order was drawn before.
    pub fn reopen_asked(self, name: &str, fingerprint: &str, questions: usize, asked: usize) -> Option<Box<dyn Benchmark>> {
        if questions > MOST_REOPENED.max(asked.saturating_mul(MOST_LEFT_OUT)) {
            return None;
        }
        let benchmark = self.find(name).ok()?.open(questions, &[]).ok()?;
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
