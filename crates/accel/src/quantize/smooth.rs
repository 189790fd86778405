//! SmoothQuant: W8A8 whose activations lose their outliers to the weights first (Xiao et al., ICML 2023, arXiv 2211.10438), as the authors' code has it
//! (`smoothquant/smooth.py`, `smooth_ln_fcs_llama_like`).
//!
//! Layers that read from a norm have their inputs divided and their columns multiplied by `s = max|x|^a / max|w|^(1-a)`, at least 1e-5, with both
//! maxima of each input over the calibration prompts and over all of these layers' rows. The others are [`W8a8`] as it is. What is computed then is
//! W8A8 with a scale per output and per token, as llm-compressor and vLLM have it.

use std::sync::Arc;

use steady_kernels::PackedLinear;
use steady_methods::{Value, W8A8_SMOOTH};
use steady_vlm::HostMatrix;

use super::{AccelError, Calibration, Fitted, LinearShape, Quantizer, Together, W8a8};
use crate::Inputs;
use crate::implementation::{Built, Implementation};
use crate::role::Role;

pub(crate) const IMPLEMENTATION: Implementation = Implementation {
    method: &W8A8_SMOOTH,
    build: |values| match *values {
        [Value::Fraction(alpha), Value::Samples(samples)] => Some(Built::Quantizer(Arc::new(Smooth { alpha, samples }))),
        _ => None,
    },
};

/// What maxima of weights and factors are not below.
const LEAST: f32 = 1e-5;

/// SmoothQuant with W8A8.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Smooth {
    /// Share of the outliers that moves into the weights.
    pub alpha: f64,
    /// Prompts to calibrate with.
    pub samples: usize,
}

impl Smooth {
    /// The factors of layers `weights` that are given what was `seen`.
    pub fn of(&self, weights: &[HostMatrix], seen: &Inputs) -> Vec<f32> {
        let mut columns = vec![LEAST; seen.input];
        for row in weights.iter().flat_map(HostMatrix::iter_rows) {
            for (most, value) in columns.iter_mut().zip(row) {
                *most = most.max(value.abs());
            }
        }
        let alpha = self.alpha as f32;
        seen.largest.iter().zip(&columns).map(|(x, w)| (x.powf(alpha) / w.powf(1.0 - alpha)).max(LEAST)).collect()
    }
}

impl Quantizer for Smooth {
    fn name(&self) -> String {
        W8A8_SMOOTH.spell(&[Value::Fraction(self.alpha), Value::Samples(self.samples)])
    }

    fn fit(&self, _linears: &[LinearShape]) -> Result<Box<dyn Fitted>, AccelError> {
        Ok(Box::new(*self))
    }
}

/// Nothing of it depends on shapes.
impl Fitted for Smooth {
    fn method(&self) -> String {
        self.name()
    }

    fn calibration(&self) -> Calibration {
        Calibration::Magnitudes { samples: self.samples }
    }

    fn packed_bytes(&self, linear: &LinearShape) -> u64 {
        let factors = if Role::of(&linear.name).behind_norm() { size_of::<f32>() * linear.input } else { 0 };
        self.stored_bytes(linear) + factors as u64
    }

    fn stored_bytes(&self, linear: &LinearShape) -> u64 {
        W8a8.packed_bytes(linear)
    }

    fn factors(&self, together: &Together<'_>) -> Vec<Vec<f32>> {
        if together.names.iter().all(|name| Role::of(name).behind_norm()) {
            vec![self.of(together.weights, together.seen)]
        } else {
            Vec::new()
        }
    }

    fn pack(&self, linear: &str, weight: &HostMatrix, _: Option<&Inputs>) -> Result<PackedLinear, AccelError> {
        W8a8.pack(linear, weight, None)
    }
}
