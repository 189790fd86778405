//! LLM.int8() on CubeCL devices: split and round the rows, multiply in integers.

use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::{FEATURES, LANES, block, elem, empty, workgroup, workgroups};

/// Units per workgroup of the first kernel.
const UNITS: usize = 256;

/// `x [rows, K]` times the transpose of `words [N, ⌈K/4⌉]`, `absmax [N]`; all contiguous.
pub(super) fn launch(x: CubeTensor, words: CubeTensor, absmax: CubeTensor, threshold: f32) -> CubeTensor {
    let (rows, out, words_per_row) = (x.meta.shape()[0], words.meta.shape()[0], words.meta.shape()[1]);
    let y = empty(&x, [rows, out], x.dtype);
    if rows * out == 0 {
        return y;
    }
    let (client, elem) = (x.client.clone(), elem(&x));
    let outliers = empty(&x, [rows, words_per_row], DType::U32);
    let codes = empty(&x, [rows, words_per_row], DType::U32);
    let scales = empty(&x, [1, rows], DType::F32);
    round_rows::launch(
        &client,
        // The limit is 65535 workgroups per axis.
        CubeCount::Static(rows.min(32768) as u32, rows.div_ceil(32768) as u32, 1),
        CubeDim::new_1d(UNITS as u32),
        x.clone().into_tensor_arg(),
        outliers.clone().into_tensor_arg(),
        codes.clone().into_tensor_arg(),
        scales.clone().into_tensor_arg(),
        threshold,
        elem,
    );
    int8_linear::launch(
        &client,
        workgroups(rows, out),
        workgroup(),
        x.into_tensor_arg(),
        outliers.into_tensor_arg(),
        codes.into_tensor_arg(),
        scales.into_tensor_arg(),
        words.into_tensor_arg(),
        absmax.into_tensor_arg(),
        y.clone().into_tensor_arg(),
        block(rows),
        elem,
    );
    y
}

/// One row per workgroup: its largest magnitude under the threshold; its codes, four a word; and for each of them a bit that is set
/// where the entry reaches the threshold, four a word too.
#[cube(launch)]
fn round_rows<F: Float>(
    x: &Tensor<F>,
    outliers: &mut Tensor<u32>,
    codes: &mut Tensor<u32>,
    scales: &mut Tensor<f32>,
    threshold: f32,
    #[define(F)] _elem: ElemType,
) {
    let row = CUBE_POS_Y as usize * 32768 + CUBE_POS_X as usize;
    let unit = UNIT_POS as usize;
    let (rows, input, words_per_row) = (x.shape(0), x.shape(1), codes.shape(1));
    let is_row = row < rows;

    let mut largest = 0.0f32;
    if is_row {
        let mut column = unit;
        while column < input {
            let magnitude = f32::cast_from(x[row * input + column]).abs();
            if magnitude < threshold && magnitude > largest {
                largest = magnitude;
            }
            column += UNITS;
        }
    }
    let mut shared = Shared::<[f32]>::new_slice(UNITS);
    shared[unit] = largest;
    sync_cube();
    #[unroll]
    for step in 0..8usize {
        let half = comptime!(UNITS >> (step + 1));
        if unit < half {
            shared[unit] = max(shared[unit], shared[unit + half]);
        }
        sync_cube();
    }
    let scale = shared[0];

    if is_row {
        if unit == 0 {
            scales[row] = scale;
        }
        // A row of zeros (or one too small to invert) has nothing to multiply.
        let per_unit = select(scale > 1e-36, 127.0 / max(scale, 1e-36), 0.0);
        let mut word = unit;
        while word < words_per_row {
            let mut bits = 0u32;
            let mut packed = 0u32;
            #[unroll]
            for byte in 0..4usize {
                let column = word * 4 + byte;
                if column < input {
                    let value = f32::cast_from(x[row * input + column]);
                    // A NaN is no inlier: it takes the float way and stays visible.
                    let is_inlier = value.abs() < threshold;
                    if is_inlier {
                        let code = i32::cast_from((value * per_unit).round());
                        packed |= (u32::cast_from(code) & 255) << (8 * byte as u32);
                    } else {
                        bits |= comptime!(1u32 << byte as u32);
                    }
                }
            }
            outliers[row * words_per_row + word] = bits;
            codes[row * words_per_row + word] = packed;
            word += UNITS;
        }
    }
}

