//! Products with weights that are unpacked to floats on their way: output rows go through a scratch tile that stays in cache, so the
//! matrix never exists whole as floats.

use std::borrow::Cow;
use std::ops::Range;

use burn::backend::ops::FloatTensorOps;
use burn_flex::{Flex, FlexTensor};
use pulp::{Arch, Simd, WithSimd};

use super::lanes::dot_f32;
use super::{by_output_tiles, gemm, matrix};

/// From this many rows on, the backend's dense matrix product is faster than one row at a time.
pub(crate) const DENSE_ROWS: usize = 16;
/// Output features per tile of inner products.
const TILE: usize = 64;
/// Output features per tile of a dense product, which arranges all of `x` anew for each: wide enough that this is little beside the product.
const DENSE_TILE: usize = 512;

/// A packed matrix `[out, input]`.
pub(super) trait Unpack: Sync {
    /// What unpacking a row needs beside it.
    type Scratch;

    /// `[out, input]`.
    fn shape(&self) -> [usize; 2];

    /// Scratch for one row after the other.
    fn scratch(&self) -> Self::Scratch;

    /// Writes output row `row`, `into` being `input` long. Always inlined, so that it runs in the caller's instruction set.
    fn unpack(&self, row: usize, scratch: &mut Self::Scratch, into: &mut [f32]);

    /// Activations, `input` in a row, in the order in which [`Self::dots`] meets them.
    fn arranged<'x>(&self, x: &'x [f32]) -> Cow<'x, [f32]> {
        Cow::Borrowed(x)
    }

    /// Gives the inner product of output row `row` with each row of the [arranged](Self::arranged) `x`. The number of a row does not depend on
    /// how many there are. Always inlined, as [`Self::unpack`].
    #[inline(always)]
    fn dots<S: Simd>(
        &self,
        simd: S,
        row: usize,
        (scratch, unpacked): (&mut Self::Scratch, &mut [f32]),
        x: &[f32],
        give: impl FnMut(usize, f32),
    ) {
        self.unpack(row, scratch, unpacked);
        each_dot(simd, unpacked, x, give);
    }
}

/// Gives the inner product of `values` with each row of `x`.
#[inline(always)]
pub(super) fn each_dot<S: Simd>(simd: S, values: &[f32], x: &[f32], mut give: impl FnMut(usize, f32)) {
    for (at, x) in x.chunks_exact(values.len()).enumerate() {
        give(at, dot_f32(simd, x, values));
    }
}

/// `x [rows, input]` times the transpose of `weight`.
pub(super) fn linear(x: &FlexTensor, weight: &impl Unpack) -> FlexTensor {
    let [rows, _] = x.layout().shape().dims();
    let [out, input] = weight.shape();
    if rows < DENSE_ROWS {
        let arranged = weight.arranged(x.storage());
        by_output_tiles([rows, input, out], TILE, |range| dots(weight, &arranged, range))
    } else {
        // Each thread has work.
        let width = DENSE_TILE.min(out.div_ceil(rayon::current_num_threads()).next_multiple_of(TILE));
        by_output_tiles([rows, input, out], width, |range| product(weight, x, range))
    }
}

/// A few rows: each output row is unpacked once and met by every row of the arranged `x` while it is in the first-level cache.
fn dots(weight: &impl Unpack, x: &[f32], range: Range<usize>) -> Vec<f32> {
    let [_, input] = weight.shape();
    let mut y = vec![0.0; x.len() / input * range.len()];
    Arch::new().dispatch(Dots { weight, x, range, y: &mut y });
    y
}

/// Many rows: the tile is unpacked once and multiplied by the backend's own dense product.
fn product(weight: &impl Unpack, x: &FlexTensor, range: Range<usize>) -> Vec<f32> {
    let ([_, input], width) = (weight.shape(), range.len());
    let mut tile = vec![0.0; width * input];
    Arch::new().dispatch(Unpacked { weight, range, into: &mut tile });
    let tile = Flex::float_swap_dims(matrix(tile, [width, input]), 0, 1);
    gemm::values(x, &tile)
}

/// Inner products of a few rows of arranged `x` with some output rows.
struct Dots<'a, W> {
    weight: &'a W,
    x: &'a [f32],
    range: Range<usize>,
    y: &'a mut [f32],
}

impl<W: Unpack> WithSimd for Dots<'_, W> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let ([_, input], width) = (self.weight.shape(), self.range.len());
        let (mut scratch, mut unpacked) = (self.weight.scratch(), vec![0.0; input]);
        let y = self.y;
        for (at, row) in self.range.enumerate() {
            self.weight.dots(simd, row, (&mut scratch, &mut unpacked), self.x, |of_x, dot| y[of_x * width + at] = dot);
        }
    }
}

/// Unpacks some output rows.
struct Unpacked<'a, W> {
    weight: &'a W,
    range: Range<usize>,
    into: &'a mut [f32],
}

impl<W: Unpack> WithSimd for Unpacked<'_, W> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let [_, input] = self.weight.shape();
        let mut scratch = self.weight.scratch();
        for (row, unpacked) in self.range.zip(self.into.chunks_exact_mut(input)) {
            self.weight.unpack(row, &mut scratch, unpacked);
        }
    }
}
