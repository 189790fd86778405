//! One packed matrix, whichever its layout.

use burn::tensor::{Device, Tensor};

use crate::{Int8Weight, W4Weight};

/// A weight matrix `W [out, in]` kept packed in memory; `y = x Wᵀ` is computed from the packed form.
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

    /// Device memory in bytes.
    pub fn bytes(&self) -> usize {
        match self {
            Self::W4(weight) => weight.bytes(),
            Self::Int8(weight) => weight.bytes(),
        }
    }

    /// The matrix the codes stand for, `[out, in]` in f32. Reads the codes back: for tests and inspection.
    pub fn dequantize(&self) -> Tensor<2> {
        match self {
            Self::W4(weight) => weight.dequantize(),
            Self::Int8(weight) => weight.dequantize(),
        }
    }

    /// The same matrix in another device's memory.
    #[must_use]
    pub fn to_device(&self, device: &Device) -> Self {
        match self {
            Self::W4(weight) => Self::W4(weight.to_device(device)),
            Self::Int8(weight) => Self::Int8(weight.to_device(device)),
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
