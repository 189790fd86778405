//! Pixels to visual tokens: a vision tower that takes images in their own proportions, whose merger makes one visual token of each square
//! of patches. Every image passes it on its own, so that patches of two images never see each other.

use std::fmt::Debug;

use steady_kernels::{Device, Element, Matrix};

use super::config::QwenVisionConfig;
use super::positions::positions;
use super::tower::Patches;
use crate::{
    PixelValues, VisualLayout, VlmError, cost,
    families::{Encoded, Encoding, VisualEncoder},
    nn::{Loader, Position, Visit, Visitor},
    reduction::{Observed, TowerTask, reducer_error},
};

/// A vision tower with its merger: where the two families differ.
pub(crate) trait QwenTower: Visit + Debug + Send + Sync {
    /// The states that leave the last block, the patches of a visual token side by side: `[tokens, merged patches * width]`.
    fn forward(&self, patches: Patches, device: &Device, element: Element) -> Matrix;

    /// `[tokens, merged patches * width]` to `[tokens, decoder width]`, row by row.
    fn merge(&self, features: &Matrix) -> Matrix;

    /// For each block the pairs of patches that see each other, for a grid of that many rows and columns of visual tokens.
    fn pairs(&self, grid: (usize, usize)) -> Vec<usize>;

    /// A copy that shares all weights.
    fn copy(&self) -> Box<dyn QwenTower>;
}

/// The vision tower with its merger.
#[derive(Debug)]
pub(super) struct QwenEncoder {
    tower: Box<dyn QwenTower>,
    config: QwenVisionConfig,
    device: Device,
    element: Element,
}

impl QwenEncoder {
    pub(super) fn new(tower: Box<dyn QwenTower>, config: &QwenVisionConfig, loader: &Loader<'_>) -> Self {
        Self { tower, config: config.clone(), device: loader.device().clone(), element: loader.element() }
    }
}

impl QwenEncoder {
    fn seen(&self, pixels: &PixelValues, task: &TowerTask<'_>) -> Result<Encoded, VlmError> {
        if task.needs.looks_at_the_tower() {
            let problem = "a token reducer asks for the vision tower's class token or keys; this tower has no class token, and its \
                           patches are not its visual tokens";
            return Err(VlmError::Invalid { what: "acceleration".to_owned(), problem: problem.to_owned() });
        }
        if let Some(merger) = &task.merger {
            let problem = "merges tokens inside the vision tower, whose patches become visual tokens in squares that it would tear apart";
            return Err(reducer_error(&merger.name(), problem.to_owned()));
        }
        let patches = Patches::of(pixels, &self.config)?;
        let grid = patches.tokens;
        let count = grid.0 * grid.1 * self.config.merged_patches();
        let features = self.tower.forward(patches, &self.device, self.element);
        let flops = flops(&self.config, count, self.tower.pairs(grid).into_iter());
        Ok(Encoded { projected: self.project(&features), features, observed: Observed::default(), flops })
    }
}

impl VisualEncoder for QwenEncoder {
    fn encode<'a>(&'a self, pixels: &'a PixelValues, task: &'a TowerTask<'_>) -> Encoding<'a> {
        Box::pin(std::future::ready(self.seen(pixels, task)))
    }

    fn project(&self, features: &Matrix) -> Matrix {
        self.tower.merge(features)
    }

    fn positions(&self, len: usize, images: &[&VisualLayout]) -> (Vec<Position>, usize) {
        positions(len, images)
    }

    fn places_tokens(&self) -> bool {
        true
    }

    fn copy(&self) -> Box<dyn VisualEncoder> {
        Box::new(Self { tower: self.tower.copy(), config: self.config.clone(), device: self.device.clone(), element: self.element })
    }
}

impl Visit for QwenEncoder {
    fn visit(&mut self, visitor: &mut Visitor<'_>) {
        self.tower.visit(visitor);
    }
}

/// FLOPs from the `patches` of an image to visual tokens. `pairs` has for each block the pairs of patches that see each other.
fn flops(config: &QwenVisionConfig, patches: usize, pairs: impl Iterator<Item = usize>) -> u64 {
    use cost::product;
    let (width, inner) = (config.hidden_size, config.intermediate_size);
    let merged = config.merged_patches();
    // A gated MLP has three products, a plain one two.
    let mlp = if config.windows.is_some() { 3 } else { 2 } * product(patches, width, inner);
    let blocks: u64 = pairs.map(|pairs| 4 * product(patches, width, width) + 2 * product(pairs, width, 1) + mlp).sum();
    product(patches, config.patch_values(), width)
        + blocks
        + product(patches / merged, merged * width, merged * width)
        + product(patches / merged, merged * width, config.out_hidden_size)
}
