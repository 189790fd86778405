//! `config.json` of Qwen2-VL and Qwen2.5-VL.
//!
//! Both generations: flat, as published (the decoder's fields beside `vision_config`), and nested (`text_config`), as later
//! versions of transformers write it. Defaults follow `Qwen2VLConfig`, `Qwen2_5_VLConfig` and their parts of transformers 5.23.
//! Video is not read, so neither are `tokens_per_second` and the ids around videos: the times of a still image are all alike.

use crate::VlmError;
use crate::decoder::{DecoderKind, LlamaConfig};
use crate::files::{Fields, GgufFacts, GgufValue};
use crate::nn::Activation;

/// Epsilon of the tower's norms, as hard-coded in the published models.
const EPSILON: f64 = 1e-6;
/// Side in pixels of the windows of published models.
const WINDOW: usize = 112;

/// A Qwen2-VL-type or Qwen2.5-VL-type model.
#[derive(Clone, Debug, PartialEq)]
pub struct QwenVlConfig {
    /// The vision tower with its merger.
    pub vision: QwenVisionConfig,
    /// The Qwen2 decoder: a Llama whose queries, keys and values have biases.
    pub text: LlamaConfig,
    /// Id of the image placeholder token.
    pub image_token_id: u32,
    /// Whether `lm_head` is the token embedding.
    pub tie_word_embeddings: bool,
}

/// The vision transformer. Images keep their proportions.
#[derive(Clone, Debug, PartialEq)]
pub struct QwenVisionConfig {
    /// Number of blocks.
    pub depth: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the MLP.
    pub intermediate_size: usize,
    /// Attention heads; divides `hidden_size`, and the width of a head is a multiple of 4.
    pub num_heads: usize,
    /// Colour channels, 3.
    pub num_channels: usize,
    /// Side of a patch in pixels.
    pub patch_size: usize,
    /// Frames that one patch spans; a still image is repeated.
    pub temporal_patch_size: usize,
    /// Side in patches of the square that becomes one visual token.
    pub merge_size: usize,
    /// Activation in the MLP.
    pub act: Activation,
    /// Width of a visual token, the decoder's.
    pub out_hidden_size: usize,
    /// Qwen2.5-VL: where attention stays within windows.
    pub windows: Option<Windows>,
}

/// Attention in windows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Windows {
    /// Side of a window in pixels.
    pub size: usize,
    /// Blocks that attend to the whole image all the same, ascending.
    pub full_attention_blocks: Vec<usize>,
}

impl QwenVlConfig {
    pub(crate) fn qwen2_vl(root: &Fields<'_>) -> Result<Self, VlmError> {
        Self::parse(root, "qwen2_vl", |vision| {
            let hidden_size = vision.size("embed_dim")?.unwrap_or(1280);
            Ok(QwenVisionConfig {
                intermediate_size: hidden_size * vision.size("mlp_ratio")?.unwrap_or(4),
                hidden_size,
                act: vision.activation("hidden_act", Activation::QuickGelu)?,
                out_hidden_size: vision.size("hidden_size")?.unwrap_or(3584),
                ..QwenVisionConfig::common(vision)?
            })
        })
    }

    pub(crate) fn qwen2_5_vl(root: &Fields<'_>) -> Result<Self, VlmError> {
        Self::parse(root, "qwen2_5_vl", |vision| {
            let common = QwenVisionConfig::common(vision)?;
            Ok(QwenVisionConfig {
                intermediate_size: vision.size("intermediate_size")?.unwrap_or(3420),
                hidden_size: vision.size("hidden_size")?.unwrap_or(3584),
                act: vision.activation("hidden_act", Activation::Silu)?,
                out_hidden_size: vision.size("out_hidden_size")?.unwrap_or(3584),
                windows: Some(Windows::parse(vision, &common)?),
                ..common
            })
        })
    }

