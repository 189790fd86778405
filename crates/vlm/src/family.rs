//! The families behind one face: what a model does with an image before its decoder, and how tokens are placed.

use std::ops::Range;

use burn::tensor::Tensor;

use crate::{
    PixelValues, VlmError,
    checkpoint::{LlavaConfig, ModelConfig},
    cost, llava,
    nn::{LinearMap, Loader, Position, in_line},
    qwen_vl::{self, QwenEncoder},
    reduction::{Needs, Observations},
};

/// Vision tower and whatever is between it and the decoder.
#[derive(Clone, Debug)]
pub(crate) enum VisualEncoder {
    Llava(Box<llava::VisualEncoder>, Box<LlavaConfig>),
    Qwen(Box<QwenEncoder>),
}

/// What became of one image.
pub(crate) struct Encoded {
    /// What the projection takes: a row per visual token, with LLaVA-NeXT per patch of every view.
    pub(crate) features: Tensor<2>,
    /// The visual tokens, `[n, decoder width]`.
    pub(crate) projected: Tensor<2>,
    pub(crate) observations: Observations<Tensor<2>>,
    /// Rows and columns of the grid that the visual tokens come from; one row of all tokens where they are no grid.
    pub(crate) grid: (usize, usize),
    pub(crate) flops: u64,
}

impl VisualEncoder {
    pub(crate) fn load(loader: &mut Loader<'_>, config: &ModelConfig) -> Result<Self, VlmError> {
        Ok(match config {
            ModelConfig::Llava(config) => Self::Llava(Box::new(llava::VisualEncoder::load(loader, config)?), Box::new(config.clone())),
            ModelConfig::Qwen2Vl(config) | ModelConfig::Qwen2_5Vl(config) => Self::Qwen(Box::new(QwenEncoder::load(loader, config)?)),
        })
    }

    /// Pixels to visual tokens; also what `needs` wants to see of the tower.
    pub(crate) fn encode(&self, pixels: &PixelValues, needs: &Needs) -> Result<Encoded, VlmError> {
        match self {
            Self::Llava(encoder, config) => {
                let llava::VisualTokens { features, projected, observations } = encoder.encode(pixels, needs)?;
                let side = config.vision.grid();
                let grid = if self.joins_views() { (1, projected.dims()[0]) } else { (side, side) };
                Ok(Encoded { features, projected, observations, grid, flops: cost::vision_flops(config, pixels.shape[0]) })
            }
            Self::Qwen(encoder) => {
                let qwen_vl::Seen { features, projected, grid, flops } = encoder.encode(pixels, needs)?;
                Ok(Encoded { features, projected, observations: Observations::default(), grid, flops })
            }
        }
    }

    /// Whether visual tokens are put together from several views behind the projection (LLaVA-NeXT), so that they are not its rows.
    pub(crate) fn joins_views(&self) -> bool {
        matches!(self, Self::Llava(_, config) if config.tiles.is_some())
    }

    /// Features to visual tokens, row by row.
    pub(crate) fn project(&self, features: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Llava(encoder, _) => encoder.project(features),
            Self::Qwen(encoder) => encoder.project(features),
        }
    }

    /// Positions of a prompt of `len` tokens with `images` in it (where, and the grid), and that of the token that follows.
    pub(crate) fn positions(&self, len: usize, images: &[(Range<usize>, (usize, usize))]) -> (Vec<Position>, usize) {
        match self {
            Self::Llava(..) => (in_line(0..len).collect(), len),
            Self::Qwen(_) => qwen_vl::positions(len, images),
        }
    }

    /// Whether a visual token's position says where in the image it is, so that it must keep it whatever else is dropped.
    pub(crate) fn places_tokens(&self) -> bool {
        matches!(self, Self::Qwen(_))
    }

    /// A copy with mapped linear layers that shares everything else.
    pub(crate) fn map_linears<E>(&self, map: &mut LinearMap<'_, E>) -> Result<Self, E> {
        Ok(match self {
            Self::Llava(encoder, config) => Self::Llava(Box::new(encoder.map_linears(map)?), config.clone()),
            Self::Qwen(encoder) => Self::Qwen(Box::new(encoder.map_linears(map)?)),
        })
    }

    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Llava(encoder, _) => encoder.bytes(),
            Self::Qwen(encoder) => encoder.bytes(),
        }
    }
}
