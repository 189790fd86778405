//! A few rows of activations times a large matrix of floats: every core reads a part of the matrix, once. The backend's product does
//! this on one core, and a single core does not use up what memory gives.

use std::ops::Range;

use burn_flex::FlexTensor;
use pulp::{Arch, Simd, WithSimd};

use super::unpack::{DENSE_ROWS, Unpack, each_dot};
use super::{LARGE, by_output_tiles};

/// Columns whose sums stay in the first-level cache, of one row and of several.
const TILES: [usize; 2] = [1024, 256];
/// Rows of the matrix that are added to the sums at once.
const TOGETHER: usize = 4;
/// Rows of the matrix that every row of activations meets while they are in the first-level cache.
const BLOCK: usize = 4 * TOGETHER;

/// `x [rows, input]` times `weight [input, out]`, both row-major, where the rows are so few and the matrix so large that reading it takes longer than computing;
/// else nothing. What becomes of a row does not depend on the others.
pub(super) fn few_rows(x: &FlexTensor, weight: &FlexTensor) -> Option<FlexTensor> {
    let (&[rows, input], &[_, out]) = (&**x.layout().shape(), &**weight.layout().shape()) else { return None };
    if rows >= DENSE_ROWS || input * out < LARGE || !weight.layout().is_contiguous() {
        return None;
    }
    let x = x.to_contiguous();
    let [x, weight] = [&x, weight].map(|matrix| &matrix.storage::<f32>()[matrix.layout().start_offset()..]);
    let most = TILES[usize::from(rows > 1)];
    // Each thread has a part of the columns.
    let width = most.min(out.div_ceil(rayon::current_num_threads()).next_multiple_of(64));
    Some(by_output_tiles([rows, input, out], width, |range| {
        let mut y = vec![0.0; rows * range.len()];
        Arch::new().dispatch(Columns { x: &x[..rows * input], input, weight, out, range, y: &mut y });
        y
    }))
}

/// Some columns of the product.
struct Columns<'a> {
    x: &'a [f32],
    input: usize,
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
        let row = |at: usize| &self.weight[at * self.out + self.range.start..][..width];
        for first in (0..self.input).step_by(BLOCK) {
            let last = self.input.min(first + BLOCK);
            for (x, y) in self.x.chunks_exact(self.input).zip(self.y.chunks_exact_mut(width)) {
                let (fours, rest) = x[first..last].as_chunks::<TOGETHER>();
                for (at, [a, b, c, d]) in fours.iter().enumerate() {
                    let [of_a, of_b, of_c, of_d] = std::array::from_fn(|i| row(first + at * TOGETHER + i));
                    for i in 0..width {
                        y[i] += (a * of_a[i] + b * of_b[i]) + (c * of_c[i] + d * of_d[i]);
                    }
                }
                for (at, x) in rest.iter().enumerate() {
                    let of_x = row(first + fours.len() * TOGETHER + at);
                    for i in 0..width {
                        y[i] += x * of_x[i];
                    }
                }
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

#[cfg(test)]
mod tests {
    use super::super::{noise, tensor};
    use super::*;

    /// Odd sizes, whole blocks and rests; each row to the bit what it is alone, and near sums in f64.
    #[test]
    fn a_row_does_not_see_its_neighbours() {
        for (rows, input, out) in [(15, 700, 800), (2, 1031, 517), (7, 64, 9001)] {
            let (x, weight) = (noise(rows * input, 7), noise(input * out, 8));
            let matrix = tensor(weight.clone(), vec![input, out]);
            let of = |x: &[f32], rows: usize| few_rows(&tensor(x.to_vec(), vec![rows, input]), &matrix).unwrap().storage::<f32>().to_vec();
            let together = of(&x, rows);
            for (x, together) in x.chunks(input).zip(together.chunks(out)) {
                let alone = of(x, 1);
                assert!(alone.iter().zip(together).all(|(alone, together)| alone.to_bits() == together.to_bits()));
                for column in (0..out).step_by(97) {
                    let expected: f64 = x.iter().enumerate().map(|(at, x)| f64::from(*x) * f64::from(weight[at * out + column])).sum();
                    assert!((f64::from(alone[column]) - expected).abs() < 1e-3);
                }
            }
        }
    }

    #[test]
    fn what_is_small_or_has_many_rows_is_left_to_others() {
        let of = |rows: usize, side: usize| {
            few_rows(&tensor(vec![0.0; rows * side], vec![rows, side]), &tensor(vec![0.0; side * side], vec![side, side]))
        };
        assert!(of(1, 725).is_some() && of(DENSE_ROWS - 1, 725).is_some());
        assert!(of(1, 724).is_none() && of(DENSE_ROWS, 725).is_none());
    }
}
