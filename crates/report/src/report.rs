//! The report: what was measured, and what follows from it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::outcome::{Contradiction, Outcome};
use crate::summary::{Condition, Summary};

/// What a `report.json` says it is.
pub const FORMAT: &str = "steady-report/1";

/// A stability report: what was measured, checked, with the summaries that follow from it.
///
/// It is made of [`Measurements`] and cannot be changed afterwards, so its summaries are always those of its measurements.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    measurements: Measurements,
    clean: Condition,
    perturbed: Vec<Perturbed>,
}

/// What became of the answers when something was done to the images.
#[derive(Clone, Debug, PartialEq)]
pub struct Perturbed {
    /// What was done to the images.
    pub perturbation: String,
    /// What it did to the baseline's own answers: before on the clean images, after on the perturbed ones.
    pub baseline: Summary,
    /// What the accelerations did to answers about the perturbed images: before the baseline's, after theirs.
    pub condition: Condition,
}

/// Everything a report holds that does not follow from something else in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measurements {
    /// What was run, and on what.
    pub plan: PlanSummary,
    /// What the baseline cost.
    pub baseline_cost: CostRow,
    /// The questions with the baseline's answers: once about the clean images, and then, in the same order, once more under each perturbation of
    /// the plan.
    pub questions: Vec<QuestionRow>,
    /// The accelerations, in the order in which they are shown.
    pub accelerations: Vec<AccelerationReport>,
    /// The baseline against itself, where that was measured.
    pub noise_floor: Option<NoiseFloor>,
}

/// What was run: everything that must be the same to get the same report again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PlanSummary {
    /// Name of the model.
    pub model: String,
    /// SHA-256 of its checkpoint, hexadecimal.
    pub checkpoint_sha256: String,
    /// Name of the benchmark.
    pub benchmark: String,
    /// Fingerprint of the benchmark's questions and images.
    pub benchmark_fingerprint: String,
    /// Number of questions; each was asked about the clean image and once under each perturbation.
    pub questions: usize,
    /// What was done to the images, besides nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub perturbations: Vec<String>,
    /// Canonical acceleration specs.
    pub specs: Vec<String>,
    /// The prompt around a question.
    pub prompt_template: String,
    /// Settings of the image processor.
    pub processor: BTreeMap<String, String>,
    /// Decoding settings, e.g. `max_new_tokens`.
    pub decoding: BTreeMap<String, String>,
    /// Number format of the activations, e.g. `f32`.
    pub precision: String,
    /// Identity of the device.
    pub device: String,
    /// Versions of what took part, by name.
    pub versions: BTreeMap<String, String>,
    /// Seeds, by what they seed.
    pub seeds: BTreeMap<String, u64>,
    /// The command that ran it.
    pub command_line: String,
}

/// How a question is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuestionKind {
    /// Yes or no.
    YesNo,
    /// One of several options, by letter.
    Choice,
    /// A word or a few.
    Short,
    /// A number.
    Number,
}

impl QuestionKind {
    /// For people, e.g. `yes/no`.
    pub fn label(self) -> &'static str {
        match self {
            Self::YesNo => "yes/no",
            Self::Choice => "choice",
            Self::Short => "short answer",
            Self::Number => "number",
        }
    }
}

/// A question and the baseline's answer to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuestionRow {
    /// Identity, unique in the report among the rows of one perturbation.
    pub id: String,
    /// Task family.
    pub family: String,
    /// Identity of the image; questions about one image are not independent.
    pub image: String,
    /// What was done to the image; `None` for nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub perturbation: Option<String>,
    /// The question as asked.
    pub text: String,
    /// Accepted answers.
    pub gold: Vec<String>,
    /// How it is answered.
    pub kind: QuestionKind,
    /// The baseline's answer. About a perturbed image it has an outcome: what became of its answer about the clean one.
    pub baseline: AnswerRow,
}

