//! Data sets as they are published on the hub: a folder of parquet files for each split.

use std::path::PathBuf;
use std::sync::Arc;

use super::parquet::Parquet;
use super::table::{Table, shards};
use super::{Cell, Draft, Fields, Images, Pictures, Refusal, disk, read};
use crate::benchmark::{Place, Understood};
use crate::{BenchError, Benchmark};

/// What may be chosen of any published benchmark.
pub(crate) const OPTIONS: &[(&str, &str)] = &[("broken", "skip: leave out rows that cannot be asked")];

/// What stands behind most questions.
pub(crate) const SHORT: &str = "\nAnswer the question using a single word or phrase.";

/// What stands before [`SHORT`] where a question may have no answer.
pub(crate) const UNANSWERABLE: &str = "\nWhen the provided information is insufficient, respond with 'Unanswerable'.";

/// What stands behind lettered options.
pub(crate) const LETTER: &str = "\nAnswer with the option's letter from the given choices directly.";

/// One split of a data set.
#[expect(clippy::struct_field_names, reason = "what the hub calls it")]
pub(crate) struct Split {
    /// Folder of the configuration in the repository.
    pub(crate) folder: &'static str,
    /// How names of its files begin.
    pub(crate) split: &'static str,
    /// Which files these are, for whoever lacks them.
    pub(crate) wanted: &'static str,
}