    fn parse(
        root: &Fields<'_>,
        family: &str,
        vision: impl FnOnce(&Fields<'_>) -> Result<QwenVisionConfig, VlmError>,
    ) -> Result<Self, VlmError> {
        let vision_fields = root.object("vision_config")?.ok_or_else(|| root.error("vision_config", "is missing"))?;
        // Files published with the first versions name the whole model here.
        kind(&vision_fields, &[family, &format!("{family}_vision")])?;
        let vision = vision(&vision_fields)?;
        vision.check(&vision_fields)?;

        let nested = root.object("text_config")?;
        if let Some(text) = &nested {
            kind(text, &[&format!("{family}_text")])?;
        }
        let text_fields = nested.as_ref().unwrap_or(root);
        let text = text(text_fields)?;
        let nested_tie = nested.as_ref().map(|text| text.bool("tie_word_embeddings")).transpose()?.flatten();
        let tie_word_embeddings = root.bool("tie_word_embeddings")?.unwrap_or(false) || nested_tie.unwrap_or(false);
        let image_token_id = root.id("image_token_id")?.unwrap_or(151_655);
        if image_token_id as usize >= text.vocab_size {
            let problem = format!("{image_token_id} is outside the vocabulary of {} tokens", text.vocab_size);
            return Err(root.error("image_token_id", problem));
        }
        if vision.out_hidden_size != text.hidden_size {
            let name = if vision.windows.is_some() { "out_hidden_size" } else { "hidden_size" };
            let problem =
                format!("visual tokens are {} wide, but the decoder's `hidden_size` is {}", vision.out_hidden_size, text.hidden_size);
            return Err(vision_fields.error(name, problem));
        }
        Ok(Self { vision, text, image_token_id, tie_word_embeddings })
    }
}

fn kind(fields: &Fields<'_>, known: &[&str]) -> Result<(), VlmError> {
    match fields.text("model_type")? {
        Some(name) if !known.contains(&name) => Err(fields.unknown("model_type", name, known)),
        _ => Ok(()),
    }
}

impl QwenVisionConfig {
    /// What both families call the same; the rest is filled in by each.
    fn common(fields: &Fields<'_>) -> Result<Self, VlmError> {
        let either = |name: &str, other: &str, default| Ok::<_, VlmError>(fields.size(name)?.or(fields.size(other)?).unwrap_or(default));
        Ok(Self {
            depth: either("depth", "num_hidden_layers", 32)?,
            hidden_size: 0,
            intermediate_size: 0,
            num_heads: either("num_heads", "num_attention_heads", 16)?,
            num_channels: fields.size("in_channels")?.unwrap_or(3),
            patch_size: fields.side("patch_size", 14)?,
            temporal_patch_size: fields.side("temporal_patch_size", 2)?,
            merge_size: fields.size("spatial_merge_size")?.unwrap_or(2),
            act: Activation::Silu,
            out_hidden_size: 0,
            windows: None,
        })
    }

    fn check(&self, fields: &Fields<'_>) -> Result<(), VlmError> {
        let (width, heads) = (self.hidden_size, self.num_heads);
        if !width.is_multiple_of(heads) || !(width / heads).is_multiple_of(4) {
            let problem = format!(
                "{heads} heads over a width of {width}: rotary positions in rows and columns need heads whose width is a multiple of 4"
            );
            return Err(fields.error("num_heads", problem));
        }
        if self.num_channels != 3 {
            return Err(fields.error("in_channels", format!("expected 3, found {}", self.num_channels)));
        }
        if let Some(rope) = fields.object("rope_parameters")? {
            match rope.text("rope_type")? {
                None | Some("axial") => {}
                Some(other) => return Err(rope.unknown("rope_type", other, &["axial"])),
            }
            if rope.f64("rope_theta")?.is_some_and(|theta| (theta - 10_000.0).abs() > f64::EPSILON) {
                return Err(rope.error("rope_theta", "only 10000 is known"));
            }
        }
        Ok(())
    }

    /// Values of one patch, over channels and frames.
    pub fn patch_values(&self) -> usize {
        self.num_channels * self.temporal_patch_size * self.patch_size * self.patch_size
    }

