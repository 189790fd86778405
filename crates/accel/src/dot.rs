//! The inner product of two rows, and of one with several.
//!
//! The same bits on every machine: sixteen partial sums, without fused operations, added up in their order.

#![expect(clippy::inline_always, reason = "what runs under pulp's dispatch gets its instruction set only by being inlined into it")]

use pulp::{Arch, Simd, WithSimd, as_arrays};

/// Partial sums of a product.
const PARTS: usize = 16;

/// In a fixed number of partial sums: vector code, and the same bits on every machine.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let [product] = Arch::new().dispatch(Dots { one: a, rows: [b] });
    product
}

/// What [`dot`] makes of `one` and each of four rows, to the bit. A single product waits for its own additions; four at a time do not.
pub(crate) fn four_dots(one: &[f32], four: [&[f32]; 4]) -> [f32; 4] {
    Arch::new().dispatch(Dots { one, rows: four })
}

/// What [`dot`] makes of `one` and each of `others`, to the bit.
pub(crate) fn dots(one: &[f32], others: &[&[f32]]) -> Vec<f32> {
    others.chunks(4).flat_map(|some| four_dots(one, as_four(some)).into_iter().take(some.len())).collect()
}

/// What is of one to four rows as of four: the last one stands for those that are missing.
pub(crate) fn as_four<T: Copy>(some: &[T]) -> [T; 4] {
    [0, 1, 2, 3].map(|at| some[at.min(some.len() - 1)])
}

/// Rows to either side of a tile.
pub(crate) const SIDE: usize = 4;

/// The inner products of four rows with each of four others, as fast as this machine makes them: sixteen products need eight rows, and what is multiplied may be added without
/// being rounded first. They are what [`dot`] says but for [`rounding`], so they tell which products need not be made exactly.
pub(crate) fn screened(ones: [&[f32]; SIDE], others: [&[f32]; SIDE]) -> [[f32; SIDE]; SIDE] {
    Arch::new().dispatch(Screen { ones, others })
}

/// By how much of the product of both lengths two ways to sum an inner product of rows of this width can differ: each is within `width` roundings of what it would be in
/// exact numbers (N. Higham, "Accuracy and Stability of Numerical Algorithms", 2002, section 3.1), of terms whose magnitudes come to that product at most (Cauchy
/// and Schwarz). Some room is left for what a caller makes of them.
pub(crate) fn rounding(width: usize) -> f32 {
    (width + 16) as f32 * f32::EPSILON
}

struct Screen<'a> {
    ones: [&'a [f32]; SIDE],
    others: [&'a [f32]; SIDE],
}

impl WithSimd for Screen<'_> {
    type Output = [[f32; SIDE]; SIDE];

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
        let mut products = [[0.0; SIDE]; SIDE];
        // as many sums as there are registers for
        if S::F32_LANES >= 16 {
            self.columns::<S, SIDE>(simd, 0, &mut products);
        } else {
            self.columns::<S, 2>(simd, 0, &mut products);
            self.columns::<S, 2>(simd, 2, &mut products);
        }
        products
    }
}

impl Screen<'_> {
    /// With `N` of the others, from `first` on.
    #[inline(always)]
    fn columns<S: Simd, const N: usize>(&self, simd: S, first: usize, products: &mut [[f32; SIDE]; SIDE]) {
        let width = self.ones[0].len();
        let ones = self.ones.map(|row| S::as_simd_f32s(&row[..width]));
        let others: [_; N] = std::array::from_fn(|at| S::as_simd_f32s(&self.others[first + at][..width]));
        let mut sums = [[simd.splat_f32s(0.0); N]; SIDE];
        let vectors = ones[0].0.len();
        let (a, b) = (ones.map(|(row, _)| &row[..vectors]), others.map(|(row, _)| &row[..vectors]));
        for at in 0..vectors {
            for (sums, one) in sums.iter_mut().zip(&a) {
                for (sum, other) in sums.iter_mut().zip(&b) {
                    *sum = simd.mul_add_e_f32s(one[at], other[at], *sum);
                }
            }
        }
        for ((products, sums), (_, one)) in products.iter_mut().zip(sums).zip(ones) {
            for ((product, sum), (_, other)) in products[first..].iter_mut().zip(sums).zip(others) {
                *product = simd.reduce_sum_f32s(sum) + one.iter().zip(other).map(|(a, b)| a * b).sum::<f32>();
            }
        }
    }
}

