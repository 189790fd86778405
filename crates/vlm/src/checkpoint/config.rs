//! `config.json`, typed, with the defaults of the transformers classes filled in where a published file omits them.
//!
//! Defaults follow `LlavaConfig`, `LlavaNextConfig`, `CLIPVisionConfig`, `LlamaConfig`, `MistralConfig` and `Qwen2VLTextConfig` of
//! transformers 5.23. The Qwen2-VL families and the LLaVA repository's layout have files of their own beside this one.

use super::fields::Fields;
use super::original::OriginalLayout;
use super::qwen_config::QwenVlConfig;
use crate::VlmError;
use crate::image::{Pinpoints, TileLayout};

pub(crate) const FILE: &str = "config.json";
const ARCHITECTURES: [&str; 4] = [
    "LlavaForConditionalGeneration",
    "LlavaNextForConditionalGeneration",
    "Qwen2VLForConditionalGeneration",
    "Qwen2_5_VLForConditionalGeneration",
];
const MODEL_TYPES: [&str; 6] = ["llava", "llava_next", "llava_llama", "llava_mistral", "qwen2_vl", "qwen2_5_vl"];

/// The architecture of a checkpoint with its sizes.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ModelConfig {
    /// LLaVA-1.5 and LLaVA-NeXT: CLIP vision tower, two-layer projector, Llama or Mistral decoder.
    Llava(LlavaConfig),
    /// Qwen2-VL: images at their own resolution, a vision tower with two-dimensional rotary positions, M-RoPE.
    Qwen2Vl(QwenVlConfig),
    /// Qwen2.5-VL: as Qwen2-VL, with attention in windows.
    Qwen2_5Vl(QwenVlConfig),
}

/// A LLaVA-1.5-type or LLaVA-NeXT-type model.
#[derive(Clone, Debug, PartialEq)]
pub struct LlavaConfig {
    /// The CLIP vision tower.
    pub vision: ClipVisionConfig,
    /// The decoder.
    pub text: LlamaConfig,
    /// Id of the image placeholder token. In the LLaVA repository's layout there is none; it is then the first id behind the
    /// vocabulary.
    pub image_token_id: u32,
    /// LLaVA-NeXT: how images are cut into tiles.
    pub tiles: Option<TileLayout>,
    /// The LLaVA repository's layout: what its `config.json` says beside sizes. `None` in transformers' layout.
    pub original: Option<OriginalLayout>,
    /// Which hidden states of the vision tower feed the projector, as indices into `hidden_states`
    /// (0 = the embeddings after the pre-layernorm, i = the output of encoder layer i). More than one are
    /// concatenated along the feature axis, in this order. Never empty.
    pub feature_layers: Vec<usize>,
    /// Whether the class token is dropped from the features.
    pub feature_select: FeatureSelect,
    /// Activation between the projector's two layers.
    pub projector_act: Activation,
    /// Whether the projector's layers have a bias.
    pub projector_bias: bool,
    /// Whether `lm_head` is the token embedding.
    pub tie_word_embeddings: bool,
}

/// CLIP's vision transformer. Images are square.
#[derive(Clone, Debug, PartialEq)]
pub struct ClipVisionConfig {
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the MLP.
    pub intermediate_size: usize,
    /// Number of encoder layers.
    pub num_layers: usize,
    /// Attention heads; divides `hidden_size`.
    pub num_heads: usize,
    /// Colour channels, 3.
    pub num_channels: usize,
    /// Side of the input image in pixels.
    pub image_size: usize,
    /// Side of a patch in pixels.
    pub patch_size: usize,
    /// Activation in the MLP.
    pub act: Activation,
    /// Epsilon of every layer norm.
    pub layer_norm_eps: f64,
}

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

/// Which vision tokens go to the projector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeatureSelect {
    /// Patch tokens only; the class token is dropped.
    Default,
    /// Class token and patch tokens.
    Full,
}

/// Activations by their names in transformers' `ACT2FN`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `gelu`: exact, with the error function.
    Gelu,
    /// `gelu_pytorch_tanh`, `gelu_new`: the tanh approximation.
    GeluTanh,
    /// `quick_gelu`: `x * sigmoid(1.702 x)`.
    QuickGelu,
    /// `silu`, `swish`: `x * sigmoid(x)`.
    Silu,
    /// `relu`.
    Relu,
}

