//! `text % values`: Python's formatting in the manner of C.
//!
//! <https://docs.python.org/3/library/stdtypes.html#printf-style-string-formatting>

use minijinja::value::{Value, ValueKind};
use minijinja::{Error, ErrorKind};

use super::print::{repr, text, tuple_items};

/// How one value is to be written.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "the five flags of the format")]
struct Conversion {
    left: bool,
    zeros: bool,
    plus: bool,
    space: bool,
    alternate: bool,
    width: usize,
    precision: Option<usize>,
}

/// Widest field: a template must not ask for all memory.
const WIDEST: usize = 10_000;

/// `format % values`: a tuple holds several values, anything else is one.
pub(super) fn percent(format: &str, values: &Value) -> Result<String, Error> {
    match tuple_items(values) {
        Some(items) => several(format, &items, None),
        None => several(format, std::slice::from_ref(values), (values.kind() == ValueKind::Map).then_some(values)),
    }
}

/// `format % values` with the values one by one; fields with names are read from `named`.
pub(super) fn several(format: &str, values: &[Value], named: Option<&Value>) -> Result<String, Error> {
    let mut out = String::with_capacity(format.len());
    let mut rest = values.iter();
    let mut next = || rest.next().ok_or_else(|| failed("not enough arguments for format string"));
    let mut chars = format.chars().peekable();
    let mut by_name = false;
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut conversion = Conversion::default();
        let mut value = None;
        if chars.next_if_eq(&'(').is_some() {
            let name: String = chars.by_ref().take_while(|c| *c != ')').collect();
            let mapping = named.ok_or_else(|| failed("format requires a mapping"))?;
            let found = mapping.get_item(&Value::from(name.as_str())).ok().filter(|value| !value.is_undefined());
            value = Some(found.ok_or_else(|| failed(format!("the mapping of the format has no `{name}`")))?);
            by_name = true;
        }
        while let Some(flag) = chars.next_if(|c| "#0- +".contains(*c)) {
            match flag {
                '#' => conversion.alternate = true,
                '0' => conversion.zeros = true,
                '-' => conversion.left = true,
                ' ' => conversion.space = true,
                _ => conversion.plus = true,
            }
        }
        let mut number = |chars: &mut std::iter::Peekable<std::str::Chars<'_>>| -> Result<usize, Error> {
            let mut found = 0;
            if chars.next_if_eq(&'*').is_some() {
                found = next()?.as_usize().ok_or_else(|| failed("`*` wants a whole number"))?;
            }
            while let Some(digit) = chars.next_if(char::is_ascii_digit) {
                found = found * 10 + digit.to_digit(10).map_or(0, |digit| digit as usize);
                found = found.min(WIDEST + 1);
            }
            if found > WIDEST { Err(failed(format!("a field is at most {WIDEST} wide"))) } else { Ok(found) }
        };
        conversion.width = number(&mut chars)?;
        if chars.next_if_eq(&'.').is_some() {
            conversion.precision = Some(number(&mut chars)?);
        }
        while chars.next_if(|c| "hlL".contains(*c)).is_some() {}
        let Some(kind) = chars.next() else { return Err(failed("incomplete format")) };
        if kind == '%' {
            out.push('%');
            continue;
        }
        let value = match value {
            Some(value) => value,
            None => next()?.clone(),
        };
        out += &conversion.write(kind, &value)?;
    }
    if !by_name && named.is_none() && rest.next().is_some() {
        return Err(failed("not all arguments converted during string formatting"));
    }
    Ok(out)
}

