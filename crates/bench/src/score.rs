//! Judging a reply.
//!
//! Every scorer reads a reply into a parsed form or gives up ("unparsed", counted as wrong and shown as such). None
//! guesses: harnesses that fall back to a random letter make answers flip that did not. Rules after the public scorers of
//! POPE (VLMEvalKit's reading: exactly one of yes/no), MMBench (one option letter, else one option text), the VQA
//! normaliser (articles, punctuation, number words) and ChartQA (numbers within a tolerance).
//!
//! Whatever is said of a reply is said of its [`Reading`]: whether it is right, and whether another reply is the same answer.

mod anls;
mod letters;
mod mmmu_open;
mod official;
mod vqa;

pub use official::OfficialScorer;

use crate::{AnswerKind, Question};

/// What a scorer says about a reply.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// Whether the reply counts as right.
    pub correct: bool,
    /// Graded score in 0..=1; 0 or 1 but where people agree in part ([`OfficialScorer::Vqa`]).
    pub score: f32,
    /// The answer as read, `None` if the reply could not be read.
    pub parsed: Option<String>,
}

impl Verdict {
    /// On a reply that is no answer, whatever can be read in it.
    pub fn on_no_answer() -> Self {
        Self { correct: false, score: 0.0, parsed: None }
    }
}

/// A reply as it is read. Verdict and equality both follow from it alone, so the same answer always has the same verdict, and being the same answer is an
/// equivalence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// What the scorer found in it.
    As(String),
    /// The scorer found nothing: all that it says, normalised.
    Unread(String),
}

impl Reading {
    pub(crate) fn of(question: &Question, original: &str) -> Self {
        let reply = plain(original);
        let read = match &question.kind {
            AnswerKind::YesNo => yes_no(&reply),
            AnswerKind::Choice { options } => choice(&reply, options),
            AnswerKind::Short => short(&reply),
            AnswerKind::ShortOrUnanswerable => short(&reply).map(unanswerable),
            AnswerKind::Number | AnswerKind::NumberWithin { .. } => number(&reply),
            AnswerKind::Official(scorer) => scorer.read(original, &question.gold),
        };
        read.map_or_else(|| Self::Unread(normalize(&reply)), Self::As)
    }

    fn parsed(self) -> Option<String> {
        match self {
            Self::As(answer) => Some(answer),
            Self::Unread(_) => None,
        }
    }
}

/// Scores a reply to a question.
pub fn score(question: &Question, reply: &str) -> Verdict {
    verdict(question, Reading::of(question, reply))
}

/// What a reply is worth that was read so.
pub(crate) fn verdict(question: &Question, reading: Reading) -> Verdict {
    let parsed = reading.parsed();
    if let AnswerKind::Official(scorer) = &question.kind {
        let score = parsed.as_ref().map_or(0.0, |answer| scorer.worth(answer, &question.gold));
        return Verdict { correct: OfficialScorer::right(score), score, parsed };
    }
    let gold = || question.gold.iter().filter_map(|gold| Reading::of(question, gold).parsed());
    let correct = parsed.as_ref().is_some_and(|answer| gold().any(|gold| agrees(question, answer, &gold)));
    Verdict { correct, score: f32::from(u8::from(correct)), parsed }
}

/// Whether two replies give the same answer: both are read, and as the same, or neither can be read and both say the same in normalised words.
///
/// The same answer has the same [`Verdict`]. The converse does not hold: two numbers within the tolerance of [`AnswerKind::NumberWithin`] are both right.
pub fn same_answer(question: &Question, a: &str, b: &str) -> bool {
    Reading::of(question, a) == Reading::of(question, b)
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

/// The text with signs that differ in width and typography alone in their ASCII form: full-width letters, digits and punctuation, dashes and the minus.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
            '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
            _ => c,
        })
        .collect()
}

/// Signs that may stand around an answer and say nothing. Not every sign is one: a root, a degree or a per mille makes another number of a number.
fn is_punctuation(c: char) -> bool {
    match c {
        // inverted marks, middle dot, guillemets
        '\u{a1}' | '\u{b7}' | '\u{bf}' | '\u{ab}' | '\u{bb}' | '\u{2039}' | '\u{203a}'
        // quotation marks, bullet, ellipsis
        | '\u{2018}'..='\u{201f}' | '\u{2022}' | '\u{2026}'
        // what is there and not seen
        | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{fe0f}'
        // stops and brackets of Chinese and Japanese, also in half width
        | '\u{3001}'..='\u{3003}' | '\u{3008}'..='\u{3011}' | '\u{3014}'..='\u{301f}' | '\u{ff61}'..='\u{ff65}'
        // danda, Arabic stop, comma, semicolon and question mark
        | '\u{964}' | '\u{60c}' | '\u{61b}' | '\u{61f}' | '\u{6d4}' => true,
        _ => c.is_ascii_punctuation(),
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
        let bare = token.trim_matches(is_punctuation);
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
        let token = token.trim_matches(|c: char| is_punctuation(c) && c != '%' && c != '-');
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
            // zero has no sign
            found.extend(value.map(|v| if negative { 0.0 - v } else { v }));
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
    value.is_finite().then_some(value / unit)
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
