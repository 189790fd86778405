//! The methods of Python's strings, dicts and lists that the engine lacks, or has otherwise; minijinja-contrib's `pycompat` has the rest.
//!
//! <https://docs.python.org/3/library/stdtypes.html#string-methods>

use minijinja::value::{Kwargs, Value, ValueKind, from_args};
use minijinja::{Error, ErrorKind, State};

use super::print::{repr, text, tuple, view};

/// What the engine calls for a method that it does not know.
pub(super) fn call(state: &State<'_, '_>, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    let known = match value.kind() {
        ValueKind::String => of_string(value.as_str().unwrap_or_default(), method, args)?,
        ValueKind::Map => of_dict(value, method, args)?,
        ValueKind::Seq => of_list(value, method, args)?,
        _ => None,
    };
    match known {
        Some(result) => Ok(result),
        None => minijinja_contrib::pycompat::unknown_method_callback(state, value, method, args),
    }
}

fn of_string(s: &str, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    Ok(Some(match method {
        "partition" | "rpartition" => {
            let (separator,): (&str,) = from_args(args)?;
            let separator = not_empty(separator)?;
            let parts = match (method, s.split_once(separator), s.rsplit_once(separator)) {
                ("partition", Some((before, behind)), _) | ("rpartition", _, Some((before, behind))) => [before, separator, behind],
                ("partition", ..) => [s, "", ""],
                _ => ["", "", s],
            };
            tuple(parts.map(Value::from).to_vec())
        }
        "ljust" | "rjust" | "center" => {
            let (width, fill): (i64, Option<&str>) = from_args(args)?;
            let fill = fill.unwrap_or(" ");
            if fill.chars().count() != 1 {
                return Err(failed("The fill character must be exactly one character long"));
            }
            let missing = missing(s, width)?;
            // Of an odd number the middle is where CPython has it.
            let (left, right) = match method {
                "ljust" => (0, missing),
                "rjust" => (missing, 0),
                _ => {
                    let left = missing / 2 + (missing & width.unsigned_abs() as usize & 1);
                    (left, missing - left)
                }
            };
            Value::from(format!("{}{s}{}", fill.repeat(left), fill.repeat(right)))
        }
        "zfill" => {
            let (width,): (i64,) = from_args(args)?;
            let (sign, digits) = s.split_at(usize::from(s.starts_with(['+', '-'])));
            Value::from(format!("{sign}{}{digits}", "0".repeat(missing(s, width)?)))
        }
        "removeprefix" => {
            let (prefix,): (&str,) = from_args(args)?;
            Value::from(s.strip_prefix(prefix).unwrap_or(s))
        }
        "removesuffix" => {
            let (suffix,): (&str,) = from_args(args)?;
            Value::from(s.strip_suffix(suffix).unwrap_or(s))
        }
        "split" | "rsplit" => {
            let (separator, most, named): (Option<&str>, Option<i64>, Kwargs) = from_args(args)?;
            let separator = separator.or(named.get("sep")?);
            let most = most.or(named.get("maxsplit")?).and_then(|most| usize::try_from(most).ok());
            named.assert_all_used()?;
            let parts = split(s, separator.map(not_empty).transpose()?, most, method == "rsplit");
            Value::from(parts.into_iter().map(Value::from).collect::<Vec<_>>())
        }
        "find" | "index" | "rfind" | "rindex" => {
            let (part, stretch) = part_of(s, args)?;
            let found = stretch.and_then(|(before, within)| {
                let at = if method.starts_with('r') { within.rfind(&part) } else { within.find(&part) }?;
                Some((before + within[..at].chars().count()) as i64)
            });
            match found {
                None if method.ends_with("index") => return Err(failed("substring not found")),
                found => Value::from(found.unwrap_or(-1)),
            }
        }
        "startswith" | "endswith" => {
            let (parts, start, end): (Value, Option<i64>, Option<i64>) = from_args(args)?;
            let begins = method == "startswith";
            let one = |part: &Value| {
                let part = part.as_str().ok_or_else(|| failed(format!("{method} wants a string or several, not {}", repr(part))))?;
                let within = stretch(s, start, end).map(|(_, within)| within);
                Ok::<bool, Error>(within.is_some_and(|within| if begins { within.starts_with(part) } else { within.ends_with(part) }))
            };
            if parts.as_str().is_some() {
                Value::from(one(&parts)?)
            } else {
                let found = parts.try_iter()?.map(|part| one(&part)).collect::<Result<Vec<_>, _>>()?;
                Value::from(found.contains(&true))
            }
        }
        "count" => {
            let (part, stretch) = part_of(s, args)?;
            Value::from(stretch.map_or(0, |(_, within)| within.matches(part.as_str()).count()))
        }
        "join" => {
            let (items,): (Value,) = from_args(args)?;
            let mut parts = Vec::new();
            for (at, item) in items.try_iter()?.enumerate() {
                let part = item.as_str().ok_or_else(|| failed(format!("sequence item {at}: expected a string, found {}", repr(&item))))?;
                parts.push(part.to_owned());
            }
            Value::from(parts.join(s))
        }
        "capitalize" => {
            let () = from_args(args)?;
            let mut chars = s.chars();
            let first: String = chars.next().map(titlecase).unwrap_or_default();
            Value::from(first + &chars.as_str().to_lowercase())
        }
        "title" => {
            let () = from_args(args)?;
            let mut cased = false;
            let mut out = String::with_capacity(s.len());
            for c in s.chars() {
                if cased {
                    out.extend(c.to_lowercase());
                } else {
                    out += &titlecase(c);
                }
                cased = is_cased(c);
            }
            Value::from(out)
        }
        "swapcase" => {
            let () = from_args(args)?;
            let swap = |c: char| if c.is_uppercase() { c.to_lowercase().to_string() } else { c.to_uppercase().to_string() };
            Value::from(s.chars().map(swap).collect::<String>())
        }
        "casefold" => {
            let () = from_args(args)?;
            Value::from(s.to_lowercase().replace('ß', "ss"))
        }
        "expandtabs" => {
            let (size,): (Option<usize>,) = from_args(args)?;
            Value::from(expand_tabs(s, size.unwrap_or(8).min(64)))
        }
        "islower" | "isupper" | "istitle" | "isspace" | "isalpha" | "isalnum" | "isdigit" | "isdecimal" | "isnumeric" => {
            let () = from_args(args)?;
            Value::from(is(method, s))
        }
        _ => return Ok(None),
    }))
}

