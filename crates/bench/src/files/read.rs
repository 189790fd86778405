//! From rows to a benchmark.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use data_encoding::HEXLOWER;
use image::RgbImage;
use sha2::{Digest, Sha256};

use super::table::At;
use super::{Cell, Pictures};
use crate::benchmark::{Place, Understood, side_by_side};
use crate::{AnswerKind, BenchError, Benchmark, Question};

/// How many broken rows are named.
const NAMED: usize = 10;

/// Stands between the ids of pictures that are shown together.
const BESIDE: &str = " + ";

/// What a row asks.
pub(crate) struct Draft {
    pub(crate) id: String,
    pub(crate) family: String,
    pub(crate) text: String,
    pub(crate) gold: Vec<String>,
    pub(crate) kind: AnswerKind,
    pub(crate) weight: f64,
    /// Ids of its pictures in the order in which they are shown, which [`Fields::pictures`] and the like give.
    pub(crate) images: Vec<String>,
}

/// Why a row is not asked.
pub(crate) enum Refusal {
    /// It cannot be: column and what is wrong.
    Broken(String),
    /// It is none of the benchmark's: what such rows are.
    Aside(&'static str),
}

impl From<String> for Refusal {
    fn from(problem: String) -> Self {
        Self::Broken(problem)
    }
}

/// The fields of one row.
pub(crate) struct Fields<'a> {
    columns: &'a [String],
    cells: &'a [Cell],
    table: usize,
    at: At,
    /// The row's name in messages.
    pub(crate) row: &'a str,
}

impl Fields<'_> {
    /// The place of a column, or that there is none.
    fn place(&self, column: &str) -> Result<usize, String> {
        let place = self.columns.iter().position(|name| name == column);
        place.ok_or_else(|| format!("there is no column `{column}`, only {}", self.columns.join(", ")))
    }

    /// What stands in a column.
    pub(crate) fn cell(&self, column: &str) -> Result<&Cell, String> {
        Ok(&self.cells[self.place(column)?])
    }

    /// The text in a column.
    pub(crate) fn text(&self, column: &str) -> Result<&str, String> {
        match self.cell(column)? {
            Cell::Text(text) => Ok(text),
            Cell::Missing => Err(format!("column {column}: is empty")),
            other => Err(format!("column {column}: expected a text, found {}", other.kind())),
        }
    }

    /// The text in a column that may be empty.
    pub(crate) fn optional(&self, column: &str) -> Result<Option<&str>, String> {
        match self.cell(column)? {
            Cell::Missing => Ok(None),
            _ => self.text(column).map(Some),
        }
    }

    /// The text in a column that there may not be.
    pub(crate) fn extra(&self, column: &str) -> Option<&str> {
        self.cell(column).ok()?.as_text()
    }

    /// The whole number in a column.
    pub(crate) fn index(&self, column: &str) -> Result<usize, String> {
        let text = self.text(column)?;
        text.parse().map_err(|_| format!("column {column}: expected a number from 0, found `{text}`"))
    }

    /// The texts in a column.
    pub(crate) fn texts(&self, column: &str) -> Result<Vec<String>, String> {
        self.cell(column)?.texts().map_err(|problem| format!("column {column}: {problem}"))
    }

    /// The texts of a list in a column, as they are; also written as a list of JSON or Python.
    pub(crate) fn list(&self, column: &str) -> Result<Vec<String>, String> {
        let texts = match self.cell(column)? {
            Cell::Text(text) if !text.starts_with('[') => Err("expected a list".to_owned()),
            Cell::List(items) => Ok(items.iter().map(|item| item.as_text().unwrap_or_default().to_owned()).collect()),
            cell => cell.texts(),
        };
        texts.map_err(|problem| format!("column {column}: {problem}"))
    }

    /// The pictures in a column, which are taken note of.
    pub(crate) fn pictures(&self, column: &str, pictures: &mut Pictures) -> Result<Vec<String>, String> {
        let place = self.place(column)?;
        pictures.note(&self.cells[place], (self.table, self.at, place)).map_err(|problem| format!("column {column}: {problem}"))
    }
}

