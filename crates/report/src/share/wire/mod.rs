//! The layout of a link, apart from the report in memory: that may change, this may not without another version number.
//!
//! Lists go question by question, one list for each property: neighbours in a list are alike, which is what deflate lives on.

mod limits;
mod read;
mod write;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ShareError;
use crate::measurements::{AnswerRow, CostRow, Flag, PlanSummary, QuestionKind};
use crate::outcome::Outcome;

pub(in crate::share) use write::positions;

/// Most answers in a link, all accelerations together: the intervals of more would keep a browser busy for seconds.
const MOST_ANSWERS: usize = 200_000;

/// Longest text of a question or an answer; what is beyond is cut.
const LONGEST_TEXT: usize = 600;

/// Stands for words that a link does not carry.
pub(crate) const NOT_CARRIED: &str = "(not in the link)";

/// A link's content, version by version.
pub(in crate::share) struct Wire {
    pub(in crate::share) answered: Answered,
    pub(in crate::share) perturbed: Perturbed,
    pub(in crate::share) controlled: Controlled,
    pub(in crate::share) incomplete: Incomplete,
}

/// What was asked for and not run.
#[derive(Default, Serialize, Deserialize)]
pub(in crate::share) struct Incomplete {
    /// Specs, and why the model does not take them.
    left_out: BTreeMap<String, String>,
}

impl Incomplete {
    pub(in crate::share) fn is_complete(&self) -> bool {
        self.left_out.is_empty()
    }
}

#[derive(Serialize, Deserialize)]
pub(in crate::share) struct Answered {
    plan: Plan,
    questions: Questions,
    /// Every text that a model said, once.
    said: Vec<Said>,
    /// Whether the baseline is right, by question: 0 or 1.
    correct: Vec<u8>,
    /// What the baseline said, by question: 0 for words not carried, else one more than an index into `said`.
    baseline: Vec<u32>,
    /// The baseline's scores, by question; empty where they are 0 for wrong and 1 for right.
    scores: Vec<f32>,
    baseline_cost: Cost,
    accelerations: Vec<Acceleration>,
    /// The one control that the first two versions had, which was the baseline again; later ones have it among the others.
    noise_floor: Option<(String, Answers)>,
}

/// Controls, what only they and their margins tell, and what else came with them.
#[derive(Default, Serialize, Deserialize)]
pub(in crate::share) struct Controlled {
    controls: Vec<Control>,
    /// The largest margin of a tie and the number of changed answers that are ties, of the accelerations and then of the controls.
    ties: Vec<Option<(f64, u64)>>,
    /// Row, spec, and 0 for scored otherwise, 1 for logits that are no numbers.
    flagged: Vec<(u32, String, u8)>,
    /// Bytes of the weights as files, of the baseline and then of the accelerations; empty where they are not known.
    stored: Vec<Option<u64>>,
    /// What stood behind a question, by the form of its answer.
    post_prompts: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
struct Control {
    spec: String,
    what_it_is: String,
    answers: Answers,
}

/// What was done to the images besides nothing. Lists of answers go on behind those about the clean images, perturbation by perturbation.
#[derive(Default, Serialize, Deserialize)]
pub(in crate::share) struct Perturbed {
    /// What was done, each time.
    perturbations: Vec<String>,
    /// What became of the baseline's answers, in the codes of [`Answers::outcomes`], by perturbation and question.
    baseline: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct Plan {
    model: String,
    checkpoint_sha256: String,
    benchmark: String,
    benchmark_fingerprint: String,
    specs: Vec<String>,
    prompt_template: String,
    processor: BTreeMap<String, String>,
    decoding: BTreeMap<String, String>,
    precision: String,
    device: String,
    versions: BTreeMap<String, String>,
    seeds: BTreeMap<String, u64>,
    command_line: String,
}

/// What was asked. Families, kinds and which questions share an image are always carried: the numbers need them and must not depend on a suite.
#[derive(Serialize, Deserialize)]
struct Questions {
    families: Vec<String>,
    /// Index into `families`, by question.
    family: Vec<u32>,
    /// Place of the image's id among all ids in order, by question. The order matters: a bootstrap draws images by it.
    image: Vec<u32>,
    /// 0 yes/no, 1 choice, 2 short, 3 number, by question.
    kind: Vec<u8>,
    words: Words,
}

#[derive(Serialize, Deserialize)]
enum Words {
    /// Questions of a suite of `size`; for each, how many of it were skipped since the one before.
    OfSuite { size: u32, skipped: Vec<u32> },
    /// The words of some questions: how many were skipped since the one before, identity, text, gold answers.
    Listed(Vec<(u32, String, String, Vec<String>)>),
}

#[derive(Serialize, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
struct Said {
    text: String,
    parsed: Parsed,
}

#[derive(Serialize, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
enum Parsed {
    /// The text without the space around it.
    Trimmed,
    /// The parser could not read it.
    Unread,
    As(String),
}

#[derive(Serialize, Deserialize)]
struct Acceleration {
    spec: String,
    what_it_is: String,
    answers: Answers,
    cost: Cost,
}

#[derive(Serialize, Deserialize)]
struct Answers {
    /// 0 same, 1 broken, 2 repaired, 3 changed, by question.
    outcomes: Vec<u8>,
    /// For every outcome but `same`, in order: 0 for words not carried, else one more than an index into `said`. What stayed the same is taken to be in
    /// the baseline's words.
    said: Vec<u32>,
    /// As the baseline's.
    scores: Vec<f32>,
    kl_mean: Option<f64>,
    kl_median: Option<f64>,
    margin_same: Option<f64>,
    margin_diverged: Option<f64>,
}

#[derive(Serialize, Deserialize)]
struct Cost {
    weight_bytes: u64,
    kv_bytes: f64,
    visual_tokens: f64,
    prompt_tokens: f64,
    flops: f64,
    seconds: Option<f64>,
}

/// Ascending positions as gaps: none for neighbours.
fn skipped(positions: impl Iterator<Item = usize>) -> Vec<u32> {
    let mut next = 0;
    positions
        .map(|position| {
            let gap = position - next;
            next = position + 1;
            gap as u32
        })
        .collect()
}

/// The inverse of [`skipped`]; stays at the end where hostile gaps would overflow.
fn positions_of(skipped: &[u32]) -> impl Iterator<Item = usize> {
    skipped.iter().scan(0_usize, |next, &gap| {
        let position = next.saturating_add(gap as usize);
        *next = position.saturating_add(1);
        Some(position)
    })
}

impl Said {
    fn of(answer: &AnswerRow) -> Self {
        let parsed = match &answer.parsed {
            None => Parsed::Unread,
            Some(parsed) if parsed == answer.text.trim() => Parsed::Trimmed,
            Some(parsed) => Parsed::As(cut(parsed)),
        };
        Self { text: cut(&answer.text), parsed }
    }

