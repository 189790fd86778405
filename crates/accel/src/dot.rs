//! The inner product of two rows, and of one with several.
//!
//! The same bits on every machine: sixteen partial sums, without fused operations, added up in their order.

#![expect(clippy::inline_always, reason = "what runs under pulp's dispatch gets its instruction set only by being inlined into it")]

use pulp::{Arch, Simd, WithSimd, as_arrays};

/// Partial sums of a product.
const PARTS: usize = 16;

/// In a fixed number of partial sums: vector code, and the same bits on every machine.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0; PARTS];
    for (a, b) in a.chunks(PARTS).zip(b.chunks(PARTS)) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    sums.iter().sum()
}

/// What [`dot`] makes of `one` and each of four rows, to the bit. A single product waits for its own additions; four at a time do not.
pub(crate) fn four_dots(one: &[f32], four: [&[f32]; 4]) -> [f32; 4] {
    let mut sums = FourSums::default();
    sums.add(one, four);
    sums.totals()
}

/// What [`dot`] makes of `one` and each of `others`, to the bit.
pub(crate) fn dots(one: &[f32], others: &[&[f32]]) -> Vec<f32> {
    others.chunks(4).flat_map(|some| four_dots(one, as_four(some)).into_iter().take(some.len())).collect()
}

/// What is of one to four rows as of four: the last one stands for those that are missing.
pub(crate) fn as_four<T: Copy>(some: &[T]) -> [T; 4] {
    [0, 1, 2, 3].map(|at| some[at.min(some.len() - 1)])
}

/// The products of [`four_dots`] on their way.
#[derive(Default)]
pub(crate) struct FourSums([[f32; PARTS]; 4]);

impl FourSums {
    /// The next columns of the rows; of all but the last ones a multiple of sixteen.
    pub(crate) fn add(&mut self, one: &[f32], four: [&[f32]; 4]) {
        Arch::new().dispatch(Add { sums: &mut self.0, one, four });
    }

    /// Of the columns so far.
    pub(crate) fn totals(&self) -> [f32; 4] {
        self.0.each_ref().map(|sums| sums.iter().sum())
    }
}

struct Add<'a> {
    sums: &'a mut [[f32; PARTS]; 4],
    one: &'a [f32],
    four: [&'a [f32]; 4],
}

impl WithSimd for Add<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match S::F32_LANES {
            16 => self.in_vectors::<S, 1>(simd),
            8 => self.in_vectors::<S, 2>(simd),
            4 => self.in_vectors::<S, 4>(simd),
            _ => self.in_vectors::<S, PARTS>(simd),
        }
    }
}

impl Add<'_> {
    /// With `R` vectors for the partial sums of a product.
    #[inline(always)]
    fn in_vectors<S: Simd, const R: usize>(self, simd: S) {
        let whole = self.one.len() - self.one.len() % PARTS;
        let a = vectors::<S, R>(&self.one[..whole]);
        let [b, c, d, e] = self.four.map(|row| vectors::<S, R>(&row[..whole]));
        let mut sums = [[simd.splat_f32s(0.0); R]; 4];
        for (to, from) in sums.iter_mut().zip(self.sums.iter()) {
            to.copy_from_slice(S::as_simd_f32s(from).0);
        }
        for ((((a, b), c), d), e) in a.iter().zip(b).zip(c).zip(d).zip(e) {
            for part in 0..R {
                sums[0][part] = simd.add_f32s(sums[0][part], simd.mul_f32s(a[part], b[part]));
                sums[1][part] = simd.add_f32s(sums[1][part], simd.mul_f32s(a[part], c[part]));
                sums[2][part] = simd.add_f32s(sums[2][part], simd.mul_f32s(a[part], d[part]));
                sums[3][part] = simd.add_f32s(sums[3][part], simd.mul_f32s(a[part], e[part]));
            }
        }
        for (to, from) in self.sums.iter_mut().zip(&sums) {
            S::as_mut_simd_f32s(to).0.copy_from_slice(from);
        }
        for (sums, row) in self.sums.iter_mut().zip(self.four) {
            for (sum, (a, b)) in sums.iter_mut().zip(self.one[whole..].iter().zip(&row[whole..])) {
                *sum += a * b;
            }
        }
    }
}

/// A row of a multiple of sixteen values, sixteen at a time.
#[inline(always)]
fn vectors<S: Simd, const R: usize>(row: &[f32]) -> &[[S::f32s; R]] {
    as_arrays::<R, _>(S::as_simd_f32s(row).0).0
}

#[cfg(test)]
mod tests {
    use super::{FourSums, dot, dots, four_dots};

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
            let mut sums = FourSums::default();
            for part in [0..length / 2 / 16 * 16, length / 2 / 16 * 16..length] {
                sums.add(&one[part.clone()], four.each_ref().map(|row| &row[part.clone()]));
            }
            assert_eq!(sums.totals().map(f32::to_bits), each, "{length} in two parts");
        }
    }
}
