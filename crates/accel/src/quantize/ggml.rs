//! ggml's two plain kinds of blocks, as llama.cpp's converters and `llama-quantize` make them: 32 inputs that share a scale, without zero points.
//!
//! `q8_0`: `s = max|w|/127`, `q = round(w/s)`, halves away from zero. `q4_0`: `s = w_m/−8`, where `w_m` is the first of the weights of the largest magnitude, so that
//! it becomes code 0 whatever its sign; `q = floor(w/s + 8.5)`, at most 15. Codes are chosen with the scale in f32, which is then stored in f16
//! (`quantize_row_q8_0_ref` and `quantize_row_q4_0_ref` in ggml's `ggml-quants.c`; `quants.py` of the package gguf).

use std::sync::Arc;

use half::f16;
use steady_kernels::{Codebook, Constants, GroupedCodes, GroupedWeight, PackedLinear, Shift};
use steady_methods::{Method, Q4_0, Q8_0, Value};
use steady_vlm::HostMatrix;

use super::layers::{largest, packed};
use super::{AccelError, Fitted, LinearShape, Quantizer};
use crate::Inputs;
use crate::implementation::{Built, Implementation};

pub(crate) const FOUR: Implementation = Implementation { method: &Q4_0, build: |values| built(Ggml::Q4_0, values) };
pub(crate) const EIGHT: Implementation = Implementation { method: &Q8_0, build: |values| built(Ggml::Q8_0, values) };

fn built(kind: Ggml, values: &[Value]) -> Option<Built> {
    values.is_empty().then(|| Built::Quantizer(Arc::new(kind)))
}

/// Weights of a block.
const BLOCK: usize = 32;

/// A kind of blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ggml {
    /// Four bits.
    Q4_0,
    /// Eight bits.
    Q8_0,
}

impl Ggml {
    fn row(self) -> &'static Method {
        match self {
            Self::Q4_0 => &Q4_0,
            Self::Q8_0 => &Q8_0,
        }
    }

    fn book(self) -> Codebook {
        match self {
            Self::Q4_0 => Codebook::Int4,
            Self::Q8_0 => Codebook::Int8,
        }
    }

    /// The codes of `weight [out, in]`, whose width is a number of whole blocks.
    pub fn codes(self, weight: &HostMatrix) -> GroupedCodes {
        let (mut codes, mut scales) = (Vec::with_capacity(weight.data.len()), Vec::with_capacity(weight.data.len() / BLOCK));
        for block in weight.data.chunks_exact(BLOCK) {
            let scale = match self {
                Self::Q4_0 => first_largest(block) / -8.0,
                Self::Q8_0 => largest(block) / 127.0,
            };
            let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
            codes.extend(block.iter().map(|value| match self {
                Self::Q4_0 => ((value * inverse + 8.5) as u8).min(15),
                // From the middle of a byte on.
                Self::Q8_0 => ((value * inverse).round() as i8).cast_unsigned() ^ 128,
            }));
            scales.push(f16::from_f32(scale).to_f32());
        }
        GroupedCodes { out: weight.rows, input: weight.cols, group: BLOCK, book: self.book(), codes, scales, shift: Shift::Middle }
    }
}

/// The first of the values of the largest magnitude, with its sign.
fn first_largest(values: &[f32]) -> f32 {
    values.iter().copied().reduce(|most, value| if value.abs() > most.abs() { value } else { most }).unwrap_or_default()
}

impl Quantizer for Ggml {
    fn name(&self) -> String {
        self.row().spell(&[])
    }

    fn fit(&self, linears: &[LinearShape]) -> Result<Box<dyn Fitted>, AccelError> {
        match linears.iter().find(|linear| !linear.input.is_multiple_of(BLOCK)) {
            Some(linear) => Err(AccelError::Blocks { method: self.name(), linear: linear.name.clone(), input: linear.input, block: BLOCK }),
            None => Ok(Box::new(*self)),
        }
    }
}

/// Nothing of it is left open.
impl Fitted for Ggml {
    fn method(&self) -> String {
        self.name()
    }

    fn packed_bytes(&self, linear: &LinearShape) -> u64 {
        GroupedWeight::bytes_of([linear.out, linear.input], BLOCK, self.book(), Constants::Scale) as u64
    }

    /// Two bytes of scale a block.
    fn stored_bytes(&self, linear: &LinearShape) -> u64 {
        let block = 2 + BLOCK * self.book().bits() / 8;
        (linear.out * linear.input / BLOCK * block) as u64
    }

    fn pack(&self, linear: &str, weight: &HostMatrix, _: Option<&Inputs>) -> Result<PackedLinear, AccelError> {
        packed(linear, GroupedWeight::new(&self.codes(weight)))
    }
}
