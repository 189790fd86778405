//! The layout of a link, apart from the report in memory: that may change, this may not without another version number.
//!
//! Lists go question by question, one list for each property: neighbours in a list are alike, which is what deflate lives on.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Asked, Opened, ShareError, Suite};
use crate::outcome::Outcome;
use crate::report::{
    AccelerationReport, AnswerRow, CostRow, FirstToken, Measurements, NoiseFloor, PlanSummary, QuestionKind, QuestionRow, Report,
};
use crate::summary::Summary;

/// Most answers in a link, all accelerations together: the intervals of more would keep a browser busy for seconds.
const MOST_ANSWERS: usize = 200_000;

/// Longest text of a question or an answer; what is beyond is cut.
const LONGEST_TEXT: usize = 600;

/// Stands for words that a link does not carry.
const NOT_CARRIED: &str = "(not in the link)";

#[derive(Serialize, Deserialize)]
pub(super) struct Wire {
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
    noise_floor: Option<(String, Answers)>,
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

/// Where the report's questions are in a suite, in ascending order; `None` if they are not exactly questions of it.
pub(super) fn positions(report: &Report, suite: &Suite, asked: &[Asked]) -> Option<Vec<usize>> {
    let plan = report.plan();
    if plan.benchmark != suite.name || plan.benchmark_fingerprint != suite.fingerprint || asked.len() != suite.size {
        return None;
    }
    let mut rest = asked.iter().enumerate();
    report.questions().iter().map(|question| rest.find(|(_, asked)| is(question, asked)).map(|(position, _)| position)).collect()
}

fn is(question: &QuestionRow, asked: &Asked) -> bool {
    let QuestionRow { id, family, image, text, gold, kind, baseline: _ } = question;
    (id, family, image, text, gold, kind) == (&asked.id, &asked.family, &asked.image, &asked.text, &asked.gold, &asked.kind)
}

impl Wire {
    /// `carried` says for each question whether its words and its answers' are carried.
    pub(super) fn of(report: &Report, positions: Option<&(usize, Vec<usize>)>, carried: &[bool]) -> Result<Self, ShareError> {
        let Measurements { plan, baseline_cost, questions, accelerations, noise_floor } = report.measurements();
        let answers = questions.len() * (1 + accelerations.len());
        if answers > MOST_ANSWERS {
            return Err(field("answers", answers, format!("at most {MOST_ANSWERS}")));
        }
        let dictionary =
            Dictionary::of(questions, accelerations.iter().map(|a| &a.answers).chain(noise_floor.iter().map(|n| &n.answers)), carried);
        let baseline: Vec<&AnswerRow> = questions.iter().map(|question| &question.baseline).collect();
        let column = |answers: &[AnswerRow], summary: &Summary| Answers {
            outcomes: answers.iter().map(|answer| code(answer.outcome.unwrap_or(Outcome::Same))).collect(),
            said: answers
                .iter()
                .zip(carried)
                .filter(|(answer, _)| answer.outcome.is_some_and(Outcome::diverged))
                .map(|(answer, &carried)| if carried { dictionary.index(answer) } else { 0 })
                .collect(),
            scores: scores(&answers.iter().collect::<Vec<_>>()),
            kl_mean: summary.kl_mean,
            kl_median: summary.kl_median,
            margin_same: summary.margin_same,
            margin_diverged: summary.margin_diverged,
        };
        let accelerations = accelerations
            .iter()
            .zip(report.summaries())
            .map(|(acceleration, summary)| Acceleration {
                spec: acceleration.spec.clone(),
                what_it_is: cut(&acceleration.what_it_is),
                answers: column(&acceleration.answers, summary),
                cost: Cost::of(&acceleration.cost),
            })
            .collect();
        let noise_floor = noise_floor
            .as_ref()
            .zip(report.noise_floor())
            .map(|(noise_floor, summary)| (cut(&noise_floor.varied), column(&noise_floor.answers, summary)));
        Ok(Self {
            plan: Plan::of(plan),
            questions: Questions::of(questions, positions, carried),
            correct: baseline.iter().map(|answer| u8::from(answer.correct)).collect(),
            baseline: baseline.iter().zip(carried).map(|(answer, &carried)| if carried { dictionary.index(answer) } else { 0 }).collect(),
            scores: scores(&baseline),
            said: dictionary.said,
            baseline_cost: Cost::of(baseline_cost),
            accelerations,
            noise_floor,
        })
    }

