//! The filter `tojson` as transformers defines it: Python's `json.dumps` that escapes no HTML.

use minijinja::value::{Kwargs, Value};
use minijinja::{Error, ErrorKind};
use serde::Serialize;

/// `json.dumps(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False)`.
#[expect(clippy::needless_pass_by_value, reason = "the signature of a filter")]
pub(super) fn to_json(value: &Value, options: Kwargs) -> Result<Value, Error> {
    let bad = |error: serde_json::Error| Error::new(ErrorKind::BadSerialization, "tojson").with_source(error);
    let ascii: bool = options.get::<Option<bool>>("ensure_ascii")?.unwrap_or(false);
    let indent: Option<usize> = options.get("indent")?;
    let separators: Option<Vec<String>> = options.get("separators")?;
    let sorted: bool = options.get::<Option<bool>>("sort_keys")?.unwrap_or(false);
    options.assert_all_used()?;
    let [item, key] = match separators.as_deref() {
        None => [if indent.is_some() { "," } else { ", " }, ": "],
        Some([item, key]) => [item.as_str(), key.as_str()],
        Some(_) => return Err(Error::new(ErrorKind::InvalidOperation, "tojson: `separators` are two texts")),
    };
    let mut json = serde_json::to_value(value).map_err(bad)?;
    if sorted {
        json.sort_all_objects();
    }
    let mut out = Vec::new();
    let style = PythonStyle { item, key, indent: indent.map(|width| " ".repeat(width.min(64))), depth: 0, empty: true };
    json.serialize(&mut serde_json::Serializer::with_formatter(&mut out, style)).map_err(bad)?;
    let text = String::from_utf8(out).map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))?;
    Ok(Value::from(if ascii { in_ascii(&text) } else { text }))
}

/// Everything beyond ASCII as UTF-16 escapes; it stands in strings alone.
fn in_ascii(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                out.push_str(&escaped(*unit));
            }
        }
    }
    out
}

fn escaped(unit: u16) -> String {
    format!("\\u{unit:04x}")
}

/// Python separates with `", "` and `": "` on one line, and leaves empty brackets together.
struct PythonStyle<'a> {
    item: &'a str,
    key: &'a str,
    indent: Option<String>,
    depth: usize,
    empty: bool,
}

impl PythonStyle<'_> {
    fn line<W: ?Sized + std::io::Write>(&self, writer: &mut W) -> std::io::Result<()> {
        match &self.indent {
            Some(indent) => write!(writer, "\n{}", indent.repeat(self.depth)),
            None => Ok(()),
        }
    }

    fn open<W: ?Sized + std::io::Write>(&mut self, writer: &mut W, bracket: u8) -> std::io::Result<()> {
        (self.depth, self.empty) = (self.depth + 1, true);
        writer.write_all(&[bracket])
    }

    fn close<W: ?Sized + std::io::Write>(&mut self, writer: &mut W, bracket: u8) -> std::io::Result<()> {
        self.depth -= 1;
        if !self.empty {
            self.line(writer)?;
        }
        self.empty = false;
        writer.write_all(&[bracket])
    }

    fn next<W: ?Sized + std::io::Write>(&mut self, writer: &mut W, first: bool) -> std::io::Result<()> {
        self.empty = false;
        if !first {
            writer.write_all(self.item.as_bytes())?;
        }
        self.line(writer)
    }
}

impl serde_json::ser::Formatter for PythonStyle<'_> {
    fn begin_array<W: ?Sized + std::io::Write>(&mut self, writer: &mut W) -> std::io::Result<()> {
        self.open(writer, b'[')
    }

    fn end_array<W: ?Sized + std::io::Write>(&mut self, writer: &mut W) -> std::io::Result<()> {
        self.close(writer, b']')
    }

    fn begin_array_value<W: ?Sized + std::io::Write>(&mut self, writer: &mut W, first: bool) -> std::io::Result<()> {
        self.next(writer, first)
    }

    fn begin_object<W: ?Sized + std::io::Write>(&mut self, writer: &mut W) -> std::io::Result<()> {
        self.open(writer, b'{')
    }

    fn end_object<W: ?Sized + std::io::Write>(&mut self, writer: &mut W) -> std::io::Result<()> {
        self.close(writer, b'}')
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(&mut self, writer: &mut W, first: bool) -> std::io::Result<()> {
        self.next(writer, first)
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(&mut self, writer: &mut W) -> std::io::Result<()> {
        writer.write_all(self.key.as_bytes())
    }
}
