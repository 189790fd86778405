//! 4-bit weights on the CPU: output rows are unpacked into a scratch tile that stays in cache.

use std::ops::Range;

use burn::backend::ops::FloatTensorOps;
use burn_flex::{Flex, FlexTensor};
use pulp::Arch;

use super::lanes::dot_f32;
use super::{by_output_tiles, matrix};
use crate::w4::scale_and_zero;

/// From this many rows on, a tile is multiplied by the dense matrix product instead of one row at a time.
const DENSE_ROWS: usize = 6;
/// Output features per tile.
const TILE: usize = 64;

/// `x [rows, K]` times the transpose of the packed `[out, K]`.
pub(super) fn linear(x: &FlexTensor, words: &[u32], groups: &[u32], out: usize) -> FlexTensor {
    let [rows, input] = x.layout().shape().dims();
    let weight = Packed { words, groups, out, input };
    by_output_tiles([rows, input, out], TILE, |range| {
        if rows < DENSE_ROWS { weight.dots(x.storage(), range) } else { weight.product(x, range) }
    })
}

struct Packed<'a> {
    words: &'a [u32],
    groups: &'a [u32],
    out: usize,
    input: usize,
}

impl Packed<'_> {
    /// A few rows: each output row is unpacked once and met by every row of `x` while it is in the first-level cache.
    fn dots(&self, x: &[f32], range: Range<usize>) -> Vec<f32> {
        let (rows, width) = (x.len() / self.input, range.len());
        let mut y = vec![0.0; rows * width];
        let mut scratch = vec![0.0; self.input];
        Arch::new().dispatch(|| {
            for (at, row) in range.enumerate() {
                self.unpack(row, &mut scratch);
                for (of_x, x) in x.chunks_exact(self.input).enumerate() {
                    y[of_x * width + at] = dot_f32(x, &scratch);
                }
            }
        });
        y
    }

    /// Many rows: the tile is unpacked once and multiplied by the backend's own dense product.
    fn product(&self, x: &FlexTensor, range: Range<usize>) -> Vec<f32> {
        let width = range.len();
        let mut tile = vec![0.0; width * self.input];
        Arch::new().dispatch(|| {
            for (row, scratch) in range.zip(tile.chunks_exact_mut(self.input)) {
                self.unpack(row, scratch);
            }
        });
        let tile = Flex::float_swap_dims(matrix(tile, [width, self.input]), 0, 1);
        Flex::float_matmul(x.clone(), tile).storage().to_vec()
    }

    /// Writes output row `row` as `(q − z)·s`.
    #[inline(always)]
    fn unpack(&self, row: usize, into: &mut [f32]) {
        let groups = self.groups.len() / self.out;
        let (words_per_row, words_per_group) = (self.input / 8, self.input / 8 / groups);
        let words = &self.words[row * words_per_row..][..words_per_row];
        let groups = &self.groups[row * groups..][..groups];
        let (eights, _) = into.as_chunks_mut::<8>();
        for ((words, eights), &group) in
            words.chunks_exact(words_per_group).zip(eights.chunks_exact_mut(words_per_group)).zip(groups)
        {
            let (scale, zero) = scale_and_zero(group);
            for (word, eight) in words.iter().zip(eights) {
                for (nibble, value) in eight.iter_mut().enumerate() {
                    // Through i32: vector units convert signed integers only.
                    *value = (((word >> (4 * nibble)) & 15).cast_signed() as f32 - zero) * scale;
                }
            }
        }
    }
}
