//! The table of formats, and how a run finds its own.

use std::collections::BTreeMap;

use crate::LogError;
use crate::formats::{generic, inspect, llava, lm_eval, lmms_eval, nemo, steady, vlmevalkit, who_what};
use crate::log::{Log, each_once};
use crate::source::{Content, File, Source};

/// A format that runs are logged in: a row of [`FORMATS`].
#[derive(Clone, Copy, Debug)]
pub struct LogFormat {
    /// What is typed to choose it.
    pub name: &'static str,
    /// What it is called.
    pub title: &'static str,
    /// What tells a file of it, in a line.
    pub expects: &'static str,
    /// Whether a file holds answers in this format. It goes by what the file holds and never by its name.
    pub recognises: fn(&Content) -> bool,
    /// Whether a file holds what else the format knows of a run, such as its settings.
    pub accompanies: fn(&Content) -> bool,
    /// Whether a file of that name, in the folder of a file of answers of this name, may hold that.
    pub beside: fn(answers: &str, other: &str) -> bool,
    /// Reads the files of a run: those with answers and those that accompany them.
    pub read: fn(&Run<'_>) -> Result<Log, LogError>,
}

/// All formats. The first that recognises a file takes it, so what is told by less comes later.
pub const FORMATS: &[LogFormat] = &[
    steady::FORMAT,
    lm_eval::FORMAT,
    lmms_eval::FORMAT,
    nemo::FORMAT,
    inspect::FORMAT,
    llava::FORMAT,
    vlmevalkit::FORMAT,
    who_what::FORMAT,
    generic::FORMAT,
];

/// How a run is to be read, where its files leave a choice.
#[derive(Clone, Debug, Default)]
pub struct Choices {
    /// The format, where it is not to be found out.
    pub format: Option<String>,
    /// Columns by their roles, for a table whose names say nothing.
    pub columns: Vec<(String, String)>,
    /// Which of several extractions of lm-evaluation-harness.
    pub filter: Option<String>,
    /// Which of several scores.
    pub metric: Option<String>,
    /// Which of a report's columns, `none` for its baseline.
    pub variant: Option<String>,
}

/// The files of a run, as a format reads them.
#[derive(Debug)]
pub struct Run<'a> {
    /// What the run is called.
    pub name: &'a str,
    /// The format that reads it.
    pub format: &'static LogFormat,
    /// Files with answers.
    pub answers: Vec<&'a File>,
    /// Files beside them.
    pub others: Vec<&'a File>,
    /// What was chosen.
    pub choices: &'a Choices,
}

impl Run<'_> {
    /// A log of this run with nothing in it yet.
    pub fn empty(&self) -> Log {
        Log {
            name: self.name.to_owned(),
            format: self.format,
            model: None,
            benchmark: String::new(),
            fingerprint: String::new(),
            settings: BTreeMap::new(),
            circumstances: BTreeMap::new(),
            answers: Vec::new(),
            notes: Vec::new(),
            cost: None,
        }
    }

    /// What is wrong with a file of answers.
    pub fn wrong(&self, file: &File, reason: impl Into<String>) -> LogError {
        LogError::File { file: file.name.clone(), reason: reason.into() }
    }
}

