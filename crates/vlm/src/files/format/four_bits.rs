//! What the formats of four-bit weights have in common: a code for each weight, a scale and a zero point for each group of inputs, in files that
//! order them differently.

use half::f16;
use steady_kernels::{PackedLinear, W4Codes, W4Weight};

use super::{Stored, Weights};
use crate::VlmError;
use crate::files::Fields;

/// Codes in a 32-bit word.
pub(super) const IN_A_WORD: usize = 8;

/// A layer's shape and how its inputs are grouped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grouped {
    pub(super) out: usize,
    pub(super) input: usize,
    /// Inputs that share a scale.
    pub(super) group: usize,
}

impl Grouped {
    /// Of the layer `name` with a weight of this shape; without a group size all inputs of an output share a scale.
    pub(super) fn new(weights: &Weights, tensor: &str, shape: &[usize], group: Option<usize>) -> Result<Self, VlmError> {
        let &[out, input] = shape else {
            return Err(weights.error(tensor, format!("is packed, which is read of matrices; this one has the shape {shape:?}")));
        };
        let group = group.unwrap_or(input);
        if !input.is_multiple_of(group) || !group.is_multiple_of(IN_A_WORD) {
            let problem = format!("is packed in groups of {group}; expected a multiple of {IN_A_WORD} that divides its {input} inputs");
            return Err(weights.error(tensor, problem));
        }
        Ok(Self { out, input, group })
    }

    /// Groups of an output.
    pub(super) fn groups(self) -> usize {
        self.input / self.group
    }

    /// Words that hold the codes of `count` neighbours.
    pub(super) fn words(count: usize) -> usize {
        count.div_ceil(IN_A_WORD)
    }

    /// Bytes on a device.
    pub(super) fn bytes(self) -> u64 {
        W4Weight::bytes_of([self.out, self.input], self.group) as u64
    }

    /// The layer of what `code`, `scale` and `zero` say of an output and an input or a group of inputs; the scales are those of `tensor`.
    ///
    /// # Errors
    /// When a scale is not exactly a number of the packed form, which holds scales as f16.
    pub(super) fn packed(
        self,
        weights: &Weights,
        tensor: &str,
        code: impl Fn(usize, usize) -> u8,
        scale: impl Fn(usize, usize) -> f32,
        zero: impl Fn(usize, usize) -> f32,
    ) -> Result<Stored, VlmError> {
        let Self { out, input, group } = self;
        let all = |columns: usize| (0..out).flat_map(move |row| (0..columns).map(move |column| (row, column)));
        let codes = all(input).map(|(row, column)| code(row, column)).collect();
        let scales: Vec<f32> = all(self.groups()).map(|(row, column)| scale(row, column)).collect();
        let zeros = all(self.groups()).map(|(row, column)| zero(row, column)).collect();
        #[expect(clippy::float_cmp, reason = "whether anything is lost at all")]
        if let Some(scale) = scales.iter().find(|&&scale| f16::from_f32(scale).to_f32() != scale) {
            return Err(weights.error(tensor, format!("scale {scale} is not exactly a number in f16, as which it is kept here")));
        }
        let packed = W4Weight::new(&W4Codes { out, input, group, codes, scales, zeros });
        let packed = packed.map_err(|error| weights.error(tensor, error.to_string()))?;
        Ok(Stored::Packed(Box::new(PackedLinear::W4(packed))))
    }
}

/// The code in place `at` of a word, the lowest bits first.
pub(super) fn nibble(word: u32, at: usize) -> u8 {
    (word >> (4 * at)) as u8 & 15
}

/// Why inputs in the order of their activations are refused.
pub(super) const OUT_OF_ORDER: &str = "the groups of inputs do not follow each other, because they were ordered by their activations (desc_act, \
     actorder: group), which is not read; quantize without, or with static groups";

/// Refuses another number of bits than four.
pub(super) fn expect_bits(section: &Fields<'_>, field: &str) -> Result<(), VlmError> {
    match section.i64(field)? {
        Some(4) => Ok(()),
        Some(other) => Err(section.error(field, format!("expected 4, found {other}: packed weights of other widths are not read"))),
        None => Err(section.error(field, "is missing; expected 4")),
    }
}

/// Inputs that share a scale; `None` for all of them, which files write as -1.
pub(super) fn group_size(section: &Fields<'_>, field: &str) -> Result<Option<usize>, VlmError> {
    match section.i64(field)? {
        Some(-1) => Ok(None),
        Some(size) if size > 0 && size <= 1 << 24 => Ok(usize::try_from(size).ok()),
        Some(other) => Err(section.error(field, format!("expected a number of inputs or -1, found {other}"))),
        None => Err(section.error(field, "is missing; expected a number of inputs or -1")),
    }
}
