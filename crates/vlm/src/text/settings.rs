//! `processor_config.json`, as far as it concerns text.

use crate::VlmError;
use crate::checkpoint::fields::Fields;
use crate::checkpoint::source::Source;

pub(super) const FILE: &str = "processor_config.json";

/// How a checkpoint's processor writes placeholders, and how many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ProcessorSettings {
    pub(super) image_token: String,
    pub(super) patch_size: Option<usize>,
    pub(super) select: Option<String>,
    pub(super) additional_tokens: Option<usize>,
}

impl ProcessorSettings {
    /// A file that names no image token means `image_token`.
    pub(super) fn read(source: &Source, image_token: &str) -> Result<Self, VlmError> {
        let label = source.label_of(FILE);
        let json = source.json(FILE)?.unwrap_or_else(|| serde_json::json!({}));
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
