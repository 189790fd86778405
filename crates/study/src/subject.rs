//! The seam between an experiment and the model it is made on.

use std::time::Duration;

use image::RgbImage;
use steady_bench::Posed;
use steady_vlm::Left;

use crate::StudyError;

/// What is known of the distribution of a token.
#[derive(Clone, Debug, PartialEq)]
pub enum Distribution {
    /// Logits over the whole vocabulary.
    Logits(Vec<f32>),
    /// Text and logarithm of the probability of the likeliest tokens, likeliest first; none where nothing is told.
    Likeliest(Vec<(String, f32)>),
}

impl Distribution {
    /// The logits, where they are known.
    pub fn logits(&self) -> Option<&[f32]> {
        match self {
            Self::Logits(logits) => Some(logits),
            Self::Likeliest(_) => None,
        }
    }
}

/// One answer of one variant to one question.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// The new token ids, end of sequence included if it was reached.
    pub output_ids: Vec<u32>,
    /// The decoded answer.
    pub text: String,
    /// Whether it was cut: as many tokens as it may have, and no end of sequence.
    pub cut: bool,
    /// Why there is none: a logit was not finite, or whoever was asked refused.
    pub no_answer: Option<String>,
    /// What is known of the first new token's distribution.
    pub first_token: Distribution,
    /// Visual tokens before any reduction.
    pub visual_tokens: usize,
    /// What each step of a reducer left of the visual tokens, in the order of the steps; empty without a reducer.
    pub left: Vec<Left>,
    /// Tokens of the prompt before any reduction, visual ones included.
    pub prompt_tokens: usize,
    /// Visual tokens per decoder layer, mean over the layers.
    pub decoder_visual_tokens: f32,
    /// Bytes of the key/value cache at the end of the prompt.
    pub kv_bytes: usize,
    /// Floating-point operations, counted from shapes.
    pub flops: u64,
    /// Wall time of this answer. What is shared between the questions of an image counts for each of them in equal shares, and in full for each variant:
    /// the time a study of this variant alone would take. Answers that went side by side have equal shares.
    pub wall: Duration,
}

impl Reply {
    /// Visual tokens that were kept in the end, ascending; `None` without a reducer.
    pub fn kept(&self) -> Option<&[usize]> {
        self.left.last().map(|left| left.kept.as_slice())
    }
}

/// Something that can be asked the questions of a study: a model with its accelerated variants, or a stand-in for one.
pub trait Subject {
    /// Bytes of the weights of each variant, in the order of [`steady_records::Plan::variants`].
    fn weight_bytes(&self) -> Vec<usize>;

    /// The text of a token id, for people who read the candidates of a first token.
    fn token(&self, id: u32) -> String;

    /// How many groups it answers at a time. More than one is for those who wait for others: each group holds its image meanwhile.
    fn groups_at_once(&self) -> usize {
        1
    }

    /// How many groups it answers at a time where it computes on these `threads`, each group with an equal share of them. 0 where it does not compute here, but on a
    /// GPU or elsewhere: groups are then asked for as [`Self::groups_at_once`] says.
    fn lanes(&self, threads: usize) -> usize {
        let _ = threads;
        0
    }

    /// Answers all `questions` of one image, or of several that are shown together, under all variants: one list per variant, in the order of
    /// [`steady_records::Plan::variants`], holding one reply per question in the order given.
    ///
    /// # Errors
    /// Whatever the model says; nothing of the group is recorded then.
    fn group(&self, images: &[RgbImage], questions: &[Posed<'_>]) -> impl Future<Output = Result<Vec<Vec<Reply>>, StudyError>>;
}
