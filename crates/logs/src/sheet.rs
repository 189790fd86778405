//! The first sheet of an xlsx workbook, as rows of texts (ECMA-376 part 1, 18.3 and 18.4): what pandas writes through openpyxl or xlsxwriter.
//!
//! Texts are shared or stand in their cells. Numbers, truths and cached results of formulas are as the file writes them; formats of dates are not applied.

use std::io::{Cursor, Read};

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use zip::ZipArchive;

use crate::source::MOST_BYTES;

/// Most columns that a sheet of answers has; a cell far to the right would else make a row of millions.
const MOST_COLUMNS: usize = 4096;

/// The rows of the first sheet; `None` for an empty cell. `Err` says what is wrong.
pub(crate) fn rows(archive: &mut ZipArchive<Cursor<&[u8]>>) -> Result<Vec<Vec<Option<String>>>, String> {
    let texts = match part(archive, "xl/sharedStrings.xml")? {
        Some(xml) => shared(&xml)?,
        None => Vec::new(),
    };
    let workbook = part(archive, "xl/workbook.xml")?.ok_or("no xl/workbook.xml")?;
    let relations = part(archive, "xl/_rels/workbook.xml.rels")?.ok_or("no xl/_rels/workbook.xml.rels")?;
    let first = attribute_of_first(&workbook, "sheet", "r:id", None)?.ok_or("a workbook without a sheet")?;
    let target = attribute_of_first(&relations, "Relationship", "Target", Some(("Id", &first)))?.ok_or("its first sheet is missing")?;
    let target = target.strip_prefix('/').map_or_else(|| format!("xl/{target}"), str::to_owned);
    let sheet = part(archive, &target)?.ok_or_else(|| format!("its first sheet, {target}, is missing"))?;
    cells(&sheet, &texts)
}

fn part(archive: &mut ZipArchive<Cursor<&[u8]>>, name: &str) -> Result<Option<String>, String> {
    let Some(index) = archive.index_for_name(name) else { return Ok(None) };
    let mut text = Vec::new();
    let read = archive.by_index(index).map_err(|error| format!("{name}: {error}"))?.take(MOST_BYTES).read_to_end(&mut text);
    read.map_err(|error| format!("{name}: {error}"))?;
    String::from_utf8(text).map(Some).map_err(|_| format!("{name} is not UTF-8"))
}

/// An attribute of the first element of this name, or of the first whose other attribute has that value.
fn attribute_of_first(xml: &str, element: &str, name: &str, with: Option<(&str, &str)>) -> Result<Option<String>, String> {
    let mut reader = Reader::from_str(xml);
    loop {
        match reader.read_event().map_err(|error| error.to_string())? {
            Event::Start(start) | Event::Empty(start) if start.local_name().as_ref() == element => {
                let fits = match with {
                    Some((other, value)) => attribute(&start, other)?.as_deref() == Some(value),
                    None => true,
                };
                if fits {
                    return attribute(&start, name);
                }
            }
            Event::Eof => return Ok(None),
            _ => {}
        }
    }
}

fn attribute(start: &BytesStart<'_>, name: &str) -> Result<Option<String>, String> {
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| error.to_string())?;
        if attribute.key.as_ref() == name {
            return Ok(Some(unescaped(&attribute.value)));
        }
    }
    Ok(None)
}

/// The shared texts, each out of one or several runs of it; how a word is pronounced (`rPh`) is no part of it.
fn shared(xml: &str) -> Result<Vec<String>, String> {
    let mut reader = Reader::from_str(xml);
    let (mut texts, mut inside, mut phonetic) = (Vec::new(), false, false);
    loop {
        match reader.read_event().map_err(|error| error.to_string())? {
            Event::Start(start) => match start.local_name().as_ref() {
                "si" => texts.push(String::new()),
                "t" => inside = true,
                "rPh" => phonetic = true,
                _ => {}
            },
            Event::Empty(start) if start.local_name().as_ref() == "si" => texts.push(String::new()),
            Event::End(end) => match end.local_name().as_ref() {
                "t" => inside = false,
                "rPh" => phonetic = false,
                _ => {}
            },
            event => {
                if let (true, false, Some(text)) = (inside, phonetic, texts.last_mut()) {
                    text.push_str(&words(&event));
                }
                if matches!(event, Event::Eof) {
                    return Ok(texts);
                }
            }
        }
    }
}

/// What an event says as text: its own words, or the sign that an entity stands for.
fn words(event: &Event<'_>) -> String {
    match event {
        Event::Text(text) => text.to_string(),
        Event::CData(text) => text.to_string(),
        Event::GeneralRef(reference) => unescaped(&format!("&{};", &**reference)),
        _ => String::new(),
    }
}