/// What tells a picture from all others of a report.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Picture {
    /// Identity of the image.
    pub image: String,
    /// What was done to it; `None` for nothing.
    pub perturbation: Option<String>,
}

impl QuestionRow {
    /// Whether both ask the same about the same image, whatever was done to it.
    fn asks_what(&self, other: &Self) -> bool {
        let Self { id, family, image, perturbation: _, text, gold, kind, baseline: _ } = other;
        (&self.id, &self.family, &self.image, &self.text, &self.gold, self.kind) == (id, family, image, text, gold, *kind)
    }

    /// What is asked about.
    pub fn picture(&self) -> Picture {
        Picture { image: self.image.clone(), perturbation: self.perturbation.clone() }
    }
}

/// One answer to one question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AnswerRow {
    /// What the model said.
    pub text: String,
    /// What the benchmark's parser made of it; `None` when it could not, and then it was not guessed either.
    pub parsed: Option<String>,
    /// Whether the answer counts as right.
    pub correct: bool,
    /// The benchmark's score, 0 to 1.
    pub score: f32,
    /// Top-1 minus top-2 logit of the first answer token.
    pub margin: Option<f32>,
    /// KL(baseline || this) on the first answer token, nats; `None` for the baseline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kl: Option<f64>,
    /// What became of the question; `None` for the baseline on a clean image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Visual tokens that the decoder saw, averaged over its layers.
    pub visual_tokens: f32,
    /// The most likely first tokens, most likely first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub top: Vec<TokenLogit>,
}

/// A candidate for the first answer token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenLogit {
    /// The token's text.
    pub token: String,
    /// Its logit.
    pub logit: f32,
}

/// What one acceleration did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AccelerationReport {
    /// Canonical spec, unique in the report.
    pub spec: String,
    /// What that is, in a sentence.
    pub what_it_is: String,
    /// Its answers, aligned with the questions.
    pub answers: Vec<AnswerRow>,
    /// What the answers leave out about the first token, where they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_token: Option<FirstToken>,
    /// What it cost.
    pub cost: CostRow,
}

/// The baseline against itself: how many answers change although nothing that should matter did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NoiseFloor {
    /// What was varied, e.g. `batch order`.
    pub varied: String,
    /// The answers, aligned with the questions.
    pub answers: Vec<AnswerRow>,
    /// What the answers leave out about the first token, where they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_token: Option<FirstToken>,
}

/// What margins and divergences come to, in a report whose answers do not carry them one by one, as when it came as a link.
///
/// It stands in for them: where the answers have margins or divergences, it must be absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FirstToken {
    /// Mean KL(baseline || accelerated), nats.
    pub kl_mean: Option<f64>,
    /// Median of the same.
    pub kl_median: Option<f64>,
    /// Median baseline margin, in logits, of the questions whose answer stayed.
    pub margin_same: Option<f64>,
    /// Median baseline margin of the questions whose answer changed.
    pub margin_diverged: Option<f64>,
}

/// What a run cost. All but the seconds follow from shapes and formats, so they are the same on every machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CostRow {
    /// Bytes of weights held.
    pub weight_bytes: u64,
    /// Bytes of KV cache per question, mean.
    pub kv_bytes: f64,
    /// Visual tokens that the decoder saw per question, averaged over its layers, mean.
    pub visual_tokens: f64,
    /// Tokens of the prompt, the visual ones included, mean.
    pub prompt_tokens: f64,
    /// Floating-point operations per question, mean.
    pub flops: f64,
    /// Machine time for all questions together, where it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
}

