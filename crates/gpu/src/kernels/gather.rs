//! Rows of a weight, widened.

use bytemuck::{Pod, Zeroable};

use crate::{Gpu, Rows, kernels::Weight};

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Numbers {
    width: u32,
    packs: u32,
    group: u32,
    rows: u32,
}

/// Rows `ids` of `weight`, `[ids, in]`.
pub(super) fn gather(gpu: &Gpu, weight: &Weight, ids: &[u32]) -> Rows {
    let [out, width] = weight.shape();
    let kernel = weight.format.gather.as_ref();
    let Some(kernel) = kernel else { panic!("rows of an int8 weight") };
    let beyond = ids.iter().find(|&&id| id as usize >= out);
    assert_eq!(beyond, None, "rows of a weight [{out}, {width}]");
    let y = gpu.empty([ids.len(), width]);
    for part in &weight.parts {
        let of_part = part.first..part.first + part.rows;
        let here = ids.iter().zip(0u32..).filter(|&(&id, _)| of_part.contains(&(id as usize)));
        let pairs: Vec<u32> = here.flat_map(|(&id, row)| [id - part.first as u32 + part.above as u32, row]).collect();
        if pairs.is_empty() {
            continue;
        }
        let (rows, packs) = (pairs.len() / 2, weight.packs());
        let numbers = Numbers { width: width as u32, packs: packs as u32, group: weight.group as u32, rows: rows as u32 };
        let scales = part.scales.as_ref().unwrap_or(&part.words);
        let ids = gpu.words(&pairs);
        let reads = [(&ids).into(), (&part.words).into(), scales.into()];
        gpu.launch(kernel, &reads, &[(&y).into()], numbers, super::spread((rows * packs).div_ceil(64)));
    }
    y
}
