//! From the bytes of a file to rows or a document, whatever tool wrote them.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::LogError;
#[cfg(feature = "archives")]
use crate::archive::archive;

/// Most bytes of one file, and most that the packed parts of one may come to. What is larger is read whole by nobody on purpose.
pub const MOST_BYTES: u64 = 2 << 30;

/// Most bytes of one line of JSON or one row of a table.
const MOST_LINE: usize = 64 << 20;

/// A file of a run: its name, and what it holds.
#[derive(Clone, Debug)]
pub struct Source {
    /// Name, without its folder.
    pub name: String,
    /// Content.
    pub bytes: Vec<u8>,
}

/// A file as a format looks at it.
#[derive(Clone, Debug)]
pub struct File {
    /// Name, without its folder.
    pub name: String,
    /// What it holds.
    pub content: Content,
}

/// What a file holds. An archive or a sheet is one or the other too, so that a format says no more than what its fields mean.
#[derive(Clone, Debug)]
pub enum Content {
    /// Lines of JSON, rows of a table, or a JSON list of objects.
    Rows(Vec<Row>),
    /// One JSON object.
    Document(Value),
}

/// One line, row or sample.
#[derive(Clone, Debug)]
pub struct Row {
    file: Arc<str>,
    /// `line`, `row` or `sample`.
    unit: &'static str,
    number: usize,
    /// Its fields. Cells of a table are texts.
    pub fields: Map<String, Value>,
}

impl Row {
    /// The `number`-th `unit` of `file`, counted from 1.
    pub fn new(file: &Arc<str>, unit: &'static str, number: usize, fields: Map<String, Value>) -> Self {
        Self { file: Arc::clone(file), unit, number, fields }
    }

    /// A field, unless it is absent, null or an empty text.
    pub fn get(&self, field: &str) -> Option<&Value> {
        self.fields.get(field).filter(|value| !value.is_null() && value.as_str() != Some(""))
    }

    /// Whether it has all these fields, empty ones included.
    pub fn has(&self, fields: &[&str]) -> bool {
        fields.iter().all(|field| self.fields.contains_key(*field))
    }

    /// A field as text, unless it is not there.
    pub fn text(&self, field: &str) -> Option<String> {
        self.get(field).map(text_of)
    }

    /// A field as text.
    ///
    /// # Errors
    /// [`LogError::Field`] if there is none.
    pub fn need(&self, field: &str, expected: &str) -> Result<String, LogError> {
        self.text(field).ok_or_else(|| self.wrong(field, expected))
    }

    /// What is wrong with a field.
    pub fn wrong(&self, field: &str, expected: &str) -> LogError {
        LogError::Field {
            file: self.file.to_string(),
            place: format!("{} {}", self.unit, self.number),
            field: field.to_owned(),
            found: self.fields.get(field).map_or_else(|| "missing".to_owned(), brief),
            expected: expected.to_owned(),
        }
    }

    /// Where it stands, for messages: `a.jsonl line 3`.
    pub fn place(&self) -> String {
        format!("{} {} {}", self.file, self.unit, self.number)
    }

    /// Its position in its file, from 1.
    pub fn number(&self) -> usize {
        self.number
    }
}

