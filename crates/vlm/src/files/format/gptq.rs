//! GPTQ's files, as AutoGPTQ and GPTQModel write them (<https://github.com/AutoGPTQ/AutoGPTQ>, `auto_gptq/nn_modules/qlinear`;
//! <https://github.com/ModelCloud/GPTQModel>, `gptqmodel/nn_modules/qlinear` and `gptqmodel/utils/model.py`).
//!
//! | tensor | type | shape |
//! |---|---|---|
//! | `qweight` | i32 | `[in·bits/32, out]`, inputs one behind the other, also across words |
//! | `qzeros` | i32 | `[in/group, out·bits/32]`, outputs likewise |
//! | `scales` | f16 | `[in/group, out]` |
//! | `g_idx` | i32 | `[in]`, the group of each input; it may be absent, or all zeros, and then groups follow each other |
//!
//! `ŵ = (code - zero)·scale`. The first version of the format (`checkpoint_format: gptq`, which is what files without the field are) stores
//! `zero - 1`, in as many bits as a code; the second (`gptq_v2`) stores `zero`. With `desc_act` inputs were taken in the order of their activations,
//! and groups are not neighbours.

use std::sync::Arc;

use super::integers::{self, Integers, Read};
use super::{FormatRow, LayerTensors, Stored, WeightFormat};
use crate::VlmError;
use crate::files::Fields;

pub(super) const ROW: FormatRow = FormatRow { method: "gptq", open };

#[derive(Debug)]
struct Gptq {
    integers: Integers,
    /// What is to be added to a stored zero point.
    below: u8,
    /// Inputs were taken in the order of their activations, with groups found on the way: without the group of each nobody knows it.
    ordered: bool,
}

fn open(section: &Fields<'_>) -> Result<Arc<dyn WeightFormat>, VlmError> {
    let bits = integers::bits(section, "bits", &[2, 3, 4, 8])?;
    let below = match section.text("checkpoint_format")? {
        None | Some("gptq") => 1,
        Some("gptq_v2") => 0,
        Some(other) => return Err(section.unknown("checkpoint_format", other, &["gptq", "gptq_v2"])),
    };
    if section.object("dynamic")?.is_some_and(|dynamic| dynamic.keys().next().is_some()) {
        return Err(section.error("dynamic", "layers with settings of their own are not read"));
    }
    let ordered = section.bool("desc_act")?.unwrap_or(false) && !section.bool("static_groups")?.unwrap_or(false);
    Ok(Arc::new(Gptq { integers: Integers { bits, group: integers::group_size(section, "group_size")? }, below, ordered }))
}

impl WeightFormat for Gptq {
    fn layer(&self, tensors: &mut LayerTensors<'_>, shape: &[usize]) -> Result<Stored, VlmError> {
        if !tensors.has("qweight") {
            return tensors.dense(shape);
        }
        let grouped = self.integers.of(tensors, "qweight", shape)?;
        let (out, input, groups, words) = (grouped.out, grouped.input, grouped.groups(), grouped.words(grouped.out));
        if !(out * grouped.bits).is_multiple_of(32) || !(input * grouped.bits).is_multiple_of(32) {
            return Err(
                tensors.error("qweight", format!("packs {} bits into whole words, and the layer is [{out}, {input}]", grouped.bits))
            );
        }
        let codes = tensors.words("qweight", &[grouped.words(input), out])?;
        let zeros = tensors.words("qzeros", &[groups, words])?;
        let scales = tensors.floats("scales", &[groups, out])?;
        // Old files have one that is all zeros and says nothing.
        let listed = tensors.has("g_idx") && !tensors.pass_over_zeros("g_idx", &[input])?;
        if !listed && self.ordered && groups > 1 {
            let problem = "is missing, or all zeros: the configuration says that inputs were taken in the order of their activations \
                           (desc_act), and only this tensor says which group each of them belongs to";
            return Err(tensors.error("g_idx", problem));
        }
        let order = if listed { grouped.order(tensors, "g_idx")? } else { None };
        // A bias that a packer wrote for a layer that has none is zeros.
        tensors.pass_over_zeros("bias", &[out])?;
        let read = Read {
            code: |output, input| grouped.code(input, |word| codes[word * out + output]),
            scale: |output, group| scales[group * out + output],
            zero: Some(|output, group| {
                let stored = grouped.code(output, |word| zeros[group * words + word]);
                f32::from((u16::from(stored) + u16::from(self.below)) & ((1 << grouped.bits) - 1))
            }),
            scales: "scales",
            halves: true,
        };
        grouped.stored(tensors, order.as_ref(), &read)
    }
}
