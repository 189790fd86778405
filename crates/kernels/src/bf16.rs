//! A bf16 matrix on the CPU.

use burn::backend::Dispatch;
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use half::bf16;

use crate::Floats;
use crate::codes::{PackError, check_length};
use crate::ops::PackedOps;

/// A matrix `W [out, in]` kept as bf16, the precision that most checkpoints are published in, on devices that need not have that type
/// (WGSL does not). Nothing is lost by widening: a bf16 number is the upper half of an f32 number, and all arithmetic is f32.
///
/// `words [out, ⌈in/2⌉]` holds two numbers per `u32`, the first in the low half, rows padded with zeros.
#[derive(Clone, Debug)]
pub struct Bf16Weight {
    words: Tensor<2, Int>,
    input: usize,
}

impl Bf16Weight {
    /// Packs `values`, `out × in` in row-major order, .
    ///
    /// # Errors
    /// [`PackError::Length`] when there are not `out × in` of them.
    pub fn new(values: &[bf16], shape: [usize; 2]) -> Result<Self, PackError> {
        let [out, input] = shape;
        check_length("values", out, input, out * input, values.len())?;
        Ok(Self::of(Floats::Bf16(values), shape))
    }

    /// Packs `out × input` numbers of any type.
    pub(crate) fn of(values: Floats<'_>, [out, input]: [usize; 2]) -> Self {
        let words = TensorData::new(values.bf16_words(input), [out, input.div_ceil(2)]);
        Self { words: Tensor::from_data(words, (&Device::flex(), DType::U32)), input }
    }

    /// `x [rows, in]` to `x Wᵀ [rows, out]`, in the precision of `x`.
    ///
    /// # Panics
    /// As burn's own `matmul`: when `x` is not `in` wide.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        assert_eq!(x.dims()[1], self.input, "bf16_linear: the activations' width differs from the weight's");
        Tensor::from_dispatch(<Dispatch as PackedOps>::bf16_linear(x.into_dispatch(), self.words.clone().into_dispatch()))
    }

    /// The rows `indices`, each below `out`, as f32: `[indices, in]`.
    pub fn rows(&self, indices: Tensor<1, Int>) -> Tensor<2> {
        Self { words: self.words.clone().select(0, indices), input: self.input }.widen()
    }

    /// The whole matrix as f32, `[out, in]`.
    pub fn widen(&self) -> Tensor<2> {
        Tensor::from_dispatch(<Dispatch as PackedOps>::bf16_widen(self.words.clone().into_dispatch(), self.input))
    }

    /// `[out, in]`.
    pub fn shape(&self) -> [usize; 2] {
        [self.words.dims()[0], self.input]
    }

    /// Device memory in bytes.
    pub fn bytes(&self) -> usize {
        let [out, input] = self.shape();
        out * Self::row_bytes(input)
    }

    /// Device memory of a row of `input` numbers, in bytes.
    pub fn row_bytes(input: usize) -> usize {
        4 * input.div_ceil(2)
    }
}
