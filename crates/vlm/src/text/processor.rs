//! From images and a prompt to what the decoder reads, for every family.

use std::sync::Arc;

use image::RgbImage;

use super::prompt::{Piece, PromptEncoder};
use super::tokenizer::Tokenizer;
use crate::VlmError;
use crate::activations::Extent;
use crate::families::{Expander, Expansion, Largest, PixelRange};
use crate::image::{ImageProcessor, PixelValues};
use crate::layout::VisualLayout;

/// One image and one prompt, ready for the model.
#[derive(Clone, Debug, PartialEq)]
pub struct Prepared {
    /// Token ids with the image placeholder expanded.
    pub input_ids: Vec<u32>,
    /// Where in `input_ids` the visual tokens are, and what they show.
    pub layout: VisualLayout,
    /// The image as the vision tower sees it.
    pub pixels: PixelValues,
}

/// A prompt with any number of images in it, none included, ready for the model.
#[derive(Clone, Debug, PartialEq)]
pub struct Interleaved {
    /// Token ids with each image placeholder expanded.
    pub input_ids: Vec<u32>,
    /// Where the visual tokens of each image are, and the image as the vision tower sees it.
    pub images: Vec<(VisualLayout, PixelValues)>,
}

impl From<Prepared> for Interleaved {
    fn from(Prepared { input_ids, layout, pixels }: Prepared) -> Self {
        Self { input_ids, images: vec![(layout, pixels)] }
    }
}

/// Tokenizer, image processor, and what an image becomes in a prompt.
#[derive(Clone, Debug)]
pub struct Processor {
    prompts: PromptEncoder,
    images: Arc<dyn Expander>,
}

impl Processor {
    /// Puts prompts and a family's images together.
    pub fn new(prompts: PromptEncoder, images: Arc<dyn Expander>) -> Self {
        Self { prompts, images }
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        self.prompts.tokenizer()
    }

    /// The image processor.
    pub fn image_processor(&self) -> &dyn ImageProcessor {
        self.images.image_processor()
    }

    /// The most that an image becomes.
    pub fn largest(&self) -> Largest {
        self.images.largest()
    }

    /// What the vision tower takes of an image of this size, known without its pixels: as it is processed, or scaled to at most `max_pixels`
    /// where there is a [`Self::pixel_range`].
    ///
    /// # Errors
    /// When no image of this size can be processed.
    pub fn extent(&self, width: u32, height: u32, max_pixels: Option<usize>) -> Result<Extent, VlmError> {
        self.images.extent(width, height, max_pixels)
    }

    /// Between which numbers of pixels images are scaled; `None` where all become one size, or keep theirs.
    pub fn pixel_range(&self) -> Option<PixelRange> {
        self.images.pixel_range()
    }

    /// Tokens of a prompt with one image placeholder beside the image's visual tokens. What its family puts between these is not counted.
    ///
    /// # Errors
    /// When the prompt does not hold exactly one placeholder.
    pub fn text_tokens(&self, prompt: &str) -> Result<usize, VlmError> {
        let (ids, _) = self.prompts.encode(prompt, &[&[Piece::Visual(1)]])?;
        Ok(ids.len() - 1)
    }

    /// Preprocesses the image and encodes the prompt, its one placeholder expanded.
    ///
    /// # Errors
    /// When the prompt does not hold exactly one placeholder, or the image processor yields another size than the
    /// vision tower takes.
    pub fn prepare(&self, image: &RgbImage, prompt: &str) -> Result<Prepared, VlmError> {
        let pixels = self.pixels(image)?;
        let (input_ids, layout) = self.encode(prompt, &pixels)?;
        Ok(Prepared { input_ids, layout, pixels })
    }

    /// Preprocesses any number of images and encodes the prompt, in which each has one placeholder, in their order.
    ///
    /// # Errors
    /// As [`Self::prepare`], or when the family takes one image a prompt and there are several.
    pub fn interleave(&self, images: &[RgbImage], prompt: &str) -> Result<Interleaved, VlmError> {
        let pixels = images.iter().map(|image| self.pixels(image)).collect::<Result<Vec<_>, _>>()?;
        let (input_ids, layouts) = self.encode_all(prompt, &pixels)?;
        Ok(Interleaved { input_ids, images: layouts.into_iter().zip(pixels).collect() })
    }

    /// The image as the vision tower sees it.
    ///
    /// # Errors
    /// When the image processor yields another size than the vision tower takes.
    pub fn pixels(&self, image: &RgbImage) -> Result<PixelValues, VlmError> {
        self.images.pixels(image)
    }

    /// Encodes a prompt with exactly one image placeholder, which stands for the image of `pixels`; returns the ids and where the
    /// visual tokens are.
    ///
    /// # Errors
    /// When the prompt holds none or several.
    pub fn encode(&self, prompt: &str, pixels: &PixelValues) -> Result<(Vec<u32>, VisualLayout), VlmError> {
        let (ids, layouts) = self.encode_all(prompt, std::slice::from_ref(pixels))?;
        Ok((ids, layouts.into_iter().next().unwrap_or_default()))
    }

    /// Token ids, and where the visual tokens of each image are.
    fn encode_all(&self, prompt: &str, images: &[PixelValues]) -> Result<(Vec<u32>, Vec<VisualLayout>), VlmError> {
        if let Some(most) = self.images.most_images().filter(|most| images.len() > *most) {
            let most = if most == 1 { "one image".to_owned() } else { format!("{most} images") };
            let problem = format!("expected at most {most}, found {}: this family was trained with {most} a prompt", images.len());
            return Err(VlmError::Prompt(problem));
        }
        let expansions = images.iter().map(|pixels| self.images.expand(pixels)).collect::<Result<Vec<Expansion>, _>>()?;
        let pieces: Vec<_> = expansions.iter().map(|expansion| expansion.pieces.as_slice()).collect();
        let (ids, runs) = self.prompts.encode(prompt, &pieces)?;
        let place = |(expansion, runs): (Expansion, _)| {
            let tokens = expansion.cells.tokens();
            VisualLayout::new(runs, expansion.cells).ok_or_else(|| VlmError::Invalid {
                what: "image".to_owned(),
                problem: format!("its family says that it becomes {tokens} visual tokens, but put another number into the prompt"),
            })
        };
        let layouts = expansions.into_iter().zip(runs).map(place).collect::<Result<_, _>>()?;
        Ok((ids, layouts))
    }
}