/// Why something is not a report. Every variant that concerns a field names it the way jq would.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The text is not JSON.
    #[error("not JSON: {0}")]
    Json(serde_json::Error),
    /// A file of another kind or another version.
    #[error("`format` is {found}, expected \"{FORMAT}\"")]
    Format {
        /// What the field holds.
        found: String,
    },
    /// A field is missing or of the wrong type.
    #[error("`{field}`: {reason}")]
    Field {
        /// Where.
        field: String,
        /// What is wrong with it.
        reason: serde_json::Error,
    },
    /// Two lists that belong together differ in length.
    #[error("`{field}` has {found} entries, expected {expected}, one for each question")]
    Length {
        /// The list, or the number that states a length.
        field: String,
        /// Its length.
        found: usize,
        /// The number of questions.
        expected: usize,
    },
    /// Rows that are not the questions once for the clean images and once for each perturbation.
    #[error(
        "`questions` has {found} entries, expected {questions} about the clean images and as many for each of {perturbations} perturbations"
    )]
    Rows {
        /// Number of rows.
        found: usize,
        /// Number of questions.
        questions: usize,
        /// Number of perturbations.
        perturbations: usize,
    },
    /// A row that is not the one that belongs in its place.
    #[error("`{field}` is {found}, expected {expected}")]
    Place {
        /// Where.
        field: String,
        /// What it holds.
        found: String,
        /// What belongs there.
        expected: String,
    },
    /// An identity that occurs twice.
    #[error("`{field}`: {value:?} occurs twice")]
    Duplicate {
        /// The second occurrence.
        field: String,
        /// What occurs twice.
        value: String,
    },
    /// A number outside its range.
    #[error("`{field}` is {found}, expected {expected}")]
    Number {
        /// Where.
        field: String,
        /// The number.
        found: f64,
        /// What it should be.
        expected: &'static str,
    },
    /// No question at all.
    #[error("`questions` is empty: a report needs at least one question")]
    NoQuestions,
    /// Something that is missing where it is needed, such as what became of a question, or present where it cannot be.
    #[error("`{field}` is {found}, expected {expected}")]
    Presence {
        /// Where.
        field: String,
        /// `present` or `missing`.
        found: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// An outcome that contradicts the verdicts beside it.
    #[error("`{field}`: {reason}")]
    Contradiction {
        /// Where.
        field: String,
        /// What contradicts what.
        reason: Contradiction,
    },
    /// A summary that does not follow from the measurements in the same file.
    #[error("`{field}` is {found}, but the answers in this report give {expected}")]
    Summary {
        /// Where.
        field: String,
        /// What the file says.
        found: String,
        /// What follows from its answers.
        expected: String,
    },
}

impl Report {
    /// Checks the measurements against each other and derives the summaries.
    pub fn new(measurements: Measurements) -> Result<Self, ReportError> {
        measurements.check()?;
        let clean = Condition::of(&measurements, 0)?;
        let perturbations = measurements.plan.perturbations.iter().enumerate();
        let perturbed = perturbations
            .map(|(i, perturbation)| {
                Ok(Perturbed {
                    perturbation: perturbation.clone(),
                    baseline: Summary::of_perturbation(&measurements, 1 + i)?,
                    condition: Condition::of(&measurements, 1 + i)?,
                })
            })
            .collect::<Result<_, ReportError>>()?;
        Ok(Self { measurements, clean, perturbed })
    }

    /// What was measured.
    pub fn measurements(&self) -> &Measurements {
        &self.measurements
    }

    /// What was run.
    pub fn plan(&self) -> &PlanSummary {
        &self.measurements.plan
    }

    /// The questions with the baseline's answers: once about the clean images, and then, in the same order, once more under each perturbation of
    /// the plan.
    pub fn questions(&self) -> &[QuestionRow] {
        &self.measurements.questions
    }

    /// The same question about the clean image.
    pub fn clean(&self, question: usize) -> usize {
        question % self.plan().questions
    }

    /// Under what a question is asked: 0 for nothing, else one more than an index into the plan's perturbations.
    pub fn condition(&self, question: usize) -> usize {
        question / self.plan().questions
    }

    /// The accelerations, aligned with [`Report::summaries`].
    pub fn accelerations(&self) -> &[AccelerationReport] {
        &self.measurements.accelerations
    }

    /// One summary for each acceleration, in their order, of the answers about clean images.
    pub fn summaries(&self) -> &[Summary] {
        &self.clean.accelerations
    }

