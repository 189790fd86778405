//! Judging a reply.
//!
//! Every scorer reads a reply into a parsed form or gives up ("unparsed", counted as wrong and shown as such). None
//! guesses: harnesses that fall back to a random letter make answers flip that did not. Rules after the public scorers of
//! POPE (VLMEvalKit's reading: exactly one of yes/no), MMBench (one option letter, else one option text), the VQA
//! normaliser (articles, punctuation, number words) and ChartQA (numbers within a tolerance).

use crate::{AnswerKind, Question};

/// What a scorer says about a reply.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// Whether the reply counts as right.
    pub correct: bool,
    /// Graded score in 0..=1; 0 or 1 for every kind so far.
    pub score: f32,
    /// The answer as read, `None` if the reply could not be read.
    pub parsed: Option<String>,
}

/// Scores a reply to a question.
pub fn score(question: &Question, reply: &str) -> Verdict {
    let parsed = parse(question, reply);
    let correct = parsed
        .as_ref()
        .is_some_and(|answer| question.gold.iter().any(|gold| parse(question, gold).is_some_and(|gold| agrees(question, answer, &gold))));
    Verdict { correct, score: f32::from(u8::from(correct)), parsed }
}

/// Whether two replies give the same answer: equal as read where both can be read, else equal as normalised text.
pub fn same_answer(question: &Question, a: &str, b: &str) -> bool {
    match (parse(question, a), parse(question, b)) {
        (Some(a), Some(b)) => a == b,
        _ => normalize(a) == normalize(b),
    }
}

fn agrees(question: &Question, answer: &str, gold: &str) -> bool {
    if answer == gold {
        return true;
    }
    let AnswerKind::NumberWithin { tolerance } = question.kind else { return false };
    match (answer.parse::<f64>(), gold.parse::<f64>()) {
        (Ok(answer), Ok(gold)) => gold != 0.0 && ((answer - gold) / gold).abs() <= tolerance,
        _ => false,
    }
}

fn parse(question: &Question, reply: &str) -> Option<String> {
    match &question.kind {
        AnswerKind::YesNo => yes_no(reply),
        AnswerKind::Choice { options } => choice(reply, options),
        AnswerKind::Short => short(reply),
        AnswerKind::ShortOrUnanswerable => short(reply).map(unanswerable),
        AnswerKind::Number | AnswerKind::NumberWithin { .. } => number(reply),
    }
}

/// The reply's words contain exactly one of "yes" and "no".
fn yes_no(reply: &str) -> Option<String> {
    let words = words(reply);
    let has = |word: &str| words.iter().any(|w| w == word);
    match (has("yes"), has("no")) {
        (true, false) => Some("yes".into()),
        (false, true) => Some("no".into()),
        _ => None,
    }
}

/// One option letter, or one option text; nothing if there are several, or a letter and another option's text.
fn choice(reply: &str, options: &[String]) -> Option<String> {
    let by_letter = option_letters(reply, options.len());
    let by_text = option_texts(reply, options);
    let chosen = match (&by_letter[..], &by_text[..]) {
        ([letter], []) => *letter,
        ([], [text]) => *text,
        ([letter], [text]) if letter == text => *letter,
        _ => return None,
    };
    char::from_u32('a' as u32 + chosen as u32).map(String::from)
}

/// Options whose letter stands alone in the reply: `b`, `B.`, `(b)`, `b)`, `b:`.
fn option_letters(reply: &str, options: usize) -> Vec<usize> {
    let tokens: Vec<&str> = reply.split_whitespace().collect();
    let mut found = Vec::new();
    for (i, token) in tokens.iter().enumerate() {
        let bare = token.trim_matches(|c: char| c.is_ascii_punctuation());
        let mut characters = bare.chars();
        let (Some(letter), None) = (characters.next(), characters.next()) else { continue };
        let place = (letter.to_ascii_lowercase() as usize).wrapping_sub('a' as usize);
        // A lone "a" inside a longer sentence is an article; at its end it cannot be one.
        let inside = tokens.len() > 3 && i + 1 < tokens.len();
        let article = letter.eq_ignore_ascii_case(&'a') && bare.len() == token.len() && inside;
        if place < options && !article && !found.contains(&place) {
            found.push(place);
        }
    }
    found
}

/// Options whose text occurs in the reply as whole words; an occurrence inside a longer option's does not count.
fn option_texts(reply: &str, options: &[String]) -> Vec<usize> {
    let pad = |text: &str| format!(" {} ", normalize(text));
    let mut rest = pad(reply);
    let mut order: Vec<usize> = (0..options.len()).collect();
    order.sort_by_key(|&i| std::cmp::Reverse(options[i].len()));
    let mut found = Vec::new();
    for i in order {
        let text = pad(&options[i]);
        if !text.trim().is_empty() && rest.contains(&text) {
            rest = rest.replace(&text, " | ");
            found.push(i);
        }
    }
    found
}

