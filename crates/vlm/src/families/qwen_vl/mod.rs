//! What Qwen2-VL and Qwen2.5-VL have in common: everything but the vision tower's blocks.

mod activations;
pub mod config;
pub(super) mod encoder;
mod images;
mod positions;
mod prompt;
pub(super) mod tower;

use std::any::Any;
use std::sync::Arc;

pub use images::QwenImageProcessor;

use super::{Architecture, Opening, VisualEncoder};
use crate::VlmError;
use crate::activations::{Extent, ImageBytes, Sizes};
use crate::decoder::{self, LlamaConfig};
use crate::files::{GgufFacts, Source};
use crate::image::{ImageOptions, ImageProcessor};
use crate::nn::Loader;
use crate::text::Processor;
use config::{QwenVisionConfig, QwenVlConfig};
use encoder::{QwenEncoder, QwenTower};
use prompt::QwenExpander;

/// Published with `model.*` for the decoder and `visual.*`; transformers 5 still writes these by default, and its module tree is
/// `model.language_model.*`, `model.visual.*`.
pub(super) const NAMES: [(&str, &str); 6] = [
    ("model.language_model.", "language_model."),
    ("model.lm_head.", "lm_head."),
    ("model.visual.", "visual."),
    decoder::NAMES[0],
    decoder::NAMES[1],
    decoder::NAMES[2],
];

/// Loads a tower of these sizes.
pub(super) type LoadTower = fn(&mut Loader<'_>, &QwenVisionConfig) -> Result<Box<dyn QwenTower>, VlmError>;

/// A checkpoint of one of the two families.
#[derive(Debug)]
pub(super) struct QwenVl {
    config: QwenVlConfig,
    load_tower: LoadTower,
}

impl QwenVl {
    pub(super) fn open(opening: &Opening<'_>, config: QwenVlConfig, load_tower: LoadTower) -> Result<Arc<dyn Architecture>, VlmError> {
        opening.without_tower()?;
        Ok(Arc::new(Self { config, load_tower }))
    }
}

impl Architecture for QwenVl {
    fn config(&self) -> &dyn Any {
        &self.config
    }

    fn decoder(&self) -> &LlamaConfig {
        &self.config.text
    }

    fn tied(&self) -> bool {
        self.config.tie_word_embeddings
    }

    fn vision_layers(&self) -> usize {
        self.config.vision.depth
    }

    fn image_token(&self) -> &'static str {
        "<|image_pad|>"
    }

    fn gguf(&self) -> Option<Result<GgufFacts, VlmError>> {
        Some(self.config.vision.gguf())
    }

    fn image_processor(&self, source: &Source, options: ImageOptions) -> Result<Arc<dyn ImageProcessor>, VlmError> {
        Ok(Arc::new(QwenImageProcessor::read(source, options)?))
    }

    fn processor(&self, source: &Source, options: ImageOptions) -> Result<Processor, VlmError> {
        QwenExpander::read(source, options, &self.config, self.image_token())
    }

    fn encoder(&self, loader: &mut Loader<'_>) -> Result<Box<dyn VisualEncoder>, VlmError> {
        let tower = (self.load_tower)(loader, &self.config.vision)?;
        Ok(Box::new(QwenEncoder::new(tower, &self.config.vision, loader)))
    }

    fn image_bytes(&self, image: &Extent, sizes: Sizes) -> ImageBytes {
        activations::image_bytes(&self.config.vision, image, sizes)
    }
}
