//! `processor_config.json`, as far as it concerns text.

use crate::VlmError;
use crate::files::{Fields, Source};

/// How a checkpoint's processor writes placeholders, and how many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessorSettings {
    /// The image placeholder.
    pub image_token: String,
    /// Side of a patch in pixels.
    pub patch_size: Option<usize>,
    /// `vision_feature_select_strategy`.
    pub select: Option<String>,
    /// Tokens beside the patches, a class token say.
    pub additional_tokens: Option<usize>,
}

impl ProcessorSettings {
    /// The file.
    pub const FILE: &str = "processor_config.json";

    /// A file that names no image token means `image_token`.
    ///
    /// # Errors
    /// When a field is of the wrong type.
    pub fn read(source: &Source, image_token: &str) -> Result<Self, VlmError> {
        let label = source.label_of(Self::FILE);
        let json = source.json(Self::FILE)?.unwrap_or_else(|| serde_json::json!({}));
        let fields = Fields::root(&label, &json)?;
        let additional = fields.i64("num_additional_image_tokens")?;
        Ok(Self {
            image_token: fields.text("image_token")?.unwrap_or(image_token).to_owned(),
            patch_size: fields.size("patch_size")?,
            select: fields.text("vision_feature_select_strategy")?.map(str::to_owned),
            additional_tokens: additional
                .map(usize::try_from)
                .transpose()
                .map_err(|_| fields.error("num_additional_image_tokens", "must not be negative"))?,
        })
    }
}
