//! MMMU's questions without options: what a reply may mean, and whether a right answer is among that. As in the authors' `eval_utils.py` (Yue et al. 2023,
//! arXiv 2311.16502), which lmms-eval 0.7.3 has. Digits are ASCII digits here, any decimal digit there.

use super::official::number;

/// A text or a number that a reply may mean.
#[derive(Clone, Debug, PartialEq)]
enum Meaning {
    Text(String),
    Number(f64),
}

/// Words behind which the answer stands, to the end of its line.
const INDICATORS: [&str; 8] = ["could be ", "so ", "is ", "thus ", "therefore ", "final ", "answer ", "result "];

/// What a reply may mean, as a list in JSON: sorted, each once.
pub(super) fn read(reply: &str) -> String {
    let reply = reply.trim().trim_matches('.').to_lowercase();
    let lines: Vec<&str> = reply.split('\n').collect();
    let mut keys: Vec<&str> = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let equation = (index + 1 == lines.len()).then_some("=");
        // Of what stands behind each the shortest.
        let tails = INDICATORS.into_iter().chain(equation).filter_map(|indicator| Some(line.rsplit_once(indicator)?.1.trim()));
        let shortest = tails.reduce(|best, next| if best.is_empty() || next.chars().count() < best.chars().count() { next } else { best });
        keys.extend(shortest.filter(|key| !["", ":", ",", ".", "!", "?", ";", "'"].contains(key)));
    }
    if keys.is_empty() {
        keys.push(&reply);
    }
    let numbers: Vec<String> = keys.iter().flat_map(|key| numbers(key)).collect();
    let all = keys.into_iter().map(str::to_owned).chain(numbers);
    let mut meanings: Vec<String> = all.flat_map(|text| meanings(&text)).map(|meaning| meaning.written()).collect();
    meanings.sort();
    meanings.dedup();
    serde_json::Value::from(meanings).to_string()
}

/// Whether one of the things that a reply may mean is the right answer, or holds it.
pub(super) fn is_right(read: &str, gold: &str) -> bool {
    let said: Vec<String> = serde_json::from_str(read).unwrap_or_default();
    let gold = meanings(gold);
    said.into_iter().map(Meaning::of).any(|said| {
        gold.iter().any(|gold| match (&said, gold) {
            (Meaning::Text(said), Meaning::Text(gold)) => said.contains(gold),
            (said, gold) => said == gold,
        })
    })
}

impl Meaning {
    /// Of its form in a list: a text never looks like a number.
    fn of(written: String) -> Self {
        match as_number(&written) {
            Some(number) => Self::Number(number),
            None => Self::Text(written),
        }
    }

    fn written(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
        }
    }
}

/// A number where it is one, with two digits behind the point; else the text, which as a single character must stand at a word's end.
fn meanings(text: &str) -> Vec<Meaning> {
    let text = text.trim();
    if let Some(number) = as_number(text) {
        let rounded = if number.is_finite() { format!("{number:.2}").parse().unwrap_or(number) } else { number };
        return vec![Meaning::Number(rounded)];
    }
    let text = text.to_lowercase();
    if text.chars().count() == 1 {
        return vec![Meaning::Text(format!(" {text}")), Meaning::Text(format!("{text} "))];
    }
    vec![Meaning::Text(text)]
}

fn as_number(text: &str) -> Option<f64> {
    number(&text.replace(',', "")).filter(|_| !text.ends_with('%'))
}

/// The numbers in a text: those with commas, those with an exponent, and the others.
fn numbers(text: &str) -> Vec<String> {
    let text: Vec<char> = text.chars().collect();
    [with_commas, with_exponent, simple].into_iter().flat_map(|pattern| all(&text, pattern)).collect()
}

/// Everything that a pattern matches, from left to right. It says where a match that begins at a place ends, behind a sign.
fn all(text: &[char], pattern: fn(&[char], usize) -> Option<usize>) -> Vec<String> {
    let (mut found, mut at) = (Vec::new(), 0);
    while at < text.len() {
        let digits = if text[at] == '-' { at + 1 } else { at };
        match pattern(text, digits) {
            Some(end) => {
                found.push(text[at..end].iter().collect());
                at = end;
            }
            None => at += 1,
        }
    }
    found
}

fn digits(text: &[char], at: usize) -> usize {
    text.iter().skip(at).take_while(|c| c.is_ascii_digit()).count()
}

fn is(text: &[char], at: usize, what: impl Fn(char) -> bool) -> bool {
    text.get(at).is_some_and(|c| what(*c))
}

fn in_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// `-?\b\d{1,3}(?:,\d{3})+\b`
fn with_commas(text: &[char], at: usize) -> Option<usize> {
    let inside = at > 0 && in_word(text[at - 1]);
    let first = digits(text, at);
    if inside || !(1..=3).contains(&first) {
        return None;
    }
    let (mut end, mut last) = (at + first, None);
    while is(text, end, |c| c == ',') && digits(text, end + 1) >= 3 {
        end += 4;
        if !is(text, end, in_word) {
            last = Some(end);
        }
    }
    last
}

/// `-?\d+(?:\.\d+)?[eE][+-]?\d+`
fn with_exponent(text: &[char], at: usize) -> Option<usize> {
    let whole = digits(text, at);
    if whole == 0 {
        return None;
    }
    let mut end = at + whole;
    if is(text, end, |c| c == '.') && digits(text, end + 1) > 0 {
        end += 1 + digits(text, end + 1);
    }
    exponent(text, end)
}

/// Where `[eE][+-]?\d+` ends that begins at a place.
fn exponent(text: &[char], at: usize) -> Option<usize> {
    if !is(text, at, |c| c == 'e' || c == 'E') {
        return None;
    }
    let sign = usize::from(is(text, at + 1, |c| c == '+' || c == '-'));
    let power = digits(text, at + 1 + sign);
    (power > 0).then_some(at + 1 + sign + power)
}

/// `-?(?:\d+\.\d+|\.\d+|\d+\b)(?![eE][+-]?\d+)(?![,\d])`
fn simple(text: &[char], at: usize) -> Option<usize> {
    let whole = digits(text, at);
    let point = at + whole;
    let behind = if is(text, point, |c| c == '.') { digits(text, point + 1) } else { 0 };
    let may_end = |end: usize| exponent(text, end).is_none() && !is(text, end, |c| c == ',' || c.is_ascii_digit());
    if behind > 0 && may_end(point + 1 + behind) {
        return Some(point + 1 + behind);
    }
    (whole > 0 && !is(text, point, in_word) && may_end(point)).then_some(point)
}
