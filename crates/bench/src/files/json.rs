//! JSON: an object a line, or one list of objects.

use std::collections::HashSet;
use std::fmt;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserializer as _;
use serde::de::{SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::capped::Capped;
use super::table::{At, LONGEST_ROW, Row, Table, check_text, unreadable};
use super::{Cell, Content, FileSystem};
use crate::BenchError;

/// An object a line.
pub(crate) struct Lines {
    files: Arc<dyn FileSystem>,
    path: PathBuf,
    columns: Vec<String>,
}

/// One list of objects.
pub(crate) struct List {
    files: Arc<dyn FileSystem>,
    path: PathBuf,
    columns: Vec<String>,
}

/// Opens a `.json` file: a list, or lines in a file that should be called `.jsonl`.
pub(crate) fn open(files: &Arc<dyn FileSystem>, path: &Path) -> Result<Arc<dyn Table>, BenchError> {
    check_text(&**files, path)?;
    let mut first = [0];
    let mut reader = BufReader::new(files.open(path).map_err(|error| unreadable(path, error))?);
    while reader.read(&mut first).map_err(|error| unreadable(path, error))? == 1 && (first[0].is_ascii_whitespace() || first[0] > 127) {}
    if first[0] == b'[' { Ok(Arc::new(List::open(files, path)?)) } else { Ok(Arc::new(Lines::open(files, path)?)) }
}

/// The fields of all rows, in order of appearance.
#[derive(Default)]
struct Fields {
    names: Vec<String>,
    known: HashSet<String>,
}

impl Fields {
    fn note(&mut self, object: &Map<String, Value>) {
        for name in object.keys() {
            if !self.known.contains(name) {
                self.known.insert(name.clone());
                self.names.push(name.clone());
            }
        }
    }
}

fn cells(columns: &[String], value: Value) -> Result<Vec<Cell>, String> {
    match value {
        Value::Object(mut fields) => Ok(columns.iter().map(|column| fields.remove(column).map_or(Cell::Missing, Cell::from)).collect()),
        _ => Err("expected an object".to_owned()),
    }
}

impl Lines {
    pub(crate) fn open(files: &Arc<dyn FileSystem>, path: &Path) -> Result<Self, BenchError> {
        check_text(&**files, path)?;
        let mut fields = Fields::default();
        each_line(&**files, path, &mut |_, _, line| {
            if let Ok(Value::Object(object)) = serde_json::from_slice(line) {
                fields.note(&object);
            }
            Ok(())
        })?;
        Ok(Self { files: Arc::clone(files), path: path.to_owned(), columns: fields.names })
    }
}

/// What is told of a line: its number, where it begins, what it holds.
type Visit<'a> = dyn FnMut(u64, u64, &[u8]) -> Result<(), BenchError> + 'a;

/// Hands on the lines that are not blank, with their numbers from 1 and where they begin.
fn each_line(files: &dyn FileSystem, path: &Path, visit: &mut Visit<'_>) -> Result<(), BenchError> {
    let mut reader = BufReader::new(files.open(path).map_err(|error| unreadable(path, error))?);
    let (mut at, mut line) = (0, Vec::new());
    for number in 1.. {
        line.clear();
        let read = read_line(&mut reader, &mut line, path, number)?;
        if read == 0 {
            break;
        }
        let text = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&line);
        if !text.trim_ascii().is_empty() {
            visit(number, at, text)?;
        }
        at += read;
    }
    Ok(())
}

fn read_line(reader: &mut BufReader<Box<dyn Content>>, line: &mut Vec<u8>, path: &Path, number: u64) -> Result<u64, BenchError> {
    let read = reader.by_ref().take(LONGEST_ROW + 1).read_until(b'\n', line).map_err(|error| unreadable(path, error))? as u64;
    if read > LONGEST_ROW {
        let problem = format!("line {number} is longer than {} MiB; is a line break missing?", LONGEST_ROW >> 20);
        return Err(BenchError::File { path: path.to_owned(), problem });
    }
    Ok(read)
}

fn parsed(line: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(line).map_err(|error| format!("is no JSON: {error}"))
}

