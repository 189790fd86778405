//! Rotary position embedding (Su et al., 2021) in the `rotate_half` convention of Llama: dimension `i` is rotated together with
//! dimension `i + head_dim / 2`.

use burn::tensor::Tensor;

use crate::matrix::{Matrix, Place};
use crate::{Device, Element};

/// Sines and cosines for the positions of some tokens, `[tokens, head_dim / 2]` each.
#[derive(Clone, Debug)]
pub struct Rotation {
    pub(crate) cos: Matrix,
    pub(crate) sin: Matrix,
}

impl Rotation {
    /// Tables of `tokens` rows, kept as `element` where the device keeps activations so.
    ///
    /// # Panics
    /// When the tables are of two lengths, or not whole rows.
    pub fn new(cos: Vec<f32>, sin: Vec<f32>, tokens: usize, device: &Device, element: Element) -> Self {
        assert!(cos.len() == sin.len() && cos.len().is_multiple_of(tokens.max(1)), "tables of {} and {} values", cos.len(), sin.len());
        let shape = [tokens, cos.len() / tokens.max(1)];
        Self { cos: Matrix::new(cos, shape, device, element), sin: Matrix::new(sin, shape, device, element) }
    }

    /// That of the last `count` tokens alone.
    #[must_use]
    pub fn last(&self, count: usize) -> Self {
        let [tokens, _] = self.cos.dims();
        if count == tokens {
            return self.clone();
        }
        let last = |table: &Matrix| table.slice(tokens - count..tokens);
        Self { cos: last(&self.cos), sin: last(&self.sin) }
    }

    /// Rotates the heads of `x [tokens, heads * head_dim]`, in the element type of the tables; the result has that of `x`.
    #[must_use]
    pub fn apply(&self, x: &Matrix, heads: usize) -> Matrix {
        match &x.0 {
            Place::Cpu(_) => crate::flex::attention::joined(self.on_cpu(crate::flex::attention::split_heads(x.tensor(), heads))).into(),
            #[cfg(feature = "gpu")]
            Place::Gpu(gpu, x) => {
                let rotated = steady_gpu::kernels::rotate(gpu, x, heads, self.cos.rows(), self.sin.rows());
                Matrix(Place::Gpu(gpu.clone(), rotated))
            }
        }
    }

    /// `[tokens, heads, head_dim]` to the same.
    pub(crate) fn on_cpu(&self, x: Tensor<3>) -> Tensor<3> {
        let dtype = x.dtype();
        // [tokens, 1, head_dim / 2]
        let table = |table: &Matrix| table.tensor().unsqueeze_dim(1);
        let (cos, sin): (Tensor<3>, Tensor<3>) = (table(&self.cos), table(&self.sin));
        let x = x.cast(cos.dtype());
        let [tokens, heads, head_dim] = x.dims();
        let half = head_dim / 2;
        let first = x.clone().slice([0..tokens, 0..heads, 0..half]);
        let second = x.slice([0..tokens, 0..heads, half..head_dim]);
        let turned = first.clone() * cos.clone() - second.clone() * sin.clone();
        Tensor::cat(vec![turned, second * cos + first * sin], 2).cast(dtype)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotates_half_against_half() {
        // One head of width 4, pairs are (x0, x2) and (x1, x3), turned by the angles a and b.
        let (a, b) = (2.0f32, 0.02f32);
        let x = Matrix::new(vec![1.0, 2.0, 3.0, 4.0], [1, 4], &Device::Cpu, Element::F32);
        let rotation = Rotation::new(vec![a.cos(), b.cos()], vec![a.sin(), b.sin()], 1, &Device::Cpu, Element::F32);
        let y = pollster::block_on(rotation.apply(&x, 1).read()).unwrap();
        let expected =
            [1.0 * a.cos() - 3.0 * a.sin(), 2.0 * b.cos() - 4.0 * b.sin(), 3.0 * a.cos() + 1.0 * a.sin(), 4.0 * b.cos() + 2.0 * b.sin()];
        for (found, expected) in y.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{y:?}");
        }
    }
}
