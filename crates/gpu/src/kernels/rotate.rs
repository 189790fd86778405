//! Rotary position embedding (Su et al., 2021) in the `rotate_half` convention: dimension `i` of a head is turned together with dimension
//! `i + head_dim / 2`.

use bytemuck::{Pod, Zeroable};

use crate::{Gpu, Kernel, Rows};

/// Reads `x`, cosines, sines; writes `y`.
pub(crate) static KERNEL: Kernel = Kernel { name: "rotate", source: &[include_str!("rotate.wgsl")], reads: 3, writes: 1 };

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Numbers {
    x: u32,
    cos: u32,
    sin: u32,
    y: u32,
    tokens: u32,
    heads: u32,
    half: u32,
}

/// `x [tokens, heads * head_dim]` turned, the same shape; `cos` and `sin` are `[tokens, head_dim / 2]`.
///
/// # Panics
/// When the shapes do not fit.
pub fn rotate(gpu: &Gpu, x: &Rows, cos: &Rows, sin: &Rows, heads: usize) -> Rows {
    let ([tokens, width], [turns, half]) = (x.dims(), cos.dims());
    assert!(turns == tokens && sin.dims() == cos.dims() && width == heads * 2 * half, "{:?} turned by {:?}", x.dims(), cos.dims());
    let y = gpu.empty([tokens, width]);
    let numbers = Numbers {
        x: x.start() as u32,
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
