//! Text from outside, made fit to be shown.

use std::borrow::Cow;
use std::fmt::Write;

/// The text with every character made visible that would otherwise act instead of being seen: control characters (terminal escapes, NUL) become
/// control pictures or their code point, and so do the marks that reorder what stands around them (bidirectional overrides and isolates).
/// Line breaks and tabs stay.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(acts) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            _ if !acts(c) => shown.push(c),
            '\0'..='\x1f' => shown.extend(char::from_u32(0x2400 + u32::from(c))),
            '\x7f' => shown.push('\u{2421}'),
            // writing to a string cannot fail
            _ => drop(write!(shown, "⟨U+{:04X}⟩", u32::from(c))),
        }
    }
    Cow::Owned(shown)
}

/// Text from outside on one line, with every character made visible that would otherwise act: control characters, terminal escapes, marks that reorder.
pub fn one_line(text: &str) -> String {
    printable(text).replace('\n', "\u{240a}").replace('\t', " ")
}

fn acts(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}' | '\u{feff}' => {
            true
        }
        _ => c.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_is_shown_and_the_rest_stays() {
        assert_eq!(printable("red, 2 × größer\nשלום"), "red, 2 × größer\nשלום");
        assert_eq!(printable("a\0b\x1b[31mc\x7fd\u{85}e\u{202e}f"), "a␀b␛[31mc␡d⟨U+0085⟩e⟨U+202E⟩f");
        assert_eq!(one_line("a\nb\tc\r"), "a␊b c␍");
    }
}
