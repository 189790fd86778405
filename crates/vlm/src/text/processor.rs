//! From an image and a prompt to what the decoder reads, as transformers' `LlavaProcessor` and
//! `LlavaNextProcessor` and the LLaVA repository's evaluation scripts do it.

use std::ops::Range;

use image::RgbImage;

use super::tokenizer::Tokenizer;
use crate::VlmError;
use crate::checkpoint::fields::Fields;
use crate::checkpoint::source::Source;
use crate::checkpoint::{FeatureSelect, LlavaConfig, ModelConfig};
use crate::image::{ImageProcessor, Pinpoints, PixelValues};

const FILE: &str = "processor_config.json";

/// One image and one prompt, ready for the model.
#[derive(Clone, Debug, PartialEq)]
pub struct Prepared {
    /// Token ids with the image placeholder repeated once per visual token.
    pub input_ids: Vec<u32>,
    /// Where in `input_ids` the visual tokens are.
    pub image_span: Range<usize>,
    /// The image as the vision tower sees it.
    pub pixels: PixelValues,
}

/// Tokenizer, image processor, and the number of placeholders an image becomes.
#[derive(Clone, Debug)]
pub struct Processor {
    tokenizer: Tokenizer,
    images: ImageProcessor,
    settings: ProcessorSettings,
    placeholder: Placeholder,
    config: LlavaConfig,
}