/// A JSON value as a text: a text as it is, all else as JSON writes it.
pub fn text_of(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A value short enough for a message.
pub(crate) fn brief(value: &Value) -> String {
    shortened(&value.to_string(), 60)
}

/// A text of at most `most` characters, on one line.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(most) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

impl File {
    /// Reads a file by what its bytes say it is; its name matters only between comma and tab.
    ///
    /// # Errors
    /// [`LogError::File`] or [`LogError::Field`] with the place where it stops making sense.
    pub fn read(source: &Source) -> Result<Self, LogError> {
        let fail = |reason: String| LogError::File { file: source.name.clone(), reason };
        let name = source.name.clone();
        if source.bytes.len() as u64 > MOST_BYTES {
            return Err(fail(format!("larger than {} MB, which is the most that is read", MOST_BYTES >> 20)));
        }
        if source.bytes.starts_with(b"PK\x03\x04") {
            return Ok(Self { content: archive(&source.name, &source.bytes)?, name });
        }
        let text = decoded(&source.bytes).map_err(fail)?;
        let content = match text.trim_start().chars().next() {
            None => return Err(fail("empty".to_owned())),
            Some('{') => objects(&source.name, &text)?,
            Some('[') => list(&source.name, &text)?,
            Some(_) => table(&source.name, &text)?,
        };
        Ok(Self { name, content })
    }
}

impl File {
    /// The same with its one object as a row: a log of one line is a log too, and looks like a document.
    pub(crate) fn as_row(&self) -> Option<Self> {
        let Content::Document(Value::Object(fields)) = &self.content else { return None };
        let row = Row::new(&self.name.as_str().into(), "line", 1, fields.clone());
        Some(Self { name: self.name.clone(), content: Content::Rows(vec![row]) })
    }
}

/// Text in UTF-8, or in UTF-16 with its mark; other encodings are not guessed.
fn decoded(bytes: &[u8]) -> Result<String, String> {
    let utf_16 = |units: &[u8], unit: fn([u8; 2]) -> u16| {
        if !units.len().is_multiple_of(2) {
            return Err("UTF-16 that ends inside a character; is the file cut off?".to_owned());
        }
        let units = units.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
        char::decode_utf16(units).collect::<Result<String, _>>().map_err(|_| "not a text in UTF-16, as its first bytes say".to_owned())
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => utf_16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf_16(rest, u16::from_be_bytes),
        _ => {
            let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
            std::str::from_utf8(bytes).map(str::to_owned).map_err(|error| {
                let line = bytes[..error.valid_up_to()].split(|byte| *byte == b'\n').count();
                format!("line {line} is not UTF-8 (byte {}): expected UTF-8, or UTF-16 with its mark", error.valid_up_to())
            })
        }
    }
}

/// One JSON object, or one on every line.
fn objects(name: &str, text: &str) -> Result<Content, LogError> {
    let first = text.trim_start().lines().next().unwrap_or_default();
    let many = text.trim().len() > first.trim().len();
    if many && json(first.trim()).is_ok_and(|value| value.is_object()) {
        return lines(name, text);
    }
    if let Ok(document) = json(text) {
        return Ok(Content::Document(document));
    }
    // neither: where it breaks is said of whichever it looks like
    if first.trim_end().len() > 1 {
        return lines(name, text);
    }
    let reason = json(text).err().map(|error| broken(&error)).unwrap_or_default();
    Err(LogError::File { file: name.to_owned(), reason })
}

fn lines(name: &str, text: &str) -> Result<Content, LogError> {
    let file: Arc<str> = name.into();
    let mut rows = Vec::new();
    for (i, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let fail = |reason: String| LogError::File { file: name.to_owned(), reason: format!("line {}: {reason}", i + 1) };
        if line.len() > MOST_LINE {
            return Err(fail(format!("longer than {} MB", MOST_LINE >> 20)));
        }
        match json(line) {
            Ok(Value::Object(fields)) => rows.push(Row::new(&file, "line", i + 1, fields)),
            Ok(_) => return Err(fail(format!("{} is no JSON object", shortened(line, 40)))),
            Err(error) => return Err(fail(broken(&error))),
        }
    }
    Ok(Content::Rows(rows))
}

pub(crate) fn broken(error: &serde_json::Error) -> String {
    if error.is_eof() { format!("JSON that ends too early ({error}); is the file cut off?") } else { format!("not JSON ({error})") }
}

/// A JSON list of objects.
fn list(name: &str, text: &str) -> Result<Content, LogError> {
    let fail = |reason: String| LogError::File { file: name.to_owned(), reason };
    let file: Arc<str> = name.into();
    let Value::Array(entries) = json(text).map_err(|error| fail(broken(&error)))? else { return Err(fail("not a JSON list".to_owned())) };
    let row = |(i, entry)| match entry {
        Value::Object(fields) => Ok(Row::new(&file, "entry", i + 1, fields)),
        other => Err(fail(format!("entry {} is {}, expected an object", i + 1, brief(&other)))),
    };
    Ok(Content::Rows(entries.into_iter().enumerate().map(row).collect::<Result<_, _>>()?))
}

/// JSON as Python writes it: `NaN` and infinities, which JSON does not have, are read as null.
pub(crate) fn json(text: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str(text).or_else(|error| {
        let plain = without_nan(text);
        if plain.len() == text.len() { Err(error) } else { serde_json::from_str(&plain).map_err(|_| error) }
    })
}

/// The text with `NaN`, `Infinity` and `-Infinity` outside of strings as `null`.
fn without_nan(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let (mut rest, mut inside) = (text, false);
    while let Some(c) = rest.chars().next() {
        let word = if inside { None } else { ["-Infinity", "Infinity", "NaN"].into_iter().find(|word| rest.starts_with(word)) };
        let taken = match (word, c) {
            (Some(word), _) => {
                plain.push_str("null");
                word.len()
            }
            // a quoted character is no end
            (None, '\\') if inside => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
            (None, '"') => {
                inside = !inside;
                1
            }
            (None, c) => c.len_utf8(),
        };
        if word.is_none() {
            plain.push_str(&rest[..taken]);
        }
        rest = &rest[taken..];
    }
    plain
}

/// A table of texts, its first row the names of the columns: cells between tabs, else between commas or semicolons, whichever the first row has more of.
fn table(name: &str, text: &str) -> Result<Content, LogError> {
    let fail = |reason: String| LogError::File { file: name.to_owned(), reason };
    let head = text.lines().next().unwrap_or_default();
    let count = |mark: char| head.matches(mark).count();
    let delimiter = [b'\t', b',', b';'].into_iter().max_by_key(|&mark| (count(char::from(mark)), mark != b';')).unwrap_or(b',');
    let mut records = Records::new(delimiter, text);
    let columns = records.next().unwrap_or_default();
    if columns.len() < 2 {
        let head = shortened(head, 60);
        return Err(fail(format!("begins with {head:?}: neither JSON nor the columns of a table between commas, tabs or semicolons")));
    }
    if let Some(twice) = columns.iter().enumerate().find(|(i, column)| columns[..*i].contains(column)).map(|(_, column)| column) {
        return Err(fail(format!("two columns are called {twice:?}")));
    }
    let file: Arc<str> = name.into();
    let mut rows = Vec::new();
    for (i, cells) in records.enumerate() {
        let (found, expected) = (cells.len(), columns.len());
        if found != expected {
            return Err(fail(format!(
                "row {} has {found} cells, the columns are {expected}; is the file cut off, or a quote missing?",
                i + 1
            )));
        }
        if cells.iter().map(String::len).sum::<usize>() > MOST_LINE {
            return Err(fail(format!("row {} is longer than {} MB", i + 1, MOST_LINE >> 20)));
        }
        rows.push(Row::new(&file, "row", i + 1, columns.iter().cloned().zip(cells.into_iter().map(Value::String)).collect()));
    }
    Ok(Content::Rows(rows))
}

/// The records of a table, empty lines left out.
struct Records<'a> {
    reader: csv_core::Reader,
    rest: &'a [u8],
    cells: Vec<u8>,
    ends: Vec<usize>,
}