    /// The one of the acceleration with this spec.
    pub fn summary(&self, spec: &str) -> Option<&Summary> {
        self.summaries().iter().find(|summary| summary.spec == spec)
    }

    /// The summary of the baseline against itself, on clean images.
    pub fn noise_floor(&self) -> Option<&Summary> {
        self.clean.noise_floor.as_ref()
    }

    /// What became of the answers under each perturbation of the plan.
    pub fn perturbed(&self) -> &[Perturbed] {
        &self.perturbed
    }

    /// The content of a `report.json`: the measurements, and beside them the summaries for people who read it with jq.
    pub fn to_json(&self) -> Result<String, ReportError> {
        let mut text = serde_json::to_string(&Written { format: FORMAT, summary: self.derived(), measurements: &self.measurements })
            .map_err(ReportError::Json)?;
        text.push('\n');
        Ok(text)
    }

    /// Reads a `report.json` that may come from anywhere. The summaries are derived anew; where the file has them too, they must agree.
    pub fn from_json(text: &str) -> Result<Self, ReportError> {
        let document: Value = serde_json::from_str(text).map_err(ReportError::Json)?;
        match document.get("format") {
            Some(Value::String(format)) if format == FORMAT => {}
            Some(found) => return Err(ReportError::Format { found: brief(found) }),
            None => return Err(ReportError::Format { found: "missing".to_owned() }),
        }
        let measurements = serde_path_to_error::deserialize(&document)
            .map_err(|error| ReportError::Field { field: error.path().to_string(), reason: error.into_inner() })?;
        let report = Self::new(measurements)?;
        if let Some(found) = document.get("summary") {
            let expected = serde_json::to_value(report.derived()).map_err(ReportError::Json)?;
            compare("summary", found, &expected)?;
        }
        Ok(report)
    }

    fn derived(&self) -> Derived<'_> {
        let perturbations = self.perturbed.iter().map(|Perturbed { perturbation, baseline, condition }| {
            (perturbation.as_str(), DerivedUnder { baseline, condition: DerivedCondition::of(condition) })
        });
        Derived { condition: DerivedCondition::of(&self.clean), perturbations: perturbations.collect() }
    }
}

/// A `report.json` as written.
#[derive(Serialize)]
struct Written<'a> {
    format: &'static str,
    summary: Derived<'a>,
    #[serde(flatten)]
    measurements: &'a Measurements,
}

/// The part of a `report.json` that follows from the rest.
#[derive(Serialize)]
struct Derived<'a> {
    #[serde(flatten)]
    condition: DerivedCondition<'a>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    perturbations: BTreeMap<&'a str, DerivedUnder<'a>>,
}

#[derive(Serialize)]
struct DerivedUnder<'a> {
    baseline: &'a Summary,
    #[serde(flatten)]
    condition: DerivedCondition<'a>,
}

#[derive(Serialize)]
struct DerivedCondition<'a> {
    accelerations: BTreeMap<&'a str, &'a Summary>,
    noise_floor: Option<&'a Summary>,
}

impl<'a> DerivedCondition<'a> {
    fn of(Condition { accelerations, noise_floor }: &'a Condition) -> Self {
        let accelerations = accelerations.iter().map(|summary| (summary.spec.as_str(), summary)).collect();
        Self { accelerations, noise_floor: noise_floor.as_ref() }
    }
}

/// Every derived value that the file holds must be the one that follows; what it does not hold, or holds beyond ours, is of another release.
fn compare(field: &str, found: &Value, expected: &Value) -> Result<(), ReportError> {
    let agree = match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => {
            for (name, expected) in expected {
                if let Some(found) = found.get(name) {
                    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
                    let inner = if plain { format!("{field}.{name}") } else { format!("{field}[{name:?}]") };
                    compare(&inner, found, expected)?;
                }
            }
            true
        }
        // logarithms and exponentials differ in their last digits between platforms
        (Value::Number(found), Value::Number(expected)) => match (found.as_f64(), expected.as_f64()) {
            (Some(found), Some(expected)) => (found - expected).abs() <= 1e-9 + 1e-9 * expected.abs(),
            _ => false,
        },
        _ => found == expected,
    };
    if agree { Ok(()) } else { Err(ReportError::Summary { field: field.to_owned(), found: brief(found), expected: brief(expected) }) }
}

