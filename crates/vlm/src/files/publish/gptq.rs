//! GPTQ's files, version 1, in which a zero point is written as one less: see [`files/format/gptq`](super::super::format).

use serde_json::{Value, json};

use super::{Common, FourBits, Piece, nibbles};

pub(super) fn pieces(layer: &FourBits<'_>) -> Vec<(&'static str, Piece)> {
    let (out, input, groups) = (layer.codes.out, layer.codes.input, layer.groups());
    let row = |row: usize| (0..out).map(move |output| nibbles(|at| layer.code(output, 8 * row + at)));
    let zeros = |group: usize| (0..out / 8).map(move |word| nibbles(|at| layer.zero(8 * word + at, group).wrapping_sub(1) & 15));
    let groups_of: Vec<u32> = (0..input).map(|at| (at / layer.codes.group) as u32).collect();
    let g_idx = Piece { shape: vec![input], ..Piece::words(&groups_of, [1, input]) };
    vec![
        ("qweight", Piece::words(&(0..input / 8).flat_map(row).collect::<Vec<_>>(), [input / 8, out])),
        ("qzeros", Piece::words(&(0..groups).flat_map(zeros).collect::<Vec<_>>(), [groups, out / 8])),
        ("scales", layer.scales()),
        ("g_idx", g_idx),
    ]
}

pub(super) fn section(all: Common) -> Value {
    json!({
        "quant_method": "gptq",
        "bits": 4,
        "group_size": all.group_size(),
        "sym": all.symmetric,
        "desc_act": false,
        "checkpoint_format": "gptq",
    })
}