    pub(super) fn open(self, rebuild: impl FnOnce(&Suite) -> Option<Vec<Asked>>) -> Result<Opened, ShareError> {
        let count = self.correct.len();
        let answers = count.saturating_mul(1 + self.accelerations.len());
        if answers > MOST_ANSWERS {
            return Err(field("answers", answers, format!("at most {MOST_ANSWERS}")));
        }
        let suite = match &self.questions.words {
            Words::OfSuite { size, .. } => Some(Suite {
                name: self.plan.benchmark.clone(),
                fingerprint: self.plan.benchmark_fingerprint.clone(),
                size: *size as usize,
            }),
            Words::Listed(_) => None,
        };
        let drawn = suite.as_ref().and_then(rebuild);
        let rebuilt = drawn.is_some();
        let asked = self.questions.open(count, suite.as_ref().zip(drawn))?;
        same_length("baseline", self.baseline.len(), count)?;
        scores_fit(&self.scores, count)?;
        let said = |index: u32| match index.checked_sub(1) {
            None => Ok((NOT_CARRIED.to_owned(), Some(NOT_CARRIED.to_owned()))),
            Some(index) => self
                .said
                .get(index as usize)
                .map(Said::open)
                .ok_or_else(|| field("said", index, format!("an index below {}", self.said.len()))),
        };
        let answer = |(text, parsed): (String, Option<String>), correct: bool, score: Option<&f32>, cost: &Cost| AnswerRow {
            text,
            parsed,
            correct,
            score: score.copied().unwrap_or(f32::from(u8::from(correct))),
            margin: None,
            kl: None,
            outcome: None,
            visual_tokens: cost.visual_tokens as f32,
            top: Vec::new(),
        };
        let mut questions = Vec::with_capacity(count);
        for (i, asked) in asked.into_iter().enumerate() {
            let correct = match self.correct[i] {
                0 => false,
                1 => true,
                other => return Err(field("correct", other, "0 or 1")),
            };
            let Asked { id, family, image, text, gold, kind } = asked;
            let baseline = answer(said(self.baseline[i])?, correct, self.scores.get(i), &self.baseline_cost);
            questions.push(QuestionRow { id, family, image, text, gold, kind, baseline });
        }
        let column = |answers: &Answers, cost: &Cost| -> Result<Vec<AnswerRow>, ShareError> {
            same_length("outcomes", answers.outcomes.len(), count)?;
            scores_fit(&answers.scores, count)?;
            let mut others = answers.said.iter();
            let mut rows = Vec::with_capacity(count);
            for (i, (&code, question)) in answers.outcomes.iter().zip(&questions).enumerate() {
                let outcome = outcome(code)?;
                let QuestionRow { baseline, .. } = question;
                let words = if outcome.diverged() {
                    let index = others.next().ok_or_else(|| field("said", answers.said.len(), "an entry for every answer that changed"))?;
                    said(*index)?
                } else {
                    (baseline.text.clone(), baseline.parsed.clone())
                };
                let correct = match outcome {
                    Outcome::Same | Outcome::Changed => baseline.correct,
                    Outcome::Broken => false,
                    Outcome::Repaired => true,
                };
                rows.push(AnswerRow { outcome: Some(outcome), ..answer(words, correct, answers.scores.get(i), cost) });
            }
            match others.len() {
                0 => Ok(rows),
                _ => Err(field("said", answers.said.len(), "an entry for every answer that changed")),
            }
        };
        let mut accelerations = Vec::with_capacity(self.accelerations.len());
        for Acceleration { spec, what_it_is, answers, cost } in &self.accelerations {
            accelerations.push(AccelerationReport {
                spec: spec.clone(),
                what_it_is: what_it_is.clone(),
                answers: column(answers, cost)?,
                first_token: Some(answers.first_token()),
                cost: cost.open(),
            });
        }
        let noise_floor = match &self.noise_floor {
            Some((varied, answers)) => Some(NoiseFloor {
                varied: varied.clone(),
                answers: column(answers, &self.baseline_cost)?,
                first_token: Some(answers.first_token()),
            }),
            None => None,
        };
        let baseline_cost = self.baseline_cost.open();
        let plan = self.plan.open(count);
        let report = Report::new(Measurements { plan, baseline_cost, questions, accelerations, noise_floor })?;
        let left_out = report.worst_first().into_iter().filter(|&i| self.baseline[i] == 0).count();
        Ok(Opened { report, suite, rebuilt, left_out })
    }
}

impl Questions {
    fn of(questions: &[QuestionRow], positions: Option<&(usize, Vec<usize>)>, carried: &[bool]) -> Self {
        let families: BTreeSet<&str> = questions.iter().map(|question| question.family.as_str()).collect();
        let images: BTreeSet<&str> = questions.iter().map(|question| question.image.as_str()).collect();
        let ranks =
            |ids: &BTreeSet<&str>| -> BTreeMap<String, u32> { ids.iter().zip(0..).map(|(id, rank)| ((*id).to_owned(), rank)).collect() };
        let (family, image) = (ranks(&families), ranks(&images));
        let words = if let Some((size, positions)) = positions {
            Words::OfSuite { size: *size as u32, skipped: skipped(positions.iter().copied()) }
        } else {
            let listed = || questions.iter().enumerate().filter(|(i, _)| carried[*i]);
            let skipped = skipped(listed().map(|(i, _)| i));
            let gold = |question: &QuestionRow| question.gold.iter().map(|gold| cut(gold)).collect();
            let listed = listed().zip(skipped);
            Words::Listed(listed.map(|((_, q), skipped)| (skipped, cut(&q.id), cut(&q.text), gold(q))).collect())
        };
        Self {
            families: families.into_iter().map(str::to_owned).collect(),
            family: questions.iter().map(|question| family[&question.family]).collect(),
            image: questions.iter().map(|question| image[&question.image]).collect(),
            kind: questions.iter().map(|question| KINDS.iter().position(|kind| *kind == question.kind).unwrap_or_default() as u8).collect(),
            words,
        }
    }

