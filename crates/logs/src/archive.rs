//! Files that are packed: spreadsheets, and the archives that Inspect writes.

use std::borrow::Cow;
use std::io::{Cursor, Read};
use std::sync::Arc;

use serde_json::Value;

use crate::source::{Content, MOST_BYTES, Row, broken, json, shortened};
use crate::{LogError, sheet};

/// A zip: a spreadsheet, or a log of Inspect.
pub(crate) fn archive(name: &str, bytes: &[u8]) -> Result<Content, LogError> {
    let fail = |reason: String| LogError::File { file: name.to_owned(), reason };
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|error| fail(format!("not a whole zip archive ({error})")))?;
    let names = archive.file_names().map(|name| name.map(Cow::into_owned)).collect::<Result<Vec<String>, _>>();
    let names = names.map_err(|error| fail(error.to_string()))?;
    let mut size = 0_u64;
    for i in 0..archive.len() {
        let part = archive.by_index_raw(i).map_err(|error| fail(error.to_string()))?;
        size = size.saturating_add(part.size());
    }
    if size > MOST_BYTES {
        return Err(fail(format!("its parts come to more than {} MB", MOST_BYTES >> 20)));
    }
    if names.iter().any(|part| part == "xl/workbook.xml") {
        return sheet(name, &mut archive);
    }
    if !names.iter().any(|part| part == "header.json" || part == "_journal/start.json") {
        return Err(fail(format!(
            "a zip archive that is neither a spreadsheet nor a log of Inspect; it holds {}",
            shortened(&names.join(", "), 80)
        )));
    }
    if !names.iter().any(|part| part == "header.json") {
        return Err(fail("a log of Inspect without header.json: the run did not end".to_owned()));
    }
    let mut part = |part: &str| -> Result<Value, LogError> {
        let text = unpacked(&mut archive, part).map_err(|reason| fail(format!("{part}: {reason}")))?;
        json(&text).map_err(|error| fail(format!("{part}: {}", broken(&error))))
    };
    let mut document = part("header.json")?;
    let mut samples = Vec::new();
    for name in names.iter().filter(|name| name.strip_suffix(".json").is_some_and(|name| name.starts_with("samples/"))) {
        samples.push(part(name)?);
    }
    if let Some(header) = document.as_object_mut() {
        header.insert("samples".to_owned(), Value::Array(samples));
    }
    Ok(Content::Document(document))
}

/// Method 93 of zip archives (APPNOTE 4.4.5), which the zip crate leaves to a C library.
const ZSTD: u16 = 93;

/// A part of an archive as text: stored, deflated or zstd.
fn unpacked(archive: &mut zip::ZipArchive<Cursor<&[u8]>>, name: &str) -> Result<String, String> {
    let index = archive.index_for_name(name).ok_or("missing")?;
    #[allow(deprecated, reason = "the number is what the crate has for a method that it was built without")]
    let zstd = archive.by_index_raw(index).map_err(|error| error.to_string())?.compression().to_u16() == ZSTD;
    let mut bytes = Vec::new();
    let read = if zstd {
        let part = archive.by_index_raw(index).map_err(|error| error.to_string())?;
        let decoder = ruzstd::decoding::StreamingDecoder::new(part).map_err(|error| error.to_string())?;
        decoder.take(MOST_BYTES + 1).read_to_end(&mut bytes)
    } else {
        archive.by_index(index).map_err(|error| error.to_string())?.take(MOST_BYTES + 1).read_to_end(&mut bytes)
    };
    read.map_err(|error| error.to_string())?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(format!("larger than {} MB", MOST_BYTES >> 20));
    }
    String::from_utf8(bytes).map_err(|_| "not UTF-8".to_owned())
}

/// The first sheet of a workbook, its first row the names of the columns.
fn sheet(name: &str, archive: &mut zip::ZipArchive<Cursor<&[u8]>>) -> Result<Content, LogError> {
    let rows =
        sheet::rows(archive).map_err(|reason| LogError::File { file: name.to_owned(), reason: format!("a spreadsheet: {reason}") })?;
    let file: Arc<str> = name.into();
    let mut rows = rows.into_iter();
    let columns: Vec<String> = rows.next().unwrap_or_default().into_iter().map(Option::unwrap_or_default).collect();
    let row = |(i, cells): (usize, Vec<Option<String>>)| {
        let cells = cells.into_iter().map(|cell| cell.map_or(Value::Null, Value::String)).chain(std::iter::repeat(Value::Null));
        let named = columns.iter().cloned().zip(cells).filter(|(column, _)| !column.is_empty());
        Row::new(&file, "row", i + 2, named.collect())
    };
    Ok(Content::Rows(rows.enumerate().map(row).collect()))
}
