//! Round-to-nearest, a scale and a zero point per group of inputs.
//!
//! The reference that calibrated methods (GPTQ, AWQ) are measured against. Asymmetric, the default, in 4 bits:
//! `s = (max − min)/15`, at least 1e-5; `z = round(−min/s)`; `q = clamp(round(w/s) + z, 0, 15)`, over a range that always
//! includes zero. Symmetric, as compressed-tensors has it: `s = max|w|/7.5`, `q = clamp(round(w/s), −8, 7)`. In `b` bits the last
//! code is `2^b − 1` instead of 15. Rounding is half to even, as in PyTorch. Codes are chosen with the scale as it is stored, in f16.
//! Codes of fewer bits than four are kept in four.

use std::sync::Arc;

use half::f16;
use steady_kernels::{Codebook, Constants, GroupedCodes, GroupedWeight, PackedLinear, Shift, vectorized};
use steady_methods::{Group, Method, Value, W2_RTN, W3_RTN, W4_RTN, W8_RTN};
use steady_vlm::HostMatrix;

use super::layers::{largest, packed, range, settle};
use super::{AccelError, Fitted, LinearShape, Quantizer};
use crate::Inputs;
use crate::implementation::{Built, Implementation};

pub(crate) const W2: Implementation = Implementation { method: &W2_RTN, build: build::<2> };
pub(crate) const W3: Implementation = Implementation { method: &W3_RTN, build: build::<3> };
pub(crate) const W4: Implementation = Implementation { method: &W4_RTN, build: build::<4> };
pub(crate) const W8: Implementation = Implementation { method: &W8_RTN, build: build::<8> };

fn build<const BITS: u32>(values: &[Value]) -> Option<Built> {
    match *values {
        [Value::Group(group), Value::Flag(symmetric)] => Some(Built::Quantizer(Arc::new(Rtn { bits: BITS, group, symmetric }))),
        _ => None,
    }
}

/// The method of so many bits.
fn method(bits: u32) -> &'static Method {
    match bits {
        2 => &W2_RTN,
        3 => &W3_RTN,
        8 => &W8_RTN,
        _ => &W4_RTN,
    }
}

/// Group sizes that `auto` chooses from, the usual one first.
pub(super) const GROUPS: &[usize] = &[128, 64, 32, 16];
const SMALLEST_SCALE: f32 = 1e-5;

/// Round-to-nearest quantization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rtn {
    /// Bits of a code: 2, 3, 4 or 8.
    pub bits: u32,
    /// Inputs that share a scale.
    pub group: Group,
    /// No zero points: the middle code stands for zero, 8 of 16.
    pub symmetric: bool,
}

/// [`Rtn`] with a group size that divides the input width of every layer it is meant for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FittedRtn {
    /// Bits of a code: 2, 3, 4 or 8.
    pub bits: u32,
    /// Inputs that share a scale.
    pub group: usize,
    /// No zero points: the middle code stands for zero, 8 of 16.
    pub symmetric: bool,
}

impl FittedRtn {
    /// The codes of `weight [out, in]`, whose width the group size must divide.
    pub fn codes(&self, weight: &HostMatrix) -> GroupedCodes {
        let last = last(self.bits);
        rounded(weight, self.group, self.bits, |values| if self.symmetric { symmetric(values, last) } else { asymmetric(values, last) })
    }
}

/// The last code of so many bits.
pub(super) fn last(bits: u32) -> f32 {
    ((1u32 << bits) - 1) as f32
}

/// `weight [out, in]` rounded to nearest in groups, whose scale and zero point `constants` finds.
pub(super) fn rounded(weight: &HostMatrix, group: usize, bits: u32, constants: impl Fn(&[f32]) -> (f32, f32)) -> GroupedCodes {
    let (groups, last) = (weight.data.len() / group, last(bits));
    let (mut codes, mut scales, mut zeros) = (vec![0; weight.data.len()], Vec::with_capacity(groups), Vec::with_capacity(groups));
    vectorized(|| {
        for (values, codes) in weight.data.chunks_exact(group).zip(codes.chunks_exact_mut(group)) {
            let (scale, zero) = constants(values);
            scales.push(scale);
            zeros.push(zero);
            for (into, &value) in codes.iter_mut().zip(values) {
                *into = code(value, scale, zero, last) as u8;
            }
        }
    });
    GroupedCodes { out: weight.rows, input: weight.cols, group, book: book(bits), codes, scales, shift: Shift::Zeros(zeros) }
}

/// The code of a value, a whole number.
#[inline]
pub(super) fn code(value: f32, scale: f32, zero: f32, last: f32) -> f32 {
    ((value / scale).round_ties_even() + zero).clamp(0.0, last)
}

/// What codes of so many bits are kept as.
pub(super) fn book(bits: u32) -> Codebook {
    if bits <= 4 { Codebook::Int4 } else { Codebook::Int8 }
}

/// Scale and zero point of a group whose codes run from its minimum to its maximum. The range includes zero (as in GPTQ
/// and compressed-tensors): otherwise the clamped zero point would cut off a group of one sign.
fn asymmetric(values: &[f32], last: f32) -> (f32, f32) {
    let (min, max) = range(values);
    let scale = stored((max - min) / last);
    (scale, (-min / scale).round_ties_even().clamp(0.0, last))
}

/// Scale of a group whose codes are centred on the middle one.
fn symmetric(values: &[f32], last: f32) -> (f32, f32) {
    (stored(largest(values) / (last / 2.0)), (last / 2.0).ceil())
}

/// A scale as the packed weight will hold it.
pub(super) fn stored(scale: f32) -> f32 {
    f16::from_f32(scale.max(SMALLEST_SCALE)).to_f32()
}

impl Quantizer for Rtn {
    fn name(&self) -> String {
        method(self.bits).spell(&[Value::Group(self.group), Value::Flag(self.symmetric)])
    }

    fn fit(&self, linears: &[LinearShape]) -> Result<Box<dyn Fitted>, AccelError> {
        Ok(Box::new(FittedRtn { bits: self.bits, group: settle(self.group, GROUPS, linears)?, symmetric: self.symmetric }))
    }
}

impl Fitted for FittedRtn {
    fn method(&self) -> String {
        Rtn { bits: self.bits, group: Group::Size(self.group), symmetric: self.symmetric }.name()
    }

    fn packed_bytes(&self, linear: &LinearShape) -> u64 {
        GroupedWeight::bytes_of([linear.out, linear.input], self.group, book(self.bits), Constants::Halves) as u64
    }

    fn pack(&self, linear: &str, weight: &HostMatrix, _: Option<&Inputs>) -> Result<PackedLinear, AccelError> {
        packed(linear, GroupedWeight::new(&self.codes(weight)))
    }
}
