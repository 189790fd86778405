//! Round-to-nearest, 4 bits, a scale and a zero point per group of inputs.
//!
//! The reference that calibrated methods (GPTQ, AWQ) are measured against. Asymmetric, the default:
//! `s = (max − min)/15`, at least 1e-5; `z = round(−min/s)`; `q = clamp(round(w/s) + z, 0, 15)`, over a range that always
//! includes zero. Symmetric, as compressed-tensors has it: `s = max|w|/7.5`, `q = clamp(round(w/s), −8, 7)`.
//! Rounding is half to even, as in PyTorch. Codes are chosen with the scale as it is stored, in f16.

use std::sync::Arc;

use half::f16;
use steady_kernels::{Codebook, Constants, GroupedCodes, GroupedWeight, PackedLinear, Shift};
use steady_methods::{Group, Value, W4_RTN};
use steady_vlm::HostMatrix;

use super::{AccelError, Fitted, LinearShape, Quantizer};
use crate::Gram;
use crate::implementation::{Built, Implementation};

pub(crate) const IMPLEMENTATION: Implementation = Implementation {
    method: &W4_RTN,
    build: |values| match *values {
        [Value::Group(group), Value::Flag(symmetric)] => Some(Built::Quantizer(Arc::new(Rtn { group, symmetric }))),
        _ => None,
    },
};

/// What 4-bit methods pack, in words.
pub(super) const SCOPE: &str = "the decoder's q, k, v, o, gate, up and down projections (not embeddings, head, vision tower, projector)";
/// What the names of these layers begin with.
pub(super) const DECODER: &str = "language_model.layers.";

/// Group sizes that `auto` chooses from, the usual one first.
const GROUPS: &[usize] = &[128, 64, 32, 16];
const SMALLEST_SCALE: f32 = 1e-5;

/// Round-to-nearest 4-bit quantization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rtn {
    /// Inputs that share a scale.
    pub group: Group,
    /// No zero points: code 8 stands for zero.
    pub symmetric: bool,
}

/// [`Rtn`] with a group size that divides the input width of every layer it is meant for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FittedRtn {
    /// Inputs that share a scale.
    pub group: usize,
    /// No zero points: code 8 stands for zero.
    pub symmetric: bool,
}

/// The group size for these layers.
pub(super) fn settle(group: Group, linears: &[LinearShape]) -> Result<usize, AccelError> {
    let misfit = |size: usize| linears.iter().find(|linear| !linear.input.is_multiple_of(size));
    match group {
        Group::Size(group) => match misfit(group) {
            Some(linear) => Err(AccelError::Group { linear: linear.name.clone(), input: linear.input, group }),
            None => Ok(group),
        },
        Group::Auto => {
            let mut ruled_out = None;
            for &group in GROUPS {
                ruled_out = misfit(group);
                if ruled_out.is_none() {
                    return Ok(group);
                }
            }
            let (linear, input) = ruled_out.map_or((String::new(), 0), |linear| (linear.name.clone(), linear.input));
            Err(AccelError::NoGroup { linear, input, candidates: GROUPS })
        }
    }
}

impl FittedRtn {
    /// The codes of `weight [out, in]`, whose width the group size must divide.
    pub fn codes(&self, weight: &HostMatrix) -> GroupedCodes {
        let group = self.group;
        let groups = weight.data.len() / group;
        let (mut codes, mut scales, mut zeros) =
            (Vec::with_capacity(weight.data.len()), Vec::with_capacity(groups), Vec::with_capacity(groups));
        for values in weight.data.chunks_exact(group) {
            let (scale, zero) = if self.symmetric { symmetric(values) } else { asymmetric(values) };
            scales.push(scale);
            zeros.push(zero);
            let code = |&value: &f32| ((value / scale).round_ties_even() + zero).clamp(0.0, 15.0) as u8;
            codes.extend(values.iter().map(code));
        }
        let shift = Shift::Zeros(zeros);
        GroupedCodes { out: weight.rows, input: weight.cols, group, book: Codebook::Int4, codes, scales, shift }
    }
}

/// Scale and zero point of a group whose codes run from its minimum to its maximum. The range includes zero (as in GPTQ
/// and compressed-tensors): otherwise the clamped zero point would cut off a group of one sign.
fn asymmetric(values: &[f32]) -> (f32, f32) {
    let (min, max) = values.iter().fold((0.0_f32, 0.0_f32), |(min, max), &value| (min.min(value), max.max(value)));
    let scale = stored((max - min) / 15.0);
    (scale, (-min / scale).round_ties_even().clamp(0.0, 15.0))
}

/// Scale of a group whose codes are centred on 8.
fn symmetric(values: &[f32]) -> (f32, f32) {
    let largest = values.iter().fold(0.0_f32, |largest, &value| largest.max(value.abs()));
    (stored(largest / 7.5), 8.0)
}

/// A scale as the packed weight will hold it.
fn stored(scale: f32) -> f32 {
    f16::from_f32(scale.max(SMALLEST_SCALE)).to_f32()
}

impl Quantizer for Rtn {
    fn name(&self) -> String {
        W4_RTN.spell(&[Value::Group(self.group), Value::Flag(self.symmetric)])
    }

    fn scope(&self) -> &'static str {
        SCOPE
    }

    fn takes(&self, linear: &str) -> bool {
        linear.starts_with(DECODER)
    }

    fn fit(&self, linears: &[LinearShape]) -> Result<Box<dyn Fitted>, AccelError> {
        Ok(Box::new(FittedRtn { group: settle(self.group, linears)?, symmetric: self.symmetric }))
    }
}

impl Fitted for FittedRtn {
    fn method(&self) -> String {
        Rtn { group: Group::Size(self.group), symmetric: self.symmetric }.name()
    }

    fn packed_bytes(&self, linear: &LinearShape) -> u64 {
        GroupedWeight::bytes_of([linear.out, linear.input], self.group, Codebook::Int4, Constants::Halves) as u64
    }

    fn pack(&self, linear: &str, weight: &HostMatrix, _: Option<&Gram>) -> Result<PackedLinear, AccelError> {
        GroupedWeight::new(&self.codes(weight))
            .map(PackedLinear::from)
            .map_err(|source| AccelError::Pack { linear: linear.to_owned(), source })
    }
}
