//! The decoder's part of `config.json`, with the defaults of the transformers classes filled in where a published file omits them.
//!
//! Defaults follow `LlamaConfig`, `MistralConfig` and `Qwen2VLTextConfig` of transformers 5.23.

use crate::VlmError;
use crate::files::Fields;
use crate::nn::Activation;

/// The Llama decoder, also as Mistral and Qwen2 configure it.
#[derive(Clone, Debug, PartialEq)]
pub struct LlamaConfig {
    /// Rows of the embedding and of `lm_head`.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the gated MLP.
    pub intermediate_size: usize,
    /// Number of decoder layers.
    pub num_layers: usize,
    /// Query heads.
    pub num_heads: usize,
    /// Key and value heads; divides `num_heads`.
    pub num_kv_heads: usize,
    /// Width of one head; even.
    pub head_dim: usize,
    /// Longest sequence the checkpoint was made for.
    pub max_position_embeddings: usize,
    /// Epsilon of every RMS norm.
    pub rms_norm_eps: f64,
    /// Rotary position embedding.
    pub rope: RopeConfig,
    /// Tokens that a token sees, itself included; `None` for all before it.
    pub sliding_window: Option<usize>,
    /// Whether the projections to queries, keys and values have a bias.
    pub attention_bias: bool,
    /// Whether the projection of the attention's output has a bias: as the other three in Llama, never in Qwen2.
    pub output_bias: bool,
    /// Whether the three MLP projections have a bias.
    pub mlp_bias: bool,
    /// Activation of the gate.
    pub act: Activation,
    /// First token of a sequence.
    pub bos_token_id: Option<u32>,
    /// Tokens that end an answer.
    pub eos_token_ids: Vec<u32>,
}

/// Rotary position embedding: frequencies `theta^(-2i/head_dim)`, then scaled.
#[derive(Clone, Debug, PartialEq)]
pub struct RopeConfig {
    /// Base of the frequencies.
    pub theta: f64,
    /// What is done to the frequencies.
    pub scaling: RopeScaling,
    /// M-RoPE: how many of the frequencies turn with a token's time, its row and its column. `None` where a token has one
    /// position.
    pub sections: Option<[usize; 3]>,
}

/// Published ways of stretching rotary frequencies beyond the trained length.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RopeScaling {
    /// Frequencies as they are.
    Default,
    /// Every frequency divided by `factor`.
    Linear {
        /// The divisor.
        factor: f64,
    },
    /// Llama 3.1: low frequencies divided by `factor`, high ones kept, a ramp between.
    Llama3 {
        /// The divisor of low frequencies.
        factor: f64,
        /// Wavelengths above `original / low_freq_factor` are divided.
        low_freq_factor: f64,
        /// Wavelengths below `original / high_freq_factor` are kept.
        high_freq_factor: f64,
        /// Sequence length of pre-training.
        original_max_position_embeddings: usize,
    },
}

/// Whose decoder it is: which class of transformers fills in what a file omits, and where biases are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecoderKind {
    /// `LlamaConfig`.
    Llama,
    /// `MistralConfig`.
    Mistral,
    /// `Qwen2VLTextConfig`.
    Qwen2Vl,
}

/// What a class assumes where a file is silent.
struct ClassDefaults {
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_layers: usize,
    num_heads: usize,
    /// `None`: as many as query heads.
    num_kv_heads: Option<usize>,
    max_position_embeddings: usize,
    rms_norm_eps: f64,
    rope_theta: f64,
    sliding_window: Option<usize>,
    bos_token_id: u32,
    eos_token_id: u32,
}

impl DecoderKind {
    fn defaults(self) -> ClassDefaults {
        let llama = ClassDefaults {
            vocab_size: 32_000,
            hidden_size: 4096,
            intermediate_size: 11_008,
            num_layers: 32,
            num_heads: 32,
            num_kv_heads: None,
            max_position_embeddings: 2048,
            rms_norm_eps: 1e-6,
            rope_theta: 10_000.0,
            sliding_window: None,
            bos_token_id: 1,
            eos_token_id: 2,
        };
        match self {
            Self::Llama => llama,
            Self::Mistral => ClassDefaults {
                intermediate_size: 14_336,
                num_kv_heads: Some(8),
                max_position_embeddings: 131_072,
                sliding_window: Some(4096),
                ..llama
            },
            Self::Qwen2Vl => ClassDefaults {
                vocab_size: 152_064,
                hidden_size: 8192,
                intermediate_size: 29_568,
                num_layers: 80,
                num_heads: 64,
                num_kv_heads: Some(8),
                max_position_embeddings: 32_768,
                rms_norm_eps: 1e-5,
                rope_theta: 1_000_000.0,
                sliding_window: None,
                bos_token_id: 151_643,
                eos_token_id: 151_645,
            },
        }
    }
}

impl LlamaConfig {
    /// A section that says by its `model_type` whether it is Llama's (also when it says nothing) or Mistral's.
    ///
    /// # Errors
    /// When a field is of the wrong type, or two contradict each other.
    pub fn parse(fields: &Fields<'_>) -> Result<Self, VlmError> {
        let kind = match fields.text("model_type")? {
            None | Some("llama") => DecoderKind::Llama,
            Some("mistral") => DecoderKind::Mistral,
            Some(other) => return Err(fields.unknown("model_type", other, &["llama", "mistral"])),
        };
        Self::parse_as(fields, kind)
    }

