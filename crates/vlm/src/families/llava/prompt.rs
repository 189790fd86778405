//! Images in prompts, as transformers' `LlavaProcessor` and the LLaVA repository's evaluation scripts put them there.

use image::RgbImage;

use super::config::{FeatureSelect, LlavaConfig};
use crate::VlmError;
use crate::activations::Extent;
use crate::families::{Expander, Expansion, Largest};
use crate::files::Source;
use crate::image::{ClipProcessor, ImageProcessor, Pinpoints, PixelValues};
use crate::layout::{Cells, View, row_by_row};
use crate::text::{ProcessorSettings, PromptEncoder, Tokenizer};

/// One view of an image, and the visual tokens that it becomes.
#[derive(Clone, Debug)]
pub(in crate::families) struct LlavaExpander {
    images: ClipProcessor,
    config: LlavaConfig,
}

impl LlavaExpander {
    pub(in crate::families) fn new(images: ClipProcessor, config: &LlavaConfig) -> Result<Self, VlmError> {
        check_tiles(&images, None)?;
        Ok(Self { images, config: config.clone() })
    }
}

/// The prompts of a checkpoint.
pub(in crate::families) fn encoder(source: &Source, config: &LlavaConfig) -> Result<PromptEncoder, VlmError> {
    let settings = ProcessorSettings::read(source, super::IMAGE_TOKEN)?;
    let tokenizer = Tokenizer::read(source)?;
    let (mark, id) = (settings.image_token.clone(), config.image_token_id);
    if config.original.is_some() {
        return Ok(PromptEncoder::with_gap(tokenizer, mark, id, &config.text));
    }
    let prompts = PromptEncoder::with_token(source, tokenizer, mark, ("image_token_index", id), &config.text)?;
    check_placeholders(source, &settings, config)?;
    Ok(prompts)
}

impl Expander for LlavaExpander {
    fn image_processor(&self) -> &dyn ImageProcessor {
        &self.images
    }

    /// `[1, 3, S, S]`.
    fn pixels(&self, image: &RgbImage) -> Result<PixelValues, VlmError> {
        pixels(&self.images, image, &self.config)
    }

    fn expand(&self, pixels: &PixelValues) -> Result<Expansion, VlmError> {
        let side = self.config.vision.grid();
        let (height, width) = pixels.original;
        let view = View { rows: side, columns: side, frame: self.images.frame(width as u32, height as u32) };
        Ok(Expansion::of(match self.config.feature_select {
            FeatureSelect::Default => Cells::of(view),
            // The class token comes first, and shows no part of the image.
            FeatureSelect::Full => Cells::new(vec![view], std::iter::once(None).chain(row_by_row(0, side, side).map(Some)).collect()),
        }))
    }

    fn extent(&self, _: u32, _: u32, _: Option<usize>) -> Result<Extent, VlmError> {
        let side = self.config.vision.image_size;
        Ok(Extent { views: 1, values: 3 * side * side, tokens: self.config.view_tokens() })
    }

    fn largest(&self) -> Largest {
        let vision = &self.config.vision;
        Largest { visual_tokens: self.config.view_tokens(), side: vision.grid(), pixels: vision.image_size }
    }

    fn most_images(&self) -> Option<usize> {
        Some(1)
    }
}

/// The image as views of the size that the tower takes, `[views, 3, S, S]`.
pub(in crate::families) fn pixels(images: &ClipProcessor, image: &RgbImage, config: &LlavaConfig) -> Result<PixelValues, VlmError> {
    let pixels = images.process(image)?;
    let side = config.vision.image_size;
    if pixels.shape[1..] != [3, side, side] {
        let found = &pixels.shape;
        return Err(VlmError::Invalid {
            what: images.file().to_owned(),
            problem: format!("its settings make pixels of shape {found:?}, but the vision tower takes [{}, 3, {side}, {side}]", found[0]),
        });
    }
    Ok(pixels)
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
    Err(VlmError::field(&source.label_of(ProcessorSettings::FILE), "num_additional_image_tokens", problem))
}

/// The image processor must cut the tiles that the model puts together: resolutions, and the side of a tile.
pub(in crate::families) fn check_tiles(images: &ClipProcessor, expected: Option<(&Pinpoints, usize)>) -> Result<(), VlmError> {
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
