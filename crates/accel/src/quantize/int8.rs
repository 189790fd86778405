//! LLM.int8(): 8-bit weights and activations, the outliers of each token in float.
//!
//! Each output row is scaled by its largest magnitude: `q = round_half_even(w·127/absmax)`. What happens to the
//! activations is [`steady_kernels::Int8Weight`]'s part, and so is where that departs from bitsandbytes: outliers are decided token by
//! token, so that a token's result does not depend on which others share its call.

use std::sync::Arc;

use steady_kernels::{Int8Codes, Int8Weight, PackedLinear};
use steady_methods::{INT8, Value};
use steady_vlm::HostMatrix;

use super::layers::{in_bytes, largest, packed};
use super::{AccelError, Fitted, LinearShape, Quantizer};
use crate::Inputs;
use crate::implementation::{Built, Implementation};

pub(crate) const IMPLEMENTATION: Implementation = Implementation {
    method: &INT8,
    build: |values| match *values {
        [Value::Positive(threshold)] => Some(Built::Quantizer(Arc::new(Int8 { threshold }))),
        _ => None,
    },
};

/// LLM.int8() quantization.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Int8 {
    /// Outlier threshold of the activations, 6.0 in the paper.
    pub threshold: f32,
}

impl Int8 {
    /// The codes of `weight [out, in]`.
    pub fn codes(&self, weight: &HostMatrix) -> Int8Codes {
        let absmax: Vec<f32> = weight.iter_rows().map(largest).collect();
        // A row of zeros has no scale; its codes are zeros.
        let per_unit: Vec<f32> = absmax.iter().map(|&absmax| if absmax > 0.0 { 127.0 / absmax } else { 0.0 }).collect();
        let codes = in_bytes(weight, |row, value| (value * per_unit[row]).round_ties_even().clamp(-127.0, 127.0));
        let divisor = Int8Codes::OF_MAXIMA;
        Int8Codes { out: weight.rows, input: weight.cols, codes, scales: absmax, divisor, outlier_threshold: self.threshold }
    }
}

impl Quantizer for Int8 {
    fn name(&self) -> String {
        INT8.spell(&[Value::Positive(self.threshold)])
    }

    fn scope(&self) -> &'static str {
        "every linear layer of vision tower, projector and decoder (not patch embedding and head), as bitsandbytes does by default"
    }

    fn takes(&self, linear: &str) -> bool {
        // A patch embedding is a convolution in the published models, which bitsandbytes leaves alone.
        linear != "lm_head" && !linear.contains("patch_embed")
    }

    fn fit(&self, _linears: &[LinearShape]) -> Result<Box<dyn Fitted>, AccelError> {
        Ok(Box::new(*self))
    }
}

/// Nothing of it depends on shapes.
impl Fitted for Int8 {
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
