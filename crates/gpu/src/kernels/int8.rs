//! Rounds activations for the products of LLM.int8() (Dettmers et al., 2022).

use bytemuck::{Pod, Zeroable};

use crate::{Gpu, Kernel, Rows};

/// Reads `x`; writes `rounded`.
pub(crate) static ROUND: Kernel = Kernel { name: "int8_round", source: &[include_str!("int8_round.wgsl")], reads: 1, writes: 1 };

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Numbers {
    x: u32,
    rows: u32,
    packs: u32,
    threshold: f32,
}

/// `x`, rows of whole packs of 16 columns, rounded as int8_round.wgsl says: words, not numbers.
pub(super) fn round(gpu: &Gpu, x: &Rows, threshold: f32) -> Rows {
    let [rows, width] = x.dims();
    let packs = width / 16;
    let rounded = gpu.empty([rows, 1 + 5 * packs]);
    let numbers = Numbers { x: (x.start() / 4) as u32, rows: rows as u32, packs: packs as u32, threshold };
    gpu.launch(&ROUND, &[x.into()], &[(&rounded).into()], numbers, super::spread(rows));
    rounded
}