/// A JSON value short enough for an error message.
fn brief(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

impl Measurements {
    fn check(&self) -> Result<(), ReportError> {
        self.check_rows()?;
        self.baseline_cost.check("baseline_cost")?;
        let mut specs = BTreeSet::new();
        for (i, acceleration) in self.accelerations.iter().enumerate() {
            let field = format!("accelerations[{i}]");
            if !specs.insert(&acceleration.spec) {
                return Err(ReportError::Duplicate { field: format!("{field}.spec"), value: acceleration.spec.clone() });
            }
            acceleration.cost.check(&format!("{field}.cost"))?;
            self.check_answers(&format!("{field}.answers"), &acceleration.answers)?;
            self.check_first_token(&field, &acceleration.answers, acceleration.first_token.as_ref())?;
        }
        match &self.noise_floor {
            Some(noise_floor) => {
                self.check_answers("noise_floor.answers", &noise_floor.answers)?;
                self.check_first_token("noise_floor", &noise_floor.answers, noise_floor.first_token.as_ref())
            }
            None => Ok(()),
        }
    }

    /// The questions: all about the clean images first, then the same again under each perturbation.
    fn check_rows(&self) -> Result<(), ReportError> {
        let (found, PlanSummary { questions, perturbations, .. }) = (self.questions.len(), &self.plan);
        let questions = *questions;
        if found == 0 {
            return Err(ReportError::NoQuestions);
        }
        if perturbations.is_empty() && questions != found {
            return Err(ReportError::Length { field: "plan.questions".to_owned(), found: questions, expected: found });
        }
        if questions.checked_mul(1 + perturbations.len()) != Some(found) {
            return Err(ReportError::Rows { found, questions, perturbations: perturbations.len() });
        }
        let mut names = BTreeSet::new();
        if let Some((i, twice)) = perturbations.iter().enumerate().find(|(_, name)| !names.insert(*name)) {
            return Err(ReportError::Duplicate { field: format!("plan.perturbations[{i}]"), value: twice.clone() });
        }
        let mut ids = BTreeSet::new();
        for (i, row) in self.questions.iter().enumerate() {
            let (field, clean) = (format!("questions[{i}]"), i % questions);
            let perturbation = (i / questions).checked_sub(1).map(|of| &perturbations[of]);
            if row.perturbation.as_ref() != perturbation {
                return Err(ReportError::Place {
                    field: format!("{field}.perturbation"),
                    found: row.perturbation.as_ref().map_or("missing".to_owned(), |found| format!("{found:?}")),
                    expected: perturbation.map_or("none before the last clean image".to_owned(), |expected| format!("{expected:?}")),
                });
            }
            let before = (i != clean).then(|| &self.questions[clean]);
            match before {
                None if !ids.insert(&row.id) => {
                    return Err(ReportError::Duplicate { field: format!("{field}.id"), value: row.id.clone() });
                }
                Some(before) if !before.asks_what(row) => {
                    return Err(ReportError::Place {
                        field,
                        found: "another question".to_owned(),
                        expected: format!("the one of `questions[{clean}]`, word for word"),
                    });
                }
                _ => {}
            }
            row.baseline.check_baseline(&format!("{field}.baseline"), before.map(|before| &before.baseline))?;
        }
        Ok(())
    }

    fn check_first_token(&self, field: &str, answers: &[AnswerRow], first_token: Option<&FirstToken>) -> Result<(), ReportError> {
        let Some(first_token) = first_token else { return Ok(()) };
        let field = format!("{field}.first_token");
        if answers.iter().any(|answer| answer.kl.is_some()) || self.questions.iter().any(|question| question.baseline.margin.is_some()) {
            return Err(ReportError::Presence { field, found: "present", expected: "none: it follows from the answers" });
        }
        let FirstToken { kl_mean, kl_median, margin_same, margin_diverged } = *first_token;
        [("kl_mean", kl_mean), ("kl_median", kl_median), ("margin_same", margin_same), ("margin_diverged", margin_diverged)]
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .try_for_each(|(name, value)| check_number(&field, name, value, not_negative, "a finite number >= 0"))
    }

    fn check_answers(&self, field: &str, answers: &[AnswerRow]) -> Result<(), ReportError> {
        if answers.len() != self.questions.len() {
            return Err(ReportError::Length { field: field.to_owned(), found: answers.len(), expected: self.questions.len() });
        }
        for (i, (answer, question)) in answers.iter().zip(&self.questions).enumerate() {
            let field = format!("{field}[{i}]");
            answer.check(&field)?;
            answer.check_outcome(&field, &question.baseline)?;
        }
        Ok(())
    }
}

impl AnswerRow {
    fn check(&self, field: &str) -> Result<(), ReportError> {
        let finite_and_not_negative = "a finite number >= 0";
        check_number(field, "score", f64::from(self.score), |score| (0.0..=1.0).contains(&score), "a number from 0 to 1")?;
        check_number(field, "visual_tokens", f64::from(self.visual_tokens), not_negative, finite_and_not_negative)?;
        if let Some(margin) = self.margin {
            check_number(field, "margin", f64::from(margin), not_negative, finite_and_not_negative)?;
        }
        if let Some(kl) = self.kl {
            check_number(field, "kl", kl, not_negative, finite_and_not_negative)?;
        }
        for (i, candidate) in self.top.iter().enumerate() {
            check_number(field, &format!("top[{i}].logit"), f64::from(candidate.logit), f64::is_finite, "a finite number")?;
        }
        Ok(())
    }

    /// `before` is the answer that this one is compared with.
    fn check_outcome(&self, field: &str, before: &Self) -> Result<(), ReportError> {
        let field = format!("{field}.outcome");
        let Some(outcome) = self.outcome else {
            return Err(ReportError::Presence { field, found: "missing", expected: "what became of the question" });
        };
        outcome.check(before.correct, self.correct).map_err(|reason| ReportError::Contradiction { field, reason })
    }

    /// `clean` is the baseline's answer about the clean image, where this is one about another.
    fn check_baseline(&self, field: &str, clean: Option<&Self>) -> Result<(), ReportError> {
        self.check(field)?;
        let absent = |name: &str, present: bool| {
            if present {
                Err(ReportError::Presence {
                    field: format!("{field}.{name}"),
                    found: "present",
                    expected: "none: the baseline is not compared with itself",
                })
            } else {
                Ok(())
            }
        };
        match clean {
            Some(clean) => self.check_outcome(field, clean)?,
            None => absent("outcome", self.outcome.is_some())?,
        }
        absent("kl", self.kl.is_some())
    }
}

impl CostRow {
    fn check(&self, field: &str) -> Result<(), ReportError> {
        let named = [
            ("kv_bytes", Some(self.kv_bytes)),
            ("visual_tokens", Some(self.visual_tokens)),
            ("prompt_tokens", Some(self.prompt_tokens)),
            ("flops", Some(self.flops)),
            ("seconds", self.seconds),
        ];
        named
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .try_for_each(|(name, value)| check_number(field, name, value, not_negative, "a finite number >= 0"))
    }
}

fn not_negative(number: f64) -> bool {
    number.is_finite() && number >= 0.0
}

fn check_number(field: &str, name: &str, found: f64, holds: impl Fn(f64) -> bool, expected: &'static str) -> Result<(), ReportError> {
    if holds(found) { Ok(()) } else { Err(ReportError::Number { field: format!("{field}.{name}"), found, expected }) }
}