/// How the text `<image>` in a prompt becomes ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Placeholder {
    /// It is a token, repeated in the text.
    Token,
    /// The tokenizer does not know it: what is before and behind it is encoded apart, as the LLaVA repository's
    /// `tokenizer_image_token` does.
    Gap,
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
    pub(crate) fn read(source: &Source) -> Result<Self, VlmError> {
        let label = source.label_of(FILE);
        let json = source.json(FILE)?.unwrap_or_else(|| serde_json::json!({}));
        let fields = Fields::root(&label, &json)?;
        let additional = fields.i64("num_additional_image_tokens")?;
        Ok(Self {
            image_token: fields.text("image_token")?.unwrap_or("<image>").to_owned(),
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
    /// Placeholders that `LlavaProcessor` makes of one view of an image (`LlavaNextProcessor`: of the base view). Where the file is
    /// silent (older checkpoints have none), the model's own patch size and strategy and CLIP's one class token are meant.
    fn placeholders(&self, config: &LlavaConfig) -> usize {
        let grid = config.vision.image_size / self.patch_size.unwrap_or(config.vision.patch_size);
        let drops_one = match self.select.as_deref() {
            Some(select) => select == "default",
            None => config.feature_select == FeatureSelect::Default,
        };
        (grid * grid + self.additional_tokens.unwrap_or(1)).saturating_sub(usize::from(drops_one))
    }
}

impl Processor {
    pub(crate) fn read(source: &Source, config: &ModelConfig, images: ImageProcessor) -> Result<Self, VlmError> {
        let ModelConfig::Llava(config) = config;
        let settings = ProcessorSettings::read(source)?;
        let tokenizer = Tokenizer::read(source)?;
        let placeholder = if config.original.is_some() { Placeholder::Gap } else { Placeholder::Token };
        let processor = Self { tokenizer, images, settings, placeholder, config: config.clone() };
        if placeholder == Placeholder::Token {
            processor.check_image_token(source)?;
            processor.check_placeholders(source)?;
        }
        processor.check_tiles()?;
        Ok(processor)
    }

    /// The processor, the tokenizer and the model must mean the same token.
    fn check_image_token(&self, source: &Source) -> Result<(), VlmError> {
        let (tokenizer, token, expected) = (&self.tokenizer, &self.settings.image_token, self.config.image_token_id);
        let id = tokenizer
            .id(token)
            .ok_or_else(|| VlmError::Tokenizer { file: tokenizer.file().to_owned(), problem: format!("has no image token `{token}`") })?;
        if id == expected {
            return Ok(());
        }
        let problem = format!("is {expected}, but `{token}` has id {id} in {}", tokenizer.file());
        Err(VlmError::field(&source.label_of("config.json"), "image_token_index", problem))
    }

    /// The processor must make as many placeholders of a view as the model makes features.
    fn check_placeholders(&self, source: &Source) -> Result<(), VlmError> {
        let config = &self.config;
        let (placeholders, features) = (self.settings.placeholders(config), config.view_tokens());
        if placeholders == features {
            return Ok(());
        }
        let problem = format!(
            "`patch_size`, `vision_feature_select_strategy` and `num_additional_image_tokens` make {placeholders} placeholders of an \
             image of {0}x{0} pixels, but the model makes {features} visual tokens of it",
            config.vision.image_size
        );
        Err(VlmError::field(&source.label_of(FILE), "num_additional_image_tokens", problem))
    }

    /// The image processor must cut the tiles that the model puts together.
    fn check_tiles(&self) -> Result<(), VlmError> {
        let expected = self.config.tiles.as_ref().map(|tiles| (tiles.pinpoints(), self.config.vision.image_size));
        let found = self.images.tiling();
        if found == expected {
            return Ok(());
        }
        let words = |tiling: Option<(&Pinpoints, usize)>| {
            tiling.map_or_else(|| "no tiles".to_owned(), |(pinpoints, side)| format!("tiles of {side} pixels at {pinpoints:?}"))
        };
        let problem = format!("its settings make {}, but the model (config.json) takes {}", words(found), words(expected));
        Err(VlmError::Invalid { what: self.images.file().to_owned(), problem })
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The image processor.
    pub fn image_processor(&self) -> &ImageProcessor {
        &self.images
    }

    /// Preprocesses the image and encodes the prompt, its one placeholder repeated once per visual token.
    ///
    /// # Errors
    /// When the prompt does not hold exactly one placeholder, or the image processor yields another size than the
    /// vision tower takes.
    pub fn prepare(&self, image: &RgbImage, prompt: &str) -> Result<Prepared, VlmError> {
        let pixels = self.pixels(image)?;
        let (input_ids, image_span) = self.encode(prompt, &pixels)?;
        Ok(Prepared { input_ids, image_span, pixels })
    }

    /// The image as the vision tower sees it, `[views, 3, S, S]`.
    ///
    /// # Errors
    /// When the image processor yields another size than the vision tower takes.
    pub fn pixels(&self, image: &RgbImage) -> Result<PixelValues, VlmError> {
        let pixels = self.images.process(image)?;
        let side = self.config.vision.image_size;
        if pixels.shape[1..] != [3, side, side] {
            let found = &pixels.shape;
            return Err(VlmError::Invalid {
                what: self.images.file().to_owned(),
                problem: format!(
                    "its settings make pixels of shape {found:?}, but the vision tower takes [{}, 3, {side}, {side}]",
                    found[0]
                ),
            });
        }
        Ok(pixels)
    }

    /// Encodes a prompt with exactly one image placeholder, which stands for the image of `pixels`; returns the ids and where the
    /// visual tokens are.
    ///
    /// # Errors
    /// When the prompt holds none or several.
    pub fn encode(&self, prompt: &str, pixels: &PixelValues) -> Result<(Vec<u32>, Range<usize>), VlmError> {
        let token = &self.settings.image_token;
        let found = prompt.matches(token.as_str()).count();
        if found != 1 {
            return Err(VlmError::Prompt(format!("expected one `{token}` for the one image, found {found}")));
        }
        let visual_tokens = self.config.visual_tokens_of(pixels.original);
        match self.placeholder {
            Placeholder::Token => self.encode_repeated(prompt, visual_tokens),
            Placeholder::Gap => self.encode_around(prompt, visual_tokens),
        }
    }

    /// The placeholder repeated in the text.
    fn encode_repeated(&self, prompt: &str, visual_tokens: usize) -> Result<(Vec<u32>, Range<usize>), VlmError> {
        let (token, image_token_id) = (&self.settings.image_token, self.config.image_token_id);
        let ids = self.ids(&prompt.replace(token.as_str(), &token.repeat(visual_tokens)))?;
        let start = ids.iter().position(|id| *id == image_token_id).unwrap_or(ids.len());
        let length = ids[start..].iter().take_while(|id| **id == image_token_id).count();
        if length != visual_tokens {
            let problem = format!("`{token}` does not become one token each: {length} in a row instead of {visual_tokens}");
            return Err(VlmError::Tokenizer { file: self.tokenizer.file().to_owned(), problem });
        }
        Ok((ids, start..start + length))
    }

    /// The text before and behind the placeholder encoded apart, with one beginning of sequence.
    fn encode_around(&self, prompt: &str, visual_tokens: usize) -> Result<(Vec<u32>, Range<usize>), VlmError> {
        let (before, behind) = prompt.split_once(self.settings.image_token.as_str()).unwrap_or((prompt, ""));
        let (mut ids, behind) = (self.ids(before)?, self.ids(behind)?);
        let start = ids.len();
        ids.resize(start + visual_tokens, self.config.image_token_id);
        // A tokenizer that begins every text with one token begins the second half with it, too.
        let begun = behind.first().is_some_and(|first| ids.first() == Some(first) && self.config.text.bos_token_id == Some(*first));
        ids.extend(&behind[usize::from(begun)..]);
        Ok((ids, start..start + visual_tokens))
    }

    /// Token ids that the model has rows for.
    fn ids(&self, text: &str) -> Result<Vec<u32>, VlmError> {
        let ids = self.tokenizer.encode(text)?;
        let rows = self.config.text.vocab_size;
        if let Some(id) = ids.iter().find(|id| **id as usize >= rows) {
            let problem = format!("makes id {id} of the prompt, but the model knows {rows} tokens");
            return Err(VlmError::Tokenizer { file: self.tokenizer.file().to_owned(), problem });
        }
        Ok(ids)
    }
}
