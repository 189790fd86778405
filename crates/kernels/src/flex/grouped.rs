//! Codes in groups on the CPU.

use std::borrow::Cow;

use pulp::Simd;

use super::lanes::Sums;
use super::unpack::{Unpack, each_dot};
use crate::Codebook;
use crate::grouped::{Constants, Layout};

/// Bytes of 4-bit codes that are met at once: as many floats as the widest register holds, twice.
const LANES: usize = 16;
/// Codes in them.
const WIDE: usize = 2 * LANES;
/// Rows of activations that meet the same weights in registers.
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
        self.layout.book == Codebook::Int4 && self.layout.group.is_multiple_of(WIDE)
    }

    /// The floats of a stretch, arranged.
    #[inline(always)]
    fn floats(pairs: &[u8; LANES], [scale, other]: [f32; 2], offsets: bool) -> [f32; WIDE] {
        let mut weights = [0.0_f32; WIDE];
        for lane in 0..LANES {
            weights[lane] = f32::from(pairs[lane] & 15);
            weights[LANES + lane] = f32::from(pairs[lane] >> 4);
        }
        // As `scaled` has it, to the bit.
        for weight in &mut weights {
            *weight = if offsets { *weight * scale + other } else { (*weight - other) * scale };
        }
        weights
    }

    /// Inner product of a row's codes, which become floats in registers, with arranged activations.
    #[inline(always)]
    fn dot_of<S: Simd, const REGISTERS: usize>(&self, simd: S, bytes: &[u8], constants: &[[f32; 2]], x: &[f32]) -> f32 {
        let offsets = self.layout.constants == Constants::ScaleAndOffset;
        let (x, mut sums, mut at) = (x.as_chunks::<WIDE>().0, Sums::<S, REGISTERS>::zero(simd), 0);
        for (bytes, &constants) in bytes.chunks_exact(self.layout.group / 2).zip(constants) {
            for pairs in bytes.as_chunks().0 {
                sums.add(simd, &Self::floats(pairs, constants, offsets), &x[at]);
                at += 1;
            }
        }
        folded(&sums)
    }

    /// The floats of a row's codes, arranged.
    #[inline(always)]
    fn arranged_floats(&self, bytes: &[u8], constants: &[[f32; 2]], into: &mut [f32]) {
        let offsets = self.layout.constants == Constants::ScaleAndOffset;
        let groups = bytes.chunks_exact(self.layout.group / 2).zip(into.chunks_exact_mut(self.layout.group)).zip(constants);
        for ((bytes, into), &constants) in groups {
            for (pairs, into) in bytes.as_chunks().0.iter().zip(into.as_chunks_mut().0) {
                *into = Self::floats(pairs, constants, offsets);
            }
        }
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

/// Inner products of arranged weights with several rows, each as [`Grouped::dot_of`] makes it.
#[inline(always)]
fn several_dots<S: Simd, const REGISTERS: usize, const ROWS: usize>(simd: S, weights: &[f32], rows: [&[f32]; ROWS]) -> [f32; ROWS] {
    let (weights, mut sums) = (weights.as_chunks::<WIDE>().0, [Sums::<S, REGISTERS>::zero(simd); ROWS]);
    let rows = rows.map(|row| &row.as_chunks::<WIDE>().0[..weights.len()]);
    for (at, weights) in weights.iter().enumerate() {
        for (sums, row) in sums.iter_mut().zip(rows) {
            sums.add(simd, weights, &row[at]);
        }
    }
    sums.map(|sums| folded(&sums))
}

/// The sum of all, halves added to halves.
#[inline(always)]
fn folded<S: Simd, const REGISTERS: usize>(sums: &Sums<S, REGISTERS>) -> f32 {
    let mut values = [0.0; WIDE];
    sums.write(&mut values);
    let mut half = LANES;
    while half > 0 {
        for lane in 0..half {
            values[lane] += values[lane + half];
        }
        half /= 2;
    }
    values[0]
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
        let stretches = x.as_chunks::<WIDE>().0.iter();
        let halves = |stretch: &[f32; WIDE]| -> [f32; WIDE] {
            std::array::from_fn(|at| stretch[if at < LANES { 2 * at } else { 2 * (at - LANES) + 1 }])
        };
        Cow::Owned(stretches.flat_map(halves).collect())
    }

    #[inline(always)]
    fn dots<S: Simd>(&self, simd: S, row: usize, scratch: (&mut Row, &mut [f32]), x: &[f32], give: impl FnMut(usize, f32)) {
        if !self.in_registers() {
            self.unpack(row, scratch.0, scratch.1);
            return each_dot(simd, scratch.1, x, give);
        }
        match WIDE / S::F32_LANES {
            2 => self.dots_in::<S, 2>(simd, row, scratch, x, give),
            4 => self.dots_in::<S, 4>(simd, row, scratch, x, give),
            8 => self.dots_in::<S, 8>(simd, row, scratch, x, give),
            _ => self.dots_in::<S, WIDE>(simd, row, scratch, x, give),
        }
    }
}

impl Grouped<'_> {
    /// With the sums of a product in so many registers.
    #[inline(always)]
    fn dots_in<S: Simd, const REGISTERS: usize>(
        &self,
        simd: S,
        row: usize,
        (scratch, floats): (&mut Row, &mut [f32]),
        x: &[f32],
        mut give: impl FnMut(usize, f32),
    ) {
        let (input, bytes) = (self.layout.input, self.bytes(row));
        self.layout.expand(self.constants(row), &mut scratch.constants);
        if x.len() == input {
            return give(0, self.dot_of::<S, REGISTERS>(simd, bytes, &scratch.constants, x));
        }
        // Several rows meet floats that are made once; each has the sums that it has alone.
        self.arranged_floats(bytes, &scratch.constants, floats);
        let (mut at, together) = (0, x.chunks_exact(TOGETHER * input));
        let alone = together.remainder();
        for x in together {
            let x: [&[f32]; TOGETHER] = std::array::from_fn(|row| &x[row * input..][..input]);
            for dot in several_dots::<S, REGISTERS, TOGETHER>(simd, floats, x) {
                give(at, dot);
                at += 1;
            }
        }
        for x in alone.chunks_exact(input) {
            let [dot] = several_dots::<S, REGISTERS, 1>(simd, floats, [x]);
            give(at, dot);
            at += 1;
        }
    }
}
