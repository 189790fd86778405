//! Products of f32 matrices by the crate gemm, which the backend calls as well.
//!
//! The backend takes a buffer of zeros for the result and copies it to where every type would be aligned, all on one thread: of the time up to the first token of
//! a model of 0.7 billion parameters that was a fifth. Here a result is written once, by the threads that compute it.
//!
//! A row of two dimensions has the same bits whatever rows stand beside it. The crate adds up in another order where there is one row, where the result is tiny, and
//! where it is narrow; these three are done in its usual order.

use burn::backend::ops::FloatTensorOps;
use burn_flex::{Flex, FlexTensor, Layout};
use gemm::Parallelism;
use rayon::prelude::*;

use super::tensor;

/// Multiply-adds from which all threads share a product.
const SHARED: usize = 192 * 192 * 192;

/// Numbers of a result up to which the crate adds up in another order, where the columns of the second factor lie in one piece.
pub(super) const TINY: usize = 256;
/// Columns of a result up to which it depends on the number of rows how the crate cuts long sums.
const NARROW: usize = 64;
/// The length of the pieces that it then cuts them into, where there are few rows.
pub(super) const DEPTH: usize = 512;

/// A matrix in somebody's numbers: where it begins, and how far it is from a row to the next and from a column to the next.
#[derive(Clone, Copy)]
pub(super) struct Strided<'a> {
    pub(super) values: &'a [f32],
    pub(super) row: isize,
    pub(super) column: isize,
}

/// `x [.., m, k]` times `y [.., k, n]`, of as many dimensions, two or three; batches are of one size. Views are taken as they lie. Of two dimensions, and from two
/// columns on, a row's numbers do not depend on the other rows.
///
/// # Panics
/// When the shapes do not fit.
pub(super) fn product(x: &FlexTensor, y: &FlexTensor) -> FlexTensor {
    let mut shape = x.layout().shape().to_vec();
    if let (Some(width), Some(of_y)) = (shape.last_mut(), y.layout().shape().last()) {
        *width = *of_y;
    }
    tensor(values(x, y), shape)
}

/// The numbers of such a product, row-major.
pub(super) fn values(x: &FlexTensor, y: &FlexTensor) -> Vec<f32> {
    let (of_x, of_y) = (x.layout().shape(), y.layout().shape());
    let dims = of_x.num_dims();
    let [m, k, n] = [of_x[dims - 2], of_x[dims - 1], of_y[dims - 1]];
    let batches = if dims == 3 { of_x[0] } else { 1 };
    assert!(matches!(dims, 2 | 3) && dims == of_y.num_dims() && of_y[dims - 2] == k, "a product of {of_x:?} with {of_y:?}");
    assert!(dims == 2 || of_y[0] == batches, "a product of {of_x:?} with {of_y:?}");
    if dims == 2 && m == 1 {
        // The crate adds up a single row in another order than several.
        let mut twice = self::values(&Flex::float_cat(vec![x.clone(), x.clone()], 0), y);
        twice.truncate(n);
        return twice;
    }
    if dims == 2 && m * n <= TINY && n > 1 && y.layout().strides()[0] == 1 {
        return self::values(x, &y.to_contiguous());
    }
    let size = m * n;
    let mut values: Vec<f32> = Vec::with_capacity(batches * size);
    let shared = batches * size * k >= SHARED;
    let one = |batch: usize, into: *mut f32, parallelism| {
        write([m, k, n], matrix_of(x, batch), matrix_of(y, batch), (into, n), false, parallelism);
    };
    let room = &mut values.spare_capacity_mut()[..batches * size];
    if batches > 1 && shared {
        room.par_chunks_mut(size).enumerate().for_each(|(batch, into)| one(batch, into.as_mut_ptr().cast(), Parallelism::None));
    } else {
        let parallelism = if shared { Parallelism::Rayon(0) } else { Parallelism::None };
        for (batch, into) in room.chunks_mut(size.max(1)).enumerate() {
            one(batch, into.as_mut_ptr().cast(), parallelism);
        }
    }
    #[expect(unsafe_code, reason = "every batch has written all of its m x n numbers, and there is room for that many")]
    // SAFETY: see the reason.
    unsafe {
        values.set_len(batches * size);
    }
    values
}

/// One of the matrices of a tensor.
fn matrix_of(tensor: &FlexTensor, batch: usize) -> Strided<'_> {
    let layout: &Layout = tensor.layout();
    let [.., row, column] = *layout.strides() else { unreachable!("a matrix has rows and columns") };
    let skipped = if layout.strides().len() == 3 { batch * layout.strides()[0].unsigned_abs() } else { 0 };
    Strided { values: &tensor.storage::<f32>()[layout.start_offset() + skipped..], row, column }
}