/// Reads a run: finds the format that its files are in, and what they say in it.
///
/// # Errors
/// [`LogError::Unknown`] with what every format expects where none fits, [`LogError::Mixed`] where several do, and what reading says.
pub fn read(name: &str, sources: &[Source], choices: &Choices, formats: &'static [LogFormat]) -> Result<Log, LogError> {
    // who names columns means a table
    let table = (!choices.columns.is_empty()).then(|| generic::FORMAT.name.to_owned());
    let formats: Vec<&'static LogFormat> = match choices.format.as_ref().or(table.as_ref()) {
        None => formats.iter().collect(),
        Some(wanted) => {
            let found = formats.iter().find(|format| format.name == *wanted);
            let known = || formats.iter().map(|format| format.name).collect::<Vec<_>>().join(", ");
            vec![found.ok_or_else(|| LogError::Absent {
                run: "steady".to_owned(),
                what: "format",
                name: wanted.clone(),
                known: known(),
            })?]
        }
    };
    let chosen = choices.format.is_some() || table.is_some();
    let files: Vec<(File, Option<&'static LogFormat>)> =
        sources.iter().map(|source| Ok(recognise(File::read(source)?, &formats, chosen))).collect::<Result<_, LogError>>()?;
    let found: Vec<(&File, &'static LogFormat)> = files.iter().filter_map(|(file, format)| Some((file, (*format)?))).collect();
    let rest = files.iter().filter(|(_, format)| format.is_none()).map(|(file, _)| file);
    let Some(&(first, format)) = found.first() else {
        let expected = formats.iter().map(|format| format!("  {}: {}", format.title, format.expects)).collect::<Vec<_>>().join("\n");
        let found = files.iter().map(|(file, _)| format!("{} holds {}", file.name, looks(&file.content))).collect::<Vec<_>>().join(", ");
        let found = if found.is_empty() { "no file that may hold answers".to_owned() } else { found };
        return Err(LogError::Unknown { run: name.to_owned(), found, expected });
    };
    if let Some(&(second, other)) = found.iter().find(|(_, other)| other.name != format.name) {
        return Err(LogError::Mixed {
            run: name.to_owned(),
            first: first.name.clone(),
            first_format: format.title,
            second: second.name.clone(),
            second_format: other.title,
        });
    }
    let (others, strange): (Vec<&File>, Vec<&File>) = rest.partition(|file| (format.accompanies)(&file.content));
    let run = Run { name, format, answers: found.iter().map(|(file, _)| *file).collect(), others, choices };
    let mut log = (format.read)(&run)?;
    if log.answers.is_empty() {
        return Err(run.wrong(first, "holds no answers"));
    }
    each_once(&log.answers)?;
    if !strange.is_empty() {
        let names = strange.iter().map(|file| file.name.as_str()).collect::<Vec<_>>().join(", ");
        log.notes.push(format!("not read, for it is nothing that {} writes: {names}", format.title));
    }
    Ok(log)
}

/// A file and the format that reads its answers. One that was chosen takes whatever has rows.
fn recognise(file: File, formats: &[&'static LogFormat], chosen: bool) -> (File, Option<&'static LogFormat>) {
    let of = |file: &File| {
        let takes = |format: &&LogFormat| (format.recognises)(&file.content) || chosen && matches!(file.content, Content::Rows(_));
        formats.iter().copied().find(takes)
    };
    match (of(&file), file.as_row()) {
        (None, Some(row)) if of(&row).is_some() => {
            let format = of(&row);
            (row, format)
        }
        (format, _) => (file, format),
    }
}

/// The format that a file is in, if it is in one.
///
/// # Errors
/// As [`File::read`].
pub fn format_of(source: &Source, formats: &'static [LogFormat]) -> Result<Option<&'static LogFormat>, LogError> {
    Ok(recognise(File::read(source)?, &formats.iter().collect::<Vec<_>>(), false).1)
}

/// The first few names of what a file holds.
fn looks(content: &Content) -> String {
    let named = |names: Vec<&String>| {
        let shown: Vec<&str> = names.iter().take(12).map(|name| name.as_str()).collect();
        format!("{}{}", shown.join(", "), if names.len() > shown.len() { ", ..." } else { "" })
    };
    match content {
        Content::Rows(rows) => {
            rows.first().map_or_else(|| "no rows".to_owned(), |row| format!("rows of {}", named(row.fields.keys().collect())))
        }
        Content::Document(document) => match document.as_object() {
            Some(fields) => format!("an object of {}", named(fields.keys().collect())),
            None => "no object".to_owned(),
        },
    }
}

/// Whether the first row has all these fields.
pub fn rows_have(content: &Content, fields: &[&str]) -> bool {
    matches!(content, Content::Rows(rows) if rows.first().is_some_and(|row| row.has(fields)))
}

/// Whether it is one object with all these fields.
pub fn document_has(content: &Content, fields: &[&str]) -> bool {
    matches!(content, Content::Document(document) if fields.iter().all(|field| document.get(field).is_some()))
}

/// No file accompanies the answers.
pub fn alone(_: &Content) -> bool {
    false
}

/// No file stands beside the answers.
pub fn nothing_beside(_: &str, _: &str) -> bool {
    false
}
