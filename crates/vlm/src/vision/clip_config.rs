//! `vision_config` of a CLIP tower, with the defaults of `CLIPVisionConfig` (transformers 5.23) where a published file omits them.

use crate::VlmError;
use crate::files::Fields;
use crate::nn::Activation;

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

impl ClipVisionConfig {
    /// What `LlavaConfig` assumes when a file has no `vision_config` at all.
    pub(crate) const VIT_L_14_336: Self = Self {
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
            image_size: fields.side("image_size", 224)?,
            patch_size: fields.side("patch_size", 32)?,
            act: fields.activation("hidden_act", Activation::QuickGelu)?,
            layer_norm_eps: fields.f64("layer_norm_eps")?.unwrap_or(1e-5),
        };
        fields.heads_divide("hidden_size", config.hidden_size, "num_attention_heads", config.num_heads)?;
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
