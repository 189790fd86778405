//! bf16 weights on CubeCL devices.

use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::{FEATURES, LANES, block, elem, empty, sum_lanes, workgroup, workgroups};

/// Units per workgroup of the widening kernel.
const UNITS: usize = 256;

/// `x [rows, K]` times the transpose of `words [N, ⌈K/2⌉]`; all contiguous.
pub(super) fn launch(x: CubeTensor, words: CubeTensor) -> CubeTensor {
    let (rows, out) = (x.meta.shape()[0], words.meta.shape()[0]);
    let y = empty(&x, [rows, out], x.dtype);
    if rows * out > 0 {
        let (client, elem) = (x.client.clone(), elem(&x));
        bf16_linear::launch(
            &client,
            workgroups(rows, out),
            workgroup(),
            x.into_tensor_arg(),
            words.into_tensor_arg(),
            y.clone().into_tensor_arg(),
            block(rows),
            elem,
        );
    }
    y
}

/// `words [N, ⌈K/2⌉]`, contiguous, as f32 `[N, K]`.
pub(super) fn widen(words: CubeTensor, input: usize) -> CubeTensor {
    let rows = words.meta.shape()[0];
    let values = empty(&words, [rows, input], DType::F32);
    if rows * input > 0 {
        let client = words.client.clone();
        bf16_widen::launch(
            &client,
            // The limit is 65535 workgroups per axis: a row each.
            CubeCount::Static(rows.min(32768) as u32, rows.div_ceil(32768) as u32, 1),
            CubeDim::new_1d(UNITS as u32),
            words.into_tensor_arg(),
            values.clone().into_tensor_arg(),
        );
    }
    values
}

#[cube(launch)]
fn bf16_linear<F: Float>(x: &Tensor<F>, words: &Tensor<u32>, y: &mut Tensor<F>, #[comptime] block: usize, #[define(F)] _elem: ElemType) {
    let lane = UNIT_POS_X as usize;
    let out = CUBE_POS_X as usize * FEATURES + UNIT_POS_Y as usize;
    let first_row = CUBE_POS_Y as usize * block;
    let (rows, input) = (x.shape(0), x.shape(1));
    let (outs, words_per_row) = (words.shape(0), words.shape(1));

    let mut sums = Array::<f32>::new(block);
    #[unroll]
    for row in 0..block {
        sums[row] = 0.0;
    }
    if out < outs {
        let mut at = lane;
        while at < words_per_row {
            let word = words[out * words_per_row + at];
            #[unroll]
            for half in 0..2usize {
                let weight = half_of(word, half);
                // A column beyond the last repeats it; the weight there is zero.
                let column = min(at * 2 + half, input - 1);
                #[unroll]
                for row in 0..block {
                    // Rows beyond the last repeat it; their sums are never written.
                    let row_of_x = min(first_row + row, rows - 1);
                    sums[row] += weight * f32::cast_from(x[row_of_x * input + column]);
                }
            }
            at += LANES;
        }
    }

    let mut shared = Shared::<[f32]>::new_slice(LANES * FEATURES * block);
    let mine = (UNIT_POS_Y as usize * LANES + lane) * block;
    #[unroll]
    for row in 0..block {
        shared[mine + row] = sums[row];
    }
    sum_lanes::<f32>(&mut shared, mine, lane, block);
    if lane == 0 && out < outs {
        #[unroll]
        for row in 0..block {
            if first_row + row < rows {
                y[(first_row + row) * outs + out] = F::cast_from(shared[mine + row]);
            }
        }
    }
}

/// One row per workgroup.
#[cube(launch)]
fn bf16_widen(words: &Tensor<u32>, values: &mut Tensor<f32>) {
    let row = CUBE_POS_Y as usize * 32768 + CUBE_POS_X as usize;
    let (rows, words_per_row, input) = (words.shape(0), words.shape(1), values.shape(1));
    if row < rows {
        let mut at = UNIT_POS as usize;
        while at < words_per_row {
            let word = words[row * words_per_row + at];
            #[unroll]
            for half in 0..2usize {
                let column = at * 2 + half;
                if column < input {
                    values[row * input + column] = half_of(word, half);
                }
            }
            at += UNITS;
        }
    }
}

/// The number in half `half` of a word: a bf16 number is the upper half of an f32 number.
#[cube]
fn half_of(word: u32, #[comptime] half: usize) -> f32 {
    f32::reinterpret::<u32>((word >> comptime!(16 * half as u32)) << 16)
}
