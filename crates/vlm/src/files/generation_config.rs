//! `generation_config.json`: how a checkpoint wants to be decoded.

use super::fields::Fields;
use super::source::Source;
use crate::VlmError;

const FILE: &str = "generation_config.json";

/// Decoding settings that matter to greedy decoding.
#[derive(Clone, Debug, PartialEq)]
pub struct GenerationConfig {
    /// Tokens that end an answer; from the model's configuration when the file names none.
    pub eos_token_ids: Vec<u32>,
    /// First token of a sequence.
    pub bos_token_id: Option<u32>,
    /// Padding token.
    pub pad_token_id: Option<u32>,
    /// Longest answer in tokens, when the checkpoint limits it.
    pub max_new_tokens: Option<usize>,
    /// Divides positive and multiplies negative logits of every token that already occurs, the prompt included
    /// (CTRL, arXiv:1909.05858, as in transformers). 1 does nothing.
    pub repetition_penalty: f32,
    /// Settings of the file that are not followed, in words; logged as warnings when the checkpoint is opened.
    pub ignored: Vec<String>,
}

/// Settings that would change a greedy answer, with the values at which they do nothing.
const NEUTRAL: [(&str, &[f64]); 7] = [
    ("num_beams", &[1.0]),
    ("no_repeat_ngram_size", &[0.0]),
    ("encoder_repetition_penalty", &[1.0]),
    ("min_new_tokens", &[0.0]),
    ("min_length", &[0.0]),
    ("guidance_scale", &[1.0]),
    ("diversity_penalty", &[0.0]),
];

impl GenerationConfig {
    /// What the file leaves out is as the decoder's own configuration says it: `eos` and `bos`.
    pub(crate) fn read(source: &Source, eos: &[u32], bos: Option<u32>) -> Result<Self, VlmError> {
        let mut config = Self {
            eos_token_ids: eos.to_vec(),
            bos_token_id: bos,
            pad_token_id: None,
            max_new_tokens: None,
            repetition_penalty: 1.0,
            ignored: Vec::new(),
        };
        let Some(json) = source.json(FILE)? else { return Ok(config) };
        let label = source.label_of(FILE);
        config.update(&Fields::root(&label, &json)?)?;
        for setting in &config.ignored {
            tracing::warn!("{label}: {setting}");
        }
        Ok(config)
    }

    fn update(&mut self, fields: &Fields<'_>) -> Result<(), VlmError> {
        let eos = fields.ids("eos_token_id")?;
        if !eos.is_empty() {
            self.eos_token_ids = eos;
        }
        self.bos_token_id = fields.id("bos_token_id")?.or(self.bos_token_id);
        self.pad_token_id = fields.id("pad_token_id")?;
        self.max_new_tokens = fields.size("max_new_tokens")?;
        if let Some(penalty) = fields.f64("repetition_penalty")? {
            if !(penalty.is_finite() && penalty > 0.0) {
                return Err(fields.error("repetition_penalty", format!("expected a number above 0, found {penalty}")));
            }
            self.repetition_penalty = penalty as f32;
        }
        if fields.bool("do_sample")?.unwrap_or(false) {
            self.ignored.push("`do_sample` is true; answers are decoded greedily all the same".to_owned());
        }
        for (name, neutral) in NEUTRAL {
            if let Some(value) = fields.f64(name)?
                && !neutral.contains(&value)
            {
                self.ignored.push(format!("`{name}` {value} is not followed"));
            }
        }
        for name in
            ["suppress_tokens", "begin_suppress_tokens", "bad_words_ids", "sequence_bias", "forced_bos_token_id", "forced_eos_token_id"]
        {
            if fields.get(name).is_some() {
                self.ignored.push(format!("`{name}` is not followed"));
            }
        }
        Ok(())
    }
}
