//! 4-bit weights on the CPU: output rows are unpacked into a scratch tile that stays in cache.

use std::ops::Range;

use burn::backend::ops::FloatTensorOps;
use burn_flex::{Flex, FlexTensor};
use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
use pulp::{Arch, Simd, WithSimd};

use super::lanes::dot_f32;
use super::{by_output_tiles, matrix};

/// From this many rows on, the backend's dense matrix product is faster than one row at a time.
const DENSE_ROWS: usize = 16;
/// Output features per tile.
const TILE: usize = 64;

/// `x [rows, K]` times the transpose of the packed `[out, K]`.
pub(super) fn linear(x: &FlexTensor, words: &[u32], groups: &[u32], out: usize) -> FlexTensor {
    let [rows, input] = x.layout().shape().dims();
    // Scale, zero point, scale, ..: the low half of a word comes first on burn's little-endian machines.
    let mut constants = vec![0.0; groups.len() * 2];
    bytemuck::cast_slice::<u32, u16>(groups).reinterpret_cast::<half::f16>().convert_to_f32_slice(&mut constants);
    let weight = Packed { words, constants, out, input };
    by_output_tiles(
        [rows, input, out],
        TILE,
        |range| {
            if rows < DENSE_ROWS { weight.dots(x.storage(), range) } else { weight.product(x, range) }
        },
    )
}

struct Packed<'a> {
    words: &'a [u32],
    /// Scale and zero point per group.
    constants: Vec<f32>,
    out: usize,
    input: usize,
}

impl Packed<'_> {
    /// A few rows: each output row is unpacked once and met by every row of `x` while it is in the first-level cache.
    fn dots(&self, x: &[f32], range: Range<usize>) -> Vec<f32> {
        let mut y = vec![0.0; x.len() / self.input * range.len()];
        Arch::new().dispatch(Dots { weight: self, x, range, y: &mut y });
        y
    }

    /// Many rows: the tile is unpacked once and multiplied by the backend's own dense product.
    fn product(&self, x: &FlexTensor, range: Range<usize>) -> Vec<f32> {
        let width = range.len();
        let mut tile = vec![0.0; width * self.input];
        Arch::new().dispatch(Unpack { weight: self, range, tile: &mut tile });
        let tile = Flex::float_swap_dims(matrix(tile, [width, self.input]), 0, 1);
        Flex::float_matmul(x.clone(), tile).storage().to_vec()
    }

    /// Writes output row `row` as `(q − z)·s`; `codes` is scratch of one byte per input.
    #[inline(always)]
    fn unpack(&self, row: usize, codes: &mut [u8], into: &mut [f32]) {
        // The lowest nibble comes first: two codes a byte, in order.
        let bytes: &[u8] = bytemuck::cast_slice(&self.words[row * self.input / 8..][..self.input / 8]);
        for (pair, byte) in codes.as_chunks_mut().0.iter_mut().zip(bytes) {
            *pair = [byte & 15, byte >> 4];
        }
        let per_row = self.constants.len() / self.out;
        let (constants, _) = self.constants[row * per_row..][..per_row].as_chunks();
        let group = self.input / constants.len();
        for ((codes, values), &[scale, zero]) in codes.chunks_exact(group).zip(into.chunks_exact_mut(group)).zip(constants) {
            for (value, &code) in values.iter_mut().zip(codes) {
                *value = (f32::from(code) - zero) * scale;
            }
        }
    }
}

/// Inner products of a few rows of `x` with some output rows.
struct Dots<'a> {
    weight: &'a Packed<'a>,
    x: &'a [f32],
    range: Range<usize>,
    y: &'a mut [f32],
}

impl WithSimd for Dots<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (input, width) = (self.weight.input, self.range.len());
        let (mut codes, mut scratch) = (vec![0; input], vec![0.0; input]);
        for (at, row) in self.range.enumerate() {
            self.weight.unpack(row, &mut codes, &mut scratch);
            for (of_x, x) in self.x.chunks_exact(input).enumerate() {
                self.y[of_x * width + at] = dot_f32(simd, x, &scratch);
            }
        }
    }
}

/// Unpacks some output rows.
struct Unpack<'a> {
    weight: &'a Packed<'a>,
    range: Range<usize>,
    tile: &'a mut [f32],
}

impl WithSimd for Unpack<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let mut codes = vec![0; self.weight.input];
        for (row, unpacked) in self.range.zip(self.tile.chunks_exact_mut(self.weight.input)) {
            self.weight.unpack(row, &mut codes, unpacked);
        }
    }
}
