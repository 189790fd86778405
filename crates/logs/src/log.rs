//! What a run logged, whichever tool wrote it down.

use std::collections::{BTreeMap, HashMap};

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use steady_bench::AnswerKind;
use steady_report::{CostRow, TokenLogit};

use crate::LogError;
use crate::defects::Corrected;
use crate::format::LogFormat;

/// A run of one model: what was asked, how, and what it answered.
#[derive(Clone, Debug)]
pub struct Log {
    /// What the run is called in reports.
    pub name: String,
    /// Who wrote it.
    pub format: &'static LogFormat,
    /// The model, where the log says it.
    pub model: Option<String>,
    /// What was asked: the tool's tasks or data sets.
    pub benchmark: String,
    /// Fingerprint of the benchmark, where there is one.
    pub fingerprint: String,
    /// What decides what is asked and how it is decoded and scored. It is to be the same in all runs.
    pub settings: BTreeMap<String, String>,
    /// What should not matter, and may.
    pub circumstances: BTreeMap<String, String>,
    /// The answers, in the log's order. No two are to one question.
    pub answers: Vec<Answer>,
    /// What a reader should know of how the log was read, a sentence each.
    pub notes: Vec<String>,
    /// What the model cost, where the log says it.
    pub cost: Option<CostRow>,
}

/// One answer to one question.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// Where it stands, for messages.
    pub place: String,
    /// Identity of the question within the run.
    pub id: String,
    /// Task, data set or category.
    pub family: String,
    /// Questions with the same one are not independent: of one image, or one question asked several times.
    pub image: String,
    /// The prompt, where the log has it.
    pub question: Option<String>,
    /// Accepted answers; none where the log has none. Of a choice: the letter.
    pub gold: Vec<String>,
    /// Texts of options A, B, C, ..., where it is a choice.
    pub options: Vec<String>,
    /// All that the model said.
    pub reply: String,
    /// What the tool took for the answer in it.
    pub read: Read,
    /// The tool's own score, 0 to 1, where it gave one.
    pub score: Option<f64>,
    /// The tool's own verdict, where it is not that half a score or more is right.
    pub correct: Option<bool>,
    /// What the verdict should have been, where the tool's scorer is known to be wrong about such answers.
    pub corrected: Option<Corrected>,
    /// The tool's hashes of what was asked, by their names.
    pub hashes: Vec<(&'static str, String)>,
    /// By how much the model preferred its answer to the next, in logits.
    pub margin: Option<f32>,
    /// Visual tokens that the decoder saw, 0 where nobody knows.
    pub visual_tokens: f32,
    /// The most likely first tokens.
    pub top: Vec<TokenLogit>,
}

/// What a tool took for the answer in a reply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Read {
    /// The log does not say: the scorers of this program read the reply.
    #[default]
    Unsaid,
    /// This.
    As(String),
    /// It found none.
    Nothing,
}

impl Answer {
    /// The form of the answer: of the options if there are any, else of the accepted answers.
    pub fn kind(&self) -> AnswerKind {
        let all = |is: &dyn Fn(&str) -> bool| !self.gold.is_empty() && self.gold.iter().all(|gold| is(gold.trim()));
        if !self.options.is_empty() {
            AnswerKind::Choice { options: self.options.clone() }
        } else if all(&|gold| gold.eq_ignore_ascii_case("yes") || gold.eq_ignore_ascii_case("no")) {
            AnswerKind::YesNo
        } else if all(&|gold| gold.replace(',', "").parse::<f64>().is_ok_and(f64::is_finite)) {
            AnswerKind::Number
        } else {
            AnswerKind::Short
        }
    }

    /// Whether the tool took it for right: by its verdict, else from half a score on; nothing where it gave neither.
    pub fn verdict(&self) -> Option<bool> {
        self.correct.or_else(|| self.score.map(|score| score >= HALF))
    }

