//! What the vision transformers of Qwen2-VL and Qwen2.5-VL share: patches in the order of the squares that become one visual
//! token, attention with two-dimensional rotary positions, the merger's two layers.

use steady_kernels::{Activation, Matrix, Rotation, Stretches, attend_within};

use super::config::QwenVisionConfig;
use crate::{
    PixelValues, VlmError,
    nn::{Linear, Loader, Norm, Part, Position, Rope, Visit, Visitor},
};

/// Base of the rotary frequencies.
const THETA: f64 = 10_000.0;

/// The patches of one image.
#[derive(Clone, Debug)]
pub(crate) struct Patches {
    /// `[patches, channels * frames * patch * patch]`
    pub(crate) rows: Vec<f32>,
    pub(crate) shape: [usize; 2],
    /// Rows and columns of visual tokens.
    pub(crate) tokens: (usize, usize),
}

impl Patches {
    /// Checks that `pixels` are what a tower of this `config` takes.
    pub(crate) fn of(pixels: &PixelValues, config: &QwenVisionConfig) -> Result<Self, VlmError> {
        let (values, merge) = (config.patch_values(), config.merge_size);
        let invalid = |problem: String| VlmError::Invalid { what: "pixel values".to_owned(), problem };
        let Some([1, rows, columns]) = pixels.grid else {
            return Err(invalid(format!("the vision tower takes the patches of one still image, found a grid of {:?}", pixels.grid)));
        };
        if rows == 0 || columns == 0 || !rows.is_multiple_of(merge) || !columns.is_multiple_of(merge) {
            return Err(invalid(format!("{rows}x{columns} patches are not a whole number of {merge}x{merge} squares")));
        }
        if pixels.shape != [rows * columns, values] || pixels.data.len() != rows * columns * values {
            let expected = [rows * columns, values];
            return Err(invalid(format!("the vision tower takes {expected:?} for {rows}x{columns} patches, found {:?}", pixels.shape)));
        }
        Ok(Self { rows: pixels.data.clone(), shape: [rows * columns, values], tokens: (rows / merge, columns / merge) })
    }
}

/// Row and column of each patch, in the order in which processors emit them: square by square, and within a square of
/// `merge x merge` patches row by row. `order` lists the squares.
pub(crate) fn patch_positions(order: impl Iterator<Item = usize>, columns: usize, merge: usize) -> Vec<Position> {
    order
        .flat_map(|square| {
            let (top, left) = (square / columns * merge, square % columns * merge);
            (0..merge * merge).map(move |patch| [0, top + patch / merge, left + patch % merge])
        })
        .collect()
}

/// Rotary frequencies of a tower.
pub(crate) fn rope(config: &QwenVisionConfig) -> Rope {
    Rope::axial(THETA, config.hidden_size / config.num_heads)
}

/// The patch embedding: a convolution whose stride is its kernel's size, so a product with a patch's values.
pub(crate) fn load_patch_embedding(loader: &mut Loader<'_>, config: &QwenVisionConfig) -> Result<Linear, VlmError> {
    let patch = config.patch_size;
    let shape = [config.hidden_size, config.num_channels, config.temporal_patch_size, patch, patch];
    loader.linear_of_shape("visual.patch_embed.proj", &shape, false)
}

/// What the patches of an image look for and what they show in one block, `[patches, width]` each, in the order in which processors emit them.
#[derive(Debug)]
pub(crate) struct Looks {
    pub(crate) queries: Matrix,
    pub(crate) keys: Matrix,
    pub(crate) heads: usize,
}

/// Multi-head attention, queries, keys and values from one layer.
#[derive(Clone, Debug)]
pub(crate) struct Attention {
    qkv: Linear,
    proj: Linear,
    heads: usize,
}

impl Attention {
    pub(crate) fn load(loader: &mut Loader<'_>, config: &QwenVisionConfig, block: usize) -> Result<Self, VlmError> {
        let width = config.hidden_size;
        let name = |part: &str| format!("visual.blocks.{block}.attn.{part}");
        Ok(Self {
            qkv: loader.linear(&name("qkv"), [width, 3 * width], true)?,
            proj: loader.linear(&name("proj"), [width, width], true)?,
            heads: config.num_heads,
        })
    }

    /// What tokens see of their stretch, added to `hidden`; `x` is `hidden`, normalised. `[tokens, width]` to the same.
    pub(crate) fn onto(&self, hidden: &Matrix, x: &Matrix, rotation: &Rotation, stretches: &[Stretches]) -> Matrix {
        self.proj.onto(&attend_within(&self.qkv.forward(x), self.heads, rotation, stretches), hidden)
    }

    /// Rotated queries and keys of `x`, the normalised states that enter the block: `[tokens, width]` each.
    pub(crate) fn looks(&self, x: &Matrix, rotation: &Rotation) -> Looks {
        let (qkv, heads) = (self.qkv.forward(x), self.heads);
        let width = qkv.dims()[1] / 3;
        let [queries, keys] = [0, width].map(|first| rotation.apply(&qkv.columns(first..first + width), heads));
        Looks { queries, keys, heads }
    }

    /// The layer that queries, keys and values come from: what the norm before it feeds.
    pub(crate) fn entrance(&self) -> &Linear {
        &self.qkv
    }
}

impl Visit for Attention {
    fn visit(&mut self, visitor: &mut Visitor<'_>) {
        visitor(Part::Linear(&mut self.qkv));
        visitor(Part::Linear(&mut self.proj));
    }
}

/// Linear, GELU, linear: from a square of patches side by side to a visual token.
#[derive(Clone, Debug)]
pub(crate) struct MergerMlp {
    first: Linear,
    second: Linear,
}

impl MergerMlp {
    pub(crate) fn load(loader: &mut Loader<'_>, config: &QwenVisionConfig) -> Result<Self, VlmError> {
        let square = config.hidden_size * config.merged_patches();
        Ok(Self {
            first: loader.linear("visual.merger.mlp.0", [square, square], true)?,
            second: loader.linear("visual.merger.mlp.2", [square, config.out_hidden_size], true)?,
        })
    }

    /// `[tokens, merged patches * width]` to `[tokens, decoder width]`, row by row; `norm` sees one patch of `width` a row.
    pub(crate) fn forward(&self, features: &Matrix, width: usize, norm: &Norm) -> Matrix {
        let [tokens, square] = features.dims();
        let normed = norm.forward(&features.reshape([tokens * square / width, width])).reshape([tokens, square]);
        self.second.forward(&Activation::Gelu.apply(&self.first.forward(&normed)))
    }
}

impl Visit for MergerMlp {
    fn visit(&mut self, visitor: &mut Visitor<'_>) {
        visitor(Part::Linear(&mut self.first));
        visitor(Part::Linear(&mut self.second));
    }
}

#[cfg(test)]
mod tests {
    use super::patch_positions;

    #[test]
    fn patches_come_square_by_square() {
        let places: Vec<(usize, usize)> = patch_positions(0..4, 2, 2).into_iter().map(|[_, row, column]| (row, column)).collect();
        let rows = [(0, 0), (0, 1), (1, 0), (1, 1), (0, 2), (0, 3), (1, 2), (1, 3)];
        assert_eq!(places[..8], rows);
        assert_eq!(places[8..10], [(2, 0), (2, 1)]);
    }
}
