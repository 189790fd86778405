//! Operators that Python's values understand and the template engine's do not, or otherwise: `a % b`, `a / b`, `a // b` and `a ~ b` become
//! calls, and so does the tuple `(a, b)`.
//!
//! The engine has no hook for an operator, so the template's text is changed before it is compiled. Nothing moves to another line: the lines
//! that errors name stay those of the file.

use std::borrow::Cow;
use std::ops::Range;

/// What `a % b` calls.
pub(super) const REMAINDER: &str = "python_mod";
/// What `a / b` calls.
pub(super) const DIVISION: &str = "python_truediv";
/// What `a // b` calls.
pub(super) const FLOOR_DIVISION: &str = "python_floordiv";
/// What `a ~ b` calls.
pub(super) const CONCATENATION: &str = "python_concat";
/// What `(a, b)` calls.
pub(super) const TUPLE: &str = "python_tuple";

/// Words that bind more loosely than `~` and `%` do.
const WORDS: [&str; 8] = ["not", "and", "or", "if", "else", "in", "is", "recursive"];
/// Operators that bind as `%` does.
const PRODUCTS: [&str; 4] = ["*", "/", "//", "%"];
/// Operators that bind more tightly.
const TIGHT: [&str; 3] = [".", "|", "**"];

/// The template with the operators as calls.
pub(super) fn as_calls(template: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut end = 0;
    for (statement, tag) in tags(template) {
        let text = &template[tag.clone()];
        // Where brackets do not match, it is the engine's to complain.
        if let Some(trees) = trees(text).filter(|_| text.contains(['%', '~', '/', '('])) {
            out.push_str(&template[end..tag.start]);
            out.push_str(&if statement { of_statement(&trees) } else { level(&trees) });
            out.push_str(&text[text.trim_end().len()..]);
            end = tag.end;
        }
    }
    if end == 0 {
        return Cow::Borrowed(template);
    }
    out.push_str(&template[end..]);
    Cow::Owned(out)
}

/// What is inside of `{{ .. }}` and `{% .. %}`, marks of whitespace control left out, and whether it is the latter. Comments and raw blocks
/// have no insides.
pub(super) fn tags(template: &str) -> Vec<(bool, Range<usize>)> {
    let (mut found, mut at) = (Vec::new(), 0);
    while let Some(next) = template[at..].find('{').map(|next| at + next) {
        let rest = &template[next..];
        let statement = rest.starts_with("{%");
        if rest.starts_with("{#") {
            let Some(length) = rest.find("#}") else { break };
            at = next + length + 2;
        } else if statement || rest.starts_with("{{") {
            let Some(length) = length(&rest[2..], if statement { "%}" } else { "}}" }) else { break };
            let (mut start, mut end) = (next + 2, next + 2 + length);
            at = end + 2;
            let control = |c: &u8| matches!(c, b'-' | b'+');
            start += usize::from(start < end && control(&template.as_bytes()[start]));
            end -= usize::from(start < end && control(&template.as_bytes()[end - 1]));
            found.push((statement, start..end));
            if statement && template[start..end].trim() == "raw" {
                let Some(closing) = template[at..].match_indices("{%").find(|(place, _)| {
                    let tag = template[at + place + 2..].trim_start_matches(['-', '+']).trim_start();
                    tag.starts_with("endraw")
                }) else {
                    break;
                };
                at += closing.0;
            }
        } else {
            at = next + 1;
        }
    }
    found
}

/// Bytes of a tag before its `end`, which is none within a string or in brackets.
fn length(text: &str, end: &str) -> Option<usize> {
    let (mut quote, mut depth, mut escaped) = (None, 0_usize, false);
    for (at, c) in text.char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(open) => quote = (c != open).then_some(open),
            None if depth == 0 && text[at..].starts_with(end) => return Some(at),
            None => match c {
                '\'' | '"' => quote = Some(c),
                '(' | '[' | '{' => depth += 1,
                ')' | ']' | '}' => depth = depth.saturating_sub(1),
                _ => {}
            },
        }
    }
    None
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Name,
    /// A number or a string.
    Literal,
    Operator,
    Open,
    Close,
}

/// A token, or brackets with what is in them, each with the whitespace before it.
#[derive(Debug)]
enum Tree<'a> {
    Token { kind: Kind, space: &'a str, text: &'a str },
    Group { open: (&'a str, &'a str), inner: Vec<Tree<'a>>, close: (&'a str, &'a str) },
}

impl Tree<'_> {
    fn is(&self, expected: Kind, texts: &[&str]) -> bool {
        matches!(self, Self::Token { kind, text, .. } if *kind == expected && texts.contains(text))
    }
}

