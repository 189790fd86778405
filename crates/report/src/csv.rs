//! Tables as CSV.

use std::borrow::Cow;

use crate::answers::{Answers, Cells};
use crate::report::Report;

impl Report {
    /// [`Report::answers`] as CSV by RFC 4180: comma, CRLF, quotes doubled. What is not known is empty; accepted answers are joined by `;`.
    pub fn csv(&self) -> String {
        let Answers { columns, .. } = self.answers();
        let head: Vec<Cow<'_, str>> = columns.iter().map(|(name, _)| Cow::Borrowed(*name)).collect();
        let mut text = line(&head);
        for row in 0..columns.first().map_or(0, |(_, cells)| cells.len()) {
            let cells: Vec<Cow<'_, str>> = columns.iter().map(|(_, cells)| cell(cells, row)).collect();
            text.push_str(&line(&cells));
        }
        text
    }
}

/// A line of RFC 4180.
pub(crate) fn line(cells: &[Cow<'_, str>]) -> String {
    let mut line = cells.iter().map(|cell| quoted(cell)).collect::<Vec<_>>().join(",");
    line.push_str("\r\n");
    line
}

fn cell<'a>(cells: &Cells<'a>, row: usize) -> Cow<'a, str> {
    fn told<T: ToString>(value: Option<T>) -> Cow<'static, str> {
        value.map(|value| value.to_string()).unwrap_or_default().into()
    }
    match cells {
        Cells::Texts(cells) => cells[row].unwrap_or_default().into(),
        Cells::Lists(cells) => cells[row].join(";").into(),
        Cells::Flags(cells) => told(Some(cells[row])),
        Cells::Floats(cells) => told(cells[row]),
        Cells::Doubles(cells) => told(cells[row]),
    }
}

/// In quotes where the cell needs them.
fn quoted(cell: &str) -> Cow<'_, str> {
    if cell.contains(['"', ',', '\r', '\n']) { format!("\"{}\"", cell.replace('"', "\"\"")).into() } else { cell.into() }
}
