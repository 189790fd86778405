//! From an image and a prompt to what the decoder reads, as transformers' `LlavaProcessor` and `LlavaNextProcessor` and the LLaVA
//! repository's evaluation scripts do it.

use std::ops::Range;

use image::RgbImage;

use super::family::Largest;
use super::prompt::PromptEncoder;
use super::settings::{FILE, ProcessorSettings};
use super::tokenizer::Tokenizer;
use crate::VlmError;
use crate::checkpoint::source::Source;
use crate::checkpoint::{FeatureSelect, LlavaConfig};
use crate::image::{ImageProcessor, Pinpoints, PixelValues};

/// Prompts, images, and the number of placeholders that an image becomes.
#[derive(Clone, Debug)]
pub(super) struct LlavaProcessor {
    prompts: PromptEncoder,
    images: ImageProcessor,
    config: LlavaConfig,
}

impl LlavaProcessor {
    pub(super) fn read(source: &Source, config: &LlavaConfig, image_token: &str, images: ImageProcessor) -> Result<Self, VlmError> {
        let settings = ProcessorSettings::read(source, image_token)?;
        let tokenizer = Tokenizer::read(source)?;
        let (mark, id) = (settings.image_token.clone(), config.image_token_id);
        let prompts = if config.original.is_some() {
            PromptEncoder::with_gap(tokenizer, mark, id, &config.text)
        } else {
            let prompts = PromptEncoder::with_token(source, tokenizer, mark, ("image_token_index", id), &config.text)?;
            check_placeholders(source, &settings, config)?;
            prompts
        };
        check_tiles(&images, config)?;
        Ok(Self { prompts, images, config: config.clone() })
    }

    pub(super) fn tokenizer(&self) -> &Tokenizer {
        self.prompts.tokenizer()
    }

    pub(super) fn image_processor(&self) -> &ImageProcessor {
        &self.images
    }

    pub(super) fn largest(&self) -> Largest {
        let vision = &self.config.vision;
        Largest { visual_tokens: self.config.visual_tokens(), side: vision.grid(), pixels: vision.image_size }
    }

    /// The image as the vision tower sees it, `[views, 3, S, S]`.
    pub(super) fn pixels(&self, image: &RgbImage) -> Result<PixelValues, VlmError> {
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

    /// Encodes a prompt with a placeholder for the image of `images`, if there is one.
    pub(super) fn encode(&self, prompt: &str, images: &[PixelValues]) -> Result<(Vec<u32>, Vec<Range<usize>>), VlmError> {
        if images.len() > 1 {
            let problem = format!("expected at most one image, found {}: this family was trained with one a prompt", images.len());
            return Err(VlmError::Prompt(problem));
        }
        let visual_tokens: Vec<usize> = images.iter().map(|pixels| self.config.visual_tokens_of(pixels.original)).collect();
        self.prompts.encode(prompt, &visual_tokens)
    }
}

/// The processor must make as many placeholders of a view as the model makes features. Where the file is silent (older checkpoints
/// have none), the model's own patch size and strategy and CLIP's one class token are meant.
fn check_placeholders(source: &Source, settings: &ProcessorSettings, config: &LlavaConfig) -> Result<(), VlmError> {
    let grid = config.vision.image_size / settings.patch_size.unwrap_or(config.vision.patch_size);
    let drops_one = match settings.select.as_deref() {
        Some(select) => select == "default",
        None => config.feature_select == FeatureSelect::Default,
    };
    let placeholders = (grid * grid + settings.additional_tokens.unwrap_or(1)).saturating_sub(usize::from(drops_one));
    let features = config.view_tokens();
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
fn check_tiles(images: &ImageProcessor, config: &LlavaConfig) -> Result<(), VlmError> {
    let expected = config.tiles.as_ref().map(|tiles| (tiles.pinpoints(), config.vision.image_size));
    let found = images.tiling();
    if found == expected {
        return Ok(());
    }
    let words = |tiling: Option<(&Pinpoints, usize)>| {
        tiling.map_or_else(|| "no tiles".to_owned(), |(pinpoints, side)| format!("tiles of {side} pixels at {pinpoints:?}"))
    };
    let problem = format!("its settings make {}, but the model (config.json) takes {}", words(found), words(expected));
    Err(VlmError::Invalid { what: images.file().to_owned(), problem })
}