impl Split {
    /// A benchmark of the split's rows, where each carries its own pictures. `columns` are those that are read, each with its role.
    ///
    /// # Errors
    /// As [`Split::open`] and [`read()`].
    pub(crate) fn read(
        &self,
        name: &str,
        place: &Place,
        columns: &[(&str, &str)],
        max_new_tokens: Option<u32>,
        draft: impl FnMut(&Fields<'_>, &mut Pictures) -> Result<Draft, Refusal>,
    ) -> Result<Box<dyn Benchmark>, BenchError> {
        let needed: Vec<&str> = columns.iter().map(|(_, column)| *column).collect();
        let table = self.open(place, &needed)?;
        let understood = understood(&*table, columns);
        let pictures = Pictures::new(Images::Folder(disk(), place.path.clone()), vec![table]);
        read(name, place, pictures, understood, max_new_tokens, draft)
    }

    /// The split's rows. The place is a copy of the repository, the configuration's folder in it, or one of its files.
    ///
    /// # Errors
    /// [`BenchError::File`] saying what to fetch, or which of `columns` is missing.
    pub(crate) fn open(&self, place: &Place, columns: &[&str]) -> Result<Arc<dyn Table>, BenchError> {
        let fail = |problem: String| BenchError::File { path: place.path.clone(), problem };
        let files = if place.path.is_dir() { self.files(place)? } else { vec![place.path.clone()] };
        if files.is_empty() || !files.iter().all(|file| file.is_file()) {
            return Err(fail(format!("has no {}/{}-*.parquet in it; the files are {}", self.folder, self.split, self.wanted)));
        }
        let table = Parquet::open(&files)?;
        if let Some(missing) = columns.iter().find(|column| !table.columns().iter().any(|found| found == *column)) {
            return Err(fail(format!("has no column `{missing}`, only {}; the files are {}", table.columns().join(", "), self.wanted)));
        }
        Ok(Arc::new(table))
    }

    fn files(&self, place: &Place) -> Result<Vec<PathBuf>, BenchError> {
        for folder in [place.path.join(self.folder), place.path.clone()] {
            let of_split = |path: &PathBuf| {
                path.file_name().is_some_and(|name| {
                    let name = name.to_string_lossy();
                    name.strip_prefix(self.split).is_some_and(|rest| rest.starts_with('-') || rest == ".parquet")
                })
            };
            if folder.is_dir() {
                let files: Vec<PathBuf> = shards(&folder)?.into_iter().filter(of_split).collect();
                if !files.is_empty() {
                    return Ok(files);
                }
            }
        }
        Ok(Vec::new())
    }
}

/// What columns of a published layout are read as.
pub(crate) fn understood(table: &dyn Table, columns: &[(&str, &str)]) -> Understood {
    let unused = table.columns().iter().filter(|column| !columns.iter().any(|(_, used)| used == column)).cloned().collect();
    let columns = columns.iter().map(|(role, column)| ((*role).to_owned(), (*column).to_owned())).collect();
    Understood { columns, unused, odd: Vec::new() }
}

/// As Python's `str.capitalize`: the first character in upper case, all others in lower.
pub(crate) fn capitalized(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(characters.as_str().to_lowercase().chars()).collect()
}

/// A question with lettered options, each on a line.
pub(crate) fn lettered(question: &str, options: &[String], behind: &str) -> String {
    let lines: Vec<String> = options.iter().zip('A'..).map(|(option, letter)| format!("{letter}. {option}")).collect();
    format!("{question}\n{}{behind}", lines.join("\n"))
}

/// The letter of the option with this number, counted from 0.
///
/// # Errors
/// When there are fewer options.
pub(crate) fn letter(index: usize, options: usize) -> Result<String, String> {
    if index >= options {
        return Err(format!("column answer: is {index}, and there are {options} options, counted from 0"));
    }
    Ok(char::from(b'A' + index as u8).to_string())
}

/// A right answer that is the letter of one of so many options.
///
/// # Errors
/// When it is not.
pub(crate) fn given_letter(answer: &str, options: usize) -> Result<String, String> {
    let letter = answer.trim().to_uppercase();
    let place = match letter.as_bytes() {
        [byte @ b'A'..=b'Z'] => usize::from(byte - b'A'),
        _ => options,
    };
    if place < options {
        Ok(letter)
    } else {
        Err(format!("column answer: expected the letter of one of {options} options, found `{answer}`"))
    }
}

/// A right answer that is yes or no.
///
/// # Errors
/// When it is neither.
pub(crate) fn yes_or_no(answer: &str) -> Result<Vec<String>, String> {
    let plain = answer.trim().to_lowercase().replace('.', "");
    if ["yes", "no"].contains(&plain.as_str()) {
        Ok(vec![plain])
    } else {
        Err(format!("column answer: expected yes or no, found `{answer}`"))
    }
}

/// What people answered, out of a column `answers` of texts or of structures with an `answer`.
///
/// # Errors
/// When there are none: a split whose answers are kept back.
pub(crate) fn answers(fields: &Fields<'_>) -> Result<Vec<String>, String> {
    let answers = match fields.cell("answers")? {
        Cell::List(given) => given
            .iter()
            .map(|one| match one {
                // an answer may be empty: somebody said nothing
                Cell::Missing => Ok(String::new()),
                one => one.as_text().or_else(|| one.part("answer").as_text()).map(str::to_owned).ok_or("column answers: expected texts"),
            })
            .collect::<Result<Vec<_>, _>>()?,
        _ => fields.texts("answers")?,
    };
    if answers.is_empty() { Err("column answers: is empty; are the answers of this split kept back?".to_owned()) } else { Ok(answers) }
}

/// Takes note of a table of pictures, each under the id in its row.
///
/// # Errors
/// [`BenchError::File`] for a picture that cannot be read.
pub(crate) fn pictures_by_id(place: &Place, table: &dyn Table, pictures: &mut Pictures) -> Result<(), BenchError> {
    let column = |name: &str| table.columns().iter().position(|column| column == name).unwrap_or_default();
    let (id, image) = (column("id"), column("image"));
    table.each(&mut |row| {
        let noted = row.cells.and_then(|cells| {
            let id = cells[id].as_text().ok_or("column id: expected a text")?;
            pictures.note_as(id, &cells[image], (1, row.at, image)).map_err(|problem| format!("column image: {problem}"))
        });
        noted.map_err(|problem| BenchError::File { path: place.path.clone(), problem: format!("pictures: {}, {problem}", row.name) })
    })
}
