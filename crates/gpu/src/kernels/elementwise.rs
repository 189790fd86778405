//! Sums, products, activation functions and gates: number by number, one kernel.

use bytemuck::{Pod, Zeroable};

use crate::{Gpu, Kernel, Rows};

/// Reads `a` and `b`; writes `y`.
pub(crate) static KERNEL: Kernel = Kernel { name: "elementwise", source: &[include_str!("elementwise.wgsl")], reads: 2, writes: 1 };

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Numbers {
    a: u32,
    b: u32,
    y: u32,
    count: u32,
    width: u32,
    pitch_a: u32,
    pitch_b: u32,
    rows_of_b: u32,
    operation: u32,
    activation: u32,
}

/// An activation function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `x Φ(x)`, Φ the normal distribution's function (Hendrycks & Gimpel, 2016).
    Gelu,
    /// Its approximation by tanh.
    GeluTanh,
    /// `x * sigmoid(1.702 x)`.
    QuickGelu,
    /// `x * sigmoid(x)`.
    Silu,
    /// `max(x, 0)`.
    Relu,
}

/// The sum. `b` has the shape of `a`, or is one row that is added to each of its rows.
///
/// # Panics
/// When it is neither.
pub fn add(gpu: &Gpu, a: &Rows, b: &Rows) -> Rows {
    combine(gpu, a, b, 0, Activation::Relu)
}

/// The product, number by number. `b` as in [`add`].
///
/// # Panics
/// As [`add`].
pub fn multiply(gpu: &Gpu, a: &Rows, b: &Rows) -> Rows {
    combine(gpu, a, b, 1, Activation::Relu)
}

/// `activation` of every number.
pub fn activate(gpu: &Gpu, x: &Rows, activation: Activation) -> Rows {
    combine(gpu, x, x, 2, activation)
}

/// `activation` of every number of `gate`, times the number of `up` in its place.
///
/// # Panics
/// When they are not of one shape.
pub fn gated(gpu: &Gpu, gate: &Rows, up: &Rows, activation: Activation) -> Rows {
    combine(gpu, gate, up, 3, activation)
}

fn combine(gpu: &Gpu, a: &Rows, b: &Rows, operation: u32, activation: Activation) -> Rows {
    let ([rows, width], [of_b, width_of_b]) = (a.dims(), b.dims());
    assert!(width == width_of_b && (of_b == rows || of_b == 1), "{:?} with {:?}", a.dims(), b.dims());
    let y = gpu.empty([rows, width]);
    let count = rows * width;
    let numbers = Numbers {
        a: a.start() as u32,
        b: b.start() as u32,
        y: y.start() as u32,
        count: count as u32,
        width: width as u32,
        pitch_a: a.pitch as u32,
        pitch_b: b.pitch as u32,
        rows_of_b: of_b as u32,
        operation,
        activation: activation as u32,
    };
    gpu.launch(&KERNEL, &[a.into(), b.into()], &[(&y).into()], numbers, super::spread(count.div_ceil(64)));
    y
}
