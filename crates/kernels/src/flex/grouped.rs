//! Codes in groups on the CPU.

use std::borrow::Cow;

use pulp::Simd;

use super::unpack::{Unpack, each_dot};
use crate::Codebook;
use crate::grouped::{Constants, Layout};

/// Bytes of 4-bit codes that are met at once: as many floats as the widest register holds, twice.
const LANES: usize = 16;
/// Rows of activations that meet the same codes in registers.
const TOGETHER: usize = 4;

/// The packed `[out, input]`.
pub(super) struct Grouped<'a> {
    words: &'a [u32],
    /// Words of all groups, row after row.
    constants: &'a [u32],
    layout: Layout,
}

/// Of one row.
#[derive(Default)]
pub(super) struct Row {
    /// A byte per input, where codes have 4 bits.
    codes: Vec<u8>,
    /// Per group, as [`Layout::expand`] has them.
    constants: Vec<[f32; 2]>,
}

impl<'a> Grouped<'a> {
    pub(super) fn new(words: &'a [u32], constants: &'a [u32], layout: Layout) -> Self {
        Self { words, constants, layout }
    }

    /// The bytes of a row. The lowest bits come first: on burn's little-endian machines, the codes in order.
    #[inline(always)]
    fn bytes(&self, row: usize) -> &[u8] {
        bytemuck::cast_slice(&self.words[row * self.layout.row()..][..self.layout.row()])
    }

    /// The words of a row's groups.
    #[inline(always)]
    fn constants(&self, row: usize) -> &[u32] {
        let words = self.layout.groups() * self.layout.constants.words();
        &self.constants[row * words..][..words]
    }

    /// Whether codes become floats in registers, on their way to a product: integers of 4 bits, in groups that end with a register's end.
    fn in_registers(&self) -> bool {
        self.layout.book == Codebook::Int4 && self.layout.group.is_multiple_of(2 * LANES)
    }

    /// Inner products of a row's codes with rows of arranged activations.
    #[inline(always)]
    fn dots_of<const ROWS: usize>(&self, bytes: &[u8], constants: &[[f32; 2]], x: [&[f32]; ROWS]) -> [f32; ROWS] {
        let x = x.map(|x| x.as_chunks::<{ 2 * LANES }>().0);
        let offsets = self.layout.constants == Constants::ScaleAndOffset;
        let (mut sums, mut at) = ([[0.0_f32; 2 * LANES]; ROWS], 0);
        for (bytes, &[scale, other]) in bytes.chunks_exact(self.layout.group / 2).zip(constants) {
            for pairs in bytes.as_chunks::<LANES>().0 {
                let mut weights = [0.0_f32; 2 * LANES];
                for lane in 0..LANES {
                    weights[lane] = f32::from(pairs[lane] & 15);
                    weights[LANES + lane] = f32::from(pairs[lane] >> 4);
                }
                // As `scaled` has it, to the bit.
                for weight in &mut weights {
                    *weight = if offsets { *weight * scale + other } else { (*weight - other) * scale };
                }
                for (sums, x) in sums.iter_mut().zip(x) {
                    let x = &x[at];
                    for lane in 0..2 * LANES {
                        sums[lane] += weights[lane] * x[lane];
                    }
                }
                at += 1;
            }
        }
        sums.map(folded)
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

/// The sum of all, halves added to halves.
#[inline(always)]
fn folded(mut sums: [f32; 2 * LANES]) -> f32 {
    let mut half = LANES;
    while half > 0 {
        for lane in 0..half {
            sums[lane] += sums[lane + half];
        }
        half /= 2;
    }
    sums[0]
}

impl Unpack for Grouped<'_> {
    type Scratch = Row;

    #[inline(always)]
    fn shape(&self) -> [usize; 2] {
        [self.layout.out, self.layout.input]
    }

    #[inline(always)]
    fn scratch(&self) -> Row {
        Row::default()
    }

    #[inline(always)]
    fn unpack(&self, row: usize, Row { codes, constants }: &mut Row, into: &mut [f32]) {
        let bytes = self.bytes(row);
        let codes = if self.layout.book.bits() == 4 {
            codes.resize(2 * bytes.len(), 0);
            for (pair, byte) in codes.as_chunks_mut().0.iter_mut().zip(bytes) {
                *pair = [byte & 15, byte >> 4];
            }
            &codes[..self.layout.input]
        } else {
            &bytes[..self.layout.input]
        };
        self.layout.expand(self.constants(row), constants);
        match self.layout.book.table() {
            None => self.scaled(codes, constants, f32::from, into),
            Some(table) => self.scaled(codes, constants, |code| table[usize::from(code)], into),
        }
    }

    /// For codes that become floats in registers: the lower halves of some bytes are every other code, and so are the upper ones, so each stretch
    /// of activations has every other one first.
    fn arranged<'x>(&self, x: &'x [f32]) -> Cow<'x, [f32]> {
        if !self.in_registers() {
            return Cow::Borrowed(x);
        }
        let stretches = x.as_chunks::<{ 2 * LANES }>().0.iter();
        let halves = |stretch: &[f32; 2 * LANES]| -> [f32; 2 * LANES] {
            std::array::from_fn(|at| stretch[if at < LANES { 2 * at } else { 2 * (at - LANES) + 1 }])
        };
        Cow::Owned(stretches.flat_map(halves).collect())
    }

    #[inline(always)]
    fn dots<S: Simd>(&self, simd: S, row: usize, (scratch, unpacked): (&mut Row, &mut [f32]), x: &[f32], mut give: impl FnMut(usize, f32)) {
        let input = self.layout.input;
        if !self.in_registers() {
            self.unpack(row, scratch, unpacked);
            return each_dot(simd, unpacked, x, give);
        }
        let bytes = self.bytes(row);
        self.layout.expand(self.constants(row), &mut scratch.constants);
        let mut at = 0;
        let together = x.chunks_exact(TOGETHER * input);
        let alone = together.remainder();
        for x in together {
            let x: [&[f32]; TOGETHER] = std::array::from_fn(|row| &x[row * input..][..input]);
            for dot in self.dots_of(bytes, &scratch.constants, x) {
                give(at, dot);
                at += 1;
            }
        }
        for x in alone.chunks_exact(input) {
            let [dot] = self.dots_of(bytes, &scratch.constants, [x]);
            give(at, dot);
            at += 1;
        }
    }
}
