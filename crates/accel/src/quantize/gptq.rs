//! GPTQ: 4-bit and 3-bit weights, each column's rounding made up for by those behind it (Frantar et al., ICLR 2023, arXiv 2210.17323), as AutoGPTQ 0.7.1 has it
//! (`auto_gptq/quantization/gptq.py` and `quantizer.py`).
//!
//! `H = X^T X` over calibration inputs; inputs that were never anything get `H_ii = 1` and the weight 0; `H += damp * mean(diag H)`; `U` is the upper
//! Cholesky factor of `H^-1`. Column by column, in blocks of 128: round, divide the error by `U_ii`, subtract it times `U_ij` from the columns behind
//! within the block, and from those behind the block when it is done. A group's scale is found when its first column comes up, from the weights as
//! they were when the block began, as published. With `act` the columns with the largest `H_ii` come first, and groups are those of neighbours, found
//! beforehand (`static_groups`; llm-compressor's `actorder: static`), because the packed layout has groups of neighbours.
//!
//! One difference: codes are chosen with the scale as it is stored, in f16. Sums are `f64`. Codes of three bits are kept in four.

use std::sync::Arc;

use half::f16;
use rayon::prelude::*;
use steady_kernels::{Codebook, Constants, GroupedCodes, GroupedWeight, PackedLinear, Shift};
use steady_methods::{Group, Value, W3_GPTQ, W4_GPTQ};
use steady_vlm::HostMatrix;

use super::layers::{packed, settle};
use super::rtn::{GROUPS, last};
use super::{AccelError, Calibration, Fitted, LinearShape, Quantizer};
use crate::Inputs;
use crate::implementation::{Built, Implementation};

pub(crate) const W4: Implementation = Implementation { method: &W4_GPTQ, build: build::<4> };
pub(crate) const W3: Implementation = Implementation { method: &W3_GPTQ, build: build::<3> };

fn build<const BITS: u32>(values: &[Value]) -> Option<Built> {
    match *values {
        [Value::Group(group), Value::Flag(asymmetric), Value::Flag(ordered), Value::Positive(damp), Value::Samples(samples)] => {
            Some(Built::Quantizer(Arc::new(Gptq { bits: BITS, group, asymmetric, ordered, damp, samples })))
        }
        _ => None,
    }
}

/// Columns whose errors reach the columns behind them together.
const BLOCK: usize = 128;

/// GPTQ as asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gptq {
    /// Bits of a code: 3 or 4.
    pub bits: u32,
    /// Inputs that share a scale.
    pub group: Group,
    /// A zero point per group; without it the middle code stands for zero, 8 of 16.
    pub asymmetric: bool,
    /// The inputs that are largest come first.
    pub ordered: bool,
    /// Share of the mean of `H`'s diagonal that is added to it.
    pub damp: f32,
    /// Prompts to calibrate with.
    pub samples: usize,
}

/// [`Gptq`] with a group size that divides the input width of every layer it is meant for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FittedGptq {
    /// Inputs that share a scale.
    pub group: usize,
    /// The rest as asked for.
    pub asked: Gptq,
}

impl Quantizer for Gptq {
    fn name(&self) -> String {
        spelt(self.group, *self)
    }

    fn fit(&self, linears: &[LinearShape]) -> Result<Box<dyn Fitted>, AccelError> {
        Ok(Box::new(FittedGptq { group: settle(self.group, GROUPS, linears)?, asked: *self }))
    }
}

fn spelt(group: Group, asked: Gptq) -> String {
    let method = if asked.bits == 3 { &W3_GPTQ } else { &W4_GPTQ };
    method.spell(&[
        Value::Group(group),
        Value::Flag(asked.asymmetric),
        Value::Flag(asked.ordered),
        Value::Positive(asked.damp),
        Value::Samples(asked.samples),
    ])
}

impl Fitted for FittedGptq {
    fn method(&self) -> String {
        spelt(Group::Size(self.group), self.asked)
    }

    fn calibration(&self) -> Calibration {
        Calibration::Inputs { samples: self.asked.samples }
    }

    fn packed_bytes(&self, linear: &LinearShape) -> u64 {
        GroupedWeight::bytes_of([linear.out, linear.input], self.group, Codebook::Int4, Constants::Halves) as u64
    }

    fn pack(&self, linear: &str, weight: &HostMatrix, seen: Option<&Inputs>) -> Result<PackedLinear, AccelError> {
        let uncalibrated = || AccelError::Uncalibrated { method: self.method(), samples: self.asked.samples };
        let codes = self.codes(weight, seen.ok_or_else(uncalibrated)?);
        let codes = codes.ok_or_else(|| AccelError::Calibration {
            problem: format!("{linear}: its inputs leave H with no Cholesky factor; more prompts or a larger damp help"),
        })?;
        packed(linear, GroupedWeight::new(&codes))
    }
}