fn of_dict(value: &Value, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    if !matches!(method, "keys" | "values" | "items" | "copy") {
        return Ok(None);
    }
    let () = from_args(args)?;
    let mut items = Vec::new();
    for key in value.try_iter()? {
        let item = value.get_item(&key)?;
        items.push(match method {
            "keys" => key,
            "values" => item,
            _ => tuple(vec![key, item]),
        });
    }
    Ok(Some(match method {
        "keys" => view("dict_keys", items),
        "values" => view("dict_values", items),
        "items" => view("dict_items", items),
        _ => value.clone(),
    }))
}

fn of_list(value: &Value, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    if method != "index" {
        return Ok(None);
    }
    let (sought,): (Value,) = from_args(args)?;
    let found = value.try_iter()?.position(|item| item == sought);
    found.map(|at| Some(Value::from(at))).ok_or_else(|| failed(format!("{} is not in list", repr(&sought))))
}

/// Characters that are lacking to a width.
fn missing(s: &str, width: i64) -> Result<usize, Error> {
    const WIDEST: i64 = 10_000;
    if width > WIDEST {
        return Err(failed(format!("a text is widened to at most {WIDEST} characters")));
    }
    Ok(usize::try_from(width).unwrap_or(0).saturating_sub(s.chars().count()))
}

fn not_empty(separator: &str) -> Result<&str, Error> {
    if separator.is_empty() { Err(failed("empty separator")) } else { Ok(separator) }
}

/// Cut at most `most` times, from the end if `backwards`; without a separator at whitespace, which is dropped at both ends.
fn split(s: &str, separator: Option<&str>, most: Option<usize>, backwards: bool) -> Vec<String> {
    let most = most.unwrap_or(usize::MAX);
    let mut parts = Vec::new();
    let mut rest = s;
    while parts.len() < most {
        let cut = match (separator, backwards) {
            (Some(separator), false) => rest.split_once(separator),
            (Some(separator), true) => rest.rsplit_once(separator).map(|(before, behind)| (behind, before)),
            (None, false) => {
                rest = rest.trim_start();
                rest.split_once(char::is_whitespace)
            }
            (None, true) => {
                rest = rest.trim_end();
                rest.rsplit_once(char::is_whitespace).map(|(before, behind)| (behind, before))
            }
        };
        let Some((part, other)) = cut else { break };
        parts.push(part.to_owned());
        rest = other;
    }
    if separator.is_none() {
        // What is left over keeps the whitespace at its far end once it was cut off by `most`.
        let trimmed = if backwards { rest.trim_end() } else { rest.trim_start() };
        if !trimmed.is_empty() {
            parts.push(trimmed.to_owned());
        }
    } else {
        parts.push(rest.to_owned());
    }
    if backwards {
        parts.reverse();
    }
    parts
}

/// What is sought, and the stretch of the text in which, with the characters before it.
type Sought<'a> = (String, Option<(usize, &'a str)>);

fn part_of<'a>(s: &'a str, args: &[Value]) -> Result<Sought<'a>, Error> {
    let (part, start, end): (&str, Option<i64>, Option<i64>) = from_args(args)?;
    Ok((part.to_owned(), stretch(s, start, end)))
}

