//! Codes in groups on the CPU.

use super::unpack::Unpack;
use crate::grouped::{Constants, Layout};

/// The packed `[out, input]`.
pub(super) struct Grouped<'a> {
    words: &'a [u32],
    /// Per group, as [`Layout::expanded`] has them.
    constants: Vec<[f32; 2]>,
    layout: Layout,
}

impl<'a> Grouped<'a> {
    pub(super) fn new(words: &'a [u32], constants: &[u32], layout: Layout) -> Self {
        Self { words, constants: layout.expanded(constants), layout }
    }

    /// `values` of `codes`, whose groups' constants are `constants`.
    #[inline(always)]
    fn scaled(&self, codes: &[u8], constants: &[[f32; 2]], value: impl Fn(u8) -> f32, values: &mut [f32]) {
        let groups = codes.chunks_exact(self.layout.group).zip(values.chunks_exact_mut(self.layout.group)).zip(constants);
        if self.layout.constants == Constants::ScaleAndOffset {
            for ((codes, values), &[scale, offset]) in groups {
                for (into, &code) in values.iter_mut().zip(codes) {
                    *into = value(code) * scale + offset;
                }
            }
        } else {
            for ((codes, values), &[scale, zero]) in groups {
                for (into, &code) in values.iter_mut().zip(codes) {
                    *into = (value(code) - zero) * scale;
                }
            }
        }
    }
}

impl Unpack for Grouped<'_> {
    /// A byte per input.
    type Scratch = Vec<u8>;

    #[inline(always)]
    fn shape(&self) -> [usize; 2] {
        [self.layout.out, self.layout.input]
    }

    #[inline(always)]
    fn scratch(&self) -> Vec<u8> {
        let bytes = if self.layout.book.bits() == 4 { self.layout.row() * 8 } else { 0 };
        vec![0; bytes]
    }

    #[inline(always)]
    fn unpack(&self, row: usize, codes: &mut Vec<u8>, into: &mut [f32]) {
        // The lowest bits come first: on burn's little-endian machines, the codes in order.
        let bytes: &[u8] = bytemuck::cast_slice(&self.words[row * self.layout.row()..][..self.layout.row()]);
        let codes = if self.layout.book.bits() == 4 {
            for (pair, byte) in codes.as_chunks_mut().0.iter_mut().zip(bytes) {
                *pair = [byte & 15, byte >> 4];
            }
            &codes[..self.layout.input]
        } else {
            &bytes[..self.layout.input]
        };
        let constants = &self.constants[row * self.layout.groups()..][..self.layout.groups()];
        match self.layout.book.table() {
            None => self.scaled(codes, constants, f32::from, into),
            Some(table) => self.scaled(codes, constants, |code| table[usize::from(code)], into),
        }
    }
}
