//! Pixels to visual tokens: a vision tower that takes images in their own proportions, whose merger makes one visual token of each square
//! of patches. Every image passes it on its own, so that patches of two images never see each other.

use std::collections::BTreeSet;
use std::fmt::Debug;

use steady_kernels::{Device, Element, Matrix, received};

use super::config::QwenVisionConfig;
use super::positions::positions;
use super::tower::{Looks, Patches, patch_positions};
use crate::{
    HostMatrix, PixelValues, VisualLayout, VlmError, cost,
    families::{Encoded, Encoding, Redraw, VisualEncoder},
    nn::{Loader, Position, Visit, Visitor},
    reduction::{Observed, TowerTask, reducer_error},
};

/// A vision tower with its merger: where the two families differ.
pub(crate) trait QwenTower: Visit + Debug + Send + Sync {
    /// The states that leave the last block, the patches of a visual token side by side: `[tokens, merged patches * width]`. Beside them what
    /// there was to see in block `watched`, if any.
    fn forward(&self, patches: Patches, device: &Device, element: Element, watched: Option<usize>) -> (Matrix, Option<Looks>);

    /// The blocks in which every patch sees every other, ascending.
    fn sees_everything(&self) -> Vec<usize>;

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
    async fn seen(&self, pixels: &PixelValues, task: &TowerTask<'_>) -> Result<Encoded, VlmError> {
        if !task.needs.class_projections.is_empty() {
            let problem = "a token reducer asks for the query and key of the vision tower's class token; this tower has no class token";
            return Err(VlmError::Invalid { what: "acceleration".to_owned(), problem: problem.to_owned() });
        }
        if let Some(merger) = &task.merger {
            let problem = "merges tokens inside the vision tower, whose patches become visual tokens in squares that it would tear apart";
            return Err(reducer_error(&merger.name(), problem.to_owned()));
        }
        let patches = Patches::of(pixels, &self.config)?;
        let grid = patches.tokens;
        let count = grid.0 * grid.1 * self.config.merged_patches();
        let layers: BTreeSet<i32> = task.needs.cls_attention.union(&task.needs.vision_keys).copied().collect();
        let mut observed = Observed::default();
        let blocks = layers.iter().map(|&layer| self.block(layer)).collect::<Result<BTreeSet<usize>, _>>()?;
        if blocks.len() > 1 {
            let problem = format!("token reducers ask for blocks {blocks:?} of the vision tower; expected one block for all of them");
            return Err(VlmError::Invalid { what: "acceleration".to_owned(), problem });
        }
        let (states, looks) = self.tower.forward(patches, &self.device, self.element, blocks.first().copied());
        if let Some(looks) = looks {
            observed.heads = looks.heads;
            let (received, keys) = self.pooled(&looks).await?;
            observed.cls_attention = task.needs.cls_attention.iter().map(|&layer| (layer, received.clone())).collect();
            observed.vision_keys = task.needs.vision_keys.iter().map(|&layer| (layer, keys.clone())).collect();
        }
        let flops = flops(&self.config, count, self.tower.pairs(grid).into_iter());
        let tokens = self.tower.merge(&states);
        Ok(Encoded { projected: tokens.clone(), features: tokens, observed: vec![observed], order: None, flops })
    }

    /// The block that layer `name` means, counted from the end if negative: itself, or where windows keep its patches apart the next one in
    /// which every patch sees every other, or the last such.
    fn block(&self, name: i32) -> Result<usize, VlmError> {
        let depth = self.config.depth as i32;
        let index = usize::try_from(if name < 0 { name + depth } else { name }).ok().filter(|index| *index < self.config.depth);
        let whole = self.tower.sees_everything();
        let block = index.and_then(|index| whole.iter().find(|block| **block >= index).or(whole.last()));
        block.copied().ok_or_else(|| VlmError::Invalid {
            what: format!("vision layer {name}"),
            problem: format!("the tower has {depth} layers, of which {} see the whole image", whole.len()),
        })
    }

    /// The attention that visual tokens receive, `[1, tokens]`, and their keys, `[tokens, width]`: the means of their patches'.
    async fn pooled(&self, looks: &Looks) -> Result<(Matrix, Matrix), VlmError> {
        let merged = self.config.merged_patches();
        let mean = |values: &[f32]| values.iter().sum::<f32>() / merged as f32;
        let received: Vec<f32> = received(&looks.queries, &looks.keys, looks.heads).await?.chunks(merged).map(mean).collect();
        let tokens = received.len();
        let keys = HostMatrix::from_device(&looks.keys).await?;
        let pool = |token: usize| {
            let patches = keys.select_rows(&(token * merged..(token + 1) * merged).collect::<Vec<_>>());
            patches.mean_over_rows()
        };
        let on_host = |values: Vec<f32>, shape: [usize; 2]| Matrix::new(values, shape, &Device::Cpu, Element::F32);
        let pooled: Vec<f32> = (0..tokens).flat_map(pool).collect();
        Ok((on_host(received, [1, tokens]), on_host(pooled, [tokens, keys.cols])))
    }
}

impl VisualEncoder for QwenEncoder {
    fn encode<'a>(&'a self, pixels: &'a PixelValues, task: &'a TowerTask<'_>) -> Encoding<'a> {
        Box::pin(self.seen(pixels, task))
    }

    /// The tower ends with its merger, and what leaves it are visual tokens.
    fn project(&self, features: &Matrix) -> Matrix {
        features.clone()
    }

    /// Patches are put together, redrawn and cut again.
    fn redrawn(&self, pixels: &PixelValues, redraw: Redraw<'_>) -> Result<PixelValues, VlmError> {
        let (rows, columns) = Patches::of(pixels, &self.config)?.tokens;
        let (patch, merge, values) = (self.config.patch_size, self.config.merge_size, self.config.patch_values());
        let (height, width) = (rows * merge * patch, columns * merge * patch);
        let places = patch_positions(0..rows * columns, columns, merge);
        let mut redrawn = pixels.clone();
        for plane in 0..values / (patch * patch) {
            // Of each line of each patch, where it is among the patches and where in the picture.
            let lines = places.iter().enumerate().flat_map(|(index, &[_, row, column])| {
                (0..patch).map(move |y| (index * values + (plane * patch + y) * patch, (row * patch + y) * width + column * patch))
            });
            let mut picture = HostMatrix::new(height, width, vec![0.0; height * width]);
            for (cut, whole) in lines.clone() {
                picture.data[whole..whole + patch].copy_from_slice(&pixels.data[cut..cut + patch]);
            }
            let picture = redraw(picture)?;
            for (cut, whole) in lines {
                redrawn.data[cut..cut + patch].copy_from_slice(&picture.data[whole..whole + patch]);
            }
        }
        Ok(redrawn)
    }

    fn positions(&self, len: usize, images: &[&VisualLayout]) -> (Vec<Position>, usize) {
        positions(len, images)
    }

    fn marks_images(&self) -> bool {
        true
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
