//! compressed-tensors' `pack-quantized` files with four bits (W4A16), as llm-compressor writes them and vLLM reads them
//! (<https://github.com/vllm-project/compressed-tensors>, `compressors/quantized_compressors/pack_quantized.py`).
//!
//! | tensor | type | shape |
//! |---|---|---|
//! | `weight_packed` | i32 | `[out, in/8]`, eight inputs a word |
//! | `weight_scale` | f16, bf16 or f32 | `[out, in/group]` |
//! | `weight_zero_point` | i32 | `[out/8, in/group]`, eight outputs a word; where quantization is not symmetric |
//! | `weight_shape` | i64 or i32 | `[2]`: out, in |
//! | `weight_g_idx` | i32 | `[in]`, the group of each input; where inputs were ordered by their activations |
//!
//! Codes and zero points are stored eight above what they are, so `ŵ = (code - zero)·scale` as they are stored, and the zero point of a symmetric
//! file is 8.

use std::sync::Arc;

use safetensors::Dtype;

use super::four_bits::{Grouped, IN_A_WORD, nibble};
use super::{Floats, FormatRow, Stored, WeightFormat, Weights, four_bits};
use crate::VlmError;
use crate::files::Fields;

pub(super) const ROW: FormatRow = FormatRow { method: "compressed-tensors", open };

/// The layout that is read.
const PACKED: &str = "pack-quantized";

#[derive(Debug)]
struct CompressedTensors {
    /// Inputs that share a scale; `None` for all of them.
    group: Option<usize>,
    symmetric: bool,
}

fn open(section: &Fields<'_>) -> Result<Arc<dyn WeightFormat>, VlmError> {
    let layout = |fields: &Fields<'_>| match fields.text("format")? {
        None | Some(PACKED) => Ok(()),
        Some(other) => Err(fields.unknown("format", other, &[PACKED])),
    };
    layout(section)?;
    for other in ["sparsity_config", "transform_config", "kv_cache_scheme"] {
        if section.object(other)?.is_some_and(|fields| fields.keys().next().is_some()) {
            return Err(section.error(other, "is not read; expected nothing but packed weights"));
        }
    }
    let groups = section.object("config_groups")?.ok_or_else(|| section.error("config_groups", "is missing"))?;
    let mut found: Option<CompressedTensors> = None;
    for name in groups.keys() {
        let group = groups.object(name)?.ok_or_else(|| groups.error(name, "expected an object"))?;
        layout(&group)?;
        for other in ["input_activations", "output_activations"] {
            if group.object(other)?.is_some() {
                return Err(group.error(other, "quantized activations are not read; expected weights alone (W4A16)"));
            }
        }
        let weights = group.object("weights")?.ok_or_else(|| group.error("weights", "is missing"))?;
        four_bits::expect_bits(&weights, "num_bits")?;
        if let Some(kind) = weights.text("type")?.filter(|kind| *kind != "int") {
            return Err(weights.unknown("type", kind, &["int"]));
        }
        let size = match weights.text("strategy")? {
            Some("group") | None => four_bits::group_size(&weights, "group_size")?,
            Some("channel") => None,
            Some(other) => return Err(weights.unknown("strategy", other, &["group", "channel"])),
        };
        let this = CompressedTensors { group: size, symmetric: weights.bool("symmetric")?.unwrap_or(true) };
        if found.as_ref().is_some_and(|found| (found.group, found.symmetric) != (this.group, this.symmetric)) {
            return Err(groups.error(name, "has other settings than the group before; one set for all packed layers is read"));
        }
        found = Some(this);
    }
    let found = found.ok_or_else(|| section.error("config_groups", "is empty"))?;
    Ok(Arc::new(found))
}

impl WeightFormat for CompressedTensors {
    fn take(&self, weights: &mut Weights, name: &str, shape: &[usize]) -> Result<Stored, VlmError> {
        let packed = format!("{name}.weight_packed");
        if !weights.contains(&packed) {
            return Floats.take(weights, name, shape);
        }
        let grouped = Grouped::new(weights, &packed, shape, self.group)?;
        let (out, input, groups) = (grouped.out, grouped.input, grouped.groups());
        let words = Grouped::words(input);
        let codes = weights.take_words(&packed, &[out, words])?;
        let scales = weights.take(&format!("{name}.weight_scale"), &[out, groups])?.data;
        let zeros = if self.symmetric {
            None
        } else {
            Some(weights.take_words(&format!("{name}.weight_zero_point"), &[Grouped::words(out), groups])?)
        };
        let told = weights.take_raw(&format!("{name}.weight_shape"))?;
        let size = match told.dtype {
            Dtype::I64 => 8,
            Dtype::I32 => 4,
            _ => return Err(weights.error(&format!("{name}.weight_shape"), format!("expected I64 or I32, found {:?}", told.dtype))),
        };
        let told: Vec<u64> = told
            .bytes
            .chunks_exact(size)
            .map(|bytes| bytes.iter().rev().fold(0, |number, &byte| (number << 8) | u64::from(byte)))
            .collect();
        if told != [out as u64, input as u64] {
            return Err(weights.error(&format!("{name}.weight_shape"), format!("says {told:?}, expected [{out}, {input}]")));
        }
        let order = format!("{name}.weight_g_idx");
        if weights.contains(&order) {
            let group_of = weights.take_words(&order, &[input])?;
            if !group_of.iter().enumerate().all(|(input, &group)| group as usize == input / grouped.group) {
                return Err(weights.error(&order, four_bits::OUT_OF_ORDER));
            }
        }
        grouped.packed(
            weights,
            &format!("{name}.weight_scale"),
            |output, input| nibble(codes[output * words + input / IN_A_WORD], input % IN_A_WORD),
            |output, group| scales[output * groups + group],
            |output, group| {
                let stored = |zeros: &Vec<u32>| nibble(zeros[output / IN_A_WORD * groups + group], output % IN_A_WORD);
                f32::from(zeros.as_ref().map_or(8, stored))
            },
        )
    }

    fn survey(&self, weights: &mut Weights, name: &str, shape: &[usize]) -> Result<Option<u64>, VlmError> {
        let packed = format!("{name}.weight_packed");
        if !weights.contains(&packed) {
            return Floats.survey(weights, name, shape);
        }
        let grouped = Grouped::new(weights, &packed, shape, self.group)?;
        let (out, input, groups) = (grouped.out, grouped.input, grouped.groups());
        weights.skip(&packed, &[out, Grouped::words(input)])?;
        weights.skip(&format!("{name}.weight_scale"), &[out, groups])?;
        if !self.symmetric {
            weights.skip(&format!("{name}.weight_zero_point"), &[Grouped::words(out), groups])?;
        }
        weights.skip(&format!("{name}.weight_shape"), &[2])?;
        if weights.contains(&format!("{name}.weight_g_idx")) {
            weights.skip(&format!("{name}.weight_g_idx"), &[input])?;
        }
        Ok(Some(grouped.bytes()))
    }
}
