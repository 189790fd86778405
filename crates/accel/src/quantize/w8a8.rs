//! W8A8: weights and activations in eight bits, a scale for each output and one for each token, which is found as the token comes
//! (`W8A8` of llm-compressor with dynamic activations; ZeroQuant: Yao et al., NeurIPS 2022, arXiv 2206.01861).
//!
//! Weights as compressed-tensors has them: `s = max|w|/127.5`, `q = clamp(round_half_even(w/s), −128, 127)`. What happens to the activations is
//! [`steady_kernels::Int8Weight`]'s part, without outliers: what vLLM computes.

use std::sync::Arc;

use steady_kernels::{Int8Codes, Int8Weight, PackedLinear};
use steady_methods::W8A8;
use steady_vlm::HostMatrix;

use super::layers::{in_bytes, packed, row_scale};
use super::{AccelError, Fitted, LinearShape, Quantizer};
use crate::Inputs;
use crate::implementation::{Built, Implementation};

pub(crate) const IMPLEMENTATION: Implementation = Implementation {
    method: &W8A8,
    build: |values| match values {
        [] => Some(Built::Quantizer(Arc::new(W8a8))),
        _ => None,
    },
};

/// Steps on either side of zero.
const STEPS: f32 = 127.5;

/// W8A8 quantization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct W8a8;

impl W8a8 {
    /// The codes of `weight [out, in]`.
    pub fn codes(self, weight: &HostMatrix) -> Int8Codes {
        let scales: Vec<f32> = weight.iter_rows().map(|row| row_scale(row, STEPS)).collect();
        let codes = in_bytes(weight, |row, value| (value / scales[row]).round_ties_even().clamp(-128.0, 127.0));
        let outlier_threshold = Int8Codes::NO_OUTLIERS;
        Int8Codes { out: weight.rows, input: weight.cols, codes, scales, divisor: 1.0, outlier_threshold }
    }
}

impl Quantizer for W8a8 {
    fn name(&self) -> String {
        W8A8.spell(&[])
    }

    fn fit(&self, _linears: &[LinearShape]) -> Result<Box<dyn Fitted>, AccelError> {
        Ok(Box::new(*self))
    }
}

/// Nothing of it depends on shapes.
impl Fitted for W8a8 {
    fn method(&self) -> String {
        self.name()
    }

    fn packed_bytes(&self, linear: &LinearShape) -> u64 {
        Int8Weight::bytes_of([linear.out, linear.input]) as u64
    }

    fn pack(&self, linear: &str, weight: &HostMatrix, _: Option<&Inputs>) -> Result<PackedLinear, AccelError> {
        packed(linear, Int8Weight::new(&self.codes(weight)))
    }
}
