//! 4-bit weights on CubeCL devices.

use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::{FEATURES, LANES, block, elem, empty, half_bits_to_f32, sum_lanes, workgroup, workgroups};

/// `x [rows, K]` times the transpose of `words [N, K/8]`, `groups [N, K/G]`; all contiguous.
pub(super) fn launch(x: CubeTensor, words: CubeTensor, groups: CubeTensor) -> CubeTensor {
    let (rows, out) = (x.meta.shape()[0], words.meta.shape()[0]);
    let y = empty(&x, [rows, out], x.dtype);
    if rows * out > 0 {
        let (client, elem) = (x.client.clone(), elem(&x));
        w4_linear::launch(
            &client,
            workgroups(rows, out),
            workgroup(),
            x.into_tensor_arg(),
            words.into_tensor_arg(),
            groups.into_tensor_arg(),
            y.clone().into_tensor_arg(),
            block(rows),
            elem,
        );
    }
    y
}

#[cube(launch)]
fn w4_linear<F: Float>(
    x: &Tensor<F>,
    words: &Tensor<u32>,
    groups: &Tensor<u32>,
    y: &mut Tensor<F>,
    #[comptime] block: usize,
    #[define(F)] _elem: ElemType,
) {
    let lane = UNIT_POS_X as usize;
    let out = CUBE_POS_X as usize * FEATURES + UNIT_POS_Y as usize;
    let first_row = CUBE_POS_Y as usize * block;
    let (rows, input) = (x.shape(0), x.shape(1));
    let (outs, words_per_row, groups_per_row) = (words.shape(0), words.shape(1), groups.shape(1));
    let words_per_group = words_per_row / groups_per_row;

    let mut sums = Array::<f32>::new(block);
    #[unroll]
    for row in 0..block {
        sums[row] = 0.0;
    }
    if out < outs {
        let mut at = lane;
        while at < words_per_row {
            let word = words[out * words_per_row + at];
            let group = groups[out * groups_per_row + at / words_per_group];
            let (scale, zero) = (half_bits_to_f32(group & 65535), half_bits_to_f32(group >> 16));
            #[unroll]
            for nibble in 0..8usize {
                let code = (word >> (4 * nibble as u32)) & 15;
                let weight = (f32::cast_from(code) - zero) * scale;
                #[unroll]
                for row in 0..block {
                    // Rows beyond the last repeat it; their sums are never written.
                    let row_of_x = min(first_row + row, rows - 1);
                    sums[row] += weight * f32::cast_from(x[row_of_x * input + at * 8 + nibble]);
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
