//! What was measured: everything that a report holds and that does not follow from something else in it.

use std::collections::BTreeMap;

use std::fmt;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::outcome::Outcome;

/// What a `report.json` says it is.
pub const FORMAT: &str = "steady-report/2";

/// What it said before: it has one control, which it calls the noise floor, and summaries by older rules.
pub(crate) const FORMAT_1: &str = "steady-report/1";

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
    /// Changes that should not matter, in the order in which they are shown. The one under which most answers change is the noise floor.
    #[serde(default, alias = "noise_floor", deserialize_with = "controls")]
    pub controls: Vec<ControlReport>,
    /// Answers that are odd and in the report all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flagged: Vec<Flagged>,
}

/// A list of controls, or what stood in its place when there was one or none.
fn controls<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<ControlReport>, D::Error> {
    struct OneOrMany;
    impl<'de> Visitor<'de> for OneOrMany {
        type Value = Vec<ControlReport>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of controls, or one")
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(Vec::new())
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            Ok(vec![ControlReport::deserialize(MapAccessDeserializer::new(map))?])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
            Vec::deserialize(SeqAccessDeserializer::new(seq))
        }
    }
    deserializer.deserialize_any(OneOrMany)
}

/// An answer that a reader should know something about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flagged {
    /// Index of the question's row.
    pub row: usize,
    /// Whose answer: an acceleration's spec, `none` for the baseline's, or the name of a control.
    pub spec: String,
    /// What is odd about it.
    pub flag: Flag,
}

/// What is odd about an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flag {
    /// When it was given it was scored otherwise. The verdict in the report is that of the scorer that also says which answers are the same.
    Rescored,
    /// There is none, or the logits of its first token are no finite numbers; margin and divergence are left out.
    #[serde(alias = "not_finite")]
    NoAnswer,
}

impl Flag {
    /// For people, after a number of answers.
    pub fn label(self) -> &'static str {
        match self {
            Self::Rescored => "scored otherwise when given",
            Self::NoAnswer => "missing, or without finite first-token logits",
        }
    }
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
    /// SHA-256 of the plan, hexadecimal: what was fixed before the first answer. Empty where it is not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub plan_sha256: String,
    /// Number of questions; each was asked about the clean image and once under each perturbation.
    pub questions: usize,
    /// What was done to the images, besides nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub perturbations: Vec<String>,
    /// Canonical acceleration specs.
    pub specs: Vec<String>,
    /// Specs that were asked for and that the model does not take, with the reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub left_out: BTreeMap<String, String>,
    /// The prompt around a question.
    pub prompt_template: String,
    /// What stood behind a question in it, by the form of its answer.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub post_prompts: BTreeMap<String, String>,
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
    /// Seeds that were chosen, by what they seed. Those of this program derive from what is asked, or are part of a spec.
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
    /// How much it counts beside others, above 0; 1 where nobody said.
    #[serde(default = "usual_weight", skip_serializing_if = "is_usual_weight")]
    pub weight: f64,
    /// The baseline's answer. About a perturbed image it has an outcome: what became of its answer about the clean one.
    pub baseline: AnswerRow,
}

/// What a question weighs of which nobody said; files leave it out.
pub fn usual_weight() -> f64 {
    1.0
}

/// Whether it is [`usual_weight`].
#[expect(clippy::float_cmp, reason = "what was left out is exactly this")]
pub fn is_usual_weight(weight: &f64) -> bool {
    *weight == usual_weight()
}

/// What tells a picture from all others of a report.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Picture {
    /// Identity of the image.
    pub image: String,
    /// What was done to it; `None` for nothing.
    pub perturbation: Option<String>,
}

impl AnswerRow {
    /// By how many logits this answer moved the lead of the baseline's first token over its second: if another token leads now, by both leads together.
    /// `None` where a lead is not known. Which token leads is known where candidates are; else the leads alone are compared.
    pub(crate) fn lead_moved(&self, baseline: &Self) -> Option<f64> {
        let (was, is) = (f64::from(baseline.margin?), f64::from(self.margin?));
        let other_leads = baseline.top.first().zip(self.top.first()).is_some_and(|(was, is)| was.token != is.token);
        Some(if other_leads { was + is } else { (is - was).abs() })
    }

    /// Whether the baseline's answer, this one, is so close a call that a control might have changed it.
    pub(crate) fn is_tie(&self, margin: f64) -> bool {
        self.margin.is_some_and(|lead| f64::from(lead) <= margin)
    }
}

impl Measurements {
    /// The most by which any control moved the lead of a baseline's first token, in logits, over all its rows; `None` where no control tells.
    pub(crate) fn tie_margin(&self) -> Option<f64> {
        let rows = self.controls.iter().flat_map(|control| control.answers.iter().zip(&self.questions));
        rows.filter_map(|(answer, question)| answer.lead_moved(&question.baseline)).max_by(f64::total_cmp)
    }
}

impl QuestionRow {
    /// Whether both ask the same about the same image, whatever was done to it.
    pub(crate) fn asks_what(&self, other: &Self) -> bool {
        let Self { id, family, image, perturbation: _, text, gold, kind, weight, baseline: _ } = other;
        (&self.id, &self.family, &self.image, &self.text, &self.gold, self.kind, self.weight)
            == (id, family, image, text, gold, *kind, *weight)
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

/// A change that nobody would call an acceleration, such as another order of the questions or another number format: how many answers change although
/// nothing that should matter did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ControlReport {
    /// Its spec, unique among the controls; `none` for the baseline again.
    #[serde(default = "again")]
    pub spec: String,
    /// What is varied, e.g. `batch order`.
    #[serde(alias = "varied")]
    pub what_it_is: String,
    /// The answers, aligned with the questions.
    pub answers: Vec<AnswerRow>,
    /// What the answers leave out about the first token, where they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_token: Option<FirstToken>,
}

fn again() -> String {
    BASELINE.to_owned()
}

/// The spec of the baseline.
pub(crate) const BASELINE: &str = "none";

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
    /// Changed answers that were ties to begin with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ties: Option<Ties>,
}

/// Tie flips: changed answers for which the baseline led by no more than what the controls move leads by.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ties {
    /// The largest lead, in logits, that counts as a tie: by so much a control moved the lead of some baseline's first token, and none by more.
    pub margin: f64,
    /// How many of the changed answers are ties.
    pub count: u64,
}

/// What a run cost. All but the seconds follow from shapes and formats, so they are the same on every machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CostRow {
    /// Bytes of weights held, in the precision that the study computed in.
    pub weight_bytes: u64,
    /// Bytes of the weights as somebody would publish them: what is packed as packed, all else as the checkpoint has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored_bytes: Option<u64>,
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
