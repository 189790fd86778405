//! A file of rows with named columns, read row by row.

use std::path::Path;
#[cfg(feature = "files")]
use std::path::PathBuf;
use std::sync::Arc;

#[cfg(feature = "files")]
use super::parquet::Parquet;
use super::{Cell, FileSystem, delimited::Delimited, json};
use crate::BenchError;

/// Where a row is, for whoever reads one of its cells again; its own kind of file knows what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct At {
    /// Which file, of a table that is several.
    pub(crate) file: u32,
    /// Where in it.
    pub(crate) place: u64,
}

/// A row, or why it cannot be read.
pub(crate) struct Row {
    /// Its name in messages, e.g. `row 3 (line 5)`.
    pub(crate) name: String,
    pub(crate) at: At,
    /// One for each column; what is wrong, column first, where there are none.
    pub(crate) cells: Result<Vec<Cell>, String>,
}

/// Rows with named columns.
pub(crate) trait Table: Send + Sync {
    /// Names of the columns, in order.
    fn columns(&self) -> &[String];

    /// What is odd about the file as a whole.
    fn odd(&self) -> Vec<String> {
        Vec::new()
    }

    /// Hands on every row, one at a time.
    fn each(&self, visit: &mut dyn FnMut(Row) -> Result<(), BenchError>) -> Result<(), BenchError>;

    /// One cell of a row again. Fast for rows in their order.
    fn cell(&self, at: At, column: usize) -> Result<Cell, BenchError>;
}

/// Longest row, in bytes: more than a picture has, and far less than memory.
pub(crate) const LONGEST_ROW: u64 = 128 << 20;

/// Opens a file by its ending, or the parquet files of a folder.
///
/// # Errors
/// [`BenchError::File`] for another ending, or what is wrong with the file.
pub(crate) fn open(files: &Arc<dyn FileSystem>, path: &Path, delimiter: Option<u8>) -> Result<Arc<dyn Table>, BenchError> {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase()).unwrap_or_default();
    match ending.as_str() {
        "csv" | "tsv" | "txt" => Ok(Arc::new(Delimited::open(files, path, delimiter)?)),
        "jsonl" | "ndjson" => Ok(Arc::new(json::Lines::open(files, path)?)),
        "json" => json::open(files, path),
        _ => open_parquet(files, path, &ending),
    }
}

/// Opens a parquet file, or those of a folder.
#[cfg(feature = "files")]
fn open_parquet(files: &Arc<dyn FileSystem>, path: &Path, ending: &str) -> Result<Arc<dyn Table>, BenchError> {
    let fail = |problem: &str| Err(BenchError::File { path: path.to_owned(), problem: problem.to_owned() });
    match files.on_disk(path) {
        Some(folder) if folder.is_dir() => {
            let files = shards(&folder)?;
            if files.is_empty() {
                return fail("holds no parquet files; expected those of one split, or name a file of questions");
            }
            Ok(Arc::new(Parquet::open(&files)?))
        }
        Some(file) if ending == "parquet" => Ok(Arc::new(Parquet::open(&[file])?)),
        Some(_) => fail("expected a .csv, .tsv, .jsonl, .json or .parquet file, or a folder of parquet files"),
        None => fail(TEXT_ALONE),
    }
}

/// Says that a program without that reader reads text alone.
#[cfg(not(feature = "files"))]
fn open_parquet(_: &Arc<dyn FileSystem>, path: &Path, _: &str) -> Result<Arc<dyn Table>, BenchError> {
    Err(BenchError::File { path: path.to_owned(), problem: TEXT_ALONE.to_owned() })
}

const TEXT_ALONE: &str = "expected a .csv, .tsv, .jsonl or .json file; parquet is read by the command line alone";

/// The parquet files of a folder, by name.
#[cfg(feature = "files")]
pub(crate) fn shards(folder: &Path) -> Result<Vec<PathBuf>, BenchError> {
    let entries = std::fs::read_dir(folder).map_err(|error| unreadable(folder, error))?;
    let mut files: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|ending| ending == "parquet")).collect();
    files.sort();
    Ok(files)
}

/// A file that the system does not give.
#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` hands over")]
pub(crate) fn unreadable(path: &Path, error: std::io::Error) -> BenchError {
    BenchError::File { path: path.to_owned(), problem: format!("cannot be read: {error}") }
}

/// Looks at how a text file begins.
///
/// # Errors
/// When it is UTF-16, or no text.
pub(crate) fn check_text(files: &dyn FileSystem, path: &Path) -> Result<(), BenchError> {
    use std::io::Read;
    let mut start = Vec::new();
    let file = files.open(path).map_err(|error| unreadable(path, error))?;
    file.take(4096).read_to_end(&mut start).map_err(|error| unreadable(path, error))?;
    let fail = |problem: &str| Err(BenchError::File { path: path.to_owned(), problem: problem.to_owned() });
    match start.as_slice() {
        [] => fail("is empty"),
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => fail("is UTF-16 text; save it as UTF-8 (in Excel: CSV UTF-8)"),
        // UTF-16 without a mark has a zero beside every Latin letter.
        [b'P', b'K', 3, 4, ..] => fail("is a zip archive or an Excel file, not text; save the table as CSV UTF-8"),
        start if start.contains(&0) => {
            fail("is no UTF-8 text: there are zero bytes in it, as in UTF-16; save it as UTF-8 (in Excel: CSV UTF-8)")
        }
        _ => Ok(()),
    }
}
