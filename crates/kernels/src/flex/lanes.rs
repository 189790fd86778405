//! Inner products written so that the compiler turns them into vector code.
//!
//! Always inlined: the caller runs them under `pulp`'s dispatch, which compiles them once per instruction set. Floats
//! are summed in a fixed number of lanes and without fused multiply-add, so every instruction set gives the same bits.

const LANES: usize = 32;

/// Inner product of two f32 slices of the same length.
#[inline(always)]
pub(super) fn dot_f32(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    let (a_lanes, a_rest) = a.as_chunks::<LANES>();
    let (b_lanes, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_lanes.iter().zip(b_lanes) {
        for lane in 0..LANES {
            lanes[lane] += a[lane] * b[lane];
        }
    }
    for (lane, (a, b)) in lanes.iter_mut().zip(a_rest.iter().zip(b_rest)) {
        *lane += a * b;
    }
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// Exact inner product of two slices of 8-bit values held as i16, of the same length.
#[inline(always)]
pub(super) fn dot_i8(a: &[i16], b: &[i16]) -> i32 {
    a.iter().zip(b).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum()
}
