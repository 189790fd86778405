//! AWQ: weights rounded to nearest after their columns were scaled by what goes into them, and their groups clipped (Lin et al., MLSys 2024, arXiv
//! 2306.00978), as AutoAWQ 0.2.9 has it (`awq/quantize/quantizer.py`).
//!
//! *Scales.* Of layers that are given the same, `x` is the mean magnitude of each input and `w` the mean of each column's magnitudes as shares of the
//! largest of their group. For `r` in 0, 1/20 .. 19/20 the columns are multiplied with `s = x^r / (w^(1-r) + 1e-4)`, at least 1e-4, divided by
//! `sqrt(max(s) min(s))`. The `s` is taken whose rounding changes least: behind the attention for queries, keys and values, behind the MLP for gate and
//! up, and behind the layer itself for the output projection, which has one only where values and output are of one shape, and for down. Of a vision tower and a
//! projector, which the authors leave in float, behind the layers themselves.
//!
//! *Clipping.* Then, but for queries and keys, and towers' layers that make all three, each group's weights are cut at its largest magnitude times 1, 0.95 .. 0.55: the first of these whose
//! rounding changes least what the group makes of its inputs.
//!
//! *Rounding* is asymmetric, over the range of the group, which need not include zero.
//!
//! All of it goes by the model in float. What is left of the authors' code: the clip search goes by all tokens, where theirs takes every n-th of more than
//! 1023, and codes are chosen with the scale as it is stored, in f16.

use std::sync::Arc;

use steady_kernels::{Constants, GroupedCodes, GroupedWeight, PackedLinear};
use steady_methods::{Group, Method, Value, W3_AWQ, W4_AWQ};
use steady_vlm::HostMatrix;

use super::layers::{DECODER, largest, packed, settle};
use super::rtn::{GROUPS, book, code, last, rounded, stored};
use super::{AccelError, Calibration, Fitted, LinearShape, Quantizer, Together};
use crate::Inputs;
use crate::implementation::{Built, Implementation};
use crate::role::Role;

pub(crate) const W3: Implementation = Implementation { method: &W3_AWQ, build: build::<3> };
pub(crate) const W4: Implementation = Implementation { method: &W4_AWQ, build: build::<4> };

fn build<const BITS: u32>(values: &[Value]) -> Option<Built> {
    match *values {
        [Value::Group(group), Value::Samples(samples)] => Some(Built::Quantizer(Arc::new(Awq { bits: BITS, group, samples }))),
        _ => None,
    }
}

/// Shares of the activations that are tried, and steps between all of a group's range and none.
const GRID: usize = 20;
/// Ranges that are tried: down to more than half.
const CLIPS: usize = GRID / 2;
/// What the range of a group is at least.
const NARROWEST: f32 = 1e-5;

/// AWQ as asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Awq {
    /// Bits of a code: 3 or 4.
    pub bits: u32,
    /// Inputs that share a scale.
    pub group: Group,
    /// Prompts to calibrate with.
    pub samples: usize,
}

/// [`Awq`] with a group size that divides the input width of every layer it is meant for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FittedAwq {
    /// Inputs that share a scale.
    pub group: usize,
    /// Whether the output projection has factors: values and output are of one shape.
    pub output: bool,
    /// The rest as asked for.
    pub asked: Awq,
}

impl Awq {
    fn spelt(self, group: Group) -> String {
        let method: &Method = if self.bits == 3 { &W3_AWQ } else { &W4_AWQ };
        method.spell(&[Value::Group(group), Value::Samples(self.samples)])
    }
}

impl Quantizer for Awq {
    fn name(&self) -> String {
        self.spelt(self.group)
    }

    fn fit(&self, linears: &[LinearShape]) -> Result<Box<dyn Fitted>, AccelError> {
        let of_decoder = |part: &str| linears.iter().find(|linear| linear.name.starts_with(DECODER) && linear.name.ends_with(part));
        let shape = |part: &str| of_decoder(part).map(|linear| (linear.out, linear.input));
        let output = shape("v_proj").is_some_and(|values| shape("o_proj") == Some(values));
        Ok(Box::new(FittedAwq { group: settle(self.group, GROUPS, linears)?, output, asked: *self }))
    }
}