    /// The questions, with the words of a suite that was drawn again, or with those that the link lists.
    fn open(&self, count: usize, suite: Option<(&Suite, Vec<Asked>)>) -> Result<Vec<Asked>, ShareError> {
        same_length("family", self.family.len(), count)?;
        same_length("image", self.image.len(), count)?;
        same_length("kind", self.kind.len(), count)?;
        let mut questions = Vec::with_capacity(count);
        for (i, ((&family, &image), &kind)) in self.family.iter().zip(&self.image).zip(&self.kind).enumerate() {
            questions.push(Asked {
                id: format!("question {} {NOT_CARRIED}", i + 1),
                family: self
                    .families
                    .get(family as usize)
                    .ok_or_else(|| field("family", family, format!("an index below {}", self.families.len())))?
                    .clone(),
                // sorts as the rank does
                image: format!("image-{image:010}"),
                text: format!("Question {} {NOT_CARRIED}", i + 1),
                gold: Vec::new(),
                kind: *KINDS.get(kind as usize).ok_or_else(|| field("kind", kind, "0 to 3"))?,
            });
        }
        match (&self.words, suite) {
            (Words::OfSuite { skipped, .. }, Some((suite, drawn))) => {
                same_length("skipped", skipped.len(), count)?;
                for (question, position) in questions.iter_mut().zip(positions_of(skipped)) {
                    let drawn =
                        drawn.get(position).ok_or_else(|| field("skipped", position, format!("a position below {}", drawn.len())))?;
                    if (&drawn.family, drawn.kind) != (&question.family, question.kind) {
                        let found = format!("{} ({}) for question {position} of {}", question.family, question.kind.label(), suite.name);
                        return Err(field("family", found, format!("{} ({})", drawn.family, drawn.kind.label())));
                    }
                    *question = drawn.clone();
                }
            }
            (Words::OfSuite { .. }, None) => {}
            (Words::Listed(listed), _) => {
                let skipped: Vec<u32> = listed.iter().map(|(skipped, ..)| *skipped).collect();
                for ((_, id, text, gold), position) in listed.iter().zip(positions_of(&skipped)) {
                    let question =
                        questions.get_mut(position).ok_or_else(|| field("words", position, format!("a position below {count}")))?;
                    (question.id, question.text, question.gold) = (id.clone(), text.clone(), gold.clone());
                }
            }
        }
        Ok(questions)
    }
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

/// Every text that is carried, once, in the order of the texts.
struct Dictionary {
    said: Vec<Said>,
}

impl Dictionary {
    fn of<'a>(questions: &'a [QuestionRow], columns: impl Iterator<Item = &'a Vec<AnswerRow>>, carried: &[bool]) -> Self {
        let baseline = questions.iter().zip(carried).filter(|(_, carried)| **carried).map(|(question, _)| Said::of(&question.baseline));
        let mut said: BTreeSet<Said> = baseline.collect();
        for answers in columns {
            let changed =
                answers.iter().zip(carried).filter(|(answer, carried)| **carried && answer.outcome.is_some_and(Outcome::diverged));
            said.extend(changed.map(|(answer, _)| Said::of(answer)));
        }
        Self { said: said.into_iter().collect() }
    }

