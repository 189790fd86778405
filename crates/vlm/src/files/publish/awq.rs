//! AutoAWQ's "gemm" files: see [`files/format/awq`](super::super::format).

use serde_json::{Value, json};

use super::{Common, FourBits, Piece, nibbles};

/// Which of eight outputs stands where in a word.
const ORDER: [usize; 8] = [0, 2, 4, 6, 1, 3, 5, 7];

pub(super) fn pieces(layer: &FourBits<'_>) -> Vec<(&'static str, Piece)> {
    let (out, input, groups) = (layer.codes.out, layer.codes.input, layer.groups());
    let table = |rows: usize, at: &dyn Fn(usize, usize) -> u32| {
        let words = (0..rows).flat_map(|row| (0..out / 8).map(move |word| (row, word)));
        let words: Vec<u32> = words.map(|(row, word)| nibbles(|place| at(8 * word + ORDER[place], row))).collect();
        Piece::words(&words, [rows, out / 8])
    };
    vec![
        ("qweight", table(input, &|output, input| layer.code(output, input))),
        ("qzeros", table(groups, &|output, group| layer.zero(output, group))),
        ("scales", layer.scales()),
    ]
}

pub(super) fn section(all: Common, left: &[String]) -> Value {
    json!({
        "quant_method": "awq",
        "bits": 4,
        "group_size": all.group_size(),
        "zero_point": true,
        "version": "gemm",
        "modules_to_not_convert": left,
    })
}
