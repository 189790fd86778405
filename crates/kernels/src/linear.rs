//! One packed matrix, whichever its layout.

use burn::tensor::Tensor;

use crate::{Int8Weight, W4Weight};

/// A weight matrix `W [out, in]` packed, on the host; `y = x Wᵀ` is computed from the packed form. Onto a device goes
/// [`Weight::packed`](crate::Weight::packed).
#[derive(Clone, Debug)]
pub enum PackedLinear {
    /// Four bits, a scale and a zero point per group of inputs.
    W4(W4Weight),
    /// Eight bits and the mixed product of LLM.int8().
    Int8(Int8Weight),
}

impl PackedLinear {
    /// `x [rows, in]` to `x Wᵀ [rows, out]`, in the precision of `x`. A bias is the caller's.
    ///
    /// # Panics
    /// As burn's own `matmul`: when `x` is not `in` wide.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        match self {
            Self::W4(weight) => weight.forward(x),
            Self::Int8(weight) => weight.forward(x),
        }
    }

    /// `[out, in]`.
    pub fn shape(&self) -> [usize; 2] {
        match self {
            Self::W4(weight) => weight.shape(),
            Self::Int8(weight) => weight.shape(),
        }
    }

    /// Memory in bytes.
    pub fn bytes(&self) -> usize {
        match self {
            Self::W4(weight) => weight.bytes(),
            Self::Int8(weight) => weight.bytes(),
        }
    }

    /// The matrix the codes stand for, `[out, in]` in f32.
    pub fn dequantize(&self) -> Tensor<2> {
        match self {
            Self::W4(weight) => weight.dequantize(),
            Self::Int8(weight) => weight.dequantize(),
        }
    }

    /// The same matrix in a GPU's memory.
    #[cfg(feature = "gpu")]
    pub(crate) fn on_gpu(&self, gpu: &steady_gpu::Gpu) -> steady_gpu::Weight {
        match self {
            Self::W4(weight) => weight.on_gpu(gpu),
            Self::Int8(weight) => weight.on_gpu(gpu),
        }
    }
}

impl From<W4Weight> for PackedLinear {
    fn from(weight: W4Weight) -> Self {
        Self::W4(weight)
    }
}

impl From<Int8Weight> for PackedLinear {
    fn from(weight: Int8Weight) -> Self {
        Self::Int8(weight)
    }
}
