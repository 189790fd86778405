//! NF4: four bits, whose sixteen numbers are quantiles of the normal distribution, and the largest magnitude of each block (QLoRA: Dettmers et al.,
//! NeurIPS 2023, arXiv 2305.14314), as bitsandbytes has it (`functional.py`, `quantize_4bit`).
//!
//! A block is divided by its largest magnitude, and each weight becomes the nearest of the sixteen numbers. Blocks are 64 inputs, as there, where that
//! divides every width. Maxima are kept in f32 (bitsandbytes' default; `bnb_4bit_use_double_quant` quantizes them once more).

use std::sync::Arc;

use steady_kernels::{Codebook, Constants, GroupedCodes, GroupedWeight, PackedLinear, Shift};
use steady_methods::{Group, NF4, Value};
use steady_vlm::HostMatrix;

use super::layers::{largest, packed, settle};
use super::{AccelError, Fitted, LinearShape, Quantizer};
use crate::Inputs;
use crate::implementation::{Built, Implementation};

pub(crate) const IMPLEMENTATION: Implementation = Implementation {
    method: &NF4,
    build: |values| match *values {
        [Value::Group(group)] => Some(Built::Quantizer(Arc::new(Nf4 { group }))),
        _ => None,
    },
};

/// Block sizes that `auto` chooses from, bitsandbytes' own first.
const BLOCKS: &[usize] = &[64, 32, 16];

/// NF4 quantization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nf4 {
    /// Inputs of a block.
    pub group: Group,
}

/// [`Nf4`] with blocks that divide the input width of every layer it is meant for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FittedNf4 {
    /// Inputs of a block.
    pub group: usize,
}

impl FittedNf4 {
    /// The codes of `weight [out, in]`, whose width the blocks must divide.
    pub fn codes(&self, weight: &HostMatrix) -> GroupedCodes {
        let book = Codebook::Nf4;
        let table = book.table().unwrap_or_default();
        let (mut codes, mut scales) = (Vec::with_capacity(weight.data.len()), Vec::new());
        for block in weight.data.chunks_exact(self.group) {
            let most = largest(block);
            // A block of zeros has the code of zero, and no scale.
            let inverse = if most > 0.0 { 1.0 / most } else { 0.0 };
            codes.extend(block.iter().map(|&value| nearest(table, value * inverse)));
            scales.push(most);
        }
        let (out, input) = (weight.rows, weight.cols);
        GroupedCodes { out, input, group: self.group, book, codes, scales, shift: Shift::Middle }
    }
}

/// Which number of an ascending table is nearest; the lower one of two.
fn nearest(table: &[f32], value: f32) -> u8 {
    let above = table.windows(2).filter(|pair| value > f32::midpoint(pair[0], pair[1])).count();
    above as u8
}

impl Quantizer for Nf4 {
    fn name(&self) -> String {
        NF4.spell(&[Value::Group(self.group)])
    }

    fn fit(&self, linears: &[LinearShape]) -> Result<Box<dyn Fitted>, AccelError> {
        Ok(Box::new(FittedNf4 { group: settle(self.group, BLOCKS, linears)? }))
    }
}

impl Fitted for FittedNf4 {
    fn method(&self) -> String {
        Nf4 { group: Group::Size(self.group) }.name()
    }

    fn packed_bytes(&self, linear: &LinearShape) -> u64 {
        GroupedWeight::bytes_of([linear.out, linear.input], self.group, Codebook::Nf4, Constants::Scale) as u64
    }

    fn pack(&self, linear: &str, weight: &HostMatrix, _: Option<&Inputs>) -> Result<PackedLinear, AccelError> {
        packed(linear, GroupedWeight::new(&self.codes(weight)))
    }
}