/// Rows on their way to questions.
#[expect(clippy::struct_field_names, reason = "how many there are")]
pub(crate) struct Rows {
    skip: bool,
    rows: usize,
    broken: usize,
    first: Vec<String>,
    /// How many rows are none of the benchmark's, by what they are.
    aside: BTreeMap<&'static str, usize>,
    questions: Vec<Draft>,
    ids: HashMap<String, String>,
}

impl Rows {
    /// `skip` leaves out rows that cannot be asked.
    fn new(skip: bool) -> Self {
        Self { skip, rows: 0, broken: 0, first: Vec::new(), aside: BTreeMap::new(), questions: Vec::new(), ids: HashMap::new() }
    }

    /// Takes a row's question, or why it has none.
    pub(crate) fn take(&mut self, row: &str, draft: Result<Draft, Refusal>) {
        self.rows += 1;
        let draft = draft.and_then(|draft| match self.ids.get(&draft.id) {
            Some(first) => Err(Refusal::Broken(format!("column id: `{}` is the id of {first} already", draft.id))),
            None => Ok(draft),
        });
        match draft {
            Ok(draft) => {
                self.ids.insert(draft.id.clone(), row.to_owned());
                self.questions.push(draft);
            }
            Err(Refusal::Aside(what)) => *self.aside.entry(what).or_default() += 1,
            Err(Refusal::Broken(problem)) => self.refuse(row, &problem),
        }
    }

    /// Where some rows have a right answer, those without one cannot be asked beside them: of these nobody could tell right from wrong.
    fn all_or_none_judged(&mut self) {
        if self.questions.iter().all(|draft| draft.gold.is_empty()) {
            return;
        }
        let (judged, without): (Vec<Draft>, Vec<Draft>) = self.questions.drain(..).partition(|draft| !draft.gold.is_empty());
        self.questions = judged;
        for draft in without {
            let row = self.ids.get(&draft.id).cloned().unwrap_or_default();
            self.refuse(&row, "column gold: is empty, and other rows have a right answer; `,gold=` asks all without");
        }
    }

    fn refuse(&mut self, row: &str, problem: &str) {
        self.broken += 1;
        if self.first.len() < NAMED {
            self.first.push(format!("{row}, {problem}"));
        }
    }

    /// What is odd about rows that were left out.
    fn left_out(&self) -> Option<String> {
        (self.broken > 0).then(|| format!("{} of {} rows are left out: {}", self.broken, self.rows, self.first.join("; ")))
    }
}

/// Questions and pictures that were read out of files.
pub(crate) struct ReadBenchmark {
    name: String,
    spec: String,
    questions: Vec<Question>,
    pictures: Pictures,
    /// Ids of pictures that are shown together, by the id that questions have.
    together: HashMap<String, Vec<String>>,
    fingerprint: String,
    understood: Understood,
    max_new_tokens: Option<u32>,
}

