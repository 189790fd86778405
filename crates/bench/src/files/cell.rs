//! What stands in a row of a table, whatever kind of file the table is.

use crate::python_list;

/// One value of a row. Numbers and truth values are text: nothing computes with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    /// Nothing: no such field, null, or an empty text.
    Missing,
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Cell>),
    /// Values by name: an object of JSON, a struct of parquet.
    Parts(Vec<(String, Cell)>),
}

impl Cell {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        let text = text.into();
        if text.is_empty() { Self::Missing } else { Self::Text(text) }
    }

    /// The text, if it is one.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The part of this name; nothing where there is none.
    pub(crate) fn part(&self, name: &str) -> &Self {
        match self {
            Self::Parts(parts) => parts.iter().find(|(part, _)| part == name).map_or(&Self::Missing, |(_, cell)| cell),
            _ => &Self::Missing,
        }
    }

    /// One text or several: a list, a text that is written as a list of JSON or Python, or texts between `|`.
    ///
    /// # Errors
    /// What was expected, where it is none of these.
    pub(crate) fn texts(&self) -> Result<Vec<String>, String> {
        match self {
            Self::Missing => Ok(Vec::new()),
            Self::List(cells) => cells
                .iter()
                .map(|cell| {
                    cell.as_text().map(str::to_owned).ok_or_else(|| format!("expected a list of texts, found {} in it", cell.kind()))
                })
                .collect(),
            Self::Text(text) if text.starts_with('[') && text.ends_with(']') => listed(text),
            Self::Text(text) => Ok(text.split('|').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()),
            other => Err(format!("expected a text or a list of texts, found {}", other.kind())),
        }
    }

    /// What it is, for a message.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Missing => "nothing",
            Self::Text(_) => "a text",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "a list",
            Self::Parts(_) => "a structure",
        }
    }
}

fn listed(text: &str) -> Result<Vec<String>, String> {
    let json = serde_json::from_str::<Vec<serde_json::Value>>(text).ok();
    if let Some(values) = json {
        let texts = values.into_iter().map(|value| match Cell::from(value) {
            Cell::Text(text) => Ok(text),
            other => Err(format!("expected a list of texts, found {} in it", other.kind())),
        });
        return texts.collect();
    }
    python_list(text).ok_or_else(|| "looks like a list, but is one of neither JSON nor Python".to_owned())
}

impl From<serde_json::Value> for Cell {
    fn from(value: serde_json::Value) -> Self {
        use serde_json::Value;
        match value {
            Value::Null => Self::Missing,
            Value::String(text) => Self::text(text),
            Value::Bool(value) => Self::Text(value.to_string()),
            Value::Number(value) => Self::Text(value.to_string()),
            Value::Array(values) => Self::List(values.into_iter().map(Self::from).collect()),
            Value::Object(fields) => Self::Parts(fields.into_iter().map(|(name, value)| (name, Self::from(value))).collect()),
        }
    }
}
