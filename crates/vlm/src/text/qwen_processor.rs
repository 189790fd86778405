//! Prompts of Qwen2-VL and Qwen2.5-VL, as transformers' `Qwen2VLProcessor` encodes them: a placeholder becomes one token per
//! square of merged patches, so an image's size decides how many.

use std::ops::Range;

use image::RgbImage;

use super::family::Largest;
use super::prompt::PromptEncoder;
use super::settings::ProcessorSettings;
use super::tokenizer::Tokenizer;
use crate::VlmError;
use crate::checkpoint::QwenVlConfig;
use crate::checkpoint::source::Source;
use crate::image::{ImageProcessor, PixelValues};

/// Prompts, images, and the number of patches that become one visual token.
#[derive(Clone, Debug)]
pub(super) struct QwenVlProcessor {
    prompts: PromptEncoder,
    images: ImageProcessor,
    merged_patches: usize,
    most_tokens: usize,
    /// Side in pixels of a visual token.
    factor: usize,
}

impl QwenVlProcessor {
    pub(super) fn read(source: &Source, config: &QwenVlConfig, image_token: &str, images: ImageProcessor) -> Result<Self, VlmError> {
        let mark = ProcessorSettings::read(source, image_token)?.image_token;
        let id = ("image_token_id", config.image_token_id);
        let prompts = PromptEncoder::with_token(source, Tokenizer::read(source)?, mark, id, &config.text)?;
        let vision = &config.vision;
        let expected = [vision.patch_size, vision.temporal_patch_size, vision.merge_size];
        let ImageProcessor::Qwen(patches) = &images else {
            let problem = "expected `Qwen2VLImageProcessor`: this model takes the patches of images of any size";
            return Err(VlmError::field(images.file(), "image_processor_type", problem));
        };
        let found = patches.patching();
        for (index, name) in ["patch_size", "temporal_patch_size", "merge_size"].into_iter().enumerate() {
            if found[index] != expected[index] {
                let problem = format!("is {}, but the vision tower (config.json) was built for {}", found[index], expected[index]);
                return Err(VlmError::field(images.file(), name, problem));
            }
        }
        let (most_tokens, factor) = (patches.most_tokens(), patches.factor());
        Ok(Self { prompts, images, merged_patches: vision.merged_patches(), most_tokens, factor })
    }

    pub(super) fn tokenizer(&self) -> &Tokenizer {
        self.prompts.tokenizer()
    }

    pub(super) fn image_processor(&self) -> &ImageProcessor {
        &self.images
    }

    pub(super) fn largest(&self) -> Largest {
        let side = self.most_tokens.isqrt();
        Largest { visual_tokens: self.most_tokens, side, pixels: side * self.factor }
    }

    /// The image's patches, `[patches, values of a patch]`.
    pub(super) fn pixels(&self, image: &RgbImage) -> Result<PixelValues, VlmError> {
        self.images.process(image)
    }

    /// Encodes a prompt with one placeholder for each of `images`, in their order.
    pub(super) fn encode(&self, prompt: &str, images: &[PixelValues]) -> Result<(Vec<u32>, Vec<Range<usize>>), VlmError> {
        let visual_tokens: Vec<usize> = images.iter().map(|pixels| self.visual_tokens(pixels)).collect::<Result<_, _>>()?;
        self.prompts.encode(prompt, &visual_tokens)
    }

    fn visual_tokens(&self, pixels: &PixelValues) -> Result<usize, VlmError> {
        let patches = pixels.grid.map(|grid| grid.iter().product::<usize>());
        patches.map(|patches| patches / self.merged_patches).ok_or_else(|| VlmError::Invalid {
            what: "pixel values".to_owned(),
            problem: "were made by another family's image processor: they have no grid of patches".to_owned(),
        })
    }
}
