//! `config.json` of LLaVA-1.5, typed, with the defaults of `LlavaConfig` (transformers 5.23) where a published file omits them.

use crate::VlmError;
use crate::decoder::LlamaConfig;
use crate::files::{Fields, GgufFacts, GgufValue, expected};
use crate::nn::Activation;
use crate::vision::ClipVisionConfig;

use super::original::OriginalLayout;

/// A LLaVA-1.5-type model: CLIP vision tower, two-layer projector, Llama or Mistral decoder.
#[derive(Clone, Debug, PartialEq)]
pub struct LlavaConfig {
    /// The CLIP vision tower.
    pub vision: ClipVisionConfig,
    /// The decoder.
    pub text: LlamaConfig,
    /// Id of the image placeholder token. In the LLaVA repository's layout there is none; it is then the first id behind the
    /// vocabulary.
    pub image_token_id: u32,
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

/// Which vision tokens go to the projector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeatureSelect {
    /// Patch tokens only; the class token is dropped.
    Default,
    /// Class token and patch tokens.
    Full,
}

impl LlavaConfig {
    /// From transformers' layout.
    pub(crate) fn parse(root: &Fields<'_>) -> Result<Self, VlmError> {
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
            projector_act: root.activation("projector_hidden_act", Activation::Gelu)?,
            projector_bias: root.bool("multimodal_projector_bias")?.unwrap_or(true),
            tie_word_embeddings: tied,
            image_token_id,
            original: None,
            vision,
            text,
        })
    }

    /// What llama.cpp's files say of such a model.
    pub(super) fn gguf(&self) -> GgufFacts {
        let (vision, depth) = (&self.vision, self.feature_layers.iter().copied().max().unwrap_or_default());
        let tower = vec![
            ("embedding_length", GgufValue::Count(vision.hidden_size)),
            ("attention.head_count", GgufValue::Count(vision.num_heads)),
            ("attention.layer_norm_epsilon", GgufValue::Real(vision.layer_norm_eps)),
            ("image_size", GgufValue::Count(vision.image_size)),
            ("patch_size", GgufValue::Count(vision.patch_size)),
        ];
        let notes = vec![
            ("clip.has_llava_projector", GgufValue::Flag(true)),
            // Layers from which nothing is taken are left out, as converters do.
            ("clip.vision.block_count", GgufValue::Count(depth)),
            ("clip.vision.feature_layer", GgufValue::Wholes(vec![depth as i32])),
            ("clip.vision.feed_forward_length", GgufValue::Count(vision.intermediate_size)),
            ("clip.vision.projection_dim", GgufValue::Count(self.text.hidden_size)),
            ("clip.use_gelu", GgufValue::Flag(vision.act == Activation::Gelu)),
            ("clip.use_silu", GgufValue::Flag(vision.act == Activation::Silu)),
        ];
        let above = (depth..vision.num_layers).map(|layer| format!("vision_tower.encoder.layers.{layer}."));
        let left_out = above.chain(["vision_tower.post_layernorm.".to_owned()]).collect();
        let unlike = if self.feature_select == FeatureSelect::Full {
            Some("its class token is a visual token, and llama.cpp drops that")
        } else if self.feature_layers.len() > 1 {
            Some("its visual tokens are of several layers of the tower, and of one in llama.cpp's files here")
        } else if self.projector_act != Activation::Gelu || !self.projector_bias {
            Some("its projector is not the one with biases and GELU that llama.cpp computes")
        } else if ![Activation::QuickGelu, Activation::Gelu, Activation::Silu].contains(&vision.act) {
            Some("its tower's activation is none that llama.cpp's files can name")
        } else {
            None
        };
        GgufFacts { decoder: "llama", projector: "mlp", tower, notes, left_out, unlike: unlike.map(str::to_owned), beware: None }
    }

    /// Features that the projector takes of one view of an image: with LLaVA-1.5 the image's visual tokens.
    pub fn view_tokens(&self) -> usize {
        self.vision.patches() + usize::from(self.feature_select == FeatureSelect::Full)
    }
}

/// `vision_feature_layer`: an index into the `layers + 1` hidden states, negative from the end, or a list of such.
pub(crate) fn feature_layers(root: &Fields<'_>, name: &str, layers: usize) -> Result<Vec<usize>, VlmError> {
    let indices = match root.get(name) {
        Some(serde_json::Value::Array(list)) if !list.is_empty() => list
            .iter()
            .map(|index| index.as_i64().ok_or_else(|| root.error(name, expected("a list of integers", index))))
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
