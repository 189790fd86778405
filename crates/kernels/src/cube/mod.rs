//! The products on CubeCL devices.
//!
//! Written for the least a WebGPU device offers: no subgroups, 256 units a workgroup, 32-bit storage, at most eight
//! buffers, shapes read at run time. A workgroup computes [`FEATURES`] output features for a block of rows; along the
//! input, [`LANES`] units side by side read consecutive words and add up their parts in workgroup memory.
#![expect(clippy::used_underscore_binding, reason = "the cube macro reads the arguments that only name an element type")]

mod bf16;
mod int8;
mod w4;

use burn::backend::cubecl::dtype_to_elem_type;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::tensor::{DType, Shape};
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use crate::ops::PackedOps;

/// Units that share an output feature. The reductions below count on 32.
const LANES: usize = 32;
/// Output features per workgroup.
const FEATURES: usize = 8;
/// Rows of activations that a unit meets with one unpacked word.
const ROWS: usize = 4;

impl PackedOps for CubeBackend {
    fn w4_linear(x: FloatTensor<Self>, words: IntTensor<Self>, groups: IntTensor<Self>) -> FloatTensor<Self> {
        w4::launch(into_contiguous(x), into_contiguous(words), into_contiguous(groups))
    }

    fn int8_linear(x: FloatTensor<Self>, words: IntTensor<Self>, absmax: FloatTensor<Self>, threshold: f32) -> FloatTensor<Self> {
        int8::launch(into_contiguous(x), into_contiguous(words), into_contiguous(absmax), threshold)
    }

    fn bf16_linear(x: FloatTensor<Self>, words: IntTensor<Self>) -> FloatTensor<Self> {
        bf16::launch(into_contiguous(x), into_contiguous(words))
    }

    fn bf16_widen(words: IntTensor<Self>, input: usize) -> FloatTensor<Self> {
        bf16::widen(into_contiguous(words), input)
    }
}

/// An uninitialised tensor beside `like`.
fn empty(like: &CubeTensor, shape: [usize; 2], dtype: DType) -> CubeTensor {
    empty_device_contiguous_dtype(like.client.clone(), like.device.clone(), Shape::from(shape), dtype)
}

fn elem(tensor: &CubeTensor) -> ElemType {
    dtype_to_elem_type(tensor.dtype)
}

/// Rows a workgroup takes: one when there is only one, so that decoding wastes nothing.
fn block(rows: usize) -> usize {
    if rows == 1 { 1 } else { ROWS }
}

/// Workgroups for `[rows, out]`. The limit of 65535 per axis allows 524,280 output features and 262,140 rows.
fn workgroups(rows: usize, out: usize) -> CubeCount {
    CubeCount::Static(out.div_ceil(FEATURES) as u32, rows.div_ceil(block(rows)) as u32, 1)
}

fn workgroup() -> CubeDim {
    CubeDim::new_2d(LANES as u32, FEATURES as u32)
}

/// Adds up, in a tree over the lanes of each feature, the `block` sums that each unit has put into `shared` from its place `mine` on. Lane 0
/// finds the totals in its own place.
#[cube]
fn sum_lanes<N: Numeric>(shared: &mut Shared<[N]>, mine: usize, lane: usize, #[comptime] block: usize) {
    sync_cube();
    #[unroll]
    for step in 0..5usize {
        let half = comptime!(LANES >> (step + 1));
        if lane < half {
            #[unroll]
            for row in 0..block {
                let other = shared[mine + half * block + row];
                shared[mine + row] += other;
            }
        }
        sync_cube();
    }
}

/// The number that 16 bits of IEEE half precision stand for, without needing 16-bit types.
#[cube]
fn half_bits_to_f32(bits: u32) -> f32 {
    let (exponent, mantissa) = ((bits >> 10) & 31, bits & 1023);
    let normal = f32::reinterpret::<u32>(((exponent + 112) << 23) | (mantissa << 13));
    let subnormal = f32::cast_from(mantissa) * 5.960_464_5e-8;
    let magnitude = select(exponent == 0, subnormal, normal);
    select(bits >= 32768, -magnitude, magnitude)
}
