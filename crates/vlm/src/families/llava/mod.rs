//! LLaVA-1.5 (Liu et al., 2023): a CLIP tower whose patch features pass a two-layer projector and take the place of the image
//! placeholders among the token embeddings of a Llama or Mistral decoder. In transformers' layout, and in that of the LLaVA repository.

mod config;
mod encoder;
pub(crate) mod original;
mod prompt;
mod tower;

use std::any::Any;
use std::sync::Arc;

pub use config::{FeatureSelect, LlavaConfig};
pub use original::{MISTRAL, OriginalLayout, VICUNA};

pub(super) use encoder::{ClipProjector, Views, views_bytes};
pub(super) use prompt::{check_tiles, encoder as prompts, pixels};

use encoder::LlavaEncoder;
use prompt::LlavaExpander;

use super::{Architecture, Expander, Family, Opening, VisualEncoder};
use crate::VlmError;
use crate::activations::{Extent, ImageBytes, Sizes};
use crate::decoder::{self, LlamaConfig};
use crate::files::{CONFIG, Fields, GgufFacts, Source};
use crate::image::{ClipProcessor, ImageOptions, ImageProcessor, read_settings};
use crate::nn::Loader;
use crate::text::{Conversation, Processor};

pub(crate) const FAMILY: Family = Family {
    name: "llava-1.5",
    model_types: &["llava", "llava_llama", "llava_mistral"],
    architectures: &["LlavaForConditionalGeneration", "LlavaLlamaForCausalLM", "LlavaMistralForCausalLM"],
    names: &NAMES,
    open,
};

/// transformers up to 4.51 (and `save_pretrained` of later ones, for compatibility) write `language_model.model.*`,
/// `language_model.lm_head.*` and `vision_tower.vision_model.*`; the module tree of later ones is `model.language_model.*`,
/// `model.vision_tower.*`, `lm_head.*`, and files in that form exist too. The LLaVA repository puts a decoder's own names
/// (`model.layers.*`) beside `model.mm_projector.*` and, where it was trained, the tower; a tower published alone calls itself
/// `vision_model.*`. LLaVA-NeXT adds a newline.
pub(super) const NAMES: [(&str, &str); 15] = [
    ("language_model.model.", "language_model."),
    ("language_model.lm_head.", "lm_head."),
    ("model.language_model.", "language_model."),
    ("model.lm_head.", "lm_head."),
    ("model.vision_tower.", "vision_tower."),
    ("model.multi_modal_projector.", "multi_modal_projector."),
    ("model.image_newline", "image_newline"),
    ("vision_tower.vision_model.", "vision_tower."),
    ("vision_tower.vision_tower.", "vision_tower."),
    ("vision_model.", "vision_tower."),
    ("model.mm_projector.0.", "multi_modal_projector.linear_1."),
    ("model.mm_projector.2.", "multi_modal_projector.linear_2."),
    decoder::NAMES[0],
    decoder::NAMES[1],
    decoder::NAMES[2],
];

/// How transformers writes the placeholder.
pub(super) const IMAGE_TOKEN: &str = "<image>";

/// A checkpoint of this family.
#[derive(Debug)]
struct Llava {
    config: LlavaConfig,
    /// The CLIP tower's own folder, in the LLaVA repository's layout.
    tower: Option<Source>,
}

fn open(opening: &Opening<'_>) -> Result<Arc<dyn Architecture>, VlmError> {
    let root = &opening.root;
    let Some(id) = original::vision_tower(root)? else {
        opening.without_tower()?;
        return Ok(Arc::new(Llava { config: LlavaConfig::parse(root)?, tower: None }));
    };
    let tower = tower::find(id, opening.source, opening.tower, root)?;
    let label = tower.label_of(CONFIG);
    let json = tower.json(CONFIG)?.ok_or_else(|| tower.missing(CONFIG, "it states the tower's sizes"))?;
    let config = original::parse(root, id, &Fields::root(&label, &json)?)?;
    Ok(Arc::new(Llava { config, tower: Some(tower) }))
}

/// The settings of a checkpoint's CLIP-type image processor. `pad` stands for the LLaVA repository's `image_aspect_ratio: pad`, which its
/// checkpoints keep in another file: images are padded to a square whatever the processor's class.
pub(super) fn images(source: &Source, pad: bool, options: ImageOptions) -> Result<ClipProcessor, VlmError> {
    read_settings(source, |file, fields| ClipProcessor::parse(file, fields, pad, options))
}

impl Llava {
    fn images(&self, source: &Source, options: ImageOptions) -> Result<ClipProcessor, VlmError> {
        let pad = self.config.original.as_ref().is_some_and(|original| original.pad);
        images(self.tower.as_ref().unwrap_or(source), pad, options)
    }
}

impl Architecture for Llava {
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
        self.config.vision.num_layers
    }

    fn image_token(&self) -> &'static str {
        IMAGE_TOKEN
    }

    fn conversation(&self) -> Option<Conversation> {
        self.config.original.as_ref().map(|original| original.conversation)
    }

    fn gguf(&self) -> Option<Result<GgufFacts, VlmError>> {
        Some(Ok(self.config.gguf()))
    }

    fn tower(&self) -> Option<&Source> {
        self.tower.as_ref()
    }

    fn image_processor(&self, source: &Source, options: ImageOptions) -> Result<Arc<dyn ImageProcessor>, VlmError> {
        Ok(Arc::new(self.images(source, options)?))
    }

    fn processor(&self, source: &Source, options: ImageOptions) -> Result<Processor, VlmError> {
        let images: Arc<dyn Expander> = Arc::new(LlavaExpander::new(self.images(source, options)?, &self.config)?);
        Ok(Processor::new(prompts(source, &self.config)?, images))
    }

    fn encoder(&self, loader: &mut Loader<'_>) -> Result<Box<dyn VisualEncoder>, VlmError> {
        Ok(Box::new(LlavaEncoder::load(loader, &self.config)?))
    }

    fn image_bytes(&self, image: &Extent, sizes: Sizes) -> ImageBytes {
        views_bytes(&self.config, image, sizes)
    }
}
