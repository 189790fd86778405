//! Inner products as vector code. Always inlined: the caller runs under `pulp`'s dispatch, once per instruction set.

use pulp::{Simd, as_arrays};

/// Inner product of two f32 slices of the same length.
#[inline(always)]
pub(super) fn dot_f32<S: Simd>(simd: S, a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (S::as_simd_f32s(a), S::as_simd_f32s(b));
    let ((a_fours, a), (b_fours, b)) = (as_arrays::<4, _>(a), as_arrays::<4, _>(b));
    let mut sums = [simd.splat_f32s(0.0); 4];
    for (a, b) in a_fours.iter().zip(b_fours) {
        for lane in 0..4 {
            sums[lane] = simd.mul_add_e_f32s(a[lane], b[lane], sums[lane]);
        }
    }
    for (&a, &b) in a.iter().zip(b) {
        sums[0] = simd.mul_add_e_f32s(a, b, sums[0]);
    }
    let sum = simd.add_f32s(simd.add_f32s(sums[0], sums[1]), simd.add_f32s(sums[2], sums[3]));
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    simd.reduce_sum_f32s(sum) + rest
}

/// Sums side by side in so many registers. Rounded after each operation, so that they are the same on every machine.
#[derive(Clone, Copy)]
pub(super) struct Sums<S: Simd, const REGISTERS: usize>([S::f32s; REGISTERS]);

impl<S: Simd, const REGISTERS: usize> Sums<S, REGISTERS> {
    #[inline(always)]
    pub(super) fn zero(simd: S) -> Self {
        Self([simd.splat_f32s(0.0); REGISTERS])
    }

    /// Adds a product to each; there are as many of both factors as of sums.
    #[inline(always)]
    pub(super) fn add(&mut self, simd: S, a: &[f32], b: &[f32]) {
        let of = |values| as_arrays::<REGISTERS, S::f32s>(S::as_simd_f32s(values).0).0;
        for (a, b) in of(a).iter().zip(of(b)) {
            for at in 0..REGISTERS {
                self.0[at] = simd.add_f32s(self.0[at], simd.mul_f32s(a[at], b[at]));
            }
        }
    }

    /// Writes them down.
    #[inline(always)]
    pub(super) fn write(&self, into: &mut [f32]) {
        S::as_mut_simd_f32s(into).0.copy_from_slice(&self.0);
    }
}

/// Exact inner product of two slices of 8-bit values held as i16, of the same length.
#[inline(always)]
pub(super) fn dot_i8(a: &[i16], b: &[i16]) -> i32 {
    // The compiler's own pattern for a multiply-add of i16 pairs.
    a.iter().zip(b).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum()
}