/// Writes the product of `x [m, k]` and `y [k, n]` into numbers of which a row begins so many behind the last one, or adds it to what is there.
///
/// # Panics
/// When a matrix ends early.
pub(super) fn multiply([m, k, n]: [usize; 3], x: Strided<'_>, y: Strided<'_>, (into, row): (&mut [f32], usize), add: bool) {
    assert!(n <= row && m.saturating_sub(1) * row + n <= into.len(), "room for {m} x {n} numbers");
    write([m, k, n], x, y, (into.as_mut_ptr(), row), add, Parallelism::None);
}

/// As [`multiply`], into as many rows behind a pointer as the caller has room for.
fn write([m, k, n]: [usize; 3], x: Strided<'_>, y: Strided<'_>, (into, row): (*mut f32, usize), add: bool, parallelism: Parallelism) {
    for (matrix, rows, columns) in [(&x, m, k), (&y, k, n)] {
        let last = (rows.max(1) - 1).cast_signed() * matrix.row + (columns.max(1) - 1).cast_signed() * matrix.column;
        assert!(
            rows * columns == 0 || (matrix.row >= 0 && matrix.column >= 0 && last < matrix.values.len().cast_signed()),
            "a matrix that ends early"
        );
    }
    let piece = if n <= NARROW { DEPTH } else { k.max(1) };
    for first in (0..k.max(1)).step_by(piece) {
        let further = add || first > 0;
        #[expect(
            unsafe_code,
            reason = "both factors lie within their slices, which was just seen, and the caller has room for what is written"
        )]
        // SAFETY: see the reason.
        unsafe {
            gemm::gemm(
                m,
                n,
                piece.min(k - first),
                into,
                1,
                row.cast_signed(),
                further,
                x.values.as_ptr().offset(first.cast_signed() * x.column),
                x.column,
                x.row,
                y.values.as_ptr().offset(first.cast_signed() * y.row),
                y.column,
                y.row,
                f32::from(u8::from(further)),
                1.0,
                false,
                false,
                false,
                parallelism,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use proptest::prelude::*;

    use super::super::noise;
    use super::*;

    /// A row's numbers are to the bit the same whatever stands beside it. Sizes on both sides of sharing, and of what the crate takes for small.
    #[test]
    fn a_row_does_not_see_its_neighbours() {
        for [k, n] in [[2, 9], [7, 5], [640, 2], [90, 16], [192, 192], [700, 33], [1031, 65], [896, 128], [1500, 517], [2600, 40]] {
            let weight = tensor(noise(k * n, 3), vec![k, n]);
            let turned = Flex::float_swap_dims(tensor(noise(k * n, 4), vec![n, k]), 0, 1);
            for (name, weight) in [("as it lies", &weight), ("turned", &turned)] {
                let x = noise(130 * k, 5);
                let of = |rows: Range<usize>| {
                    let x = x[rows.start * k..rows.end * k].to_vec();
                    product(&tensor(x, vec![rows.len(), k]), weight).storage::<f32>().to_vec()
                };
                let all = of(0..130);
                for rows in [0..1, 3..5, 0..6, 7..22, 20..36, 0..65, 1..129] {
                    let (found, expected) = (of(rows.clone()), &all[rows.start * n..rows.end * n]);
                    let off = found.iter().zip(expected).filter(|(a, b)| a.to_bits() != b.to_bits()).count();
                    assert_eq!(off, 0, "of {} numbers, {k} x {n} {name}, rows {rows:?}", found.len());
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        /// Against sums in f64, for batches, matrices that lie the other way, and sizes on both sides of sharing; rows may be missing.
        #[test]
        fn a_product_is_its_definition(batches in 1usize..4, m in 0usize..90, k in 1usize..90, n in 1usize..1100, turned: [bool; 2], flat: bool, seed: u64) {
            let batches = if flat { 1 } else { batches };
            let of = |[rows, columns]: [usize; 2], turned: bool, seed: u64| {
                let values = noise(batches * rows * columns, seed);
                let lies = if turned { [columns, rows] } else { [rows, columns] };
                let shape = if flat { lies.to_vec() } else { vec![batches, lies[0], lies[1]] };
                let lying = tensor(values.clone(), shape);
                let dims = lying.layout().shape().num_dims();
                let seen = if turned { Flex::float_swap_dims(lying, dims - 2, dims - 1) } else { lying };
                let at = move |batch: usize, row: usize, column: usize| {
                    f64::from(values[batch * rows * columns + if turned { column * rows + row } else { row * columns + column }])
                };
                (seen, at)
            };
            let ((x, of_x), (y, of_y)) = (of([m, k], turned[0], seed), of([k, n], turned[1], seed ^ 1));
            let found = product(&x, &y);
            let shape = if flat { vec![m, n] } else { vec![batches, m, n] };
            prop_assert_eq!(found.layout().shape().to_vec(), shape);
            for (at, &found) in found.storage::<f32>().iter().enumerate() {
                let (batch, row, column) = (at / (m * n), at / n % m, at % n);
                let expected: f64 = (0..k).map(|i| of_x(batch, row, i) * of_y(batch, i, column)).sum();
                prop_assert!((f64::from(found) - expected).abs() < 1e-4, "{} {}", found, expected);
            }
        }
    }
}
