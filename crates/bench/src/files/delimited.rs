//! CSV and TSV.

use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

use super::roles;
use super::table::{At, LONGEST_ROW, Row, Table, check_text, unreadable};
use super::{Cell, Content, FileSystem};
use crate::BenchError;

/// What may stand between fields, likeliest first.
const DELIMITERS: [(u8, &str); 4] = [(b',', "comma"), (b'\t', "tab"), (b';', "semicolon"), (b'|', "bar")];

/// A text file with a line of column names.
pub(crate) struct Delimited {
    files: Arc<dyn FileSystem>,
    path: PathBuf,
    delimiter: u8,
    columns: Vec<String>,
    odd: Vec<String>,
}

impl Delimited {
    /// Reads the column names. Without a delimiter it is the one that the names show: the one that tells most columns with a known role apart.
    pub(crate) fn open(files: &Arc<dyn FileSystem>, path: &Path, delimiter: Option<u8>) -> Result<Self, BenchError> {
        check_text(&**files, path)?;
        let separated =
            |delimiter| Self { files: Arc::clone(files), path: path.to_owned(), delimiter, columns: Vec::new(), odd: Vec::new() };
        let usual = if path.extension().is_some_and(|ending| ending == "tsv") { b'\t' } else { b',' };
        let mut table = separated(delimiter.unwrap_or(usual));
        table.columns = table.header()?;
        if delimiter.is_none() {
            let known = |columns: &[String]| columns.iter().filter(|column| roles::known(column)).count();
            for (other, name) in DELIMITERS {
                let seen = separated(other);
                let columns = seen.header()?;
                if known(&columns) > known(&table.columns) {
                    let odd = vec![format!("fields are separated by a {name}, not by a {}", named(usual))];
                    table = Self { columns, odd, ..seen };
                }
            }
        }
        if let [only] = table.columns.as_slice() {
            let problem = format!(
                "has the one column `{}`: fields are separated by something else than a {}; say by what, as `,delimiter=tab`, comma, semicolon or bar",
                shortened(only),
                named(table.delimiter)
            );
            return Err(BenchError::File { path: path.to_owned(), problem });
        }
        if let Some(twice) = roles::repeated(&table.columns) {
            return Err(BenchError::File { path: path.to_owned(), problem: format!("has two columns `{twice}`") });
        }
        Ok(table)
    }

    fn records(&self) -> Result<Records<'_>, BenchError> {
        let file = self.files.open(&self.path).map_err(|error| unreadable(&self.path, error))?;
        Ok(Records {
            path: &self.path,
            file: BufReader::new(file),
            parser: ReaderBuilder::new().delimiter(self.delimiter).build(),
            at: 0,
            line: 1,
            text: vec![0; 1 << 12],
            ends: vec![0; 64],
            fields: 0,
        })
    }

    fn header(&self) -> Result<Vec<String>, BenchError> {
        let mut records = self.records()?;
        records.next("the line of column names")?;
        let names = records.fields().map(|name| {
            let name = name.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(name);
            std::str::from_utf8(name).map(|name| name.trim().to_owned())
        });
        let not_utf8 = |_| BenchError::File { path: self.path.clone(), problem: format!("the column names are {NOT_UTF8}") };
        names.collect::<Result<_, _>>().map_err(not_utf8)
    }

    fn cells(&self, records: &Records<'_>) -> Result<Vec<Cell>, String> {
        if records.fields != self.columns.len() {
            return Err(format!("has {} fields, and there are {} columns", records.fields, self.columns.len()));
        }
        let cell = |(field, column): (&[u8], &String)| {
            let text = std::str::from_utf8(field).map_err(|_| format!("column {column}: is {NOT_UTF8}"))?;
            Ok(Cell::text(text.trim()))
        };
        records.fields().zip(&self.columns).map(cell).collect()
    }
}

const NOT_UTF8: &str = "not UTF-8; save the file as UTF-8 (in Excel: CSV UTF-8)";