impl<'a> Records<'a> {
    fn new(delimiter: u8, text: &'a str) -> Self {
        let reader = csv_core::ReaderBuilder::new().delimiter(delimiter).build();
        Self { reader, rest: text.as_bytes(), cells: vec![0; 4096], ends: vec![0; 64] }
    }
}

impl Iterator for Records<'_> {
    type Item = Vec<String>;

    fn next(&mut self) -> Option<Vec<String>> {
        let (mut written, mut cells) = (0, 0);
        loop {
            let (result, read, wrote, ended) = self.reader.read_record(self.rest, &mut self.cells[written..], &mut self.ends[cells..]);
            self.rest = &self.rest[read..];
            written += wrote;
            cells += ended;
            match result {
                // nothing is left; the next call, with nothing to read, says what is open
                csv_core::ReadRecordResult::InputEmpty => {}
                csv_core::ReadRecordResult::OutputFull => self.cells.resize(2 * self.cells.len(), 0),
                csv_core::ReadRecordResult::OutputEndsFull => self.ends.resize(2 * self.ends.len(), 0),
                csv_core::ReadRecordResult::End => return None,
                csv_core::ReadRecordResult::Record => {
                    let starts = std::iter::once(0).chain(self.ends[..cells].iter().copied());
                    let cell = |(start, end): (usize, &usize)| String::from_utf8_lossy(&self.cells[start..*end]).into_owned();
                    return Some(starts.zip(&self.ends[..cells]).map(cell).collect());
                }
            }
        }
    }
}

