//! Layer norm (Ba et al., 2016) and RMS norm (Zhang & Sennrich, 2019) over the columns of each row.

use bytemuck::{Pod, Zeroable};

use crate::{Gpu, Kernel, Rows};

/// Reads `x`, `weight`, `bias`; writes `y`.
pub(crate) static KERNEL: Kernel = Kernel { name: "norm", source: &[include_str!("norm.wgsl")], reads: 3, writes: 1 };

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Numbers {
    x: u32,
    weight: u32,
    bias: u32,
    y: u32,
    width: u32,
    pitch: u32,
    layer: u32,
    epsilon: f32,
    rows: u32,
}

/// What rows are multiplied with, and what is added.
#[derive(Clone, Debug)]
pub struct Norm {
    /// `[1, width]`
    pub weight: Rows,
    /// A layer norm's, `[1, width]`; an RMS norm has none.
    pub bias: Option<Rows>,
    /// Added to the variance or the mean square.
    pub epsilon: f32,
}

/// `x [rows, width]` normalised, the same shape.
pub fn norm(gpu: &Gpu, x: &Rows, by: &Norm) -> Rows {
    let [rows, width] = x.dims();
    let y = gpu.empty([rows, width]);
    // An RMS norm reads no bias; something must be bound all the same.
    let bias = by.bias.as_ref().unwrap_or(&by.weight);
    let numbers = Numbers {
        x: x.start() as u32,
        weight: by.weight.start() as u32,
        bias: bias.start() as u32,
        y: y.start() as u32,
        width: width as u32,
        pitch: x.pitch as u32,
        layer: u32::from(by.bias.is_some()),
        epsilon: by.epsilon,
        rows: rows as u32,
    };
    gpu.launch(&KERNEL, &[x.into(), (&by.weight).into(), bias.into()], &[(&y).into()], numbers, super::spread(rows));
    y
}
