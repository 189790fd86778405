//! The date inside a prompt.

use minijinja::{Error, ErrorKind};

/// `datetime.now().strftime(format)`. A study must ask the same prompt tomorrow, so the clock stands still at Friday, 26 July 2024, 00:00, the
/// date that the Llama 3.1 template itself falls back to. As in glibc, `-`, `_`, `0` and `^` before a letter say how it is padded and
/// cased.
pub(super) fn strftime_now(format: &str) -> Result<String, Error> {
    let mut out = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut directive = chars.next();
        let mut flag = None;
        while let Some(c @ ('-' | '_' | '0' | '^')) = directive {
            flag = Some(c);
            directive = chars.next();
        }
        let (written, pad) = match directive {
            Some('d') => ("26", '0'),
            Some('e') => ("26", ' '),
            Some('m') => ("07", '0'),
            Some('Y' | 'G') => ("2024", '0'),
            Some('y' | 'g') => ("24", '0'),
            Some('C') => ("20", '0'),
            Some('b' | 'h') => ("Jul", '\0'),
            Some('B') => ("July", '\0'),
            Some('a') => ("Fri", '\0'),
            Some('A') => ("Friday", '\0'),
            Some('H' | 'M' | 'S') => ("00", '0'),
            Some('I') => ("12", '0'),
            Some('k') => (" 0", ' '),
            Some('l') => ("12", ' '),
            Some('p') => ("AM", '\0'),
            Some('P') => ("am", '\0'),
            Some('f') => ("000000", '\0'),
            Some('j') => ("208", '0'),
            Some('u' | 'w') => ("5", '0'),
            Some('U') => ("29", '0'),
            Some('W' | 'V') => ("30", '0'),
            Some('D' | 'x') => ("07/26/24", '\0'),
            Some('F') => ("2024-07-26", '\0'),
            Some('T' | 'X') => ("00:00:00", '\0'),
            Some('R') => ("00:00", '\0'),
            Some('r') => ("12:00:00 AM", '\0'),
            Some('c') => ("Fri Jul 26 00:00:00 2024", '\0'),
            Some('n') => ("\n", '\0'),
            Some('t') => ("\t", '\0'),
            // The clock is of no zone.
            Some('z' | 'Z') => ("", '\0'),
            Some('%') => ("%", '\0'),
            other => {
                let problem = format!("strftime_now: `%{}` is not known", other.map(String::from).unwrap_or_default());
                return Err(Error::new(ErrorKind::InvalidOperation, problem));
            }
        };
        out.push_str(&padded(written, pad, flag));
    }
    Ok(out)
}

/// `pad` is what fills the front of a number; texts have none.
fn padded(written: &str, pad: char, flag: Option<char>) -> String {
    let number = written.trim_start_matches(if pad == '\0' { '\u{1}' } else { pad });
    let number = if number.is_empty() { "0" } else { number };
    match flag {
        Some('^') => written.to_uppercase(),
        Some('-') if pad != '\0' => number.to_owned(),
        Some('_') if pad != '\0' => format!("{number:>0$}", written.len()),
        Some('0') if pad != '\0' => format!("{number:0>0$}", written.len()),
        _ => written.to_owned(),
    }
}