/// Takes from a row each of `others` so many times, one after the other: what plain Rust makes of it, to the bit, while a part of the row stays in registers.
pub(crate) fn subtract(row: &mut [f32], others: &[(f32, &[f32])]) {
    Arch::new().dispatch(Subtract { row, others });
}

struct Subtract<'a> {
    row: &'a mut [f32],
    others: &'a [(f32, &'a [f32])],
}

impl WithSimd for Subtract<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        const HELD: usize = 8;
        let width = self.row.len();
        let (vectors, rest) = S::as_mut_simd_f32s(self.row);
        let (parts, singles) = vectors.as_chunks_mut::<HELD>();
        let behind = parts.len() * HELD;
        for (at, held) in parts.iter_mut().enumerate() {
            subtract_from(simd, held, self.others, width, at * HELD);
        }
        for (at, held) in singles.iter_mut().enumerate() {
            subtract_from(simd, std::array::from_mut(held), self.others, width, behind + at);
        }
        let first = width - rest.len();
        for (times, other) in self.others {
            rest.iter_mut().zip(&other[first..]).for_each(|(value, other)| *value -= times * other);
        }
    }
}

/// From so many vectors of a row, the first of which is the `first`, each of `others`, of which the first `width` numbers count.
#[inline(always)]
fn subtract_from<S: Simd, const N: usize>(simd: S, held: &mut [S::f32s; N], others: &[(f32, &[f32])], width: usize, first: usize) {
    let mut values = *held;
    for (times, other) in others {
        let (times, other) = (simd.splat_f32s(*times), &S::as_simd_f32s(&other[..width]).0[first..][..N]);
        for (value, other) in values.iter_mut().zip(other) {
            *value = simd.sub_f32s(*value, simd.mul_f32s(times, *other));
        }
    }
    *held = values;
}

struct Dots<'a, const N: usize> {
    one: &'a [f32],
    rows: [&'a [f32]; N],
}

impl<const N: usize> WithSimd for Dots<'_, N> {
    type Output = [f32; N];

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> [f32; N] {
        match S::F32_LANES {
            16 => self.in_vectors::<S, 1>(simd),
            8 => self.in_vectors::<S, 2>(simd),
            4 => self.in_vectors::<S, 4>(simd),
            _ => self.in_vectors::<S, PARTS>(simd),
        }
    }
}

impl<const N: usize> Dots<'_, N> {
    /// With `R` vectors for the partial sums of a product.
    #[inline(always)]
    fn in_vectors<S: Simd, const R: usize>(self, simd: S) -> [f32; N] {
        let whole = self.one.len() - self.one.len() % PARTS;
        let one = vectors::<S, R>(&self.one[..whole]);
        let rows = self.rows.map(|row| &vectors::<S, R>(&row[..whole])[..one.len()]);
        let mut sums = [[simd.splat_f32s(0.0); R]; N];
        for (at, one) in one.iter().enumerate() {
            for (sums, row) in sums.iter_mut().zip(&rows) {
                for ((sum, a), b) in sums.iter_mut().zip(one).zip(&row[at]) {
                    *sum = simd.add_f32s(*sum, simd.mul_f32s(*a, *b));
                }
            }
        }
        let mut products = [0.0; N];
        for ((product, sums), row) in products.iter_mut().zip(&sums).zip(self.rows) {
            let mut parts = [0.0; PARTS];
            S::as_mut_simd_f32s(&mut parts).0.copy_from_slice(sums);
            for (part, (a, b)) in parts.iter_mut().zip(self.one[whole..].iter().zip(&row[whole..])) {
                *part += a * b;
            }
            *product = parts.iter().sum();
        }
        products
    }
}