impl ModelConfig {
    pub(crate) fn parse(root: &Fields<'_>) -> Result<Self, VlmError> {
        refuse_quantized(root)?;
        if let Some(architectures) = root.get("architectures") {
            let name = architectures.get(0).and_then(|name| name.as_str()).unwrap_or("");
            if !ARCHITECTURES.contains(&name) {
                return Err(root.unknown("architectures", name, &ARCHITECTURES));
            }
        }
        match root.text("model_type")? {
            Some("llava") => LlavaConfig::parse(root).map(Self::Llava),
            Some("llava_next") => LlavaConfig::parse(root)?.tiled(root).map(Self::Llava),
            Some("qwen2_vl") => QwenVlConfig::qwen2_vl(root).map(Self::Qwen2Vl),
            Some("qwen2_5_vl") => QwenVlConfig::qwen2_5_vl(root).map(Self::Qwen2_5Vl),
            Some(other) => Err(root.unknown("model_type", other, &MODEL_TYPES)),
            None => Err(root.error("model_type", format!("is missing; known: {}", MODEL_TYPES.join(", ")))),
        }
    }

    /// Whether `lm_head` is the token embedding.
    pub fn tie_word_embeddings(&self) -> bool {
        match self {
            Self::Llava(config) => config.tie_word_embeddings,
            Self::Qwen2Vl(config) | Self::Qwen2_5Vl(config) => config.tie_word_embeddings,
        }
    }

    /// What the LLaVA repository's layout says beside sizes, if the checkpoint is in that layout.
    pub(crate) fn original(&self) -> Option<&OriginalLayout> {
        match self {
            Self::Llava(config) => config.original.as_ref(),
            Self::Qwen2Vl(_) | Self::Qwen2_5Vl(_) => None,
        }
    }

    /// The image placeholder's text where no processor file names it.
    pub(crate) fn image_token(&self) -> &'static str {
        match self {
            Self::Llava(_) => "<image>",
            Self::Qwen2Vl(_) | Self::Qwen2_5Vl(_) => "<|image_pad|>",
        }
    }

    /// The language model's part.
    pub fn text(&self) -> &LlamaConfig {
        match self {
            Self::Llava(config) => &config.text,
            Self::Qwen2Vl(config) | Self::Qwen2_5Vl(config) => &config.text,
        }
    }
}

/// Weights that were quantized before publication have names and shapes of their own.
pub(crate) fn refuse_quantized(root: &Fields<'_>) -> Result<(), VlmError> {
    if root.get("quantization_config").is_none() {
        return Ok(());
    }
    Err(root.error("quantization_config", "weights that were quantized before publication are not read; use the float checkpoint"))
}

impl LlavaConfig {
    fn parse(root: &Fields<'_>) -> Result<Self, VlmError> {
        let vision = match root.object("vision_config")? {
            Some(fields) => ClipVisionConfig::parse(&fields)?,
            None => ClipVisionConfig::VIT_L_14_336,
        };
        let text = root.object("text_config")?.ok_or_else(|| root.error("text_config", "is missing"))?;
        let tied = root.bool("tie_word_embeddings")?.unwrap_or(false) || text.bool("tie_word_embeddings")?.unwrap_or(false);
        let image_token_id = match (root.id("image_token_id")?, root.id("image_token_index")?) {
            (Some(id), Some(index)) if id != index => {
                return Err(root.error("image_token_id", format!("is {id}, but `image_token_index` is {index}")));
            }
            (id, index) => id.or(index).unwrap_or(32_000),
        };
        let text = LlamaConfig::parse(&text)?;
        if image_token_id as usize >= text.vocab_size {
            let problem = format!("{image_token_id} is outside the vocabulary of {} tokens", text.vocab_size);
            return Err(root.error("image_token_index", problem));
        }
        Ok(Self {
            feature_layers: feature_layers(root, "vision_feature_layer", vision.num_layers)?,
            feature_select: match root.text("vision_feature_select_strategy")?.unwrap_or("default") {
                "default" => FeatureSelect::Default,
                "full" => FeatureSelect::Full,
                other => return Err(root.unknown("vision_feature_select_strategy", other, &["default", "full"])),
            },
            projector_act: activation(root, "projector_hidden_act", Activation::Gelu)?,
            projector_bias: root.bool("multimodal_projector_bias")?.unwrap_or(true),
            tie_word_embeddings: tied,
            image_token_id,
            tiles: None,
            original: None,
            vision,
            text,
        })
    }