    /// What llama.cpp's files say of such a tower.
    pub(super) fn gguf(&self) -> Result<GgufFacts, VlmError> {
        let count = |size: usize| GgufValue::Count(size);
        let mut tower = vec![
            ("block_count", count(self.depth)),
            ("embedding_length", count(self.hidden_size)),
            ("attention.head_count", count(self.num_heads)),
            ("patch_size", count(self.patch_size)),
            ("projection_dim", count(self.out_hidden_size)),
        ];
        let mut notes = vec![
            // Images have any size; this is the converter's.
            ("clip.vision.image_size", count(560)),
            ("clip.vision.feed_forward_length", count(self.intermediate_size)),
            ("clip.vision.attention.layer_norm_epsilon", GgufValue::Real(EPSILON)),
            ("clip.vision.spatial_merge_size", count(self.merge_size)),
        ];
        let (projector, act) = match &self.windows {
            Some(windows) => {
                tower.push(("n_wa_pattern", count(windows.pattern(self.depth)?)));
                notes.push(("clip.vision.window_size", count(windows.size)));
                notes.push(("clip.use_silu", GgufValue::Flag(true)));
                ("qwen2.5vl_merger", Activation::Silu)
            }
            None => ("qwen2vl_merger", Activation::QuickGelu),
        };
        let unlike = if self.act != act {
            Some("its tower's activation is not the one that llama.cpp computes")
        } else if self.merge_size != 2 || self.temporal_patch_size != 2 {
            Some("its patches are not merged by twos and of two frames, as llama.cpp has them")
        } else {
            None
        };
        let other_windows = self.windows.as_ref().map(|windows| windows.size).filter(|size| *size != WINDOW);
        let beware = other_windows.map(|size| {
            format!("llama.cpp has windows of {WINDOW} pixels in such a tower, whatever its files say; this model has {size} and will answer otherwise there")
        });
        let unlike = unlike.map(str::to_owned);
        Ok(GgufFacts { decoder: "qwen2vl", projector, tower, notes, left_out: Vec::new(), unlike, beware })
    }

    /// Patches that become one visual token.
    pub fn merged_patches(&self) -> usize {
        self.merge_size * self.merge_size
    }
}

impl Windows {
    /// Every which of `depth` blocks attends to the whole image, as llama.cpp's files say it.
    fn pattern(&self, depth: usize) -> Result<usize, VlmError> {
        let blocks = &self.full_attention_blocks;
        let every = blocks.first().map_or(0, |first| first + 1);
        let inside = blocks.iter().copied().filter(|block| *block < depth);
        if every > 0 && inside.eq((every..=depth).step_by(every).map(|block| block - 1)) {
            return Ok(every);
        }
        let problem = format!(
            "blocks {blocks:?} of {depth} attend to the whole image; a GGUF file can say that of every second block, of every third, and so on"
        );
        Err(VlmError::Invalid { what: "fullatt_block_indexes".to_owned(), problem })
    }

    fn parse(fields: &Fields<'_>, vision: &QwenVisionConfig) -> Result<Self, VlmError> {
        const BLOCKS: &str = "fullatt_block_indexes";
        let size = fields.size("window_size")?.unwrap_or(112);
        let least = vision.merge_size * vision.patch_size;
        if size < least {
            return Err(fields.error("window_size", format!("{size} pixels are less than one visual token's {least}")));
        }
        let mut full_attention_blocks: Vec<usize> = match fields.get(BLOCKS) {
            None => vec![7, 15, 23, 31],
            Some(_) => fields.ids(BLOCKS)?.into_iter().map(|block| block as usize).collect(),
        };
        full_attention_blocks.sort_unstable();
        Ok(Self { size, full_attention_blocks })
    }
}

/// The Qwen2 decoder, from `text_config` or from the root of a flat file.
fn text(fields: &Fields<'_>) -> Result<LlamaConfig, VlmError> {
    let mut config = LlamaConfig::parse_as(fields, DecoderKind::Qwen2Vl)?;
    let sections = config.rope.sections.unwrap_or([16, 24, 24]);
    if 2 * sections.iter().sum::<usize>() != config.head_dim {
        let problem = format!(
            "the sections {sections:?} of `mrope_section` make {} frequencies, but half a head is {}",
            sections.iter().sum::<usize>(),
            config.head_dim / 2
        );
        let name = if fields.get("rope_scaling").is_some() { "rope_scaling" } else { "rope_parameters" };
        return Err(fields.error(name, problem));
    }
    config.rope.sections = Some(sections);
    let windowed = fields.bool("use_sliding_window")?.unwrap_or(false);
    if windowed && fields.i64("max_window_layers")?.unwrap_or(80) < config.num_layers as i64 {
        return Err(fields.error("use_sliding_window", "expected false: a sliding window is not known for this decoder"));
    }
    Ok(config)
}