    fn open(&self) -> (String, Option<String>) {
        let parsed = match &self.parsed {
            Parsed::Trimmed => Some(self.text.trim().to_owned()),
            Parsed::Unread => None,
            Parsed::As(parsed) => Some(parsed.clone()),
        };
        (self.text.clone(), parsed)
    }
}

impl Plan {
    fn of(plan: &PlanSummary) -> Self {
        let PlanSummary {
            model,
            checkpoint_sha256,
            benchmark,
            benchmark_fingerprint,
            plan_sha256: _,
            questions: _,
            perturbations: _,
            specs,
            left_out: _,
            prompt_template,
            post_prompts: _,
            processor,
            decoding,
            precision,
            device,
            versions,
            seeds,
            command_line,
        } = plan.clone();
        Self {
            model,
            checkpoint_sha256,
            benchmark,
            benchmark_fingerprint,
            specs,
            prompt_template,
            processor,
            decoding,
            precision,
            device,
            versions,
            seeds,
            command_line,
        }
    }

    fn open(
        self,
        questions: usize,
        perturbations: Vec<String>,
        post_prompts: BTreeMap<String, String>,
        Incomplete { left_out }: Incomplete,
    ) -> PlanSummary {
        let Self {
            model,
            checkpoint_sha256,
            benchmark,
            benchmark_fingerprint,
            specs,
            prompt_template,
            processor,
            decoding,
            precision,
            device,
            versions,
            seeds,
            command_line,
        } = self;
        PlanSummary {
            model,
            checkpoint_sha256,
            benchmark,
            benchmark_fingerprint,
            plan_sha256: String::new(),
            questions,
            perturbations,
            specs,
            left_out,
            prompt_template,
            post_prompts,
            processor,
            decoding,
            precision,
            device,
            versions,
            seeds,
            command_line,
        }
    }
}

impl Cost {
    fn of(cost: &CostRow) -> Self {
        let CostRow { weight_bytes, stored_bytes: _, kv_bytes, visual_tokens, prompt_tokens, flops, seconds } = *cost;
        Self { weight_bytes, kv_bytes, visual_tokens, prompt_tokens, flops, seconds }
    }

    fn open(&self, stored_bytes: Option<u64>) -> CostRow {
        let Self { weight_bytes, kv_bytes, visual_tokens, prompt_tokens, flops, seconds } = *self;
        CostRow { weight_bytes, stored_bytes, kv_bytes, visual_tokens, prompt_tokens, flops, seconds }
    }
}

const KINDS: [QuestionKind; 4] = [QuestionKind::YesNo, QuestionKind::Choice, QuestionKind::Short, QuestionKind::Number];

const FLAGS: [Flag; 2] = [Flag::Rescored, Flag::NoAnswer];

const OUTCOMES: [Outcome; 4] = [Outcome::Same, Outcome::Broken, Outcome::Repaired, Outcome::Changed];

fn field(field: &'static str, found: impl std::fmt::Display, expected: impl Into<String>) -> ShareError {
    ShareError::Field { field, found: found.to_string(), expected: expected.into() }
}

/// A text, cut where it is longer than anyone reads.
fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST_TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
