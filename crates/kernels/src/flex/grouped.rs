//! Codes in groups on the CPU.

#[cfg(target_arch = "x86_64")]
use std::any::Any;
use std::borrow::Cow;

use pulp::Simd;
#[cfg(target_arch = "x86_64")]
use pulp::x86::V4;

use super::lanes::Sums;
use super::unpack::{Unpack, each_dot};
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

    /// Whether codes become floats in registers, on their way to a product: codes of 4 bits, in groups that end with a register's end.
    fn in_registers(&self) -> bool {
        self.layout.book.bits() == 4 && self.layout.group.is_multiple_of(WIDE)
    }

    /// Gives the floats of each stretch of a row's codes, arranged, with what of `others` stands there.
    #[inline(always)]
    fn stretches<S: Simd, T>(
        &self,
        simd: S,
        bytes: &[u8],
        constants: &[[f32; 2]],
        others: impl Iterator<Item = T>,
        give: impl FnMut(&[f32; WIDE], T),
    ) {
        let groups = bytes.chunks_exact(self.layout.group / 2).zip(constants);
        let offsets = self.layout.constants == Constants::ScaleAndOffset;
        #[cfg(target_arch = "x86_64")]
        if let (Some(simd), Some(values)) = ((&simd as &dyn Any).downcast_ref::<V4>(), self.layout.book.sixteen()) {
            // Each of the two without the other's arithmetic.
            if offsets {
                looked_up(*simd, values, true, groups, others, give);
            } else {
                looked_up(*simd, values, false, groups, others, give);
            }
            return;
        }
        let _ = simd;
        match self.layout.book.table() {
            None => computed(f32::from, offsets, groups, others, give),
            Some(table) => computed(|code| table[usize::from(code)], offsets, groups, others, give),
        }
    }

    /// Inner product of a row's codes, which become floats in registers, with arranged activations.
    #[inline(always)]
    fn dot_of<S: Simd, const REGISTERS: usize>(&self, simd: S, bytes: &[u8], constants: &[[f32; 2]], x: &[f32]) -> f32 {
        let mut sums = Sums::<S, REGISTERS>::zero(simd);
        self.stretches(simd, bytes, constants, x.as_chunks::<WIDE>().0.iter(), |weights, x| sums.add(simd, weights, x));
        folded(&sums)
    }

    /// `values` of `codes`, whose groups' constants are `constants`.
    #[inline(always)]
    fn floats(&self, codes: &[u8], constants: &[[f32; 2]], value: impl Fn(u8) -> f32, values: &mut [f32]) {
        let offsets = self.layout.constants == Constants::ScaleAndOffset;
        let groups = codes.chunks_exact(self.layout.group).zip(values.chunks_exact_mut(self.layout.group)).zip(constants);
        for ((codes, values), &constants) in groups {
            for (into, &code) in values.iter_mut().zip(codes) {
                *into = scaled(value(code), constants, offsets);
            }
        }
    }
}

/// The float of a code whose group has these constants.
#[inline(always)]
fn scaled(value: f32, [scale, other]: [f32; 2], offsets: bool) -> f32 {
    if offsets { value * scale + other } else { (value - other) * scale }
}

/// As [`Grouped::stretches`], each float by itself.
#[inline(always)]
fn computed<'a, T>(
    value: impl Fn(u8) -> f32,
    offsets: bool,
    groups: impl Iterator<Item = (&'a [u8], &'a [f32; 2])>,
    mut others: impl Iterator<Item = T>,
    mut give: impl FnMut(&[f32; WIDE], T),
) {
    for (bytes, &constants) in groups {
        for (pairs, other) in bytes.as_chunks::<LANES>().0.iter().zip(others.by_ref()) {
            let mut weights = [0.0_f32; WIDE];
            for lane in 0..LANES {
                weights[lane] = value(pairs[lane] & 15);
                weights[LANES + lane] = value(pairs[lane] >> 4);
            }
            for weight in &mut weights {
                *weight = scaled(*weight, constants, offsets);
            }
            give(&weights, other);
        }
    }
}

/// As [`Grouped::stretches`], to the bit: a group's sixteen floats are made once, and stand in a register in which each code is looked up.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn looked_up<'a, T>(
    simd: V4,
    values: &[f32; LANES],
    offsets: bool,
    groups: impl Iterator<Item = (&'a [u8], &'a [f32; 2])>,
    mut others: impl Iterator<Item = T>,
    mut give: impl FnMut(&[f32; WIDE], T),
) {
    let values = pulp::cast(*values);
    for (bytes, [scale, other]) in groups {
        let (scale, other) = (simd.splat_f32s(*scale), simd.splat_f32s(*other));
        // As `scaled` has it.
        let floats =
            if offsets { simd.add_f32s(simd.mul_f32s(values, scale), other) } else { simd.mul_f32s(simd.sub_f32s(values, other), scale) };
        let floats = pulp::cast(floats);
        for (pairs, other) in bytes.as_chunks::<LANES>().0.iter().zip(others.by_ref()) {
            // A look takes the lowest four bits.
            let lower = simd.avx512f._mm512_cvtepu8_epi32(pulp::cast(*pairs));
            let upper = simd.avx512f._mm512_srli_epi32::<4>(lower);
            let weights = [lower, upper].map(|codes| simd.avx512f._mm512_permutexvar_ps(codes, floats));
            give(&pulp::cast(weights), other);
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
            None => self.floats(codes, constants, f32::from, into),
            Some(table) => self.floats(codes, constants, |code| table[usize::from(code)], into),
        }
    }

    /// For codes that become floats in registers: the lower halves of some bytes are every other code, and so are the upper ones, so each stretch
    /// of activations has every other one first.
    fn arranged<'x>(&self, x: &'x [f32]) -> Cow<'x, [f32]> {
        if !self.in_registers() {
            return Cow::Borrowed(x);
        }
        let mut arranged = vec![0.0; x.len()];
        for (into, stretch) in arranged.as_chunks_mut::<WIDE>().0.iter_mut().zip(x.as_chunks::<WIDE>().0) {
            for lane in 0..LANES {
                (into[lane], into[LANES + lane]) = (stretch[2 * lane], stretch[2 * lane + 1]);
            }
        }
        Cow::Owned(arranged)
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
        let into = floats.as_chunks_mut::<WIDE>().0.iter_mut();
        self.stretches(simd, bytes, &scratch.constants, into, |weights, into| *into = *weights);
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