    /// One more than the text's place.
    fn index(&self, answer: &AnswerRow) -> u32 {
        self.said.binary_search(&Said::of(answer)).map_or(0, |index| index as u32 + 1)
    }
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

impl Answers {
    fn first_token(&self) -> FirstToken {
        let Self { kl_mean, kl_median, margin_same, margin_diverged, .. } = *self;
        FirstToken { kl_mean, kl_median, margin_same, margin_diverged }
    }
}

impl Plan {
    fn of(plan: &PlanSummary) -> Self {
        let PlanSummary {
            model,
            checkpoint_sha256,
            benchmark,
            benchmark_fingerprint,
            questions: _,
            specs,
            prompt_template,
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

    fn open(self, questions: usize) -> PlanSummary {
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
            questions,
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
}

impl Cost {
    fn of(cost: &CostRow) -> Self {
        let CostRow { weight_bytes, kv_bytes, visual_tokens, prompt_tokens, flops, seconds } = *cost;
        Self { weight_bytes, kv_bytes, visual_tokens, prompt_tokens, flops, seconds }
    }

    fn open(&self) -> CostRow {
        let Self { weight_bytes, kv_bytes, visual_tokens, prompt_tokens, flops, seconds } = *self;
        CostRow { weight_bytes, kv_bytes, visual_tokens, prompt_tokens, flops, seconds }
    }
}

const KINDS: [QuestionKind; 4] = [QuestionKind::YesNo, QuestionKind::Choice, QuestionKind::Short, QuestionKind::Number];

const OUTCOMES: [Outcome; 4] = [Outcome::Same, Outcome::Broken, Outcome::Repaired, Outcome::Changed];

fn code(outcome: Outcome) -> u8 {
    OUTCOMES.iter().position(|known| *known == outcome).unwrap_or_default() as u8
}

fn outcome(code: u8) -> Result<Outcome, ShareError> {
    OUTCOMES.get(code as usize).copied().ok_or_else(|| field("outcomes", code, "0 to 3"))
}

/// Nothing where the verdicts say it all.
fn scores(answers: &[&AnswerRow]) -> Vec<f32> {
    let plain = |answer: &&AnswerRow| answer.score.to_bits() == f32::from(u8::from(answer.correct)).to_bits();
    if answers.iter().all(plain) { Vec::new() } else { answers.iter().map(|answer| answer.score).collect() }
}

fn scores_fit(scores: &[f32], count: usize) -> Result<(), ShareError> {
    if scores.is_empty() { Ok(()) } else { same_length("scores", scores.len(), count) }
}

fn same_length(name: &'static str, found: usize, expected: usize) -> Result<(), ShareError> {
    if found == expected {
        Ok(())
    } else {
        Err(field(name, format!("a list of {found}"), format!("one of {expected}, one for each question")))
    }
}

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