    /// The answer without the reply around it, where the tool says what it is.
    pub fn words(&self) -> &str {
        match &self.read {
            Read::As(read) => read,
            Read::Unsaid | Read::Nothing => &self.reply,
        }
    }
}

/// From which score on an answer counts as right.
const HALF: f64 = 0.5;

/// An identity for a question that its log gives none: its words and its image.
pub fn identity(question: &str, image: &str) -> String {
    let hash = Sha256::digest(format!("{question}\0{image}"));
    format!("q-{}", HEXLOWER.encode(&hash[..5]))
}

/// Refuses a log that answers a question twice.
///
/// # Errors
/// [`LogError::Twice`] naming both places.
pub fn each_once(answers: &[Answer]) -> Result<(), LogError> {
    let mut places: HashMap<&str, &str> = HashMap::with_capacity(answers.len());
    for answer in answers {
        if let Some(first) = places.insert(&answer.id, &answer.place) {
            return Err(LogError::Twice { id: answer.id.clone(), first: first.to_owned(), second: answer.place.clone() });
        }
    }
    Ok(())
}

/// The letter of a choice that is given by its letter or by the text of its option; as it is where it is neither.
pub fn letter(gold: &str, options: &[String]) -> String {
    let gold = gold.trim();
    let bare = gold.trim_matches(|c: char| matches!(c, '(' | ')' | '.' | ':'));
    let by_letter = (0..options.len()).find(|&i| bare.len() == 1 && bare.eq_ignore_ascii_case(&letter_at(i)));
    let place = by_letter.or_else(|| options.iter().position(|option| option.trim() == gold));
    place.map_or_else(|| gold.to_owned(), letter_at)
}

/// `A` for 0.
pub fn letter_at(place: usize) -> String {
    u32::try_from(place).ok().and_then(|place| char::from_u32('A' as u32 + place)).unwrap_or('?').to_string()
}

/// The options that a prompt lists: lines `A. ...`, `(A) ...`, `A) ...` or `A: ...` from A on; none if there are fewer than two.
pub fn options_in(prompt: &str) -> Vec<String> {
    let mut options: Vec<String> = Vec::new();
    for line in prompt.lines() {
        let line = line.trim();
        let wanted = letter_at(options.len());
        let rest = line.strip_prefix('(').unwrap_or(line).strip_prefix(&wanted);
        if let Some(text) = rest.and_then(|rest| rest.strip_prefix(['.', ')', ':'])) {
            options.push(text.trim().to_owned());
        }
    }
    if options.len() < 2 { Vec::new() } else { options }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_found_in_their_order() {
        let prompt = "Which is largest?\nA. one\nB. two\nC. three\n\nAnswer with the option's letter from the given choices directly.";
        assert_eq!(options_in(prompt), ["one", "two", "three"]);
        assert_eq!(options_in("(A) yes\n(B) no"), ["yes", "no"]);
        assert!(options_in("A. Smith wrote what?").is_empty());
        assert!(options_in("B. two\nA. one").is_empty());
    }

    #[test]
    fn gold_is_a_letter_however_it_is_given() {
        let options = ["one".to_owned(), "two".to_owned()];
        assert_eq!([letter("B", &options), letter("(b)", &options), letter("two", &options), letter("C", &options)], ["B", "B", "B", "C"]);
    }

    #[test]
    fn the_form_is_that_of_options_or_gold() {
        let kind = |gold: &[&str], options: &[&str]| {
            let of = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
            Answer { gold: of(gold), options: of(options), ..Answer::default() }.kind().name()
        };
        assert_eq!(kind(&["Yes"], &[]), "yes_no");
        assert_eq!(kind(&["1,000"], &[]), "number");
        assert_eq!(kind(&["inf"], &[]), "short");
        assert_eq!(kind(&["red", "no"], &[]), "short");
        assert_eq!(kind(&["A"], &["x", "y"]), "choice");
        assert_eq!(kind(&[], &[]), "short");
    }
}
