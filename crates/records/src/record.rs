//! One answer, with everything later questions about it need.

use serde::{Deserialize, Serialize};

/// First-token candidates kept per answer.
pub const TOP: usize = 20;

/// One row of the records: one question under one acceleration and one perturbation.
///
/// Holds nothing that differs between two runs of one plan; wall times are kept apart ([`Timing`]).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Question id.
    pub question: String,
    /// Task family.
    pub family: String,
    /// Image id, the cluster of the statistics.
    pub image: String,
    /// What was done to the image.
    pub perturbation: String,
    /// Canonical spec of an acceleration, `none`, or the name of a control.
    pub acceleration: String,
    /// The answer as decoded.
    pub answer: String,
    /// Its token ids.
    pub output_ids: Vec<u32>,
    /// Whether the limit of the plan's decoding cut it; nothing in records of versions that did not say.
    pub cut: Option<bool>,
    /// What the scorer read in it; nothing if it could not read it.
    pub parsed: Option<String>,
    /// Why there is no answer: a logit was not finite (in which token, and where in the model it shows first), or a server refused the question. What was
    /// decoded before counts as unparsed and wrong, and has neither candidates nor margin.
    #[serde(alias = "not_finite")]
    pub no_answer: Option<String>,
    /// Whether it is right.
    pub correct: bool,
    /// Graded score in 0..=1.
    pub score: f32,
    /// The [`TOP`] most likely first tokens, best first, ties by id.
    pub top_ids: Vec<u32>,
    /// Their texts.
    pub top_tokens: Vec<String>,
    /// Their logits.
    pub top_logits: Vec<f32>,
    /// Logit of the first token minus that of the second; nothing where there is no answer, or where whoever answers does not tell.
    pub margin: Option<f32>,
    /// KL(baseline || this) over the whole first-token distribution, in nats, or a lower bound of it where only the likeliest tokens are told; nothing
    /// for the baseline itself, and where one of both is no answer or tells nothing.
    pub kl: Option<f64>,
    /// Visual tokens before reduction.
    pub visual_tokens: u32,
    /// Visual tokens kept, ascending; nothing when all were.
    pub kept: Option<Vec<u32>>,
    /// What each step of a reducer left of them, the last as in `kept`; nothing for reducers of one step.
    pub kept_by_step: Option<Vec<Vec<u32>>>,
    /// Tokens of the prompt before any reduction, visual ones included.
    pub prompt_tokens: u32,
    /// Visual tokens per decoder layer, mean over the layers.
    pub decoder_visual_tokens: f32,
    /// Bytes of the key/value cache at the end of the prompt.
    pub kv_bytes: u64,
    /// Bytes of the model's weights.
    pub weight_bytes: u64,
    /// Floating-point operations, counted from shapes.
    pub flops: u64,
}

/// How long one answer took. Not part of the records, which two runs of one plan have in common to the byte.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// Question id.
    pub question: String,
    /// What was done to the image.
    pub perturbation: String,
    /// Canonical spec of an acceleration, `none`, or the name of a control.
    pub acceleration: String,
    /// Wall time in milliseconds, shared work in equal shares.
    pub wall_ms: f64,
}
