//! LLaVA-NeXT (Liu et al., 2024): LLaVA-1.5 that looks at an image several times, as a whole and in tiles of a higher resolution.

mod join;
mod prompt;

use std::any::Any;
use std::sync::Arc;

use super::llava::{self, FeatureSelect, LlavaConfig};
use super::{Architecture, Family, Opening, VisualEncoder};
use crate::VlmError;
use crate::activations::{Extent, ImageBytes, Sizes};
use crate::decoder::LlamaConfig;
use crate::files::{Fields, Source};
use crate::image::{ImageOptions, ImageProcessor, Pinpoints, TileLayout};
use crate::nn::Loader;
use crate::text::Processor;
use join::LlavaNextEncoder;
use prompt::TileExpander;

pub(crate) const FAMILY: Family = Family {
    name: "llava-next",
    model_types: &["llava_next"],
    architectures: &["LlavaNextForConditionalGeneration"],
    names: &llava::NAMES,
    open,
};

/// A LLaVA-NeXT-type model.
#[derive(Clone, Debug, PartialEq)]
pub struct LlavaNextConfig {
    /// What it has in common with LLaVA-1.5.
    pub llava: LlavaConfig,
    /// How images are cut into tiles.
    pub tiles: TileLayout,
}

impl LlavaNextConfig {
    fn parse(root: &Fields<'_>) -> Result<Self, VlmError> {
        const NAME: &str = "image_grid_pinpoints";
        let llava = LlavaConfig::parse(root)?;
        if llava.feature_select == FeatureSelect::Full {
            let problem = "`full` keeps the class token, which has no place in the rows of patches that LLaVA-NeXT makes of its tiles \
                           (transformers cannot run it either); expected `default`";
            return Err(root.error("vision_feature_select_strategy", problem));
        }
        let (side, grid) = (llava.vision.image_size, llava.vision.grid());
        let pinpoints = Pinpoints::parse(root, NAME)?;
        if let Some((height, width)) = pinpoints.not_tiled_by(side) {
            let problem = format!("{height}x{width} is not a whole number of tiles of {side} pixels (`vision_config.image_size`)");
            return Err(root.error(NAME, problem));
        }
        Ok(Self { llava, tiles: TileLayout::new(pinpoints, side, grid) })
    }
}

/// A checkpoint of this family.
#[derive(Debug)]
struct LlavaNext(LlavaNextConfig);

fn open(opening: &Opening<'_>) -> Result<Arc<dyn Architecture>, VlmError> {
    opening.without_tower()?;
    Ok(Arc::new(LlavaNext(LlavaNextConfig::parse(&opening.root)?)))
}

impl Architecture for LlavaNext {
    fn config(&self) -> &dyn Any {
        &self.0
    }

    fn decoder(&self) -> &LlamaConfig {
        &self.0.llava.text
    }

    fn tied(&self) -> bool {
        self.0.llava.tie_word_embeddings
    }

    fn vision_layers(&self) -> usize {
        self.0.llava.vision.num_layers
    }

    fn image_token(&self) -> &'static str {
        llava::IMAGE_TOKEN
    }

    fn image_processor(&self, source: &Source, options: ImageOptions) -> Result<Arc<dyn ImageProcessor>, VlmError> {
        Ok(Arc::new(llava::images(source, false, options)?))
    }

    fn processor(&self, source: &Source, options: ImageOptions) -> Result<Processor, VlmError> {
        let images = TileExpander::new(llava::images(source, false, options)?, &self.0)?;
        Ok(Processor::new(llava::prompts(source, &self.0.llava)?, Arc::new(images)))
    }

    fn encoder(&self, loader: &mut Loader<'_>) -> Result<Box<dyn VisualEncoder>, VlmError> {
        Ok(Box::new(LlavaNextEncoder::load(loader, &self.0)?))
    }

    /// Views are projected like LLaVA-1.5's, and their features stay beside the visual tokens that they are joined to.
    fn image_bytes(&self, image: &Extent, sizes: Sizes) -> ImageBytes {
        let ImageBytes { peak, kept } = llava::views_bytes(&self.0.llava, image, sizes);
        let width = self.0.llava.text.hidden_size;
        let (projected, joined) = (sizes.rows(image.views * self.0.llava.view_tokens(), width), sizes.rows(image.tokens, width));
        let features = kept - projected;
        ImageBytes { peak: peak.max(features + 2 * projected + joined), kept: features + joined }
    }
}
