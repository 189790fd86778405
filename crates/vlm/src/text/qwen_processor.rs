//! Prompts of Qwen2-VL and Qwen2.5-VL, as transformers' `Qwen2VLProcessor` encodes them: a placeholder becomes one token per
//! square of merged patches, so an image's size decides how many.

use std::ops::Range;

use super::processor::ProcessorSettings;
use super::tokenizer::Tokenizer;
use crate::VlmError;
use crate::checkpoint::QwenVlConfig;
use crate::checkpoint::source::Source;
use crate::image::{ImageProcessor, PixelValues};

/// Tokenizer, image processor, and what the model makes of a placeholder.
#[derive(Clone, Debug)]
pub(super) struct QwenVlProcessor {
    tokenizer: Tokenizer,
    images: ImageProcessor,
    image_token: String,
    image_token_id: u32,
    merged_patches: usize,
    vocab_size: usize,
}

impl QwenVlProcessor {
    pub(super) fn read(source: &Source, config: &QwenVlConfig, image_token: &str) -> Result<Self, VlmError> {
        let image_token = ProcessorSettings::read(source, image_token)?.image_token;
        let tokenizer = Tokenizer::read(source)?;
        let image_token_id = tokenizer.id(&image_token).ok_or_else(|| VlmError::Tokenizer {
            file: tokenizer.file().to_owned(),
            problem: format!("has no image token `{image_token}`"),
        })?;
        if image_token_id != config.image_token_id {
            let problem = format!("is {}, but `{image_token}` has id {image_token_id} in {}", config.image_token_id, tokenizer.file());
            return Err(VlmError::field(&source.label_of("config.json"), "image_token_id", problem));
        }
        let images = ImageProcessor::read(source)?;
        let vision = &config.vision;
        let expected = [vision.patch_size, vision.temporal_patch_size, vision.merge_size];
        let found = match &images {
            ImageProcessor::Qwen(images) => images.patching(),
            ImageProcessor::Clip(_) => {
                let problem = "expected `Qwen2VLImageProcessor`: this model takes the patches of images of any size";
                return Err(VlmError::field(images.file(), "image_processor_type", problem));
            }
        };
        for (index, name) in ["patch_size", "temporal_patch_size", "merge_size"].into_iter().enumerate() {
            if found[index] != expected[index] {
                let problem = format!("is {}, but the vision tower (config.json) was built for {}", found[index], expected[index]);
                return Err(VlmError::field(images.file(), name, problem));
            }
        }
        let (merged_patches, vocab_size) = (vision.merged_patches(), config.text.vocab_size);
        Ok(Self { tokenizer, images, image_token, image_token_id, merged_patches, vocab_size })
    }

    pub(super) fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    pub(super) fn image_processor(&self) -> &ImageProcessor {
        &self.images
    }

    /// Encodes a prompt with one placeholder for each of `images`, in their order; returns the ids and where the visual tokens of
    /// each image are.
    pub(super) fn encode(&self, prompt: &str, images: &[PixelValues]) -> Result<(Vec<u32>, Vec<Range<usize>>), VlmError> {
        let token = &self.image_token;
        let pieces: Vec<&str> = prompt.split(token.as_str()).collect();
        let found = pieces.len() - 1;
        if found != images.len() {
            let images = images.len();
            let each = if images == 1 { "for the one image" } else { "one for each image" };
            return Err(VlmError::Prompt(format!("expected {images} `{token}`, {each}, found {found}")));
        }
        let counts: Vec<usize> = images.iter().map(|pixels| self.visual_tokens(pixels)).collect::<Result<_, _>>()?;
        let mut text = pieces[0].to_owned();
        for (count, piece) in counts.iter().zip(&pieces[1..]) {
            text.push_str(&token.repeat(*count));
            text.push_str(piece);
        }
        let ids = self.tokenizer.encode(&text)?;
        let wrong = |problem| VlmError::Tokenizer { file: self.tokenizer.file().to_owned(), problem };
        if let Some(id) = ids.iter().find(|id| **id as usize >= self.vocab_size) {
            return Err(wrong(format!("makes id {id} of the prompt, but the model knows {} tokens", self.vocab_size)));
        }
        let mut spans = Vec::with_capacity(counts.len());
        let mut end = 0;
        for count in counts {
            let start = end + ids[end..].iter().position(|id| *id == self.image_token_id).unwrap_or(ids.len() - end);
            let length = ids[start..].iter().take(count).take_while(|id| **id == self.image_token_id).count();
            if length != count {
                return Err(wrong(format!("`{token}` does not become one token each: {length} in a row instead of {count}")));
            }
            end = start + count;
            spans.push(start..end);
        }
        Ok((ids, spans))
    }

    fn visual_tokens(&self, pixels: &PixelValues) -> Result<usize, VlmError> {
        let patches = pixels.grid.map(|grid| grid.iter().product::<usize>());
        patches.map(|patches| patches / self.merged_patches).ok_or_else(|| VlmError::Invalid {
            what: "pixel values".to_owned(),
            problem: "were made by another family's image processor: they have no grid of patches".to_owned(),
        })
    }
}
