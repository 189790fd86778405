//! `int-quantized` and `float-quantized`: a byte a weight (W8A8 dynamic, FP8 dynamic; `compressors/naive_quantized`).
//!
//! | tensor | type | shape |
//! |---|---|---|
//! | `weight` | i8, or f8_e4m3 | `[out, in]` |
//! | `weight_scale` | f16, bf16 or f32 | `[out, 1]`, or `[1]` for all |
//!
//! `ŵ = code·scale`. Activations are rounded as vLLM rounds them, row by row: by the largest magnitude over 127, or over 448 (`csrc/quantization/w8a8`).

use safetensors::Dtype;
use steady_kernels::{Codebook, Constants, GroupedCodes, GroupedWeight, Int8Codes, Int8Weight, PackedLinear, Shift};

use crate::VlmError;
use crate::files::format::{LayerTensors, Stored, WeightFormat};

/// What weights are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Bytes {
    Int(Activations),
    Float(Activations),
}

/// What becomes of activations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Activations {
    AsTheyAre,
    /// Rounded to what weights are, with a scale for each token.
    RoundedByToken,
}

impl WeightFormat for Bytes {
    fn layer(&self, tensors: &mut LayerTensors<'_>, shape: &[usize]) -> Result<Stored, VlmError> {
        if !tensors.has("weight_scale") {
            return tensors.dense(shape);
        }
        let [out, input] = tensors.matrix("weight", shape)?;
        let dtype = if matches!(self, Self::Int(_)) { Dtype::I8 } else { Dtype::F8_E4M3 };
        let codes = tensors.bytes("weight", dtype, shape)?;
        let one = matches!(tensors.shape("weight_scale"), Some([] | [1])) && out > 1;
        let given: &[usize] = match tensors.shape("weight_scale") {
            Some([]) => &[],
            Some([1]) if one => &[1],
            _ => &[out, 1],
        };
        let scales = tensors.floats("weight_scale", given)?;
        let scales = move || if one { scales.repeat(out) } else { scales };
        if *self == Self::Int(Activations::RoundedByToken) {
            return tensors.packed(Int8Weight::bytes_of([out, input]), || {
                let codes = codes.into_iter().map(u8::cast_signed).collect();
                let codes = Int8Codes { out, input, codes, scales: scales(), divisor: 1.0, outlier_threshold: Int8Codes::NO_OUTLIERS };
                Int8Weight::new(&codes).map(PackedLinear::from).map_err(|error| tensors.misfit("weight_scale", &error))
            });
        }
        let book = if matches!(self, Self::Int(_)) { Codebook::Int8 } else { Codebook::E4m3 };
        tensors.packed(GroupedWeight::bytes_of([out, input], input, book, Constants::Scale), || {
            let codes = match self {
                // Here the middle stands for zero.
                Self::Int(_) => codes.into_iter().map(|code| code ^ 128).collect(),
                Self::Float(_) => codes,
            };
            let codes = GroupedCodes { out, input, group: input, book, codes, scales: scales(), shift: Shift::Middle };
            let weight = tensors.grouped("weight", &codes)?;
            Ok(if *self == Self::Float(Activations::RoundedByToken) { weight.rounding_to_e4m3() } else { weight })
        })
    }
}
