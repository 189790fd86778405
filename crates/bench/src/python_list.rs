//! Lists as Python writes them, `['a', "it's"]`: what a list becomes in a CSV that pandas writes, in MMMU's column `options`, and in logs of lmms-eval.

/// The texts of a list literal of strings and numbers; `None` for anything else. Escapes are those of Python's string literals but for names and octal
/// numbers of characters.
pub fn python_list(text: &str) -> Option<Vec<String>> {
    let mut rest = text.trim().strip_prefix('[')?.strip_suffix(']')?.trim_start();
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (item, behind) = if let quote @ ('\'' | '"') = rest.chars().next()? {
            quoted(&rest[1..], quote)?
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            let number = rest[..end].trim();
            number.parse::<f64>().ok()?;
            (number.to_owned(), &rest[end..])
        };
        found.push(item);
        rest = behind.trim_start();
        if !rest.is_empty() {
            rest = rest.strip_prefix(',')?.trim_start();
        }
    }
    Some(found)
}

/// What stands before the closing quote, and what behind it.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut out = String::new();
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            c if c == quote => return Some((out, &text[at + c.len_utf8()..])),
            '\\' => match characters.next()?.1 {
                '\n' => {}
                'n' => out.push('\n'),
                't' => out.push('\t'),
                'r' => out.push('\r'),
                escape @ ('x' | 'u' | 'U') => {
                    let digits = match escape {
                        'x' => 2,
                        'u' => 4,
                        _ => 8,
                    };
                    let mut code = 0;
                    for _ in 0..digits {
                        code = code * 16 + characters.next()?.1.to_digit(16)?;
                    }
                    out.push(char::from_u32(code)?);
                }
                same @ ('\\' | '\'' | '"') => out.push(same),
                // Python keeps the backslash of what is no escape.
                other => out.extend(['\\', other]),
            },
            c => out.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::python_list;

    /// Expectations are Python's own: `ast.literal_eval` of the same text.
    #[test]
    fn lists_are_what_python_reads() {
        let cases: [(&str, &[&str]); 8] = [
            ("[]", &[]),
            ("['a']", &["a"]),
            (r#"['it"s', "it's"]"#, &["it\"s", "it's"]),
            (r"['\'', '\\frac{1}{2}', 'a\nb']", &["'", "\\frac{1}{2}", "a\nb"]),
            (r"['\x41\u00e9', '\d']", &["Aé", r"\d"]),
            ("['a, b', 'c]', ]", &["a, b", "c]"]),
            ("[1, 2.5]", &["1", "2.5"]),
            ("[ 'a' ,\n 'b' ]", &["a", "b"]),
        ];
        for (text, expected) in cases {
            assert_eq!(python_list(text).as_deref(), Some(&expected.iter().map(ToString::to_string).collect::<Vec<_>>()[..]), "{text}");
        }
        for broken in ["", "['a'", "'a'", "['a' 'b'", "['a' 'b']", "[a]", "['a\\", "['\\xZZ']", "[,]"] {
            assert_eq!(python_list(broken), None, "{broken}");
        }
    }
}
