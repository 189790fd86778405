//! From a checkpoint onto a device, one tensor at a time.

use burn::tensor::{DType, Device, Tensor, TensorData};

use super::{LayerNorm, Linear, RmsNorm, ShardedRows};
use crate::{VlmError, checkpoint::Weights};

/// Takes tensors out of a checkpoint by canonical name and puts them on a device in one element type. At most one tensor is
/// on the host at a time.
pub(crate) struct Loader<'a> {
    pub(crate) weights: Weights,
    pub(crate) device: &'a Device,
    pub(crate) dtype: DType,
    /// Largest buffer that may be bound at once, in bytes.
    pub(crate) max_binding: usize,
}

impl Loader<'_> {
    fn upload<const D: usize>(&self, data: Vec<f32>, shape: [usize; D]) -> Tensor<D> {
        Tensor::from_data(TensorData::new(data, shape), (self.device, self.dtype))
    }

    /// A tensor as stored.
    pub(crate) fn tensor<const D: usize>(&mut self, name: &str, shape: [usize; D]) -> Result<Tensor<D>, VlmError> {
        let tensor = self.weights.take(name, &shape)?;
        Ok(self.upload(tensor.data, shape))
    }

    /// `{name}.weight` `[out, in]` and, with `bias`, `{name}.bias`.
    pub(crate) fn linear(&mut self, name: &str, [input, output]: [usize; 2], bias: bool) -> Result<Linear, VlmError> {
        self.linear_of_shape(name, &[output, input], bias)
    }

    /// As [`Self::linear`] for a weight stored as `[out, ..]` whose trailing dimensions together are the inputs (a
    /// convolution over non-overlapping patches).
    pub(crate) fn linear_of_shape(&mut self, name: &str, shape: &[usize], bias: bool) -> Result<Linear, VlmError> {
        let stored = self.weights.take(&format!("{name}.weight"), shape)?;
        let output = shape[0];
        let input = shape[1..].iter().product();
        let weight = self.upload(transposed(&stored.data, output, input), [input, output]);
        let bias = if bias { Some(self.tensor(&format!("{name}.bias"), [output])?) } else { None };
        Ok(Linear::new(name, weight, bias))
    }

    /// `{name}.weight` and `{name}.bias`.
    pub(crate) fn layer_norm(&mut self, name: &str, width: usize, epsilon: f64) -> Result<LayerNorm, VlmError> {
        let weight = self.tensor(&format!("{name}.weight"), [width])?;
        let bias = self.tensor(&format!("{name}.bias"), [width])?;
        Ok(LayerNorm::new(weight, bias, epsilon))
    }

    /// `{name}.weight`.
    pub(crate) fn rms_norm(&mut self, name: &str, width: usize, epsilon: f64) -> Result<RmsNorm, VlmError> {
        let weight = self.tensor(&format!("{name}.weight"), [width])?;
        Ok(RmsNorm::new(weight, epsilon))
    }

    /// A `[rows, width]` table, split by rows so that no part exceeds the device's binding limit.
    pub(crate) fn rows(&mut self, name: &str, shape: [usize; 2]) -> Result<ShardedRows, VlmError> {
        let table = self.weights.take(name, &shape)?;
        Ok(ShardedRows::new(table.data, shape, self.max_binding, self.device, self.dtype))
    }
}

/// `[rows, cols]` to `[cols, rows]`, in blocks that stay in cache on both sides.
fn transposed(data: &[f32], rows: usize, cols: usize) -> Vec<f32> {
    const BLOCK: usize = 32;
    let mut out = vec![0.0; data.len()];
    for top in (0..rows).step_by(BLOCK) {
        for left in (0..cols).step_by(BLOCK) {
            for row in top..rows.min(top + BLOCK) {
                for col in left..cols.min(left + BLOCK) {
                    out[col * rows + row] = data[row * cols + col];
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::transposed;
    use proptest::prelude::*;

    #[test]
    fn transposes_a_small_matrix() {
        assert_eq!(transposed(&[1., 2., 3., 4., 5., 6.], 2, 3), [1., 4., 2., 5., 3., 6.]);
    }

    proptest! {
        #[test]
        fn twice_is_the_identity_across_block_edges(rows in 1usize..70, cols in 1usize..70) {
            let data: Vec<f32> = (0..rows * cols).map(|i| i as f32).collect();
            prop_assert_eq!(transposed(&transposed(&data, rows, cols), cols, rows), data);
        }
    }
}
