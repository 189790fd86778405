//! LLaVA-NeXT (Liu et al., 2024): LLaVA-1.5 that looks at an image several times, as a whole and in tiles of a higher
//! resolution. The tiles' projected patches are put back into the image's own rows, padding is cut off, and a learned newline
//! token ends every row.

use burn::tensor::{DType, Int, Tensor, TensorData};

use crate::{
    VlmError,
    image::TileLayout,
    nn::{Loader, tensor_bytes},
};

/// What joins the views of one image.
#[derive(Clone, Debug)]
pub(crate) struct TileJoin {
    layout: TileLayout,
    /// `[1, decoder width]`
    newline: Tensor<2>,
}

impl TileJoin {
    pub(crate) fn load(loader: &mut Loader<'_>, layout: &TileLayout, width: usize) -> Result<Self, VlmError> {
        let newline: Tensor<1> = loader.tensor("image_newline", [width])?;
        Ok(Self { layout: layout.clone(), newline: newline.unsqueeze() })
    }

    /// Views of an image of this height and width: the whole, and its tiles.
    pub(crate) fn views(&self, original: (usize, usize)) -> usize {
        let (rows, cols) = self.layout.tiles(original);
        1 + rows * cols
    }

    /// Projected patches of all views, `[views * patches, width]`, to the visual tokens of an image of `original` height and
    /// width, `[tokens, width]`: the base view, then the image row by row.
    pub(crate) fn join(&self, projected: Tensor<2>, original: (usize, usize)) -> Tensor<2> {
        let order: Vec<i32> = self.layout.order(original).into_iter().map(|row| row as i32).collect();
        let tokens = order.len();
        let device = projected.device();
        let order = TensorData::new(order, [tokens]);
        let order = Tensor::<1, Int>::from_data(order, (&device, DType::I32));
        Tensor::cat(vec![projected, self.newline.clone()], 0).select(0, order)
    }

    pub(crate) fn bytes(&self) -> usize {
        tensor_bytes(&self.newline)
    }
}