/// A text with its entities resolved; as it is where one is none.
fn unescaped(text: &str) -> String {
    quick_xml::escape::unescape(text).map_or_else(|_| text.to_owned(), std::borrow::Cow::into_owned)
}

fn cells(xml: &str, texts: &[String]) -> Result<Vec<Vec<Option<String>>>, String> {
    let mut reader = Reader::from_str(xml);
    let mut rows: Vec<Vec<Option<String>>> = Vec::new();
    // place and type of the cell that is open, and what it says
    let (mut place, mut kind, mut said, mut inside) = (0, String::new(), None::<String>, false);
    loop {
        let event = reader.read_event().map_err(|error| error.to_string())?;
        match &event {
            Event::Start(start) | Event::Empty(start) => match start.local_name().as_ref() {
                "row" => rows.push(Vec::new()),
                "c" => {
                    let next = rows.last().map_or(0, Vec::len);
                    place = attribute(start, "r")?.map_or(Some(next), |name| column(&name)).ok_or("a cell without a place")?;
                    if place >= MOST_COLUMNS {
                        return Err(format!("a cell in column {}, more than the {MOST_COLUMNS} that a table of answers has", place + 1));
                    }
                    kind = attribute(start, "t")?.unwrap_or_default();
                    said = None;
                }
                "v" | "t" if matches!(event, Event::Start(_)) => {
                    inside = true;
                    said.get_or_insert_default();
                }
                _ => {}
            },
            Event::End(end) => match end.local_name().as_ref() {
                "v" | "t" => inside = false,
                "c" => {
                    let Some(row) = rows.last_mut() else { return Err("a cell outside of a row".to_owned()) };
                    if row.len() <= place {
                        row.resize(place + 1, None);
                    }
                    row[place] = said.take().map(|said| value(&kind, said, texts)).transpose()?;
                }
                _ => {}
            },
            Event::Eof => return Ok(rows),
            _ => {
                if let (true, Some(said)) = (inside, &mut said) {
                    said.push_str(&words(&event));
                }
            }
        }
    }
}

fn value(kind: &str, said: String, texts: &[String]) -> Result<String, String> {
    match kind {
        "s" => {
            let text = said.parse::<usize>().ok().and_then(|place| texts.get(place));
            text.cloned().ok_or_else(|| format!("shared text {said} of {}", texts.len()))
        }
        "b" => Ok(if said == "1" { "true" } else { "false" }.to_owned()),
        // a whole number may be written as a float
        "" | "n" => Ok(said.strip_suffix(".0").map_or(said.clone(), str::to_owned)),
        _ => Ok(said),
    }
}

/// The column of a cell's name, from 0: 27 of `AB12`.
fn column(name: &str) -> Option<usize> {
    let letters = name.bytes().take_while(u8::is_ascii_uppercase);
    let number = letters.take(8).fold(0_usize, |number, letter| number * 26 + usize::from(letter - b'A') + 1);
    number.checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_by_their_letters() {
        assert_eq!(["A1", "Z9", "AA1", "AB12", "12"].map(column), [Some(0), Some(25), Some(26), Some(27), None]);
    }

    #[test]
    fn texts_are_shared_or_in_their_cells() {
        let texts = shared(
            "<sst><si><t>a &amp; b</t></si><si><r><t>one</t></r><r><t xml:space=\"preserve\"> two</t></r><rPh><t>x</t></rPh></si><si/></sst>",
        );
        let texts = texts.unwrap();
        assert_eq!(texts, ["a & b", "one two", ""]);
        let sheet = "<worksheet><sheetData><row r=\"1\"><c r=\"A1\" t=\"s\"><v>1</v></c><c r=\"C1\" t=\"inlineStr\"><is><t>in &lt;place&gt;</t></is></c></row>\
                     <row r=\"2\"><c t=\"b\"><v>1</v></c><c><v>7.0</v></c><c/><c t=\"str\"><f>A1</f><v>sum</v></c></row></sheetData></worksheet>";
        let rows = cells(sheet, &texts).unwrap();
        let texts = |row: &[Option<String>]| row.iter().map(|cell| cell.clone().unwrap_or_else(|| "-".into())).collect::<Vec<_>>();
        assert_eq!(texts(&rows[0]), ["one two", "-", "in <place>"]);
        assert_eq!(texts(&rows[1])[..2], ["true", "7"]);
        assert!(cells("<sheetData><row><c t=\"s\"><v>9</v></c></row></sheetData>", &[]).unwrap_err().contains("shared text 9 of 0"));
    }
}
