//! Round-to-nearest, 4 bits, a scale and a zero point per group of inputs.
//!
//! The reference that calibrated methods (GPTQ, AWQ) are measured against. Asymmetric, the default:
//! `s = (max − min)/15`, at least 1e-5; `z = round(−min/s)`; `q = clamp(round(w/s) + z, 0, 15)`, over a range that always
//! includes zero. Symmetric, as compressed-tensors has it: `s = max|w|/7.5`, `q = clamp(round(w/s), −8, 7)`.
//! Rounding is half to even, as in PyTorch. Codes are chosen with the scale as it is stored, in f16.

use std::fmt;
use std::sync::Arc;

use burn::tensor::Device;
use half::f16;
use steady_kernels::{PackedLinear, W4Codes, W4Weight};
use steady_vlm::HostMatrix;

use super::{AccelError, LinearShape, Quantizer};
use crate::method::{Method, MethodKind, Parameter, ParameterKind, Part, Value};

pub(crate) const METHOD: Method = Method {
    name: "w4:rtn",
    kind: MethodKind::Quantizer,
    parameters: &[
        Parameter {
            name: "g",
            kind: ParameterKind::Group,
            default: "auto",
            meaning: "inputs per scale; auto = the largest of 128, 64, 32, 16 that divides every input width",
        },
        Parameter { name: "sym", kind: ParameterKind::Flag, default: "", meaning: "symmetric, without zero points" },
    ],
    summary: "4-bit weights by rounding to nearest, in the decoder's linear layers",
    source: "group-wise round-to-nearest as in GPTQ's and AWQ's baselines (arXiv 2210.17323, 2306.00978)",
    build: |values| match *values {
        [Value::Group(group), Value::Flag(symmetric)] => Some(Part::Quantizer(Arc::new(Rtn { group, symmetric }))),
        _ => None,
    },
};

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

/// How many inputs share a scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// The largest of 128, 64, 32 and 16 that divides the input width of every layer to be packed.
    Auto,
    /// This many, a multiple of 8.
    Size(usize),
}

impl Group {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text == "auto" {
            return Some(Self::Auto);
        }
        let size = text.parse().ok().filter(|&size: &usize| size > 0 && size.is_multiple_of(8))?;
        Some(Self::Size(size))
    }

    /// The size for these layers.
    fn settle(self, linears: &[LinearShape]) -> Result<usize, AccelError> {
        let misfit = |size: usize| linears.iter().find(|linear| !linear.input.is_multiple_of(size));
        match self {
            Self::Size(group) => match misfit(group) {
                Some(linear) => Err(AccelError::Group { linear: linear.name.clone(), input: linear.input, group }),
                None => Ok(group),
            },
            Self::Auto => {
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
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Size(size) => size.fmt(f),
        }
    }
}

impl Rtn {
    /// The codes of `weight [out, in]` in groups of `group`, which must divide its width.
    pub fn codes(&self, weight: &HostMatrix, group: usize) -> W4Codes {
        let groups = weight.data.len() / group;
        let mut codes = W4Codes {
            out: weight.rows,
            input: weight.cols,
            group,
            codes: Vec::with_capacity(weight.data.len()),
            scales: Vec::with_capacity(groups),
            zeros: Vec::with_capacity(groups),
        };
        for values in weight.data.chunks_exact(group) {
            let (scale, zero) = if self.symmetric { symmetric(values) } else { asymmetric(values) };
            codes.scales.push(scale);
            codes.zeros.push(zero);
            let code = |&value: &f32| ((value / scale).round_ties_even() + zero).clamp(0.0, 15.0) as u8;
            codes.codes.extend(values.iter().map(code));
        }
        codes
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
        METHOD.spell(&[Value::Group(self.group), Value::Flag(self.symmetric)])
    }

    fn scope(&self) -> &'static str {
        "the decoder's q, k, v, o, gate, up and down projections (not embeddings, head, vision tower, projector)"
    }

    fn takes(&self, linear: &str) -> bool {
        linear.starts_with("language_model.layers.")
    }

    fn fit(&self, linears: &[LinearShape]) -> Result<Box<dyn Quantizer>, AccelError> {
        Ok(Box::new(Self { group: Group::Size(self.group.settle(linears)?), ..*self }))
    }

    fn packed_bytes(&self, linear: &LinearShape) -> u64 {
        let groups = match self.group {
            Group::Size(group) => linear.input.div_ceil(group),
            Group::Auto => 0,
        };
        // Eight codes a word, and a word for each group.
        4 * linear.out as u64 * (linear.input.div_ceil(8) + groups) as u64
    }

    fn quantize(&self, linear: &str, weight: &HostMatrix, device: &Device) -> Result<PackedLinear, AccelError> {
        let shape = LinearShape { name: linear.to_owned(), out: weight.rows, input: weight.cols };
        let group = self.group.settle(&[shape])?;
        W4Weight::new(&self.codes(weight, group), device)
            .map(PackedLinear::from)
            .map_err(|source| AccelError::Pack { linear: linear.to_owned(), source })
    }
}
