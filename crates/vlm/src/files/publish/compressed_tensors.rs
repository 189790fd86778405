//! compressed-tensors' files, in its three layouts: see [`files/format/compressed_tensors`](super::super::format).

use safetensors::Dtype;
use serde_json::{Value, json};
use steady_kernels::{Codebook, Codes, GroupedCodes, Int8Codes};

use super::{Common, Packed, Piece, zeros};

pub(super) fn pieces(codes: &Codes, symmetric: bool) -> Result<Vec<(&'static str, Piece)>, String> {
    match codes {
        Codes::Int8(codes) => {
            if codes.outlier_threshold < Int8Codes::NO_OUTLIERS {
                return Err("has no layout for LLM.int8(), whose weights bitsandbytes packs as it loads them".to_owned());
            }
            let bytes = codes.codes.iter().map(|code| code.cast_unsigned()).collect();
            let weight = Piece::plain(Dtype::I8, vec![codes.out, codes.input], bytes);
            Ok(vec![("weight", weight), ("weight_scale", Piece::floats(&codes.scales, [codes.out, 1]))])
        }
        Codes::Grouped(codes) => match codes.book {
            Codebook::E4m3 if codes.group == codes.input => {
                let weight = Piece::plain(Dtype::F8_E4M3, vec![codes.out, codes.input], codes.codes.clone());
                Ok(vec![("weight", weight), ("weight_scale", Piece::floats(&codes.scales, [codes.out, 1]))])
            }
            Codebook::Int4 | Codebook::Int8 => integers(codes, symmetric),
            other => Err(format!("has no layout for {other:?}")),
        },
    }
}

/// Codes in words, the lowest bits first, inputs side by side; zero points likewise, outputs side by side. Both are written without a sign.
fn integers(codes: &GroupedCodes, symmetric: bool) -> Result<Vec<(&'static str, Piece)>, String> {
    let (bits, out, input) = (codes.book.bits(), codes.out, codes.input);
    let (per_word, groups) = (32 / bits, input / codes.group);
    let word = |codes: &mut dyn Iterator<Item = u32>| codes.enumerate().fold(0u32, |word, (at, code)| word | (code << (at * bits)));
    let of_row = |row: &[u8]| row.chunks(per_word).map(|codes| word(&mut codes.iter().map(|&code| code.into()))).collect::<Vec<u32>>();
    let words: Vec<u32> = codes.codes.chunks_exact(input).flat_map(of_row).collect();
    let shape = [out as i64, input as i64].iter().flat_map(|size| size.to_le_bytes()).collect();
    let mut pieces = vec![
        ("weight_packed", Piece::words(&words, [out, input.div_ceil(per_word)])),
        ("weight_scale", Piece::halves(codes.scales.iter().copied(), [out, groups])),
        ("weight_shape", Piece::plain(Dtype::I64, vec![2], shape)),
    ];
    let zeros = zeros(codes)?;
    if !symmetric {
        let rows = out.div_ceil(per_word);
        let at = |row: usize, group: usize| {
            let outputs = row * per_word..out.min((row + 1) * per_word);
            word(&mut outputs.map(|output| zeros[output * groups + group]))
        };
        let words: Vec<u32> =
            (0..rows).flat_map(|row| (0..groups).map(move |group| (row, group))).map(|(row, group)| at(row, group)).collect();
        pieces.push(("weight_zero_point", Piece::words(&words, [rows, groups])));
    }
    Ok(pieces)
}

pub(super) fn section(layer: &Packed, all: Common, left: &[String]) -> Value {
    let eight = |kind: &str, rounds: bool| {
        let weights = json!({ "num_bits": 8, "type": kind, "symmetric": true, "strategy": "channel", "dynamic": false });
        let inputs = json!({ "num_bits": 8, "type": kind, "symmetric": true, "strategy": "token", "dynamic": true });
        (format!("{kind}-quantized"), weights, if rounds { inputs } else { Value::Null })
    };
    let (format, weights, inputs) = match &layer.codes {
        Codes::Int8(_) => eight("int", true),
        Codes::Grouped(codes) if codes.book == Codebook::E4m3 => eight("float", layer.rounds),
        Codes::Grouped(codes) => {
            let weights = json!({
                "num_bits": codes.book.bits(), "type": "int", "symmetric": all.symmetric, "dynamic": false,
                "strategy": if all.group.is_none() { "channel" } else { "group" }, "group_size": all.group,
            });
            ("pack-quantized".to_owned(), weights, Value::Null)
        }
    };
    let ignore: Vec<String> =
        left.iter().map(|part| if part == "lm_head" { part.clone() } else { format!("re:.*{}.*", part.replace('.', "\\.")) }).collect();
    json!({
        "quant_method": "compressed-tensors",
        "format": format,
        "quantization_status": "compressed",
        "config_groups": {
            "group_0": { "targets": ["Linear"], "weights": weights, "input_activations": inputs, "output_activations": null },
        },
        "ignore": ignore,
        "kv_cache_scheme": null,
    })
}