impl FittedGptq {
    /// The codes of `weight [out, in]`, whose width the group size must divide, for inputs like those `seen`; `None` where they leave `H` singular.
    pub fn codes(&self, weight: &HostMatrix, seen: &Inputs) -> Option<GroupedCodes> {
        let (out, input, group) = (weight.rows, weight.cols, self.group);
        let dead: Vec<bool> = (0..input).map(|i| seen.sums[i * input + i] == 0.0).collect();
        let mut order: Vec<usize> = (0..input).collect();
        let diagonal = |i: usize| if dead[i] { 1.0 } else { seen.sums[i * input + i] };
        if self.asked.ordered {
            // Ties go to the lower index.
            order.sort_by(|&a, &b| diagonal(b).total_cmp(&diagonal(a)));
        }
        let mean = (0..input).map(diagonal).sum::<f64>() / input as f64;
        let mut h = vec![0.0; input * input];
        for (i, &from) in order.iter().enumerate() {
            for (j, &to) in order.iter().enumerate() {
                h[i * input + j] =
                    if from == to { diagonal(from) + f64::from(self.asked.damp) * mean } else { seen.sums[from * input + to] };
            }
        }
        let u = inverse_factor(h, input)?;

        let rows: Vec<Row> = weight
            .data
            .par_chunks_exact(input)
            .map(|row| {
                let weights = order.iter().map(|&at| if dead[at] { 0.0 } else { f64::from(row[at]) }).collect();
                self.row(weights, &order, &u)
            })
            .collect();
        let (mut codes, mut scales, mut zeros) = (Vec::new(), Vec::new(), Vec::new());
        for row in rows {
            codes.extend(row.codes);
            for (scale, zero) in row.grids {
                scales.push(scale);
                zeros.push(zero);
            }
        }
        Some(GroupedCodes { out, input, group, book: Codebook::Int4, codes, scales, shift: Shift::Zeros(zeros) })
    }

    /// One output's weights, whose columns are in the order in which they are rounded.
    fn row(&self, mut weights: Vec<f64>, order: &[usize], u: &[f64]) -> Row {
        let (input, group) = (order.len(), self.group);
        let mut row = Row { codes: vec![0; input], grids: vec![(0.0, 0.0); input / group] };
        if self.asked.ordered {
            let mut in_place = vec![0.0; input];
            for (at, &column) in order.iter().enumerate() {
                in_place[column] = weights[at];
            }
            row.grids = in_place.chunks_exact(group).map(|values| self.grid(values)).collect();
        }
        for start in (0..input).step_by(BLOCK) {
            let end = input.min(start + BLOCK);
            // Within the block errors are made up for in a copy: a group's scale is found in what was there before.
            let mut block = weights[start..end].to_vec();
            let mut errors = vec![0.0; end - start];
            for at in start..end {
                let column = order[at];
                if !self.asked.ordered && column.is_multiple_of(group) {
                    row.grids[column / group] = self.grid(&weights[at..at + group]);
                }
                let (scale, zero) = row.grids[column / group];
                let value = block[at - start];
                let code = ((value / f64::from(scale)).round_ties_even() + f64::from(zero)).clamp(0.0, self.last());
                row.codes[column] = code as u8;
                let error = (value - (code - f64::from(zero)) * f64::from(scale)) / u[at * input + at];
                for behind in at..end {
                    block[behind - start] -= error * u[at * input + behind];
                }
                errors[at - start] = error;
            }
            for (at, error) in (start..end).zip(errors) {
                for behind in end..input {
                    weights[behind] -= error * u[at * input + behind];
                }
            }
        }
        row
    }

    /// The last code.
    fn last(&self) -> f64 {
        f64::from(last(self.asked.bits))
    }

    /// Scale and zero point of a group, over a range that includes zero.
    fn grid(&self, values: &[f64]) -> (f32, f32) {
        let (mut low, mut high) = values.iter().fold((0.0_f64, 0.0_f64), |(low, high), &value| (low.min(value), high.max(value)));
        if !self.asked.asymmetric {
            high = high.max(-low);
            if low < 0.0 {
                low = -high;
            }
        }
        if low == 0.0 && high == 0.0 {
            (low, high) = (-1.0, 1.0);
        }
        let scale = f16::from_f64((high - low) / self.last()).to_f32();
        // A range too small for f16 is nothing.
        let scale = if scale > 0.0 { scale } else { f16::MIN_POSITIVE_SUBNORMAL.to_f32() };
        let zero = if self.asked.asymmetric {
            (-low / f64::from(scale)).round_ties_even().clamp(0.0, self.last())
        } else {
            (self.last() / 2.0).ceil()
        };
        (scale, zero as f32)
    }
}

/// One output as it is stored.
struct Row {
    codes: Vec<u8>,
    /// Scale and zero point of each group.
    grids: Vec<(f32, f32)>,
}