/// Reads the rows of the first of the tables. `draft` says what each asks, `max_new_tokens` how long an answer may become.
///
/// # Errors
/// [`BenchError::Rows`] if there are rows that cannot be asked, unless the place says that they are to be left out (`broken=skip`).
pub(crate) fn read(
    name: &str,
    place: &Place,
    pictures: Pictures,
    understood: Understood,
    max_new_tokens: Option<u32>,
    mut draft: impl FnMut(&Fields<'_>, &mut Pictures) -> Result<Draft, Refusal>,
) -> Result<Box<dyn Benchmark>, BenchError> {
    let rows = |pictures: &mut Pictures, rows: &mut Rows| {
        let table = pictures.table(0);
        table.each(&mut |row| {
            let drafted = row.cells.map_err(Refusal::from).and_then(|cells| {
                draft(&Fields { columns: table.columns(), cells: &cells, table: 0, at: row.at, row: &row.name }, pictures)
            });
            rows.take(&row.name, drafted);
            Ok(())
        })
    };
    finish(name, place, pictures, understood, max_new_tokens, rows)
}

/// Makes a benchmark of whatever `fill` takes out of files.
pub(crate) fn finish(
    name: &str,
    place: &Place,
    mut pictures: Pictures,
    mut understood: Understood,
    max_new_tokens: Option<u32>,
    fill: impl FnOnce(&mut Pictures, &mut Rows) -> Result<(), BenchError>,
) -> Result<Box<dyn Benchmark>, BenchError> {
    let skip = match place.option("broken") {
        None => false,
        Some("skip") => true,
        Some(other) => {
            return Err(BenchError::UnknownName { what: "value of broken", found: other.to_owned(), expected: "skip".to_owned() });
        }
    };
    let mut rows = Rows::new(skip);
    fill(&mut pictures, &mut rows)?;
    rows.all_or_none_judged();
    if rows.broken > 0 && !rows.skip || rows.questions.is_empty() {
        if rows.rows == 0 {
            return Err(BenchError::File { path: place.path.clone(), problem: "has no rows".to_owned() });
        }
        return Err(BenchError::Rows { path: place.path.clone(), count: rows.broken, rows: rows.rows, first: rows.first });
    }
    understood.odd.extend(rows.left_out());
    understood.odd.extend(rows.aside.iter().map(|(what, count)| format!("{count} rows are {what}, which are not asked")));
    let (mut wanted, mut together) = (BTreeSet::new(), HashMap::new());
    let mut questions = Vec::with_capacity(rows.questions.len());
    for Draft { id, family, text, gold, kind, weight, images } in rows.questions {
        let image = images.join(BESIDE);
        wanted.extend(images.iter().cloned());
        if images.len() != 1 {
            together.insert(image.clone(), images);
        }
        questions.push(Question { id, benchmark: name.to_owned(), family, image, text, gold, kind, weight });
    }
    if let Some(both) = wanted.iter().find(|id| together.contains_key(*id)) {
        let problem = format!("has a picture called {both:?}, as several pictures of one question are together; rename it");
        return Err(BenchError::File { path: place.path.clone(), problem });
    }
    pictures.retain(&wanted);
    let fingerprint = fingerprint(&questions, &wanted, &pictures);
    Ok(Box::new(ReadBenchmark {
        name: name.to_owned(),
        spec: place.to_string(),
        questions,
        pictures,
        together,
        fingerprint,
        understood,
        max_new_tokens,
    }))
}

/// Over questions and the bytes of pictures.
fn fingerprint(questions: &[Question], wanted: &BTreeSet<String>, pictures: &Pictures) -> String {
    let mut hash = Sha256::new();
    for question in questions {
        // Texts, lists and numbers are always written.
        hash.update(serde_json::to_vec(question).unwrap_or_default());
    }
    for id in wanted {
        hash.update((id.len() as u64).to_le_bytes());
        hash.update(id);
        hash.update(pictures.sha256(id).unwrap_or_default());
    }
    HEXLOWER.encode(&hash.finalize())
}

impl Benchmark for ReadBenchmark {
    fn name(&self) -> &str {
        &self.name
    }

    fn questions(&self) -> &[Question] {
        &self.questions
    }

    fn image(&self, id: &str) -> Result<RgbImage, BenchError> {
        let images: Vec<RgbImage> = self.images(id)?.into_iter().map(|(_, image)| image).collect();
        Ok(side_by_side(&images))
    }

    fn images(&self, id: &str) -> Result<Vec<(String, RgbImage)>, BenchError> {
        let image = |id: &String| Ok((id.clone(), self.pictures.decode(id)?.ok_or_else(|| self.unknown(id))?));
        self.shown(id).iter().map(image).collect()
    }

    fn sizes(&self, id: &str) -> Result<Vec<(u32, u32)>, BenchError> {
        self.shown(id).iter().map(|id| self.pictures.size(id).ok_or_else(|| self.unknown(id))).collect()
    }

    fn fingerprint(&self) -> String {
        self.fingerprint.clone()
    }

    fn spec(&self) -> String {
        self.spec.clone()
    }

    fn max_new_tokens(&self) -> Option<u32> {
        self.max_new_tokens
    }

    fn understood(&self) -> Option<&Understood> {
        Some(&self.understood)
    }
}

impl ReadBenchmark {
    /// Ids of the pictures behind a question's.
    fn shown(&self, id: &str) -> Vec<String> {
        self.together.get(id).cloned().unwrap_or_else(|| vec![id.to_owned()])
    }

    fn unknown(&self, id: &str) -> BenchError {
        BenchError::UnknownImage { benchmark: self.name.clone(), image: id.to_owned(), expected: "the id of one of its questions' images" }
    }
}
