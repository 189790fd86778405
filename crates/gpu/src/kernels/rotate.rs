//! Rotary positions (Su et al., 2021), dimension `i` of a head paired with `i + head_dim / 2`.

use bytemuck::{Pod, Zeroable};

use crate::{Gpu, Kernel, Rows};

/// Reads `x`, `cos`, `sin`; writes `y`.
pub(crate) static KERNEL: Kernel = Kernel { name: "rotate", source: &[include_str!("rotate.wgsl")], reads: 3, writes: 1 };

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Numbers {
    x: u32,
    x_stride: u32,
    cos: u32,
    sin: u32,
    y: u32,
    tokens: u32,
    heads: u32,
    half: u32,
}

/// Rotates `x [tokens, heads * head_dim]` into a matrix of the same shape; `cos` and `sin` are `[tokens, head_dim / 2]`, of the angle of
/// each pair.
///
/// # Panics
/// When the shapes do not agree.
pub fn rotate(gpu: &Gpu, x: &Rows, heads: usize, cos: &Rows, sin: &Rows) -> Rows {
    let [tokens, half] = cos.dims();
    let width = heads * 2 * half;
    assert_eq!(cos.dims(), sin.dims(), "cosines and sines");
    assert_eq!(x.dims(), [tokens, width], "as many tokens as angles, heads side by side");
    let y = gpu.empty([tokens, width]);
    let numbers = Numbers {
        x: x.start as u32,
        x_stride: x.pitch as u32,
        cos: cos.start() as u32,
        sin: sin.start() as u32,
        y: y.start() as u32,
        tokens: tokens as u32,
        heads: heads as u32,
        half: half as u32,
    };
    let groups = super::spread((tokens * heads * half).div_ceil(64));
    gpu.launch(&KERNEL, &[x.into(), cos.into(), sin.into()], &[(&y).into()], numbers, groups);
    y
}