impl FittedAwq {
    /// The factors that are tried, `GRID` of them.
    pub fn candidates(&self, weights: &[HostMatrix], seen: &Inputs) -> Vec<Vec<f32>> {
        let rows: usize = weights.iter().map(|weight| weight.rows).sum();
        let mut shares = vec![0.0; seen.input];
        for row in weights.iter().flat_map(HostMatrix::iter_rows) {
            for (shares, group) in shares.chunks_mut(self.group).zip(row.chunks(self.group)) {
                let most = largest(group) + 1e-6;
                for (share, value) in shares.iter_mut().zip(group) {
                    *share += f64::from(value.abs() / most);
                }
            }
        }
        let columns: Vec<f32> = shares.iter().map(|share| (share / rows.max(1) as f64) as f32).collect();
        let inputs: Vec<f32> = seen.magnitudes.iter().map(|sum| (sum / seen.rows.max(1) as f64) as f32).collect();
        let candidate = |at: usize| {
            let ratio = at as f32 / GRID as f32;
            let of = |(input, column): (&f32, &f32)| (input.powf(ratio) / (column.powf(1.0 - ratio) + 1e-4)).max(1e-4);
            let factors: Vec<f32> = inputs.iter().zip(&columns).map(of).collect();
            let ends = factors.iter().fold((0.0f32, f32::INFINITY), |(most, least), &factor| (most.max(factor), least.min(factor)));
            let middle = (ends.0 * ends.1).sqrt();
            factors.iter().map(|factor| Some(factor / middle).filter(|factor| factor.is_finite()).unwrap_or(1.0)).collect()
        };
        (0..GRID).map(candidate).collect()
    }

    /// The codes of `weight [out, in]`, whose width the group size must divide, for inputs like those `seen`: its groups are clipped, if there are any.
    pub fn codes(&self, weight: &HostMatrix, seen: Option<&Inputs>) -> GroupedCodes {
        let constants = |values: &[f32]| asymmetric(values, last(self.asked.bits));
        let Some(seen) = seen else { return rounded(weight, self.group, self.asked.bits, constants) };
        let groups = weight.data.chunks_exact(self.group).enumerate();
        let clipped = groups.flat_map(|(at, values)| self.clipped(values, at * self.group % weight.cols, seen)).collect();
        rounded(&HostMatrix::new(weight.rows, weight.cols, clipped), self.group, self.asked.bits, constants)
    }

    /// A group's weights, for the inputs from `first` on, cut where rounding then changes least.
    fn clipped(&self, values: &[f32], first: usize, seen: &Inputs) -> Vec<f32> {
        let (most, last) = (largest(values), last(self.asked.bits));
        let cut = |at: usize| {
            let bound = most * (1.0 - at as f32 / GRID as f32);
            values.iter().map(|value| value.clamp(-bound, bound)).collect::<Vec<_>>()
        };
        let (mut best, mut least) = (0, f64::INFINITY);
        for at in 0..CLIPS {
            let cut = cut(at);
            let (scale, zero) = asymmetric(&cut, last);
            let off = |(value, cut): (&f32, &f32)| (code(*cut, scale, zero, last) - zero) * scale - value;
            let error = seen.squared(&values.iter().zip(&cut).map(off).collect::<Vec<_>>(), first);
            if error < least {
                (best, least) = (at, error);
            }
        }
        cut(best)
    }
}

/// Scale and zero point of a group whose codes run from its minimum to its maximum.
fn asymmetric(values: &[f32], last: f32) -> (f32, f32) {
    let ends = values.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(min, max), &value| (min.min(value), max.max(value)));
    let scale = stored((ends.1 - ends.0).max(NARROWEST) / last);
    (scale, (-(ends.0 / scale).round_ties_even()).clamp(0.0, last))
}

