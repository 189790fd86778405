//! FP8: weights and activations in E4M3 (Micikevicius et al., arXiv 2209.05433), a scale for each output and one for each token, which is found as the
//! token comes (`FP8_DYNAMIC` of llm-compressor).
//!
//! Weights as compressed-tensors has them: `s = max|w|/448`, `q` the number of E4M3 that is nearest to `w/s`, the even one of two. Activations are
//! rounded likewise, and products are floats: emulated, where a device has FP8 of its own.

use std::sync::Arc;

use steady_kernels::{Codebook, Constants, GroupedCodes, GroupedWeight, PackedLinear, Shift};
use steady_methods::{FP8, Value};
use steady_vlm::HostMatrix;

use super::layers::{packed, row_scale};
use super::{AccelError, Fitted, LinearShape, Quantizer};
use crate::Inputs;
use crate::implementation::{Built, Implementation};

pub(crate) const IMPLEMENTATION: Implementation = Implementation {
    method: &FP8,
    build: |values| match *values {
        [Value::Flag(weights_only)] => Some(Built::Quantizer(Arc::new(Fp8 { weights_only }))),
        _ => None,
    },
};

/// The largest number of E4M3.
const LARGEST: f32 = 448.0;

/// FP8 quantization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fp8 {
    /// Activations stay what they are.
    pub weights_only: bool,
}

impl Fp8 {
    /// The codes of `weight [out, in]`.
    pub fn codes(self, weight: &HostMatrix) -> GroupedCodes {
        let (mut codes, mut scales) = (Vec::with_capacity(weight.data.len()), Vec::with_capacity(weight.rows));
        for row in weight.iter_rows() {
            let scale = row_scale(row, LARGEST);
            codes.extend(row.iter().map(|value| Codebook::e4m3(value / scale)));
            scales.push(scale);
        }
        let (out, input) = (weight.rows, weight.cols);
        GroupedCodes { out, input, group: input, book: Codebook::E4m3, codes, scales, shift: Shift::Middle }
    }
}

impl Quantizer for Fp8 {
    fn name(&self) -> String {
        FP8.spell(&[Value::Flag(self.weights_only)])
    }

    fn fit(&self, _linears: &[LinearShape]) -> Result<Box<dyn Fitted>, AccelError> {
        Ok(Box::new(*self))
    }
}

/// Nothing of it depends on shapes.
impl Fitted for Fp8 {
    fn method(&self) -> String {
        self.name()
    }

    fn packed_bytes(&self, linear: &LinearShape) -> u64 {
        GroupedWeight::bytes_of([linear.out, linear.input], linear.input, Codebook::E4m3, Constants::Scale) as u64
    }

    fn pack(&self, linear: &str, weight: &HostMatrix, _: Option<&Inputs>) -> Result<PackedLinear, AccelError> {
        let weight = packed(linear, GroupedWeight::new(&self.codes(weight)))?;
        Ok(if self.weights_only { weight } else { weight.rounding_to_e4m3() })
    }
}