    /// LLaVA-NeXT's own fields.
    fn tiled(mut self, root: &Fields<'_>) -> Result<Self, VlmError> {
        const NAME: &str = "image_grid_pinpoints";
        if self.feature_select == FeatureSelect::Full {
            let problem = "`full` keeps the class token, which has no place in the rows of patches that LLaVA-NeXT makes of its tiles \
                           (transformers cannot run it either); expected `default`";
            return Err(root.error("vision_feature_select_strategy", problem));
        }
        let (side, grid) = (self.vision.image_size, self.vision.grid());
        let pinpoints = Pinpoints::parse(root, NAME)?;
        if let Some((height, width)) = pinpoints.not_tiled_by(side) {
            let problem = format!("{height}x{width} is not a whole number of tiles of {side} pixels (`vision_config.image_size`)");
            return Err(root.error(NAME, problem));
        }
        self.tiles = Some(TileLayout::new(pinpoints, side, grid));
        Ok(self)
    }

    /// Number of visual tokens that one image becomes; with tiles, the most that any does.
    pub fn visual_tokens(&self) -> usize {
        self.tiles.as_ref().map_or_else(|| self.view_tokens(), TileLayout::most_tokens)
    }

    /// Number of visual tokens that an image of `original` height and width becomes.
    pub fn visual_tokens_of(&self, original: (usize, usize)) -> usize {
        self.tiles.as_ref().map_or_else(|| self.view_tokens(), |tiles| tiles.tokens(original))
    }

    /// Features that the projector takes of one view of an image.
    pub fn view_tokens(&self) -> usize {
        self.vision.patches() + usize::from(self.feature_select == FeatureSelect::Full)
    }
}

/// `vision_feature_layer`: an index into the `layers + 1` hidden states, negative from the end, or a list of such.
pub(crate) fn feature_layers(root: &Fields<'_>, name: &str, layers: usize) -> Result<Vec<usize>, VlmError> {
    let indices = match root.get(name) {
        Some(serde_json::Value::Array(list)) if !list.is_empty() => list
            .iter()
            .map(|index| index.as_i64().ok_or_else(|| root.error(name, super::fields::expected("a list of integers", index))))
            .collect::<Result<Vec<_>, _>>()?,
        _ => vec![root.i64(name)?.unwrap_or(-2)],
    };
    let states = layers as i64 + 1;
    indices
        .into_iter()
        .map(|index| {
            let resolved = if index < 0 { states.saturating_add(index) } else { index };
            if (0..states).contains(&resolved) {
                Ok(resolved as usize)
            } else {
                Err(root.error(name, format!("{index} is outside the {states} hidden states of a tower of {layers} layers")))
            }
        })
        .collect()
}

impl ClipVisionConfig {
    /// What `LlavaConfig` assumes when a file has no `vision_config` at all.
    const VIT_L_14_336: Self = Self {
        hidden_size: 1024,
        intermediate_size: 4096,
        num_layers: 24,
        num_heads: 16,
        num_channels: 3,
        image_size: 336,
        patch_size: 14,
        act: Activation::QuickGelu,
        layer_norm_eps: 1e-5,
    };