/// The stretch of a text between two places, which count from its end where they are negative, with the characters before it.
fn stretch(s: &str, start: Option<i64>, end: Option<i64>) -> Option<(usize, &str)> {
    let length = s.chars().count() as i64;
    let place = |place: i64| if place < 0 { (length + place).max(0) } else { place };
    let (start, end) = (place(start.unwrap_or(0)), place(end.unwrap_or(length)).min(length));
    if start > end {
        return None;
    }
    let byte = |place: i64| s.char_indices().nth(place as usize).map_or(s.len(), |(at, _)| at);
    Some((start as usize, &s[byte(start)..byte(end)]))
}

/// The first character of a word, as in "Dzs" for "dzs".
fn titlecase(c: char) -> String {
    let mut upper: Vec<char> = c.to_uppercase().collect();
    if upper.len() > 1 {
        let behind: Vec<char> = upper.drain(1..).flat_map(char::to_lowercase).collect();
        upper.extend(behind);
    }
    upper.into_iter().collect()
}

fn is_cased(c: char) -> bool {
    c.is_lowercase() || c.is_uppercase()
}

fn is(method: &str, s: &str) -> bool {
    let all = |of: fn(char) -> bool| !s.is_empty() && s.chars().all(of);
    match method {
        "islower" => s.chars().any(is_cased) && !s.chars().any(char::is_uppercase),
        "isupper" => s.chars().any(is_cased) && !s.chars().any(char::is_lowercase),
        "istitle" => {
            let mut cased = false;
            let fits = s.chars().all(|c| {
                let fits = if cased { !c.is_uppercase() } else { !c.is_lowercase() };
                cased = is_cased(c);
                fits
            });
            fits && s.chars().any(is_cased)
        }
        "isspace" => all(char::is_whitespace),
        "isalpha" => all(char::is_alphabetic),
        "isalnum" => all(char::is_alphanumeric),
        "isdecimal" => all(|c| c.is_ascii_digit()),
        // Beyond ASCII, superscripts are digits to Python and fractions are not; neither is in a template.
        _ => all(char::is_numeric),
    }
}

fn expand_tabs(s: &str, size: usize) -> String {
    let mut out = String::new();
    let mut column = 0;
    for c in s.chars() {
        if c == '\t' {
            let spaces = if size == 0 { 0 } else { size - column % size };
            out.push_str(&" ".repeat(spaces));
            column += spaces;
        } else {
            column = if matches!(c, '\n' | '\r') { 0 } else { column + 1 };
            out.push(c);
        }
    }
    out
}

fn failed(problem: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidOperation, problem)
}

/// The filter `items`: nothing of what is not there.
pub(super) fn items(value: &Value) -> Result<Vec<Value>, Error> {
    if value.is_undefined() {
        return Ok(Vec::new());
    }
    value.try_iter()?.map(|key| Ok(tuple(vec![key.clone(), value.get_item(&key)?]))).collect()
}

/// The filter `dictsort`: by key or, with `by="value"`, by value; strings without regard to case unless asked for.
#[expect(clippy::needless_pass_by_value, reason = "the signature of a filter")]
pub(super) fn sorted_items(value: &Value, options: Kwargs) -> Result<Vec<Value>, Error> {
    let by_value = options.get::<Option<&str>>("by")? == Some("value");
    let case_sensitive = options.get::<Option<bool>>("case_sensitive")?.unwrap_or(false);
    let reversed = options.get::<Option<bool>>("reverse")?.unwrap_or(false);
    options.assert_all_used()?;
    let folded = |value: Value| match value.as_str() {
        Some(text) if !case_sensitive => Value::from(text.to_lowercase()),
        _ => value,
    };
    let mut keyed = Vec::new();
    for key in value.try_iter()? {
        let item = value.get_item(&key)?;
        keyed.push((folded(if by_value { item.clone() } else { key.clone() }), tuple(vec![key, item])));
    }
    // Stable in both directions, as Python's.
    keyed.sort_by(|(a, _), (b, _)| if reversed { b.cmp(a) } else { a.cmp(b) });
    Ok(keyed.into_iter().map(|(_, pair)| pair).collect())
}

/// The filter `join`: items as Python prints them, or an attribute of theirs.
#[expect(clippy::needless_pass_by_value, reason = "the signature of a filter")]
pub(super) fn join(items: &Value, separator: Option<&str>, named: Kwargs) -> Result<String, Error> {
    let separator = separator.or(named.get("d")?).unwrap_or("").to_owned();
    let attribute: Option<&str> = named.get("attribute")?;
    named.assert_all_used()?;
    let mut parts = Vec::new();
    for item in items.try_iter()? {
        parts.push(match attribute {
            Some(attribute) => text(&item.get_attr(attribute)?),
            None => text(&item),
        });
    }
    Ok(parts.join(&separator))
}