fn named(delimiter: u8) -> String {
    DELIMITERS
        .iter()
        .find(|(known, _)| *known == delimiter)
        .map_or_else(|| char::from(delimiter).to_string(), |(_, name)| (*name).to_owned())
}

/// The delimiter of this name.
pub(crate) fn delimiter(name: &str) -> Option<u8> {
    DELIMITERS.iter().find(|(_, known)| *known == name).map(|(delimiter, _)| *delimiter)
}

fn shortened(text: &str) -> String {
    text.chars().take(60).collect()
}

impl Table for Delimited {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn odd(&self) -> Vec<String> {
        self.odd.clone()
    }

    fn each(&self, visit: &mut dyn FnMut(Row) -> Result<(), BenchError>) -> Result<(), BenchError> {
        let mut records = self.records()?;
        records.next("the line of column names")?;
        for number in 1.. {
            let (at, line) = records.start()?;
            if !records.next(&format!("row {number} (line {line})"))? {
                break;
            }
            visit(Row { name: format!("row {number} (line {line})"), at: At { file: 0, place: at }, cells: self.cells(&records) })?;
        }
        Ok(())
    }

    fn cell(&self, at: At, column: usize) -> Result<Cell, BenchError> {
        let mut records = self.records()?;
        records.file.seek(SeekFrom::Start(at.place)).map_err(|error| unreadable(&self.path, error))?;
        records.next("the row")?;
        let cells = self.cells(&records).map_err(|problem| BenchError::File { path: self.path.clone(), problem })?;
        Ok(cells.into_iter().nth(column).unwrap_or(Cell::Missing))
    }
}

/// A file on its way through the parser, a record at a time.
struct Records<'a> {
    path: &'a Path,
    file: BufReader<Box<dyn Content>>,
    parser: Reader,
    /// Bytes and lines before what is read next.
    at: u64,
    line: u64,
    /// The fields of the record, one behind the other, and where each ends.
    text: Vec<u8>,
    ends: Vec<usize>,
    fields: usize,
}

impl Records<'_> {
    fn fields(&self) -> impl Iterator<Item = &[u8]> {
        let ends = &self.ends[..self.fields];
        ends.iter().enumerate().map(|(field, end)| &self.text[if field == 0 { 0 } else { ends[field - 1] }..*end])
    }

    fn take(&mut self, bytes: usize, lines: u64) {
        self.file.consume(bytes);
        self.at += bytes as u64;
        self.line += lines;
    }

    /// Byte and line at which the next record begins, blank lines before it aside.
    fn start(&mut self) -> Result<(u64, u64), BenchError> {
        loop {
            let input = self.file.fill_buf().map_err(|error| unreadable(self.path, error))?;
            let blank: Vec<u8> = input.iter().copied().take_while(|byte| matches!(byte, b'\r' | b'\n')).collect();
            if blank.is_empty() {
                return Ok((self.at, self.line));
            }
            self.take(blank.len(), newlines(&blank));
        }
    }

    /// Reads a record; `false` at the end. `what` it is, for a message.
    fn next(&mut self, what: &str) -> Result<bool, BenchError> {
        self.start()?;
        let (start, mut length) = (self.at, 0);
        self.fields = 0;
        loop {
            let input = self.file.fill_buf().map_err(|error| unreadable(self.path, error))?;
            let (result, read, written, ended) = self.parser.read_record(input, &mut self.text[length..], &mut self.ends[self.fields..]);
            let lines = newlines(&input[..read]);
            self.take(read, lines);
            length += written;
            self.fields += ended;
            if self.at - start > LONGEST_ROW {
                let problem = format!("{what} is longer than {} MiB; is a line break or a closing quote missing?", LONGEST_ROW >> 20);
                return Err(BenchError::File { path: self.path.to_owned(), problem });
            }
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => self.text.resize(2 * self.text.len(), 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(2 * self.ends.len(), 0),
                ReadRecordResult::Record => return Ok(true),
                ReadRecordResult::End => return Ok(false),
            }
        }
    }
}

#[expect(clippy::naive_bytecount, reason = "a row is short")]
fn newlines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}
