//! From images and a prompt to what the decoder reads, for every family.

use std::ops::Range;

use image::RgbImage;

use super::llava_processor::LlavaProcessor;
use super::qwen_processor::QwenVlProcessor;
use super::tokenizer::Tokenizer;
use crate::VlmError;
use crate::checkpoint::ModelConfig;
use crate::checkpoint::source::Source;
use crate::image::{ImageProcessor, PixelValues};

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

/// A prompt with any number of images in it, none included, ready for the model.
#[derive(Clone, Debug, PartialEq)]
pub struct Interleaved {
    /// Token ids with each image placeholder repeated once per visual token of its image.
    pub input_ids: Vec<u32>,
    /// Where the visual tokens of each image are, and the image as the vision tower sees it.
    pub images: Vec<(Range<usize>, PixelValues)>,
}

/// The most that an image becomes.
pub(crate) struct Largest {
    pub(crate) visual_tokens: usize,
    /// Rows, and columns, of the grid of visual tokens: with LLaVA-NeXT of one view, else of the largest square image.
    pub(crate) side: usize,
    /// Side in pixels of the image that has this grid.
    pub(crate) pixels: usize,
}

/// Tokenizer, image processor, and the placeholders that an image becomes.
#[derive(Clone, Debug)]
pub struct Processor {
    family: Family,
}

#[derive(Clone, Debug)]
enum Family {
    Llava(Box<LlavaProcessor>),
    Qwen(Box<QwenVlProcessor>),
}

impl Processor {
    pub(crate) fn read(source: &Source, config: &ModelConfig, images: ImageProcessor) -> Result<Self, VlmError> {
        let token = config.image_token();
        let family = match config {
            ModelConfig::Llava(config) => Family::Llava(Box::new(LlavaProcessor::read(source, config, token, images)?)),
            ModelConfig::Qwen2Vl(config) | ModelConfig::Qwen2_5Vl(config) => {
                Family::Qwen(Box::new(QwenVlProcessor::read(source, config, token, images)?))
            }
        };
        Ok(Self { family })
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        match &self.family {
            Family::Llava(processor) => processor.tokenizer(),
            Family::Qwen(processor) => processor.tokenizer(),
        }
    }

    /// The image processor.
    pub fn image_processor(&self) -> &ImageProcessor {
        match &self.family {
            Family::Llava(processor) => processor.image_processor(),
            Family::Qwen(processor) => processor.image_processor(),
        }
    }

    pub(crate) fn largest(&self) -> Largest {
        match &self.family {
            Family::Llava(processor) => processor.largest(),
            Family::Qwen(processor) => processor.largest(),
        }
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

    /// Preprocesses any number of images and encodes the prompt, in which each has one placeholder, in their order.
    ///
    /// # Errors
    /// As [`Self::prepare`], or when the family takes one image a prompt and there are several.
    pub fn interleave(&self, images: &[RgbImage], prompt: &str) -> Result<Interleaved, VlmError> {
        let pixels = images.iter().map(|image| self.pixels(image)).collect::<Result<Vec<_>, _>>()?;
        let (input_ids, spans) = self.encode_all(prompt, &pixels)?;
        Ok(Interleaved { input_ids, images: spans.into_iter().zip(pixels).collect() })
    }

    /// The image as the vision tower sees it.
    ///
    /// # Errors
    /// When the image processor yields another size than the vision tower takes.
    pub fn pixels(&self, image: &RgbImage) -> Result<PixelValues, VlmError> {
        match &self.family {
            Family::Llava(processor) => processor.pixels(image),
            Family::Qwen(processor) => processor.pixels(image),
        }
    }

    /// Encodes a prompt with exactly one image placeholder, which stands for the image of `pixels`; returns the ids and where the
    /// visual tokens are.
    ///
    /// # Errors
    /// When the prompt holds none or several.
    pub fn encode(&self, prompt: &str, pixels: &PixelValues) -> Result<(Vec<u32>, Range<usize>), VlmError> {
        let (ids, spans) = self.encode_all(prompt, std::slice::from_ref(pixels))?;
        Ok((ids, spans.into_iter().next().unwrap_or_default()))
    }

    /// Token ids, and where the visual tokens of each image are.
    fn encode_all(&self, prompt: &str, images: &[PixelValues]) -> Result<(Vec<u32>, Vec<Range<usize>>), VlmError> {
        match &self.family {
            Family::Llava(processor) => processor.encode(prompt, images),
            Family::Qwen(processor) => processor.encode(prompt, images),
        }
    }
}
