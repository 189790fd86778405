//! HQQ, half-quadratic quantization: 4-bit weights whose zero points are fitted to the weights, without data (Badri and Shaji, 2023,
//! <https://mobiusml.github.io/hqq_blog/>), as hqq 0.2.8 has it (`hqq/core/quantize.py`, and `optimize_weights_proximal_legacy` in `optimize.py`).
//!
//! A group's scale is that of its range and stays; of its zero point `z` the starting value is `-min/s`. In each round codes are rounded, the error
//! `e = w - (q - z)·s` is shrunk, `e' = sign(e)·max(|e| - |e|^(p-1)/β, 0)` with `p` = 0.7, which leaves the large ones, and `z` becomes the group's mean of
//! `q - (w - e')/s`. `β` begins at 10 and grows by 1 % a round. It ends after 20 rounds, or when the mean error of the matrix does not fall any more.
//!
//! Groups run along the inputs (`axis=1` there). Zero points are no whole numbers. Scales and zero points are kept in f16, as on GPUs there.

use std::sync::Arc;

use steady_kernels::{Codebook, Constants, GroupedCodes, GroupedWeight, PackedLinear, Shift};
use steady_methods::{Group, Value, W4_HQQ};
use steady_vlm::HostMatrix;

use super::layers::{packed, settle};
use super::{AccelError, Fitted, LinearShape, Quantizer};
use crate::Inputs;
use crate::implementation::{Built, Implementation};

pub(crate) const IMPLEMENTATION: Implementation = Implementation {
    method: &W4_HQQ,
    build: |values| match *values {
        [Value::Group(group)] => Some(Built::Quantizer(Arc::new(Hqq { group }))),
        _ => None,
    },
};

/// Group sizes that `auto` chooses from, hqq's own first.
const GROUPS: &[usize] = &[64, 32, 16];
const ROUNDS: usize = 20;
const NORM: f32 = 0.7;
const LAST: f32 = 15.0;
/// What the inverse of a scale is at most.
const STEEPEST: f32 = 2e4;
/// A group whose range is no wider has the scale 1.
const FLAT: f32 = 1e-4;

/// HQQ, 4 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hqq {
    /// Inputs that share a scale.
    pub group: Group,
}

/// [`Hqq`] with a group size that divides the input width of every layer it is meant for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FittedHqq {
    /// Inputs that share a scale.
    pub group: usize,
}

impl FittedHqq {
    /// The codes of `weight [out, in]`, whose width the group size must divide.
    pub fn codes(&self, weight: &HostMatrix) -> GroupedCodes {
        let groups = || weight.data.chunks_exact(self.group);
        // Inverses of scales, as there.
        let steep: Vec<f32> = groups().map(steepness).collect();
        let mut zeros: Vec<f32> = groups().zip(&steep).map(|(values, steep)| -least(values) * steep).collect();
        let (mut beta, mut best) = (10.0, f32::INFINITY);
        for _ in 0..ROUNDS {
            let mut error = 0.0;
            for ((values, &steep), zero) in groups().zip(&steep).zip(&mut zeros) {
                let mut sum = 0.0;
                for &value in values {
                    let code = code(value, steep, *zero);
                    let off = value - (code - *zero) / steep;
                    error += f64::from(off.abs());
                    sum += code - (value - shrunk(off, beta)) * steep;
                }
                *zero = sum / self.group as f32;
            }
            beta *= 1.01;
            // The zero points of the round that is no better stay.
            let mean = (error / weight.data.len().max(1) as f64) as f32;
            if mean >= best {
                break;
            }
            best = mean;
        }
        let of_groups = groups().zip(steep.iter().zip(&zeros));
        let codes = of_groups.flat_map(|(values, (&steep, &zero))| values.iter().map(move |&value| code(value, steep, zero) as u8));
        let (codes, scales) = (codes.collect(), steep.iter().map(|steep| 1.0 / steep).collect());
        let (out, input) = (weight.rows, weight.cols);
        GroupedCodes { out, input, group: self.group, book: Codebook::Int4, codes, scales, shift: Shift::Zeros(zeros) }
    }
}

fn least(values: &[f32]) -> f32 {
    values.iter().copied().fold(f32::INFINITY, f32::min)
}

fn steepness(values: &[f32]) -> f32 {
    let range = values.iter().copied().fold(f32::NEG_INFINITY, f32::max) - least(values);
    // PyTorch divides a number by a tensor in two steps.
    if range <= FLAT { 1.0 } else { (range.recip() * LAST).min(STEEPEST) }
}

fn code(value: f32, steep: f32, zero: f32) -> f32 {
    (value * steep + zero).round_ties_even().clamp(0.0, LAST)
}

fn shrunk(error: f32, beta: f32) -> f32 {
    let size = error.abs();
    (size - size.powf(NORM - 1.0) / beta).max(0.0).copysign(error)
}

impl Quantizer for Hqq {
    fn name(&self) -> String {
        W4_HQQ.spell(&[Value::Group(self.group)])
    }

    fn fit(&self, linears: &[LinearShape]) -> Result<Box<dyn Fitted>, AccelError> {
        Ok(Box::new(FittedHqq { group: settle(self.group, GROUPS, linears)? }))
    }
}

impl Fitted for FittedHqq {
    fn method(&self) -> String {
        Hqq { group: Group::Size(self.group) }.name()
    }

    fn packed_bytes(&self, linear: &LinearShape) -> u64 {
        GroupedWeight::bytes_of([linear.out, linear.input], self.group, Codebook::Int4, Constants::Halves) as u64
    }

    fn pack(&self, linear: &str, weight: &HostMatrix, _: Option<&Inputs>) -> Result<PackedLinear, AccelError> {
        packed(linear, GroupedWeight::new(&self.codes(weight)))
    }
}