/// `None` where brackets do not match.
fn trees(text: &str) -> Option<Vec<Tree<'_>>> {
    const LONG: [&str; 6] = ["//", "**", "==", "!=", ">=", "<="];
    let mut outer: Vec<((&str, &str), Vec<Tree<'_>>)> = Vec::new();
    let (mut current, mut rest) = (Vec::new(), text);
    loop {
        let behind = rest.trim_start();
        let space = &rest[..rest.len() - behind.len()];
        let Some(first) = behind.chars().next() else { break };
        let run = |of: fn(char) -> bool| behind.find(|c| !of(c)).unwrap_or(behind.len());
        let (kind, length) = match first {
            '\'' | '"' => (Kind::Literal, string(behind, first)),
            '(' | '[' | '{' => (Kind::Open, 1),
            ')' | ']' | '}' => (Kind::Close, 1),
            '0'..='9' => (Kind::Literal, number(behind)),
            _ if first.is_alphanumeric() || first == '_' => (Kind::Name, run(|c| c.is_alphanumeric() || c == '_')),
            _ if LONG.iter().any(|long| behind.starts_with(long)) => (Kind::Operator, 2),
            _ => (Kind::Operator, first.len_utf8()),
        };
        let (text, after) = behind.split_at(length);
        rest = after;
        match kind {
            Kind::Open => outer.push(((space, text), std::mem::take(&mut current))),
            Kind::Close => {
                let (open, around) = outer.pop()?;
                let inner = std::mem::replace(&mut current, around);
                current.push(Tree::Group { open, inner, close: (space, text) });
            }
            _ => current.push(Tree::Token { kind, space, text }),
        }
    }
    outer.is_empty().then_some(current)
}