/// A zip, which takes a build with the feature `archives`.
#[cfg(not(feature = "archives"))]
fn archive(name: &str, _: &[u8]) -> Result<Content, LogError> {
    let reason = "a spreadsheet or an archive, which is not read here; `steady compare` on the command line reads it".to_owned();
    Err(LogError::File { file: name.to_owned(), reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, bytes: &[u8]) -> Result<Content, String> {
        File::read(&Source { name: name.into(), bytes: bytes.to_vec() }).map(|file| file.content).map_err(|error| error.to_string())
    }

    /// One object alone is taken for the row that it may be.
    fn rows(name: &str, bytes: &[u8]) -> Vec<Row> {
        let file = File::read(&Source { name: name.into(), bytes: bytes.to_vec() }).unwrap();
        match file.as_row().unwrap_or(file).content {
            Content::Rows(rows) => rows,
            other @ Content::Document(_) => panic!("{other:?}"),
        }
    }

    #[test]
    fn one_table_in_six_dresses() {
        let wide: Vec<u8> = "\u{feff}id,a\n1,ä\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let dresses: [&[u8]; 6] = [
            "id,a\n1,ä\n".as_bytes(),
            "id\ta\r\n1\tä\r\n".as_bytes(),
            "\u{feff}id;a\n1;ä\n".as_bytes(),
            "{\"id\": \"1\", \"a\": \"ä\"}\n\n".as_bytes(),
            "[{\"id\": \"1\", \"a\": \"ä\"}]".as_bytes(),
            &wide,
        ];
        for dress in dresses {
            let rows = rows("x", dress);
            assert_eq!(rows.len(), 1);
            assert_eq!((rows[0].text("id").as_deref(), rows[0].text("a").as_deref()), (Some("1"), Some("ä")));
        }
    }

    #[test]
    fn a_cell_may_hold_lines_and_commas() {
        let rows = rows("x.csv", b"prompts,answers\n\"one,\ntwo\",\"say \"\"no\"\"\"\n");
        assert_eq!(rows[0].text("prompts").as_deref(), Some("one,\ntwo"));
        assert_eq!(rows[0].text("answers").as_deref(), Some("say \"no\""));
    }

    #[test]
    fn nan_is_read_as_nothing_where_it_is_no_text() {
        let rows = rows("x", br#"{"score": NaN, "low": -Infinity, "text": "NaN and \"Infinity\""}"#);
        assert_eq!(rows[0].get("score"), None);
        assert_eq!(rows[0].get("low"), None);
        assert_eq!(rows[0].text("text").as_deref(), Some("NaN and \"Infinity\""));
    }

    #[test]
    fn what_is_broken_is_said_with_its_place() {
        let said = |name: &str, bytes: &[u8]| read(name, bytes).unwrap_err();
        insta::assert_snapshot!(
            [
                said("empty.jsonl", b" \n"),
                said("cut.jsonl", b"{\"id\": 1}\n{\"id\": 2, \"ans"),
                said("number.jsonl", b"{\"id\": 1}\n7\n"),
                said("latin.csv", b"id,a\n1,caf\xe9\n"),
                said("half.csv", b"\xff\xfei\x00d"),
                said("cells.csv", b"id,a\n1,b\n2\n"),
                said("twice.csv", b"id,id\n1,b\n"),
                said("prose.txt", b"Dear all\nthe answer is 42\n"),
                said("list.json", b"[1, 2]"),
                said("cut.json", b"{\n \"results\": {\n"),
                said("cut.zip", b"PK\x03\x04 and no more"),
            ]
            .join("\n")
        );
    }
}
