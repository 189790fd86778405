//! Values as Python prints them: `str` and `repr`.

use std::fmt::{self, Write};
use std::sync::Arc;

use minijinja::value::{Enumerator, Object, ObjectRepr, Value, ValueKind};

/// A sequence that Python prints otherwise than a list.
#[derive(Debug)]
pub(super) struct Sequence {
    form: Form,
    items: Vec<Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Tuple,
    /// What `keys`, `values` and `items` of a dict give.
    View(&'static str),
}

/// A tuple.
pub(super) fn tuple(items: Vec<Value>) -> Value {
    Value::from_object(Sequence { form: Form::Tuple, items })
}

/// A view of a dict.
pub(super) fn view(name: &'static str, items: Vec<Value>) -> Value {
    Value::from_object(Sequence { form: Form::View(name), items })
}

/// The items of a tuple; `None` for anything else.
pub(super) fn tuple_items(value: &Value) -> Option<Vec<Value>> {
    let sequence = value.downcast_object_ref::<Sequence>()?;
    (sequence.form == Form::Tuple).then(|| sequence.items.clone())
}

impl Object for Sequence {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.items.get(key.as_usize()?).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.items.len())
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let items = list(&self.items);
        match self.form {
            Form::Tuple if self.items.len() == 1 => write!(f, "({items},)"),
            Form::Tuple => write!(f, "({items})"),
            Form::View(name) => write!(f, "{name}([{items}])"),
        }
    }
}

/// `str(value)`.
pub(super) fn text(value: &Value) -> String {
    match value.as_str() {
        Some(text) => text.to_owned(),
        None if value.is_undefined() => String::new(),
        None => repr(value),
    }
}

/// `repr(value)`.
pub(super) fn repr(value: &Value) -> String {
    if value.downcast_object_ref::<Sequence>().is_some() {
        return value.to_string();
    }
    match value.kind() {
        ValueKind::Undefined => "Undefined".to_owned(),
        ValueKind::String => quoted(value.as_str().unwrap_or_default()),
        ValueKind::Number if !value.is_integer() => f64::try_from(value.clone()).map_or_else(|_| value.to_string(), float),
        ValueKind::Seq | ValueKind::Iterable => match value.try_iter() {
            Ok(items) => format!("[{}]", list(&items.collect::<Vec<_>>())),
            Err(_) => value.to_string(),
        },
        ValueKind::Map => match value.try_iter() {
            Ok(keys) => {
                let pair = |key: Value| format!("{}: {}", repr(&key), repr(&value.get_item(&key).unwrap_or_default()));
                format!("{{{}}}", keys.map(pair).collect::<Vec<_>>().join(", "))
            }
            Err(_) => value.to_string(),
        },
        _ => value.to_string(),
    }
}

fn list(items: &[Value]) -> String {
    items.iter().map(repr).collect::<Vec<_>>().join(", ")
}

/// The fewest digits that name the number, with an exponent where it is below -4 or from 16 on.
fn float(value: f64) -> String {
    if !value.is_finite() {
        return if value.is_nan() { "nan".to_owned() } else { format!("{}inf", if value < 0.0 { "-" } else { "" }) };
    }
    let scientific = format!("{value:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let plain = value.to_string();
        return if plain.contains('.') { plain } else { plain + ".0" };
    }
    format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

/// A string in the quotes that it does not hold, single ones if possible.
fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote || c == '\\' => out.extend(['\\', c]),
            c if is_printable(c) => out.push(c),
            c => out.push_str(&escaped(c)),
        }
    }
    out.push(quote);
    out
}

pub(super) fn escaped(c: char) -> String {
    let mut out = String::new();
    let code = u32::from(c);
    let written = match code {
        0..=0xff => write!(out, "\\x{code:02x}"),
        0x100..=0xffff => write!(out, "\\u{code:04x}"),
        _ => write!(out, "\\U{code:08x}"),
    };
    written.map_or_else(|_| c.to_string(), |()| out)
}

/// `str.isprintable`, which the standard library knows under another name: as the second character, so that what combines with a first one
/// counts as printable.
fn is_printable(c: char) -> bool {
    matches!(c, '"' | '\'') || !format!("a{c}").escape_debug().skip(1).collect::<String>().starts_with('\\')
}