/// Bytes of the string that a text begins with.
fn string(text: &str, quote: char) -> usize {
    let mut escaped = false;
    let end = text.char_indices().skip(1).find(|&(_, c)| {
        let ends = c == quote && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |(at, _)| at + 1)
}

/// Bytes of the number that a text begins with.
fn number(text: &str) -> usize {
    let digits = |text: &str| text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    let whole = digits(text);
    let fraction = text[whole..].strip_prefix('.').filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    fraction.map_or(whole, |rest| whole + 1 + digits(rest))
}

/// A statement: its name and what it assigns to are no expression.
fn of_statement(trees: &[Tree<'_>]) -> String {
    let behind = |kind, text: &str| trees.iter().position(|tree| tree.is(kind, &[text])).map(|at| at + 1);
    let first = trees.first();
    let names = |name: &str| first.is_some_and(|first| first.is(Kind::Name, &[name]));
    let verbatim = if names("for") {
        behind(Kind::Name, "in")
    } else if names("set") {
        behind(Kind::Operator, "=")
    } else if names("call") {
        Some(2)
    } else {
        Some(1)
    };
    let (head, expression) = trees.split_at(verbatim.unwrap_or(trees.len()).min(trees.len()));
    head.iter().map(verbatim_text).collect::<String>() + &level(expression)
}

fn verbatim_text(tree: &Tree<'_>) -> String {
    match tree {
        Tree::Token { space, text, .. } => format!("{space}{text}"),
        Tree::Group { open, inner, close } => {
            let inner: String = inner.iter().map(verbatim_text).collect();
            format!("{}{}{inner}{}{}", open.0, open.1, close.0, close.1)
        }
    }
}

/// What stands between two brackets, or in a tag.
fn level(trees: &[Tree<'_>]) -> String {
    let mut out = String::new();
    let mut start = 0;
    for (at, tree) in trees.iter().enumerate() {
        let before = trees[start..at].last();
        let loose = match tree {
            Tree::Token { kind: Kind::Name, text, .. } => {
                WORDS.contains(text) && !before.is_some_and(|before| before.is(Kind::Operator, &["."]))
            }
            // A sign belongs to the operand behind it.
            Tree::Token { kind: Kind::Operator, text: "+" | "-", .. } => {
                before.is_some_and(|before| !before.is(Kind::Operator, &["~", "**", "*", "/", "//", "%", "-", "+"]))
            }
            Tree::Token { kind: Kind::Operator, text, .. } => !(PRODUCTS.contains(text) || TIGHT.contains(text) || *text == "~"),
            _ => false,
        };
        if loose {
            out += &concatenation(&trees[start..at]);
            out += &verbatim_text(tree);
            start = at + 1;
        }
    }
    out + &concatenation(&trees[start..])
}

fn concatenation(trees: &[Tree<'_>]) -> String {
    let mut parts = trees.split(|tree| tree.is(Kind::Operator, &["~"])).map(product);
    let mut out = parts.next().unwrap_or_default();
    let mut several = false;
    let tildes = trees.iter().filter(|tree| tree.is(Kind::Operator, &["~"]));
    for (tilde, part) in tildes.zip(parts) {
        if let Tree::Token { space, .. } = tilde {
            out += space;
        }
        out += ",";
        out += &part;
        several = true;
    }
    if several { called(CONCATENATION, &out) } else { out }
}

fn product(trees: &[Tree<'_>]) -> String {
    let mut operands = trees.split(|tree| tree.is(Kind::Operator, &PRODUCTS));
    let mut out = operands.next().map(operand).unwrap_or_default();
    let operators = trees.iter().filter(|tree| tree.is(Kind::Operator, &PRODUCTS));
    for (operator, right) in operators.zip(operands) {
        let right = operand(right);
        out = match operator {
            Tree::Token { space, text, .. } if *text != "*" => {
                let name = match *text {
                    "%" => REMAINDER,
                    "/" => DIVISION,
                    _ => FLOOR_DIVISION,
                };
                called(name, &format!("{out}{space},{right}"))
            }
            times => out + &verbatim_text(times) + &right,
        };
    }
    out
}

fn operand(trees: &[Tree<'_>]) -> String {
    let mut out = String::new();
    for (at, tree) in trees.iter().enumerate() {
        let Tree::Group { open, inner, close } = tree else {
            out += &verbatim_text(tree);
            continue;
        };
        // What follows a value is an index, or the arguments of a call.
        let follows = at > 0 && !matches!(trees[at - 1], Tree::Token { kind: Kind::Operator, .. });
        let several = inner.is_empty() || inner.iter().any(|tree| tree.is(Kind::Operator, &[","]));
        let tuple = open.1 == "(" && !follows && several;
        out += open.0;
        out += if tuple { TUPLE } else { "" };
        out += open.1;
        out += &level(inner);
        out += close.0;
        out += close.1;
    }
    out
}

/// A call, the whitespace before its arguments before it.
fn called(name: &str, arguments: &str) -> String {
    let trimmed = arguments.trim_start();
    let space = &arguments[..arguments.len() - trimmed.len()];
    format!("{space}{name}({trimmed})")
}

#[cfg(test)]
mod tests {
    use super::as_calls;

    /// By the precedence of Jinja: `**`, then `*` and `%`, then `~`, then `+`, then everything else; filters bind to the operand that they follow.
    #[test]
    fn operators_take_the_operands_that_are_theirs() {
        for (template, expected) in [
            ("100 % {plain} ~ text", "100 % {plain} ~ text"),
            ("{{ a % b }}", "{{ python_mod(a , b) }}"),
            ("{{-a%b-}}", "{{-python_mod(a,b)-}}"),
            ("{{ a * b % c * d }}", "{{ python_mod(a * b , c) * d }}"),
            ("{{ a % b % c }}", "{{ python_mod(python_mod(a , b) , c) }}"),
            ("{{ a + b % -c | abs + d }}", "{{ a + python_mod(b , -c | abs) + d }}"),
            ("{{ -a % b - c }}", "{{ python_mod(-a , b) - c }}"),
            ("{{ a % b ** c }}", "{{ python_mod(a , b ** c) }}"),
            ("{{ a ~ b % c ~ d + e }}", "{{ python_concat(a , python_mod(b , c) , d) + e }}"),
            ("{% if a % b == 0 and not c %}", "{% if python_mod(a , b) == 0 and not c %}"),
            ("{% set a = b\n % c %}", "{% set a = python_mod(b\n , c) %}"),
            ("{% for (a, b) in c if a % b %}", "{% for (a, b) in c if python_mod(a , b) %}"),
            ("{{ f(a, b % c)[d ~ e] }}", "{{ f(a, python_mod(b , c))[python_concat(d , e)] }}"),
            ("{{ 'a % b' % (c, d) }}", "{{ python_mod('a % b' , python_tuple(c, d)) }}"),
            ("{{ {'a': b % c, 'd': (e) } }}", "{{ {'a': python_mod(b , c), 'd': (e) } }}"),
            ("{{ a / b * c // d }}", "{{ python_floordiv(python_truediv(a , b) * c , d) }}"),
            ("{{ () + f() }}", "{{ python_tuple() + f() }}"),
            (
                "{# a % b #}{% raw %}{{ a % b }}{% endraw %}{{ a.in ~ b }}",
                "{# a % b #}{% raw %}{{ a % b }}{% endraw %}{{ python_concat(a.in , b) }}",
            ),
            ("{{ '}}' ~ \"%}\" }}", "{{ python_concat('}}' , \"%}\") }}"),
            ("{{ (a % b", "{{ (a % b"),
            ("{{ a) % b }}", "{{ a) % b }}"),
        ] {
            assert_eq!(as_calls(template), expected);
        }
    }

    proptest::proptest! {
        /// Whatever the text, it stays on its lines; and nothing panics.
        #[test]
        fn any_text_keeps_its_lines(parts in proptest::collection::vec(
            proptest::sample::select(vec!["{{", "}}", "{%", "%}", "{#", "#}", "a", " ", "\n", "%", "~", "(", ")", "[", "'", "\"", "\\", "-", ",", "ß", "1.5", "raw", "set", "="]),
            0..24,
        )) {
            let text = parts.concat();
            let changed = as_calls(&text);
            proptest::prop_assert_eq!(changed.matches('\n').count(), text.matches('\n').count());
        }
    }
}
