//! Rows of a weight, widened.

use bytemuck::{Pod, Zeroable};

use crate::{Gpu, Rows, Words, kernels::Weight};

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Numbers {
    width: u32,
    packs: u32,
    group: u32,
    rows: u32,
    first: u32,
    held: u32,
    above: u32,
}

/// Rows `ids` of `weight`, `[ids, in]`.
pub(super) fn gather(gpu: &Gpu, weight: &Weight, ids: &[u32]) -> Rows {
    let [out, width] = weight.shape();
    let beyond = ids.iter().find(|&&id| id as usize >= out);
    assert_eq!(beyond, None, "rows of a weight [{out}, {width}]");
    let pairs: Vec<u32> = ids.iter().zip(0u32..).flat_map(|(&id, row)| [id, row]).collect();
    let held = |part: &super::weight::Part| ids.iter().any(|&id| (part.first..part.first + part.rows).contains(&(id as usize)));
    launch(gpu, weight, ids.len(), || gpu.words(&pairs), held)
}

/// The row of `weight` that was chosen on the GPU, `[1, in]`. A token that is no row of it leaves the result as it comes.
pub(super) fn gather_chosen(gpu: &Gpu, weight: &Weight, choice: &Words) -> Rows {
    assert!(choice.len() >= 2, "a choice begins with a token and the row 0");
    launch(gpu, weight, 1, || choice.clone(), |_| true)
}

/// `rows` rows; each pair of `pairs` is a row of the weight and the row that it becomes. `held` says whether a part holds any of them.
fn launch(gpu: &Gpu, weight: &Weight, rows: usize, pairs: impl FnOnce() -> Words, held: impl Fn(&super::weight::Part) -> bool) -> Rows {
    let kernel = weight.format.gather.as_ref();
    let Some(kernel) = kernel else { panic!("rows of an int8 weight") };
    let (width, packs) = (weight.shape()[1], weight.packs());
    let y = gpu.empty([rows, width]);
    if rows == 0 {
        return y;
    }
    let pairs = pairs();
    for part in weight.parts.iter().filter(|part| held(part)) {
        let numbers = Numbers {
            width: width as u32,
            packs: packs as u32,
            group: weight.group as u32,
            rows: rows as u32,
            first: part.first as u32,
            held: part.rows as u32,
            above: part.above as u32,
        };
        let scales = part.scales.as_ref().unwrap_or(&part.words);
        let reads = [(&pairs).into(), (&part.words).into(), scales.into()];
        gpu.launch(kernel, &reads, &[(&y).into()], numbers, super::spread((rows * packs).div_ceil(64)));
    }
    y
}