impl Table for Lines {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn each(&self, visit: &mut dyn FnMut(Row) -> Result<(), BenchError>) -> Result<(), BenchError> {
        each_line(&*self.files, &self.path, &mut |number, at, line| {
            let cells = parsed(line).and_then(|value| cells(&self.columns, value));
            visit(Row { name: format!("line {number}"), at: At { file: 0, place: at }, cells })
        })
    }

    fn cell(&self, at: At, column: usize) -> Result<Cell, BenchError> {
        let mut file = self.files.open(&self.path).map_err(|error| unreadable(&self.path, error))?;
        file.seek(SeekFrom::Start(at.place)).map_err(|error| unreadable(&self.path, error))?;
        let mut line = Vec::new();
        read_line(&mut BufReader::new(file), &mut line, &self.path, 0)?;
        let text = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&line);
        let found = parsed(text).and_then(|value| cells(&self.columns, value));
        let cells = found.map_err(|problem| BenchError::File { path: self.path.clone(), problem })?;
        Ok(cells.into_iter().nth(column).unwrap_or(Cell::Missing))
    }
}

impl List {
    fn open(files: &Arc<dyn FileSystem>, path: &Path) -> Result<Self, BenchError> {
        let mut fields = Fields::default();
        each_item(&**files, path, &mut |_, value| {
            if let Value::Object(object) = &value {
                fields.note(object);
            }
            Ok(())
        })?;
        Ok(Self { files: Arc::clone(files), path: path.to_owned(), columns: fields.names })
    }
}

/// Hands on the items of a list, with their numbers from 1, one at a time.
pub(crate) fn each_item(
    files: &dyn FileSystem,
    path: &Path,
    visit: &mut dyn FnMut(u64, Value) -> Result<(), BenchError>,
) -> Result<(), BenchError> {
    struct Items<'v, F: FnMut(Value) -> Result<(), BenchError>> {
        visit: F,
        stopped: &'v mut Option<BenchError>,
    }
    impl<'de, F: FnMut(Value) -> Result<(), BenchError>> Visitor<'de> for Items<'_, F> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of rows")
        }

        fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
            while let Some(item) = items.next_element()? {
                if let Err(error) = (self.visit)(item) {
                    *self.stopped = Some(error);
                    return Err(serde::de::Error::custom("stopped"));
                }
            }
            Ok(())
        }
    }
    let (capped, end) = Capped::new(files.open(path).map_err(|error| unreadable(path, error))?);
    let (mut stopped, mut number) = (None, 0);
    let visit = |value| {
        end.reached();
        number += 1;
        visit(number, value)
    };
    let mut reader = BufReader::new(capped);
    let start = reader.fill_buf().map_err(|error| unreadable(path, error))?;
    if start.starts_with(b"\xEF\xBB\xBF") {
        reader.consume(3);
    }
    let mut json = serde_json::Deserializer::from_reader(reader);
    let read = json.deserialize_seq(Items { visit, stopped: &mut stopped }).and_then(|()| json.end());
    match (stopped, read) {
        (Some(error), _) => Err(error),
        (None, Err(error)) => Err(BenchError::File { path: path.to_owned(), problem: format!("row {}: {error}", number + 1) }),
        (None, Ok(())) => Ok(()),
    }
}

impl Table for List {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn each(&self, visit: &mut dyn FnMut(Row) -> Result<(), BenchError>) -> Result<(), BenchError> {
        each_item(&*self.files, &self.path, &mut |number, value| {
            visit(Row { name: format!("row {number}"), at: At { file: 0, place: number }, cells: cells(&self.columns, value) })
        })
    }

    /// A list has to be read from its beginning.
    fn cell(&self, at: At, column: usize) -> Result<Cell, BenchError> {
        let mut found = Cell::Missing;
        each_item(&*self.files, &self.path, &mut |number, value| {
            if number == at.place {
                let cells = cells(&self.columns, value).unwrap_or_default();
                found = cells.into_iter().nth(column).unwrap_or(Cell::Missing);
            }
            Ok(())
        })?;
        Ok(found)
    }
}
