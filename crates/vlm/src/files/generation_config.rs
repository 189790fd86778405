//! `generation_config.json`: how a checkpoint wants to be decoded.

use serde_json::Value;

use super::CONFIG;
use super::fields::Fields;
use super::source::{BYTE_ORDER_MARK, Source};
use crate::VlmError;

const FILE: &str = "generation_config.json";

/// Decoding settings that matter to greedy decoding.
#[derive(Clone, Debug, PartialEq)]
pub struct GenerationConfig {
    /// Tokens that end an answer. None: every answer goes on to the limit.
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
    /// As transformers 5 reads it: the file of its own; where there is none, `config.json`, its root before its `text_config`. A file that
    /// names no end token means that there is none, whatever `config.json` says. `bos` is the decoder's.
    pub(crate) fn read(source: &Source, root: &Fields<'_>, bos: Option<u32>) -> Result<Self, VlmError> {
        let mut config = Self {
            eos_token_ids: Vec::new(),
            bos_token_id: None,
            pad_token_id: None,
            max_new_tokens: None,
            repetition_penalty: 1.0,
            ignored: Vec::new(),
        };
        let mut label = source.label_of(FILE);
        if let Some(json) = json(source)? {
            config.update(&[Fields::root(&label, &json)?])?;
        } else {
            label = source.label_of(CONFIG);
            let places: Vec<Fields<'_>> = std::iter::once(root.clone()).chain(root.object("text_config")?).collect();
            config.update(&places)?;
        }
        config.bos_token_id = config.bos_token_id.or(bos);
        if config.eos_token_ids.is_empty() {
            config.ignored.push("names no end token (`eos_token_id`): as with transformers, answers go on to the limit".to_owned());
        }
        for setting in &config.ignored {
            tracing::warn!("{label}: {setting}");
        }
        Ok(config)
    }

    /// Of several places the first that has a setting counts.
    fn update(&mut self, places: &[Fields<'_>]) -> Result<(), VlmError> {
        fn first<T>(places: &[Fields<'_>], read: impl Fn(&Fields<'_>) -> Result<Option<T>, VlmError>) -> Result<Option<T>, VlmError> {
            places.iter().find_map(|fields| read(fields).transpose()).transpose()
        }
        self.eos_token_ids = first(places, |fields| fields.ids_or_none("eos_token_id"))?.unwrap_or_default();
        self.bos_token_id = first(places, |fields| fields.id_or_none("bos_token_id"))?;
        self.pad_token_id = first(places, |fields| fields.id_or_none("pad_token_id"))?;
        self.max_new_tokens = first(places, |fields| fields.size("max_new_tokens"))?;
        let penalty = first(places, |fields| match fields.f64("repetition_penalty")? {
            Some(penalty) if !(penalty.is_finite() && penalty > 0.0) => {
                Err(fields.error("repetition_penalty", format!("expected a number above 0, found {penalty}")))
            }
            penalty => Ok(penalty),
        })?;
        if let Some(penalty) = penalty {
            self.repetition_penalty = penalty as f32;
        }
        if first(places, |fields| fields.bool("do_sample"))?.unwrap_or(false) {
            self.ignored.push("`do_sample` is true; answers are decoded greedily all the same".to_owned());
        }
        for (name, neutral) in NEUTRAL {
            if let Some(value) = first(places, |fields| fields.f64(name))?
                && !neutral.contains(&value)
            {
                self.ignored.push(format!("`{name}` {value} is not followed"));
            }
        }
        for name in
            ["suppress_tokens", "begin_suppress_tokens", "bad_words_ids", "sequence_bias", "forced_bos_token_id", "forced_eos_token_id"]
        {
            if places.iter().any(|fields| fields.get(name).is_some()) {
                self.ignored.push(format!("`{name}` is not followed"));
            }
        }
        Ok(())
    }
}

/// The file's content; `None` where there is none, or where transformers passes over it.
fn json(source: &Source) -> Result<Option<Value>, VlmError> {
    if source.content(FILE)?.is_some_and(|content| content.starts_with(BYTE_ORDER_MARK)) {
        let file = source.label_of(FILE);
        tracing::warn!("{file}: begins with a byte order mark, for which transformers passes over it and takes {CONFIG}; so it is here");
        return Ok(None);
    }
    source.json(FILE)
}
