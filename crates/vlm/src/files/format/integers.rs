//! What the formats of integer weights have in common: a code for each weight in 32-bit words, a scale and perhaps a zero point for each group of
//! inputs, in files that order them differently.

use steady_kernels::{Codebook, Constants, GroupedCodes, GroupedWeight, Shift};

use super::{LayerTensors, Stored};
use crate::VlmError;
use crate::files::Fields;

/// Bits of a word.
const WORD: usize = 32;

/// How wide codes are and how many inputs share a scale, as a configuration says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Integers {
    pub(super) bits: usize,
    /// Inputs that share a scale; `None` for all of them.
    pub(super) group: Option<usize>,
}

/// A layer's shape and how its inputs are grouped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grouped {
    pub(super) out: usize,
    pub(super) input: usize,
    /// Inputs that share a scale.
    pub(super) group: usize,
    pub(super) bits: usize,
}

/// A layer's numbers, by place: what stands for an output and an input, or an output and a group of inputs.
pub(super) struct Read<C, S, Z> {
    pub(super) code: C,
    pub(super) scale: S,
    pub(super) zero: Option<Z>,
    /// The tensor that scales are in.
    pub(super) scales: &'static str,
    /// Scales of layers with zero points are numbers of f16.
    pub(super) halves: bool,
}

impl Integers {
    /// Of a layer, whose codes are in the tensor `part`.
    ///
    /// # Errors
    /// When it is no matrix, or the groups do not divide its inputs.
    pub(super) fn of(self, tensors: &LayerTensors<'_>, part: &str, shape: &[usize]) -> Result<Grouped, VlmError> {
        let [out, input] = tensors.matrix(part, shape)?;
        let group = self.group.unwrap_or(input);
        if !input.is_multiple_of(group) || !(group.is_multiple_of(8) || group == input) {
            let problem = format!("is packed in groups of {group}; expected a multiple of 8 that divides its {input} inputs");
            return Err(tensors.error(part, problem));
        }
        Ok(Grouped { out, input, group, bits: self.bits })
    }
}

impl Grouped {
    /// Groups of an output.
    pub(super) fn groups(self) -> usize {
        self.input / self.group
    }

    /// Words that hold the codes of `count` neighbours, which lie without a gap.
    pub(super) fn words(self, count: usize) -> usize {
        (count * self.bits).div_ceil(WORD)
    }

    /// The code `at` of those whose words are `word(0)`, `word(1)`, ..; the lowest bits come first, and a code may begin in one word and end
    /// in the next.
    pub(super) fn code(self, at: usize, word: impl Fn(usize) -> u32) -> u8 {
        let (first, from) = (at * self.bits / WORD, at * self.bits % WORD);
        let low = word(first) >> from;
        let all = if from + self.bits > WORD { low | (word(first + 1) << (WORD - from)) } else { low };
        (all & ((1 << self.bits) - 1)) as u8
    }

    /// What codes stand for, and how far they are moved so that zero lies in its middle.
    fn book(self) -> (Codebook, u8) {
        let book = if self.bits <= Codebook::Int4.bits() { Codebook::Int4 } else { Codebook::Int8 };
        (book, book.middle() - (1 << (self.bits - 1)))
    }

    /// The layer. `order` is, input by input, which group it belongs to, where groups are not neighbours.
    ///
    /// # Errors
    /// When the groups are not of one size, or numbers do not fit the packed form.
    pub(super) fn stored<C, S, Z>(self, tensors: &LayerTensors<'_>, order: Option<&Order>, read: &Read<C, S, Z>) -> Result<Stored, VlmError>
    where
        C: Fn(usize, usize) -> u8,
        S: Fn(usize, usize) -> f32,
        Z: Fn(usize, usize) -> f32,
    {
        let (Self { out, input, group, .. }, (book, moved)) = (self, self.book());
        let constants = match (&read.zero, read.halves) {
            (None, _) => Constants::Scale,
            (Some(_), true) => Constants::Halves,
            (Some(_), false) => Constants::ScaleAndOffset,
        };
        let bytes =
            GroupedWeight::bytes_of([out, input], group, book, constants) + order.map_or(0, |order| size_of_val(order.0.as_slice()));
        tensors.packed(bytes, || {
            let all = |columns: usize| (0..out).flat_map(move |row| (0..columns).map(move |column| (row, column)));
            let place = |at: usize| order.map_or(at, |order| order.0[at] as usize);
            let codes = all(input).map(|(row, column)| (read.code)(row, place(column)) + moved).collect();
            let scales: Vec<f32> = all(self.groups()).map(|(row, group)| (read.scale)(row, group)).collect();
            let shift = match &read.zero {
                None => Shift::Middle,
                Some(zero) => {
                    let zeros = all(self.groups()).map(|(row, group)| zero(row, group) + f32::from(moved));
                    match constants {
                        // Codes and zero points are small integers, so that nothing is rounded twice but scales of more than 16 bits.
                        Constants::ScaleAndOffset => Shift::Offsets(zeros.zip(&scales).map(|(zero, scale)| -zero * scale).collect()),
                        _ => Shift::Zeros(zeros.collect()),
                    }
                }
            };
            let packed = tensors.grouped(read.scales, &GroupedCodes { out, input, group, book, codes, scales, shift })?;
            match order {
                None => Ok(packed),
                Some(order) => packed.ordered(order.0.clone()).map_err(|error| tensors.misfit(read.scales, &error)),
            }
        })
    }

    /// How inputs are ordered where a file lists the group of each, in the tensor `part`; `None` where groups follow each other.
    ///
    /// # Errors
    /// When a group is none of the layer's, or has more inputs than others.
    pub(super) fn order(self, tensors: &mut LayerTensors<'_>, part: &str) -> Result<Option<Order>, VlmError> {
        let group_of = tensors.numbers(part)?;
        if group_of.len() != self.input {
            return Err(tensors.error(part, format!("expected the group of each of {} inputs, found {}", self.input, group_of.len())));
        }
        let mut members: Vec<Vec<u32>> = vec![Vec::with_capacity(self.group); self.groups()];
        for (input, &group) in (0..).zip(&group_of) {
            let found = usize::try_from(group).ok().and_then(|group| members.get_mut(group));
            found
                .ok_or_else(|| tensors.error(part, format!("input {input} is of group {group}; there are {}", self.groups())))?
                .push(input);
        }
        if let Some((group, members)) = members.iter().enumerate().find(|(_, members)| members.len() != self.group) {
            let problem = format!("group {group} has {} inputs; expected {} in each", members.len(), self.group);
            return Err(tensors.error(part, problem));
        }
        let order: Vec<u32> = members.concat();
        let in_order = order.iter().enumerate().all(|(at, &from)| at == from as usize);
        Ok((!in_order).then_some(Order(order)))
    }
}

/// The inputs, group by group, where groups are not neighbours in the file.
#[derive(Debug)]
pub(super) struct Order(Vec<u32>);

/// Bits of a code, one of `known`.
pub(super) fn bits(section: &Fields<'_>, field: &str, known: &[usize]) -> Result<usize, VlmError> {
    let expected = || known.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match section.i64(field)? {
        None => Err(section.error(field, format!("is missing; expected one of {}", expected()))),
        Some(found) => known.iter().copied().find(|&bits| i64::try_from(bits) == Ok(found)).ok_or_else(|| {
            section.error(field, format!("expected one of {}, found {found}: packed weights of other widths are not read", expected()))
        }),
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
