//! Softmax and activation functions. Their exponential function is written so that the compiler makes vector code of it, which it does not of the
//! standard library's.

use burn_flex::FlexTensor;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use crate::activation::Curve;

/// Numbers that one thread takes at a time.
const CHUNK: usize = 1 << 14;
/// As many floats as the widest register holds.
const LANES: usize = 16;

/// `e^x`: Cephes' `expf` (Moshier, netlib.org/cephes), which is right to two units in the last place. Numbers too small to be normal are zero.
#[inline(always)]
fn exp(x: f32) -> f32 {
    // Beyond these the result is zero and infinity.
    const LEAST: f32 = -87.336_54;
    const MOST: f32 = 88.376_26;
    // Added and taken away again, it rounds to a whole number, which is in the lowest bits of the sum meanwhile.
    const WHOLE: f32 = 12_582_912.0;
    // ln 2 in two parts, the first of which has few digits.
    const HIGH: f32 = 355.0 / 512.0;
    const LOW: f32 = -2.121_944_4e-4;
    let within = if x > LEAST { x } else { LEAST };
    let within = if within < MOST { within } else { MOST };
    let shifted = within * std::f32::consts::LOG2_E + WHOLE;
    let power = shifted - WHOLE;
    let rest = within - power * HIGH - power * LOW;
    let mut series = 1.987_569_2e-4;
    for coefficient in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        series = series * rest + coefficient;
    }
    let of_rest = series * rest * rest + rest + 1.0;
    let of_power = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    let y = of_rest * of_power;
    let y = if x < LEAST { 0.0 } else { y };
    let y = if x > MOST { f32::INFINITY } else { y };
    if x.is_nan() { x } else { y }
}

/// Applies `part` to pieces of `values` that are whole rows of `row` numbers, on several threads where there is much to do.
fn in_pieces(values: &mut [f32], row: usize, part: impl Fn(&mut [f32]) + Send + Sync) {
    let piece = row * (CHUNK / row).max(1);
    if values.len() <= piece {
        part(values);
    } else {
        values.par_chunks_mut(piece).for_each(part);
    }
}

/// Softmax over the last dimension.
pub(super) fn softmax(mut x: FlexTensor) -> FlexTensor {
    let width = x.layout().shape().last().copied().unwrap_or_default();
    if width > 0 {
        in_pieces(x.storage_mut(), width, |rows| Arch::new().dispatch(Softmax { rows, width }));
    }
    x
}

struct Softmax<'a> {
    rows: &'a mut [f32],
    width: usize,
}

impl WithSimd for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for row in self.rows.chunks_exact_mut(self.width) {
            soften(row);
        }
    }
}

/// Softmax of a row.
#[inline(always)]
pub(super) fn soften(row: &mut [f32]) {
    let (most, mut sums) = (largest(row), [0.0; LANES]);
    let (chunks, rest) = row.as_chunks_mut::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            chunk[lane] = exp(chunk[lane] - most);
            sums[lane] += chunk[lane];
        }
    }
    for (value, sum) in rest.iter_mut().zip(&mut sums) {
        *value = exp(*value - most);
        *sum += *value;
    }
    let by = 1.0 / sums.iter().sum::<f32>();
    for value in row {
        *value *= by;
    }
}

/// The largest number of a row that has one.
#[inline(always)]
fn largest(row: &[f32]) -> f32 {
    let mut most = [f32::NEG_INFINITY; LANES];
    let (chunks, rest) = row.as_chunks::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            most[lane] = if chunk[lane] > most[lane] { chunk[lane] } else { most[lane] };
        }
    }
    rest.iter().chain(&most).fold(f32::NEG_INFINITY, |most, &value| if value > most { value } else { most })
}

/// Of every number `x` the product with `1 / (1 + e^-curve(x))`.
pub(super) fn weighted(mut x: FlexTensor, curve: Curve) -> FlexTensor {
    in_pieces(x.storage_mut(), 1, |values| Arch::new().dispatch(Weighted { values, curve }));
    x
}

struct Weighted<'a> {
    values: &'a mut [f32],
    curve: Curve,
}

impl WithSimd for Weighted<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        match self.curve {
            Curve::Itself => each(self.values, |x| x),
            Curve::Times(factor) => each(self.values, |x| factor * x),
            Curve::Cubic => each(self.values, |x| 2.0 * (2.0 / std::f32::consts::PI).sqrt() * (x + 0.044_715 * x * x * x)),
        }
    }
}

#[inline(always)]
fn each(values: &mut [f32], curve: impl Fn(f32) -> f32) {
    for value in values {
        *value *= 1.0 / (1.0 + exp(-curve(*value)));
    }
}

#[cfg(test)]
mod tests {
    use super::exp;
    use proptest::prelude::*;

    #[test]
    fn ends_of_the_exponential_function() {
        let bits = |values: [f32; 5]| values.map(f32::to_bits);
        let ends = [f32::NEG_INFINITY, -87.4, 0.0, 88.4, f32::INFINITY].map(exp);
        assert_eq!(bits(ends), bits([0.0, 0.0, 1.0, f32::INFINITY, f32::INFINITY]));
        assert!(exp(f32::NAN).is_nan());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn is_the_exponential_function(x in -87.3_f32..88.3) {
            let exact = f64::from(x).exp();
            let error = (f64::from(exp(x)) - exact).abs() / exact;
            prop_assert!(error < 2.0 * f64::from(f32::EPSILON), "{x}: {error}");
        }
    }
}