/// The integer product of the codes, scaled back, plus the outliers in float.
#[cube(launch)]
fn int8_linear<F: Float>(
    x: &Tensor<F>,
    outliers: &Tensor<u32>,
    codes: &Tensor<u32>,
    scales: &Tensor<f32>,
    words: &Tensor<u32>,
    absmax: &Tensor<f32>,
    y: &mut Tensor<F>,
    #[comptime] block: usize,
    #[define(F)] _elem: ElemType,
) {
    let lane = UNIT_POS_X as usize;
    let out = CUBE_POS_X as usize * FEATURES + UNIT_POS_Y as usize;
    let first_row = CUBE_POS_Y as usize * block;
    let (rows, input) = (x.shape(0), x.shape(1));
    let (outs, words_per_row) = (words.shape(0), words.shape(1));

    let mut products = Array::<i32>::new(block);
    let mut floats = Array::<f32>::new(block);
    #[unroll]
    for row in 0..block {
        products[row] = 0;
        floats[row] = 0.0;
    }
    if out < outs {
        let mut at = lane;
        while at < words_per_row {
            let word = words[out * words_per_row + at];
            #[unroll]
            for row in 0..block {
                // Rows beyond the last repeat it; their sums are never written.
                let row_of_x = min(first_row + row, rows - 1);
                let x_word = codes[row_of_x * words_per_row + at];
                let bits = outliers[row_of_x * words_per_row + at];
                #[unroll]
                for byte in 0..4usize {
                    products[row] += signed_byte(word, byte) * signed_byte(x_word, byte);
                }
                if bits != 0 {
                    #[unroll]
                    for byte in 0..4usize {
                        if (bits >> byte as u32) & 1 == 1 {
                            let value = f32::cast_from(x[row_of_x * input + at * 4 + byte]);
                            floats[row] += value * f32::cast_from(signed_byte(word, byte));
                        }
                    }
                }
            }
            at += LANES;
        }
    }

    // As `sum_lanes`, for two sums that share its barriers: integers stay integers to the end.
    let mut shared_products = Shared::<[i32]>::new_slice(LANES * FEATURES * block);
    let mut shared_floats = Shared::<[f32]>::new_slice(LANES * FEATURES * block);
    let mine = (UNIT_POS_Y as usize * LANES + lane) * block;
    #[unroll]
    for row in 0..block {
        shared_products[mine + row] = products[row];
        shared_floats[mine + row] = floats[row];
    }
    sync_cube();
    #[unroll]
    for step in 0..5usize {
        let half = comptime!(LANES >> (step + 1));
        if lane < half {
            #[unroll]
            for row in 0..block {
                shared_products[mine + row] += shared_products[mine + half * block + row];
                shared_floats[mine + row] += shared_floats[mine + half * block + row];
            }
        }
        sync_cube();
    }
    if lane == 0 && out < outs {
        let absmax = absmax[out];
        #[unroll]
        for row in 0..block {
            if first_row + row < rows {
                let scale = scales[first_row + row] * absmax / 16129.0;
                let value = f32::cast_from(shared_products[mine + row]) * scale;
                let value = value + shared_floats[mine + row] * (absmax / 127.0);
                y[(first_row + row) * outs + out] = F::cast_from(value);
            }
        }
    }
}

/// Byte `byte` of a word, as a signed number.
#[cube]
fn signed_byte(word: u32, #[comptime] byte: usize) -> i32 {
    i32::cast_from(word << comptime!(24 - 8 * byte as u32)) >> 24
}
