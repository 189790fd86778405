//! Images of Qwen2-VL and Qwen2.5-VL in prompts, as transformers' `Qwen2VLProcessor` encodes them: a placeholder becomes one token per
//! square of merged patches, so an image's size decides how many.

use std::sync::Arc;

use super::config::QwenVlConfig;
use super::images::QwenImageProcessor;
use crate::VlmError;
use crate::activations::Extent;
use crate::families::{Expander, Expansion, Largest, PixelRange};
use crate::files::Source;
use crate::image::{ImageOptions, ImageProcessor, PixelValues};
use crate::layout::{Cells, View};
use crate::text::{Processor, ProcessorSettings, PromptEncoder, Tokenizer};

/// Images, and the squares of patches that become visual tokens.
#[derive(Clone, Debug)]
pub(super) struct QwenExpander {
    images: QwenImageProcessor,
    merge_size: usize,
}

impl QwenExpander {
    pub(super) fn read(source: &Source, options: ImageOptions, config: &QwenVlConfig, image_token: &str) -> Result<Processor, VlmError> {
        let images = QwenImageProcessor::read(source, options)?;
        let mark = ProcessorSettings::read(source, image_token)?.image_token;
        let id = ("image_token_id", config.image_token_id);
        let prompts = PromptEncoder::with_token(source, Tokenizer::read(source)?, mark, id, &config.text)?;
        let vision = &config.vision;
        let expected = [vision.patch_size, vision.temporal_patch_size, vision.merge_size];
        let found = images.patching();
        for (index, name) in ["patch_size", "temporal_patch_size", "merge_size"].into_iter().enumerate() {
            if found[index] != expected[index] {
                let problem = format!("is {}, but the vision tower (config.json) was built for {}", found[index], expected[index]);
                return Err(VlmError::field(images.file(), name, problem));
            }
        }
        Ok(Processor::new(prompts, Arc::new(Self { images, merge_size: vision.merge_size })))
    }
}

impl Expander for QwenExpander {
    fn image_processor(&self) -> &dyn ImageProcessor {
        &self.images
    }

    fn expand(&self, pixels: &PixelValues) -> Result<Expansion, VlmError> {
        let Some([_, rows, columns]) = pixels.grid else {
            return Err(VlmError::Invalid {
                what: "pixel values".to_owned(),
                problem: "were made by another family's image processor: they have no grid of patches".to_owned(),
            });
        };
        let (height, width) = pixels.original;
        let frame = self.images.frame(width as u32, height as u32);
        Ok(Expansion::of(Cells::of(View { rows: rows / self.merge_size, columns: columns / self.merge_size, frame })))
    }

    fn extent(&self, width: u32, height: u32, max_pixels: Option<usize>) -> Result<Extent, VlmError> {
        let tokens = self.images.tokens(width, height, max_pixels)?;
        Ok(Extent { views: 1, values: tokens * self.images.values(), tokens })
    }

    fn pixel_range(&self) -> Option<PixelRange> {
        self.images.range()
    }

    fn largest(&self) -> Largest {
        let visual_tokens = self.images.most_tokens();
        let side = visual_tokens.isqrt();
        Largest { visual_tokens, side, pixels: side * self.images.factor() }
    }
}
