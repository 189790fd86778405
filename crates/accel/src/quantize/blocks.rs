//! bitsandbytes' 4 bits: sixteen numbers, and the largest magnitude of each block (`functional.py`, `quantize_4bit`). NF4's numbers are quantiles of the
//! normal distribution (QLoRA: Dettmers et al., NeurIPS 2023, arXiv 2305.14314), FP4's are floats with two bits of exponent.
//!
//! A block is divided by its largest magnitude, and each weight becomes the nearest of the sixteen numbers. Blocks are 64 inputs, as there, where that
//! divides every width. Maxima are kept in f32, bitsandbytes' default, or are quantized once more (`bnb_4bit_use_double_quant`): their mean is taken
//! away, and in blocks of 256 they become the nearest of 256 numbers, which lie closer the smaller they are, times the largest of their block. Here the maxima that
//! this leaves are then held in f32; sizes are those of files.

use std::sync::Arc;

use steady_kernels::{Codebook, Constants, GroupedCodes, GroupedWeight, PackedLinear, Shift, vectorized};
use steady_methods::{FP4, Group, Method, NF4, Value};
use steady_vlm::HostMatrix;

use super::layers::{largest, packed, settle};
use super::{AccelError, Fitted, LinearShape, Quantizer};
use crate::Inputs;
use crate::implementation::{Built, Implementation};

pub(crate) const NF4_BLOCKS: Implementation = Implementation { method: &NF4, build: |values| build(Codebook::Nf4, values) };
pub(crate) const FP4_BLOCKS: Implementation = Implementation { method: &FP4, build: |values| build(Codebook::Fp4, values) };

fn build(book: Codebook, values: &[Value]) -> Option<Built> {
    match *values {
        [Value::Group(group), Value::Flag(double)] => Some(Built::Quantizer(Arc::new(Blocks { book, group, double }))),
        _ => None,
    }
}

/// Block sizes that `auto` chooses from, bitsandbytes' own first.
const BLOCKS: &[usize] = &[64, 32, 16];
/// Maxima that share a scale when they are quantized as well.
const NESTED: usize = 256;

/// bitsandbytes' 4 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocks {
    /// The sixteen numbers: NF4 or FP4.
    pub book: Codebook,
    /// Inputs of a block.
    pub group: Group,
    /// Maxima are quantized as well.
    pub double: bool,
}

/// [`Blocks`] that divide the input width of every layer that they are meant for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FittedBlocks {
    /// The sixteen numbers.
    pub book: Codebook,
    /// Inputs of a block.
    pub group: usize,
    /// Maxima are quantized as well.
    pub double: bool,
}

impl FittedBlocks {
    /// The codes of `weight [out, in]`, whose width the blocks must divide.
    pub fn codes(&self, weight: &HostMatrix) -> GroupedCodes {
        let table = Table::of(self.book.table().unwrap_or_default());
        let (mut codes, mut scales) = (vec![0; weight.data.len()], Vec::new());
        vectorized(|| {
            let bounds = table.bounds::<15>();
            for (block, codes) in weight.data.chunks_exact(self.group).zip(codes.chunks_exact_mut(self.group)) {
                let most = largest(block);
                // A block of zeros has the code of zero, and no scale.
                let inverse = if most > 0.0 { 1.0 / most } else { 0.0 };
                for (code, &value) in codes.iter_mut().zip(block) {
                    let value = value * inverse;
                    *code = bounds.iter().map(|&bound| u8::from(value > bound)).sum();
                }
                for code in codes {
                    *code = table.0[usize::from(*code)];
                }
                scales.push(most);
            }
        });
        if self.double {
            scales = doubled(&scales);
        }
        let (out, input) = (weight.rows, weight.cols);
        GroupedCodes { out, input, group: self.group, book: self.book, codes, scales, shift: Shift::Middle }
    }
}