impl Conversion {
    fn write(&self, kind: char, value: &Value) -> Result<String, Error> {
        let wanted = |what: &str| failed(format!("%{kind} format: {what} is required, not {}", repr(value)));
        let (negative, digits) = match kind {
            's' | 'r' | 'a' => {
                let mut written = match kind {
                    's' => text(value),
                    'r' => repr(value),
                    _ => ascii(&repr(value)),
                };
                if let Some(longest) = self.precision {
                    written = written.chars().take(longest).collect();
                }
                return Ok(self.filled("", &written, false));
            }
            'c' => {
                let code = value.as_i64().and_then(|code| u32::try_from(code).ok()).and_then(char::from_u32);
                let one = value.as_str().and_then(|text| text.chars().next().filter(|c| text.len() == c.len_utf8()));
                let c = code.or(one).ok_or_else(|| wanted("an integer or one character"))?;
                return Ok(self.filled("", &c.to_string(), false));
            }
            'd' | 'i' | 'u' => {
                let number = whole(value, true).ok_or_else(|| wanted("a number"))?;
                (number < 0, self.padded(number.unsigned_abs().to_string()))
            }
            'x' | 'X' | 'o' => {
                let number = whole(value, false).ok_or_else(|| wanted("an integer"))?;
                let (prefix, digits) = match kind {
                    'x' => ("0x", format!("{:x}", number.unsigned_abs())),
                    'X' => ("0X", format!("{:X}", number.unsigned_abs())),
                    _ => ("0o", format!("{:o}", number.unsigned_abs())),
                };
                let sign = format!("{}{}", self.sign(number < 0), if self.alternate { prefix } else { "" });
                return Ok(self.filled(&sign, &self.padded(digits), true));
            }
            'e' | 'E' | 'f' | 'F' | 'g' | 'G' => {
                let number = float(value).ok_or_else(|| wanted("a number"))?;
                let written = self.float(kind.to_ascii_lowercase(), number.abs());
                let written = if kind.is_ascii_uppercase() { written.to_uppercase() } else { written };
                (number.is_sign_negative() && !number.is_nan(), written)
            }
            other => return Err(failed(format!("unsupported format character `{other}`"))),
        };
        let finite = digits.starts_with(|c: char| c.is_ascii_digit());
        Ok(self.filled(self.sign(negative), &digits, finite))
    }

    fn sign(&self, negative: bool) -> &'static str {
        match (negative, self.plus, self.space) {
            (true, ..) => "-",
            (_, true, _) => "+",
            (_, _, true) => " ",
            _ => "",
        }
    }

    /// At least as many digits as the precision says.
    fn padded(&self, digits: String) -> String {
        let missing = self.precision.unwrap_or(0).saturating_sub(digits.len());
        if missing == 0 { digits } else { "0".repeat(missing) + &digits }
    }

    /// As wide as the field, which zeros fill behind the sign where they may.
    fn filled(&self, sign: &str, written: &str, number: bool) -> String {
        let missing = self.width.saturating_sub(sign.chars().count() + written.chars().count());
        match (self.left, self.zeros && number) {
            (true, _) => format!("{sign}{written}{}", " ".repeat(missing)),
            (_, true) => format!("{sign}{}{written}", "0".repeat(missing)),
            _ => format!("{}{sign}{written}", " ".repeat(missing)),
        }
    }

    fn float(&self, kind: char, number: f64) -> String {
        if !number.is_finite() {
            return if number.is_nan() { "nan" } else { "inf" }.to_owned();
        }
        let precision = self.precision.unwrap_or(6);
        let with_exponent = |precision: usize| {
            let written = format!("{number:.precision$e}");
            let (digits, exponent) = written.split_once('e').unwrap_or((&written, "0"));
            (digits.to_owned(), exponent.parse::<i32>().unwrap_or(0))
        };
        let joined = |digits: &str, exponent: i32| format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs());
        let pointed = |digits: String| if self.alternate && !digits.contains('.') { digits + "." } else { digits };
        match kind {
            'f' => pointed(format!("{number:.precision$}")),
            'e' => {
                let (digits, exponent) = with_exponent(precision);
                joined(&pointed(digits), exponent)
            }
            _ => {
                let significant = precision.max(1);
                let (digits, exponent) = with_exponent(significant - 1);
                let short = |digits: String| {
                    if self.alternate || !digits.contains('.') {
                        return pointed(digits);
                    }
                    digits.trim_end_matches('0').trim_end_matches('.').to_owned()
                };
                if exponent < -4 || exponent >= significant as i32 {
                    joined(&short(digits), exponent)
                } else {
                    let decimals = (significant as i32 - 1 - exponent).max(0) as usize;
                    short(format!("{number:.decimals$}"))
                }
            }
        }
    }
}

/// The integer that a value is, or, with `cut`, that a number becomes without its fraction.
fn whole(value: &Value, cut: bool) -> Option<i128> {
    match value.kind() {
        ValueKind::Bool => Some(i128::from(value.is_true())),
        ValueKind::Number if value.is_integer() => i128::try_from(value.clone()).ok(),
        ValueKind::Number if cut => float(value).filter(|number| number.is_finite()).map(|number| number.trunc() as i128),
        _ => None,
    }
}

fn float(value: &Value) -> Option<f64> {
    match value.kind() {
        ValueKind::Bool => Some(f64::from(u8::from(value.is_true()))),
        ValueKind::Number => f64::try_from(value.clone()).ok(),
        _ => None,
    }
}

/// `ascii(value)`, from its `repr`.
fn ascii(written: &str) -> String {
    written.chars().map(|c| if c.is_ascii() { c.to_string() } else { super::print::escaped(c) }).collect()
}

fn failed(problem: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidOperation, problem)
}