    /// A section of a class that is known.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_as(fields: &Fields<'_>, kind: DecoderKind) -> Result<Self, VlmError> {
        let defaults = kind.defaults();
        let hidden_size = fields.size("hidden_size")?.unwrap_or(defaults.hidden_size);
        let num_heads = fields.size("num_attention_heads")?.unwrap_or(defaults.num_heads);
        // Set to null it means the number of heads, absent it means the class's own.
        let default_kv_heads = defaults.num_kv_heads.filter(|_| !fields.is_null("num_key_value_heads")).unwrap_or(num_heads);
        let num_kv_heads = fields.size("num_key_value_heads")?.unwrap_or(default_kv_heads);
        fields.heads_divide("hidden_size", hidden_size, "num_attention_heads", num_heads)?;
        if !num_heads.is_multiple_of(num_kv_heads) {
            let problem = format!("{num_kv_heads} does not divide `num_attention_heads` {num_heads}");
            return Err(fields.error("num_key_value_heads", problem));
        }
        let head_dim = fields.size("head_dim")?.unwrap_or(hidden_size / num_heads);
        if !head_dim.is_multiple_of(2) {
            return Err(fields.error("head_dim", format!("rotary embeddings need an even width, found {head_dim}")));
        }
        let max_position_embeddings = fields.size("max_position_embeddings")?.unwrap_or(defaults.max_position_embeddings);
        let bias = |name: &str| fields.bool(name).map(|bias| bias.unwrap_or(false));
        let (attention_bias, output_bias, mlp_bias) = match kind {
            DecoderKind::Llama => (bias("attention_bias")?, bias("attention_bias")?, bias("mlp_bias")?),
            DecoderKind::Mistral => (false, false, false),
            DecoderKind::Qwen2Vl => (true, false, false),
        };
        // Mistral 7B v0.2 sets the window to null, which means none; without the field it is that of v0.1.
        let default_window = defaults.sliding_window.filter(|_| !fields.is_null("sliding_window"));
        let sliding_window = match kind {
            DecoderKind::Mistral => fields.size("sliding_window")?.or(default_window),
            DecoderKind::Llama | DecoderKind::Qwen2Vl => None,
        };
        let eos = fields.ids("eos_token_id")?;
        Ok(Self {
            vocab_size: fields.size("vocab_size")?.unwrap_or(defaults.vocab_size),
            hidden_size,
            intermediate_size: fields.size("intermediate_size")?.unwrap_or(defaults.intermediate_size),
            num_layers: fields.size("num_hidden_layers")?.unwrap_or(defaults.num_layers),
            num_heads,
            num_kv_heads,
            head_dim,
            max_position_embeddings,
            rms_norm_eps: fields.f64("rms_norm_eps")?.unwrap_or(defaults.rms_norm_eps),
            rope: RopeConfig::parse(fields, max_position_embeddings, defaults.rope_theta)?,
            sliding_window,
            attention_bias,
            output_bias,
            mlp_bias,
            act: fields.activation("hidden_act", Activation::Silu)?,
            bos_token_id: fields.id("bos_token_id")?.or(Some(defaults.bos_token_id)),
            eos_token_ids: if eos.is_empty() { vec![defaults.eos_token_id] } else { eos },
        })
    }
}

impl RopeConfig {
    /// `rope_parameters` as transformers 5 writes it, or `rope_theta` with `rope_scaling` as earlier versions did.
    /// A file without a base means `default_theta`.
    fn parse(fields: &Fields<'_>, max_position_embeddings: usize, default_theta: f64) -> Result<Self, VlmError> {
        let rope = match fields.object("rope_scaling")? {
            Some(scaling) => Some(scaling),
            None => fields.object("rope_parameters")?,
        };
        let outer_theta = fields.f64("rope_theta")?;
        let Some(rope) = rope else {
            return Ok(Self { theta: outer_theta.unwrap_or(default_theta), scaling: RopeScaling::Default, sections: None });
        };
        let theta = rope.f64("rope_theta")?.or(outer_theta).unwrap_or(default_theta);
        if rope.f64("partial_rotary_factor")?.is_some_and(|share| share < 1.0) {
            return Err(rope.error("partial_rotary_factor", "only 1.0 is known"));
        }
        let number = |name: &str| rope.f64(name)?.ok_or_else(|| rope.error(name, "is missing"));
        let (name, kind) = match rope.text("rope_type")? {
            Some(kind) => ("rope_type", kind),
            None => ("type", rope.text("type")?.unwrap_or("default")),
        };
        let scaling = match kind {
            "default" | "mrope" => RopeScaling::Default,
            "linear" => RopeScaling::Linear { factor: number("factor")? },
            "llama3" => RopeScaling::Llama3 {
                factor: number("factor")?,
                low_freq_factor: number("low_freq_factor")?,
                high_freq_factor: number("high_freq_factor")?,
                original_max_position_embeddings: rope.size("original_max_position_embeddings")?.unwrap_or(max_position_embeddings),
            },
            other => return Err(rope.unknown(name, other, &["default", "mrope", "linear", "llama3"])),
        };
        Ok(Self { theta, scaling, sections: rope.sizes("mrope_section")? })
    }
}