/// Maxima, as they are left when they are quantized themselves.
fn doubled(maxima: &[f32]) -> Vec<f32> {
    let numbers = dynamic();
    let mean = (maxima.iter().map(|&value| f64::from(value)).sum::<f64>() / maxima.len().max(1) as f64) as f32;
    let mut left = Vec::with_capacity(maxima.len());
    for block in maxima.chunks(NESTED) {
        let off: Vec<f32> = block.iter().map(|value| value - mean).collect();
        let most = largest(&off);
        let inverse = if most > 0.0 { 1.0 / most } else { 0.0 };
        left.extend(off.iter().map(|value| numbers.1[numbers.place(value * inverse)] * most + mean));
    }
    left
}

/// bitsandbytes' `create_dynamic_map`: 0, 1, and of either sign `2^i` numbers between `10^(i-7)` and `10^(i-6)`, for `i` from 0 to 6.
fn dynamic() -> Table {
    let mut numbers = vec![0.0, 1.0];
    for i in 0..7 {
        let count = 1 << i;
        let edge = |at: usize| 0.1 + 0.9 * at as f64 / f64::from(count);
        let middles = (0..count as usize).map(|at| f64::midpoint(edge(at), edge(at + 1)) * 10f64.powi(i - 6));
        numbers.extend(middles.flat_map(|middle| [middle as f32, -middle as f32]));
    }
    Table::of(&numbers)
}

/// Codes by the numbers that they stand for, which ascend.
struct Table(Vec<u8>, Vec<f32>);

impl Table {
    fn of(numbers: &[f32]) -> Self {
        let mut codes: Vec<u8> = (0..numbers.len()).map(|code| code as u8).collect();
        // Of two codes for zero the first.
        codes.sort_by(|&a, &b| numbers[usize::from(a)].partial_cmp(&numbers[usize::from(b)]).unwrap_or(std::cmp::Ordering::Equal));
        codes.dedup_by(|a, b| numbers[usize::from(*a)].total_cmp(&numbers[usize::from(*b)]).is_eq());
        let ascending = codes.iter().map(|&code| numbers[usize::from(code)]).collect();
        Self(codes, ascending)
    }

    /// The place of the nearest number; the lower one of two.
    fn place(&self, value: f32) -> usize {
        self.1.windows(2).filter(|pair| value > f32::midpoint(pair[0], pair[1])).count()
    }

    /// What lies halfway between neighbours: as many of these as a value is above, so far up is its nearest number. Bounds that there are not are above
    /// everything.
    fn bounds<const N: usize>(&self) -> [f32; N] {
        std::array::from_fn(|at| self.1.get(at..at + 2).map_or(f32::INFINITY, |pair| f32::midpoint(pair[0], pair[1])))
    }
}

impl Blocks {
    fn spelt(self, group: Group) -> String {
        let method: &Method = if self.book == Codebook::Fp4 { &FP4 } else { &NF4 };
        method.spell(&[Value::Group(group), Value::Flag(self.double)])
    }
}

impl Quantizer for Blocks {
    fn name(&self) -> String {
        self.spelt(self.group)
    }

    fn fit(&self, linears: &[LinearShape]) -> Result<Box<dyn Fitted>, AccelError> {
        let Self { book, group, double } = *self;
        Ok(Box::new(FittedBlocks { book, group: settle(group, BLOCKS, linears)?, double }))
    }
}

impl Fitted for FittedBlocks {
    fn method(&self) -> String {
        let Self { book, group, double } = *self;
        Blocks { book, group: Group::Size(group), double }.spelt(Group::Size(group))
    }

    fn packed_bytes(&self, linear: &LinearShape) -> u64 {
        GroupedWeight::bytes_of([linear.out, linear.input], self.group, self.book, Constants::Scale) as u64
    }

    fn stored_bytes(&self, linear: &LinearShape) -> u64 {
        let maxima = linear.out * linear.input / self.group;
        // A byte each, a float for each block of them, and their mean.
        let saved = if self.double { 4 * maxima - maxima - 4 * maxima.div_ceil(NESTED) } else { 0 };
        self.packed_bytes(linear) - saved.saturating_sub(4) as u64
    }

    fn pack(&self, linear: &str, weight: &HostMatrix, _: Option<&Inputs>) -> Result<PackedLinear, AccelError> {
        packed(linear, GroupedWeight::new(&self.codes(weight)))
    }
}
