//! A few rows of activations times a large matrix of floats: every core reads a part of the matrix, once. The backend's product does
//! this on one core, and a single core does not use up what memory gives.

use std::ops::Range;

use burn_flex::FlexTensor;
use pulp::{Arch, Simd, WithSimd};

use super::by_output_tiles;
use super::unpack::{Unpack, each_dot};

/// Columns whose sums stay in the first-level cache.
const TILE: usize = 1024;
/// Rows of the matrix that are added to the sums at once.
const TOGETHER: usize = 4;

/// `x [1, input]` times `weight [input, out]`.
pub(super) fn one_row(x: &[f32], weight: &[f32], out: usize) -> FlexTensor {
    by_output_tiles([1, x.len(), out], TILE, |range| {
        let mut y = vec![0.0; range.len()];
        Arch::new().dispatch(Columns { x, weight, out, range, y: &mut y });
        y
    })
}

/// Some columns of the product.
struct Columns<'a> {
    x: &'a [f32],
    weight: &'a [f32],
    out: usize,
    range: Range<usize>,
    y: &'a mut [f32],
}

impl WithSimd for Columns<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let width = self.range.len();
        let y = &mut self.y[..width];
        let row = |at: usize| &self.weight[at * self.out + self.range.start..][..width];
        let (fours, rest) = self.x.as_chunks::<TOGETHER>();
        for (at, [a, b, c, d]) in fours.iter().enumerate() {
            let [of_a, of_b, of_c, of_d] = std::array::from_fn(|i| row(at * TOGETHER + i));
            for i in 0..width {
                y[i] += (a * of_a[i] + b * of_b[i]) + (c * of_c[i] + d * of_d[i]);
            }
        }
        for (at, x) in rest.iter().enumerate() {
            let of_x = row(fours.len() * TOGETHER + at);
            for i in 0..width {
                y[i] += x * of_x[i];
            }
        }
    }
}

/// A matrix `[out, input]` as it is.
pub(super) struct Rows<'a> {
    pub(super) values: &'a [f32],
    pub(super) shape: [usize; 2],
}

impl Rows<'_> {
    #[inline(always)]
    fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.shape[1]..][..self.shape[1]]
    }
}

impl Unpack for Rows<'_> {
    type Scratch = ();

    #[inline(always)]
    fn shape(&self) -> [usize; 2] {
        self.shape
    }

    #[inline(always)]
    fn scratch(&self) {}

    #[inline(always)]
    fn unpack(&self, row: usize, (): &mut (), into: &mut [f32]) {
        into.copy_from_slice(self.row(row));
    }

    #[inline(always)]
    fn dots<S: Simd>(&self, simd: S, row: usize, _: (&mut (), &mut [f32]), x: &[f32], give: impl FnMut(usize, f32)) {
        each_dot(simd, self.row(row), x, give);
    }
}