    pub(crate) fn parse(fields: &Fields<'_>) -> Result<Self, VlmError> {
        match fields.text("model_type")? {
            None | Some("clip_vision_model") => {}
            Some(other) => return Err(fields.unknown("model_type", other, &["clip_vision_model"])),
        }
        let config = Self {
            hidden_size: fields.size("hidden_size")?.unwrap_or(768),
            intermediate_size: fields.size("intermediate_size")?.unwrap_or(3072),
            num_layers: fields.size("num_hidden_layers")?.unwrap_or(12),
            num_heads: fields.size("num_attention_heads")?.unwrap_or(12),
            num_channels: fields.size("num_channels")?.unwrap_or(3),
            image_size: side(fields, "image_size", 224)?,
            patch_size: side(fields, "patch_size", 32)?,
            act: activation(fields, "hidden_act", Activation::QuickGelu)?,
            layer_norm_eps: fields.f64("layer_norm_eps")?.unwrap_or(1e-5),
        };
        heads_divide(fields, config.hidden_size, config.num_heads)?;
        if config.num_channels != 3 {
            return Err(fields.error("num_channels", format!("expected 3, found {}", config.num_channels)));
        }
        if config.patch_size > config.image_size {
            let problem = format!("{} is larger than `image_size` {}", config.patch_size, config.image_size);
            return Err(fields.error("patch_size", problem));
        }
        Ok(config)
    }

    /// Patches along one side of the image.
    pub fn grid(&self) -> usize {
        self.image_size / self.patch_size
    }

    /// Patches of one image.
    pub fn patches(&self) -> usize {
        self.grid() * self.grid()
    }
}

/// A side in pixels, written as one number or as two equal ones.
pub(super) fn side(fields: &Fields<'_>, name: &str, default: usize) -> Result<usize, VlmError> {
    match fields.get(name) {
        Some(serde_json::Value::Array(sides)) => match sides.as_slice() {
            [height, width] if height == width => height
                .as_u64()
                .filter(|side| (1..=1 << 16).contains(side))
                .map(|side| side as usize)
                .ok_or_else(|| fields.error(name, super::fields::expected("a size in pixels", height))),
            _ => Err(fields.error(name, "expected one size or two equal ones: only square images and patches are known")),
        },
        _ => match fields.size(name)? {
            Some(side) if side > 1 << 16 => Err(fields.error(name, format!("expected at most 65536 pixels, found {side}"))),
            side => Ok(side.unwrap_or(default)),
        },
    }
}

/// Whose decoder it is: which class of transformers fills in what a file omits, and where biases are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DecoderKind {
    Llama,
    Mistral,
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
    fn parse(fields: &Fields<'_>) -> Result<Self, VlmError> {
        let kind = match fields.text("model_type")? {
            None | Some("llama") => DecoderKind::Llama,
            Some("mistral") => DecoderKind::Mistral,
            Some(other) => return Err(fields.unknown("model_type", other, &["llama", "mistral"])),
        };
        Self::parse_as(fields, kind)
    }

    pub(super) fn parse_as(fields: &Fields<'_>, kind: DecoderKind) -> Result<Self, VlmError> {
        let defaults = kind.defaults();
        let hidden_size = fields.size("hidden_size")?.unwrap_or(defaults.hidden_size);
        let num_heads = fields.size("num_attention_heads")?.unwrap_or(defaults.num_heads);
        // Set to null it means the number of heads, absent it means the class's own.
        let default_kv_heads = defaults.num_kv_heads.filter(|_| !fields.is_null("num_key_value_heads")).unwrap_or(num_heads);
        let num_kv_heads = fields.size("num_key_value_heads")?.unwrap_or(default_kv_heads);
        heads_divide(fields, hidden_size, num_heads)?;
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
            act: activation(fields, "hidden_act", Activation::Silu)?,
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

fn heads_divide(fields: &Fields<'_>, hidden: usize, heads: usize) -> Result<(), VlmError> {
    if hidden.is_multiple_of(heads) {
        return Ok(());
    }
    Err(fields.error("num_attention_heads", format!("{heads} does not divide `hidden_size` {hidden}")))
}

pub(super) fn activation(fields: &Fields<'_>, name: &str, default: Activation) -> Result<Activation, VlmError> {
    Ok(match fields.text(name)? {
        None => default,
        Some("gelu") => Activation::Gelu,
        Some("gelu_pytorch_tanh" | "gelu_new") => Activation::GeluTanh,
        Some("quick_gelu") => Activation::QuickGelu,
        Some("silu" | "swish") => Activation::Silu,
        Some("relu") => Activation::Relu,
        Some(other) => {
            let known = ["gelu", "gelu_pytorch_tanh", "gelu_new", "quick_gelu", "silu", "swish", "relu"];
            return Err(fields.unknown(name, other, &known));
        }
    })
}
