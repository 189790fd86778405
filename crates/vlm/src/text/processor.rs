//! From an image and a prompt to what the decoder reads, as transformers' `LlavaProcessor` does it.

use std::ops::Range;

use image::RgbImage;

use super::tokenizer::Tokenizer;
use crate::VlmError;
use crate::checkpoint::fields::Fields;
use crate::checkpoint::source::Source;
use crate::checkpoint::{FeatureSelect, LlavaConfig};
use crate::image::{ImageProcessor, PixelValues};

const FILE: &str = "processor_config.json";

/// Tokenizer, image processor, and the number of placeholders an image becomes.
#[derive(Clone, Debug)]
pub(super) struct LlavaProcessor {
    tokenizer: Tokenizer,
    images: ImageProcessor,
    settings: ProcessorSettings,
    image_token_id: u32,
    image_size: usize,
    visual_tokens: usize,
    vocab_size: usize,
}

/// `processor_config.json`, as far as it concerns text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProcessorSettings {
    pub(crate) image_token: String,
    pub(crate) patch_size: Option<usize>,
    pub(crate) select: Option<String>,
    pub(crate) additional_tokens: Option<usize>,
}

impl ProcessorSettings {
    /// A file that names no image token means `image_token`.
    pub(crate) fn read(source: &Source, image_token: &str) -> Result<Self, VlmError> {
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

impl ProcessorSettings {
    /// Placeholders that `LlavaProcessor` makes of one image. Where the file is silent (older checkpoints have none),
    /// the model's own patch size and strategy and CLIP's one class token are meant.
    fn placeholders(&self, config: &LlavaConfig) -> usize {
        let grid = config.vision.image_size / self.patch_size.unwrap_or(config.vision.patch_size);
        let drops_one = match self.select.as_deref() {
            Some(select) => select == "default",
            None => config.feature_select == FeatureSelect::Default,
        };
        (grid * grid + self.additional_tokens.unwrap_or(1)).saturating_sub(usize::from(drops_one))
    }
}

impl LlavaProcessor {
    pub(super) fn read(source: &Source, config: &LlavaConfig, image_token: &str) -> Result<Self, VlmError> {
        let settings = ProcessorSettings::read(source, image_token)?;
        let tokenizer = Tokenizer::read(source)?;
        let images = ImageProcessor::read(source)?;
        let image_token_id = tokenizer.id(&settings.image_token).ok_or_else(|| VlmError::Tokenizer {
            file: tokenizer.file().to_owned(),
            problem: format!("has no image token `{}`", settings.image_token),
        })?;
        if image_token_id != config.image_token_id {
            let problem =
                format!("is {}, but `{}` has id {image_token_id} in {}", config.image_token_id, settings.image_token, tokenizer.file());
            return Err(VlmError::field(&source.label_of("config.json"), "image_token_index", problem));
        }
        let visual_tokens = config.visual_tokens();
        let placeholders = settings.placeholders(config);
        if placeholders != visual_tokens {
            let problem = format!(
                "`patch_size`, `vision_feature_select_strategy` and `num_additional_image_tokens` make {placeholders} \
                 placeholders of an image of {0}x{0} pixels, but the model makes {visual_tokens} visual tokens of it",
                config.vision.image_size
            );
            return Err(VlmError::field(&source.label_of(FILE), "num_additional_image_tokens", problem));
        }
        Ok(Self {
            tokenizer,
            images,
            settings,
            image_token_id,
            image_size: config.vision.image_size,
            visual_tokens,
            vocab_size: config.text.vocab_size,
        })
    }

    /// The tokenizer.
    pub(super) fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The image processor.
    pub(super) fn image_processor(&self) -> &ImageProcessor {
        &self.images
    }

    /// The image as the vision tower sees it, `[1, 3, S, S]`.
    ///
    /// # Errors
    /// When the image processor yields another size than the vision tower takes.
    pub(super) fn pixels(&self, image: &RgbImage) -> Result<PixelValues, VlmError> {
        let pixels = self.images.process(image)?;
        let expected = [1, 3, self.image_size, self.image_size];
        if pixels.shape != expected {
            return Err(VlmError::Invalid {
                what: self.images.file().to_owned(),
                problem: format!("its settings make pixels of shape {:?}, but the vision tower takes {expected:?}", pixels.shape),
            });
        }
        Ok(pixels)
    }

    /// Encodes a prompt with exactly one image placeholder; returns the ids and where the visual tokens are.
    ///
    /// # Errors
    /// When the prompt holds none or several.
    pub(super) fn encode(&self, prompt: &str) -> Result<(Vec<u32>, Range<usize>), VlmError> {
        let token = &self.settings.image_token;
        let found = prompt.matches(token.as_str()).count();
        if found != 1 {
            return Err(VlmError::Prompt(format!("expected one `{token}` for the one image, found {found}")));
        }
        let ids = self.tokenizer.encode(&prompt.replace(token.as_str(), &token.repeat(self.visual_tokens)))?;
        if let Some(id) = ids.iter().find(|id| **id as usize >= self.vocab_size) {
            let problem = format!("makes id {id} of the prompt, but the model knows {} tokens", self.vocab_size);
            return Err(VlmError::Tokenizer { file: self.tokenizer.file().to_owned(), problem });
        }
        let start = ids.iter().position(|id| *id == self.image_token_id).unwrap_or(ids.len());
        let length = ids[start..].iter().take_while(|id| **id == self.image_token_id).count();
        if length != self.visual_tokens {
            let problem = format!("`{token}` does not become one token each: {length} in a row instead of {}", self.visual_tokens);
            return Err(VlmError::Tokenizer { file: self.tokenizer.file().to_owned(), problem });
        }
        Ok((ids, start..start + length))
    }
}