impl Fitted for FittedAwq {
    fn method(&self) -> String {
        self.asked.spelt(Group::Size(self.group))
    }

    fn calibration(&self) -> Calibration {
        Calibration::InFloat { samples: self.asked.samples }
    }

    fn packed_bytes(&self, linear: &LinearShape) -> u64 {
        let factors = if self.output || !linear.name.ends_with("o_proj") { size_of::<f32>() * linear.input } else { 0 };
        self.stored_bytes(linear) + factors as u64
    }

    fn stored_bytes(&self, linear: &LinearShape) -> u64 {
        GroupedWeight::bytes_of([linear.out, linear.input], self.group, book(self.asked.bits), Constants::Halves) as u64
    }

    fn factors(&self, together: &Together<'_>) -> Vec<Vec<f32>> {
        if !self.output && together.names.iter().any(|name| name.ends_with("o_proj")) {
            return Vec::new();
        }
        self.candidates(together.weights, together.seen)
    }

    fn pack(&self, linear: &str, weight: &HostMatrix, seen: Option<&Inputs>) -> Result<PackedLinear, AccelError> {
        // What queries and keys make of each other is no sum over groups.
        let clipped = Role::of(linear) != Role::Looks || linear.ends_with("v_proj");
        packed(linear, GroupedWeight::new(&self.codes(weight, seen.filter(|_| clipped))))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use half::f16;
    use safetensors::{Dtype, SafeTensors};
    use steady_kernels::Shift;

    use super::*;

    fn numbers(file: &SafeTensors<'_>, name: &str) -> (Vec<f32>, usize) {
        let tensor = file.tensor(name).unwrap();
        let data = tensor.data();
        let values = match tensor.dtype() {
            Dtype::F16 => data.chunks_exact(2).map(|bytes| f16::from_le_bytes(bytes.try_into().unwrap()).to_f32()).collect(),
            Dtype::F32 => data.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect(),
            Dtype::U8 => data.iter().map(|&byte| f32::from(byte)).collect(),
            other => panic!("{other:?}"),
        };
        (values, tensor.shape()[1])
    }

    /// AutoAWQ's own code, by `tests/reference/awq_cases.py`.
    #[test]
    fn factors_and_codes_are_those_of_autoawq() {
        let bytes = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/awq.safetensors")).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let ((data, cols), (inputs, _)) = (numbers(&file, "weight"), numbers(&file, "inputs"));
        let weight = HostMatrix { rows: data.len() / cols, cols, data };
        let mut seen = Inputs::new(cols);
        seen.add(&inputs);
        for bits in [4, 3] {
            let fitted = FittedAwq { group: 32, output: true, asked: Awq { bits, group: Group::Size(32), samples: 1 } };
            let candidates = fitted.candidates(std::slice::from_ref(&weight), &seen);
            let errors = crate::factors::errors_of_one(&fitted, "down_proj", &weight, &seen, &candidates).unwrap();
            let factors = &candidates[crate::factors::first_least(&errors)];
            let (expected, _) = numbers(&file, &format!("{bits}.factors"));
            let off = factors.iter().zip(&expected).map(|(a, b)| (a / b - 1.0).abs()).fold(0.0, f32::max);
            assert!(off < 1e-6, "{bits} bits: {off}");
            // From here on with the authors' factors, so that their last digit has no part in codes.
            let packed = crate::factors::packed(&fitted, "down_proj", &weight, Some(&seen), Some(&expected)).unwrap();
            let steady_kernels::Codes::Grouped(found) = packed.codes() else { panic!("{packed:?}") };
            assert_eq!(found.scales, numbers(&file, &format!("{bits}.scales")).0, "{bits} bits");
            assert_eq!(found.shift, Shift::Zeros(numbers(&file, &format!("{bits}.zeros")).0), "{bits} bits");
            let codes: Vec<f32> = found.codes.iter().map(|&code| f32::from(code)).collect();
            assert_eq!(codes, numbers(&file, &format!("{bits}.codes")).0, "{bits} bits");
        }
    }
}
