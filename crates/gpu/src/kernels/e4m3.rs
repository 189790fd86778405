//! Rounds activations to FP8 and back.

use bytemuck::{Pod, Zeroable};

use crate::{Gpu, Kernel, Rows};

/// Reads `x`; writes `y`.
pub(crate) static ROUND: Kernel = Kernel { name: "e4m3_round", source: &[include_str!("e4m3_round.wgsl")], reads: 1, writes: 1 };

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Numbers {
    x: u32,
    pitch: u32,
    rows: u32,
    columns: u32,
}

/// Rows of `x`, rounded as e4m3_round.wgsl says.
pub(super) fn round(gpu: &Gpu, x: &Rows) -> Rows {
    let [rows, columns] = x.dims();
    let y = gpu.empty([rows, columns]);
    let numbers = Numbers { x: x.start as u32, pitch: x.pitch as u32, rows: rows as u32, columns: columns as u32 };
    gpu.launch(&ROUND, &[x.into()], &[(&y).into()], numbers, super::spread(rows));
    y
}