/// The whole reply, normalised.
fn short(reply: &str) -> Option<String> {
    let answer = normalize(reply);
    (!answer.is_empty()).then_some(answer)
}

/// The usual ways to say that a question has no answer become one word.
fn unanswerable(answer: String) -> String {
    if UNANSWERABLE.contains(&answer.as_str()) { UNANSWERABLE[0].to_owned() } else { answer }
}

/// Normalised ways to say that a question has no answer; the first is the canonical one.
const UNANSWERABLE: [&str; 12] = [
    "unanswerable",
    "it is unanswerable",
    "question is unanswerable",
    "not answerable",
    "cannot be answered",
    "cannot answer",
    "cannot tell",
    "cant tell",
    "cannot be determined",
    "there is none",
    "no answer",
    "none",
];

/// The only number in the reply, as digits: "three", "twenty-one", "1,000", "-2.5", "12%" (0.12), "none" (0).
fn number(reply: &str) -> Option<String> {
    let reply = reply.to_lowercase();
    let mut found: Vec<f64> = Vec::new();
    let mut tens: Option<usize> = None;
    for token in reply.split_whitespace() {
        let token = token.trim_matches(|c: char| c.is_ascii_punctuation() && c != '%' && c != '-');
        let negative = token.starts_with('-');
        for part in token.split('-').filter(|part| !part.is_empty()) {
            if LARGE_NUMBERS.contains(&part) {
                return None;
            }
            let units = NUMBERS.iter().position(|word| *word == part).or((part == "none").then_some(0));
            let value = match (tens.take(), units) {
                (Some(ten), Some(unit @ 1..=9)) => {
                    found.pop();
                    Some((10 * ten + unit) as f64)
                }
                (_, Some(unit)) => Some(unit as f64),
                (_, None) => {
                    tens = TENS.iter().position(|word| *word == part).map(|n| n + 2);
                    tens.map(|ten| (10 * ten) as f64).or_else(|| decimal(part))
                }
            };
            found.extend(value.map(|v| if negative { -v } else { v }));
        }
    }
    let first = *found.first()?;
    let all_same = found.iter().all(|value| value.to_bits() == first.to_bits());
    all_same.then(|| first.to_string())
}

/// Digits with an optional fraction, thousands commas and percent sign; nothing that merely parses, like "inf".
fn decimal(text: &str) -> Option<f64> {
    let (digits, unit) = text.strip_suffix('%').map_or((text, 1.0), |digits| (digits, 100.0));
    let plain = digits.replace(',', "");
    let valid = plain.starts_with(|c: char| c.is_ascii_digit()) && plain.chars().all(|c| c.is_ascii_digit() || c == '.');
    let value: f64 = valid.then(|| plain.parse().ok()).flatten()?;
    Some(value / unit)
}

const NUMBERS: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: [&str; 8] = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
/// Words that change the number beside them; a reply with one of them is not read.
const LARGE_NUMBERS: [&str; 5] = ["dozen", "hundred", "thousand", "million", "half"];

/// Lower case, punctuation dropped, articles dropped, number words as digits, single spaces.
fn normalize(text: &str) -> String {
    let words = words(text);
    let kept = words.iter().filter(|w| !matches!(w.as_str(), "a" | "an" | "the"));
    // An article alone is an answer: the letter a.
    let words: Vec<&String> = if words.len() == 1 { words.iter().collect() } else { kept.collect() };
    let digits = words.iter().map(|w| NUMBERS.iter().position(|n| n == w).map_or_else(|| (*w).clone(), |n| n.to_string()));
    digits.collect::<Vec<_>>().join(" ")
}

/// The lower-case words of a text. Apostrophes and a point between digits stay inside their word; the former vanish.
fn words(text: &str) -> Vec<String> {
    let characters: Vec<char> = text.to_lowercase().chars().collect();
    let mut plain = String::with_capacity(text.len());
    for (i, &c) in characters.iter().enumerate() {
        let digit = |j: Option<usize>| j.and_then(|j| characters.get(j)).is_some_and(char::is_ascii_digit);
        let in_number = matches!(c, '.' | ',') && digit(i.checked_sub(1)) && digit(Some(i + 1));
        match c {
            '\'' | '\u{2019}' => {}
            ',' if in_number => {}
            '.' if in_number => plain.push(c),
            c if c.is_alphanumeric() => plain.push(c),
            _ => plain.push(' '),
        }
    }
    plain.split_whitespace().map(String::from).collect()
}