/// The upper triangular `U` with `U^T U = H^-1`, row-major; `None` where `h [n, n]` is not positive definite.
fn inverse_factor(h: Vec<f64>, n: usize) -> Option<Vec<f64>> {
    let l = lower_factor(h, n)?;
    // H^-1 = L^-T L^-1.
    let mut inverse = vec![0.0; n * n];
    for column in 0..n {
        inverse[column * n + column] = 1.0 / l[column * n + column];
        for row in column + 1..n {
            let sum: f64 = (column..row).map(|k| l[row * n + k] * inverse[k * n + column]).sum();
            inverse[row * n + column] = -sum / l[row * n + row];
        }
    }
    let mut product = vec![0.0; n * n];
    product.par_chunks_mut(n).enumerate().for_each(|(i, products)| {
        for (j, product) in products.iter_mut().enumerate() {
            *product = (i.max(j)..n).map(|k| inverse[k * n + i] * inverse[k * n + j]).sum();
        }
    });
    let lower = lower_factor(product, n)?;
    let mut upper = vec![0.0; n * n];
    for i in 0..n {
        for j in 0..=i {
            upper[j * n + i] = lower[i * n + j];
        }
    }
    Some(upper)
}

/// Cholesky: the lower triangular `L` with `L L^T = a`; `None` where `a` is not positive definite.
fn lower_factor(mut a: Vec<f64>, n: usize) -> Option<Vec<f64>> {
    for j in 0..n {
        let (above, below) = a.split_at_mut((j + 1) * n);
        let row = &mut above[j * n..];
        let pivot = row[j] - row[..j].iter().map(|value| value * value).sum::<f64>();
        if !(pivot > 0.0 && pivot.is_finite()) {
            return None;
        }
        row[j] = pivot.sqrt();
        let row = &*row;
        below.par_chunks_mut(n).for_each(|other| {
            let sum: f64 = other[..j].iter().zip(&row[..j]).map(|(a, b)| a * b).sum();
            other[j] = (other[j] - sum) / row[j];
        });
        above[j * n + j + 1..].fill(0.0);
    }
    Some(a)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On paper: `H^-1` of [[4, 2], [2, 3]] is [[3, -2], [-2, 4]] / 8.
    #[test]
    fn a_factor_of_the_inverse() {
        let u = inverse_factor(vec![4.0, 2.0, 2.0, 3.0], 2).unwrap();
        let [a, b, zero, c] = u[..] else { panic!("{u:?}") };
        assert_eq!(zero.to_bits(), 0.0_f64.to_bits());
        let product = [a * a, a * b, b * b + c * c];
        for (found, expected) in product.into_iter().zip([3.0 / 8.0, -2.0 / 8.0, 4.0 / 8.0]) {
            assert!((found - expected).abs() < 1e-12, "{product:?}");
        }
        assert_eq!(inverse_factor(vec![1.0, 2.0, 2.0, 1.0], 2), None, "not positive definite");
    }

    fn fitted(bits: u32, group: usize, asymmetric: bool, ordered: bool) -> FittedGptq {
        FittedGptq { group, asked: Gptq { bits, group: Group::Size(group), asymmetric, ordered, damp: 0.01, samples: 1 } }
    }

    /// Inputs that have nothing to do with each other leave nothing to make up for.
    #[test]
    fn with_independent_inputs_it_is_rounding_to_nearest() {
        let weight = HostMatrix { rows: 3, cols: 16, data: (0..48).map(|at| ((at * 37 % 23) as f32 - 11.0) / 7.0).collect() };
        let mut seen = Inputs::new(16);
        for i in 0..16 {
            seen.sums[i * 16 + i] = 1.0 + i as f64;
        }
        for (bits, symmetric) in [(4, true), (4, false), (3, true), (3, false)] {
            let rtn = crate::FittedRtn { bits, group: 8, symmetric }.codes(&weight);
            for ordered in [false, true] {
                let gptq = fitted(bits, 8, !symmetric, ordered).codes(&weight, &seen).unwrap();
                assert_eq!(gptq.codes, rtn.codes, "{bits} bits, symmetric {symmetric}, ordered {ordered}");
                assert_eq!((gptq.scales, gptq.shift), (rtn.scales.clone(), rtn.shift.clone()));
            }
        }
    }

    /// An input that was never anything has the weight 0.
    #[test]
    fn dead_inputs_are_left_out() {
        let weight = HostMatrix { rows: 1, cols: 8, data: vec![9.0, 1.0, -1.0, 0.5, 0.25, 0.75, -0.5, 1.0] };
        let mut seen = Inputs::new(8);
        let rows: Vec<f32> = (0..10 * 8).map(|at| if at % 8 == 0 { 0.0 } else { ((at * 29 % 13) as f32 - 6.0) / 6.0 }).collect();
        seen.add(&rows);
        let codes = fitted(4, 8, false, false).codes(&weight, &seen).unwrap();
        assert_eq!((codes.codes[0], codes.shift), (8, Shift::Zeros(vec![8.0])));
        assert!(codes.scales[0] < 0.5, "{:?}", codes.scales);
    }
}
