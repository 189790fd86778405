//! Known defects of other tools' scorers, and what is said instead. Both verdicts are shown.

use steady_bench::{Question, score};

use crate::log::{Answer, Read};

/// lmms-eval's POPE takes a reply for an answer only if it is `yes` or `no` to the letter (lmms_eval/tasks/pope/utils.py).
pub const POPE: &str =
    "lmms-eval takes no reply but a bare yes or no in POPE, so that `Yes.` is wrong; read here by the words yes and no in it";

/// lmms-eval's MMMU draws a letter where it finds none, from a generator whose state depends on the questions before (lmms_eval/tasks/mmmu/utils.py).
pub const MMMU_GUESS: &str =
    "lmms-eval guesses a letter in MMMU where a reply has none, and one changed answer shifts the guesses behind it; unparsed here";

/// lmms-eval's MMMU up to 0.6 keeps one candidate of an open answer and compares its characters one by one: numbers are no characters, and a gold answer of
/// one letter is looked for with the space beside it.
pub const MMMU_OPEN: &str =
    "lmms-eval up to 0.6 compares open answers of MMMU character by character, so that all are wrong; by MMMU's own rule here";

/// VLMEvalKit draws an option where neither its rules nor its judge find one (vlmeval/dataset/utils/multiple_choice.py).
pub const VLMEVALKIT_GUESS: &str = "VLMEvalKit drew an option where it found none, as its log says; unparsed here";

/// The verdict that an answer should have had.
#[derive(Clone, Debug, PartialEq)]
pub struct Corrected {
    /// What is wrong with the tool's.
    pub reason: &'static str,
    /// Whether the answer is right.
    pub correct: bool,
    /// What is read in it.
    pub read: Read,
}

impl Corrected {
    /// By the scorer of this program for the form of the answer.
    pub fn by_our_scorer(answer: &Answer, reason: &'static str) -> Self {
        let verdict = score(&question(answer), &answer.reply);
        Self { reason, correct: verdict.correct, read: verdict.parsed.map_or(Read::Nothing, Read::As) }
    }
}

/// An answer's question as the scorers know it.
pub fn question(answer: &Answer) -> Question {
    Question {
        id: answer.id.clone(),
        benchmark: String::new(),
        family: answer.family.clone(),
        image: answer.image.clone(),
        text: answer.question.clone().unwrap_or_default(),
        gold: answer.gold.clone(),
        kind: answer.kind(),
        weight: 1.0,
    }
}

/// Words after which an open answer of MMMU is looked for.
const INDICATORS: [&str; 10] = ["could be ", "so ", "is ", "thus ", "therefore ", "final ", "answer ", "result ", "=", "are "];

/// Candidates for the answer in an open reply, by the rule of MMMU's own evaluation (github.com/MMMU-Benchmark/MMMU, eval/eval_utils.py): what stands
/// behind the last indicator of each sentence, the shortest there is, else the reply; and all numbers in them.
pub fn mmmu_open_candidates(reply: &str) -> Vec<String> {
    let reply = reply.trim().trim_end_matches('.').to_lowercase();
    let mut found = Vec::new();
    let sentences: Vec<&str> = reply.split('\n').flat_map(|line| line.split(". ")).collect();
    for (i, sentence) in sentences.iter().enumerate() {
        let last = i + 1 == sentences.len();
        let tails = INDICATORS
            .iter()
            .filter(|indicator| last || **indicator != "=")
            .filter_map(|indicator| sentence.rfind(indicator).map(|at| sentence[at + indicator.len()..].trim()));
        let shortest = tails.min_by_key(|tail| tail.chars().count());
        found.extend(shortest.filter(|tail| !tail.chars().all(|c| ":,.!?;'".contains(c) || c.is_whitespace())).map(str::to_owned));
    }
    if found.is_empty() {
        found.push(reply);
    }
    let numbers: Vec<String> = found.iter().flat_map(|text| numbers(text)).collect();
    found.extend(numbers);
    found
}

fn numbers(text: &str) -> Vec<String> {
    let bare = |word: &str| word.trim_matches(|c: char| !c.is_ascii_digit() && c != '-').to_owned();
    let number = |word: &String| word.replace(',', "").parse::<f64>().is_ok_and(f64::is_finite);
    text.split_whitespace().map(bare).filter(number).collect()
}

/// Whether any candidate is the answer: numbers to two decimals, words contained.
pub fn mmmu_open_right(candidates: &[String], gold: &[String]) -> bool {
    let number = |text: &str| text.replace(',', "").parse::<f64>().ok().filter(|number| number.is_finite());
    let cents = |number: f64| (number * 100.0).round();
    candidates.iter().any(|candidate| {
        gold.iter().any(|gold| match (number(candidate), number(gold)) {
            (Some(candidate), Some(gold)) => cents(candidate).total_cmp(&cents(gold)).is_eq(),
            // a number is never part of a text, nor a text of a number
            (Some(_), None) | (None, Some(_)) => false,
            (None, None) => {
                let gold = gold.trim().to_lowercase();
                // a single letter must stand apart
                let wanted = if gold.chars().count() == 1 { vec![format!(" {gold}"), format!("{gold} ")] } else { vec![gold] };
                wanted.iter().any(|gold| candidate.to_lowercase().contains(gold))
            }
        })
    })
}