/// A row of a multiple of sixteen values, sixteen at a time.
#[inline(always)]
fn vectors<S: Simd, const R: usize>(row: &[f32]) -> &[[S::f32s; R]] {
    as_arrays::<R, _>(S::as_simd_f32s(row).0).0
}

#[cfg(test)]
mod tests {
    use super::{dot, dots, four_dots, rounding, screened, subtract};

    #[test]
    fn it_has_all_its_terms() {
        for length in [0, 1, 7, 15, 16, 17, 31] {
            let values: Vec<f32> = (0..length).map(|at| at as f32).collect();
            let expected: i32 = (0..length).map(|at| at * at).sum();
            assert_eq!(dot(&values, &values).to_bits(), (expected as f32).to_bits());
        }
    }

    /// Values whose sums depend on their order.
    fn rows(length: usize) -> [Vec<f32>; 5] {
        [1.0_f32, 1.3, 1.7, 2.1, 2.9].map(|step| (0..length).map(|at| (at as f32 * step + step).sin() * 10.0).collect())
    }

    /// Sixteen sums, each of every sixteenth term, in plain Rust.
    #[test]
    fn it_rounds_as_it_says() {
        for length in [0, 1, 15, 16, 33, 160, 1543] {
            let [one, other, ..] = rows(length);
            let mut sums = [0.0_f32; 16];
            one.iter().zip(&other).enumerate().for_each(|(at, (a, b))| sums[at % 16] += a * b);
            assert_eq!(dot(&one, &other).to_bits(), sums.iter().sum::<f32>().to_bits(), "{length}");
        }
    }

    /// Against sums in f64.
    #[test]
    fn what_is_screened_is_right_but_for_rounding() {
        for length in [0, 1, 15, 16, 33, 160, 1543] {
            let [a, b, c, d, e] = rows(length);
            let (ones, others) = ([&a, &b, &c, &d].map(Vec::as_slice), [&b, &c, &d, &e].map(Vec::as_slice));
            let exactly = |one: &[f32], other: &[f32]| one.iter().zip(other).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
            for (one, products) in ones.iter().zip(screened(ones, others)) {
                for (other, product) in others.iter().zip(products) {
                    let bound = f64::from(rounding(length)) * (exactly(one, one) * exactly(other, other)).sqrt();
                    assert!((f64::from(product) - exactly(one, other)).abs() <= bound, "{length}: {product}");
                    assert!((f64::from(product) - f64::from(dot(one, other))).abs() <= bound, "{length}: {product}");
                }
            }
        }
    }

    /// Against plain Rust.
    #[test]
    fn what_is_subtracted_is_so_to_the_bit() {
        for length in [0, 1, 15, 16, 33, 160, 1543] {
            let [mut row, others @ ..] = rows(length);
            let times = [0.3, -1.7, 0.0, 2.9];
            let mut expected = row.clone();
            for (times, other) in times.iter().zip(&others) {
                expected.iter_mut().zip(other).for_each(|(value, other)| *value -= times * other);
            }
            subtract(&mut row, &times.into_iter().zip(others.iter().map(Vec::as_slice)).collect::<Vec<_>>());
            let bits = |row: &[f32]| row.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&row), bits(&expected), "{length}");
        }
    }

    #[test]
    fn four_at_once_are_each_to_the_bit() {
        for length in [0, 1, 15, 16, 33, 160, 1543] {
            let [one, four @ ..] = rows(length);
            let each = four.each_ref().map(|row| dot(&one, row).to_bits());
            assert_eq!(four_dots(&one, four.each_ref().map(Vec::as_slice)).map(f32::to_bits), each, "{length}");
            for count in 0..4 {
                let some: Vec<&[f32]> = four.iter().take(count).map(Vec::as_slice).collect();
                assert_eq!(dots(&one, &some).into_iter().map(f32::to_bits).collect::<Vec<_>>(), each[..count], "{count} of {length}");
            }
        }
    }
}
