//! Rounds keys and values, head by head.

use bytemuck::{Pod, Zeroable};

use crate::{Gpu, Kernel, Rows};

/// Writes `x`, which it reads as well.
pub(crate) static KERNEL: Kernel = Kernel { name: "round_heads", source: &[include_str!("round_heads.wgsl")], reads: 0, writes: 1 };

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Numbers {
    first: u32,
    heads: u32,
    width: u32,
    last: f32,
}

/// Rounds every head of `x`, heads of `width` numbers side by side, to the `last + 1` numbers from its least to its largest, where it lies.
///
/// # Panics
/// When there are no whole heads, or the rows are columns of a wider matrix.
pub(super) fn round_heads(gpu: &Gpu, x: &Rows, width: usize, last: u32) {
    let [rows, columns] = x.dims();
    assert!(columns.is_multiple_of(width) && x.is_dense(), "heads of {width} in {:?}", x.dims());
    let heads = rows * columns / width;
    let numbers = Numbers { first: x.start() as u32, heads: heads as u32, width: width as u32, last: last as f32 };
    gpu.launch(&KERNEL, &[], &[x.into()], numbers, super::spread(heads.div_ceil(64)));
}
