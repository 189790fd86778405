//! GPTQ's files, as AutoGPTQ and GPTQModel write them (<https://github.com/AutoGPTQ/AutoGPTQ>, `auto_gptq/nn_modules/qlinear`;
//! <https://github.com/ModelCloud/GPTQModel>, `gptqmodel/nn_modules/qlinear` and `gptqmodel/utils/model.py`).
//!
//! | tensor | type | shape |
//! |---|---|---|
//! | `qweight` | i32 | `[in/8, out]`, eight inputs a word |
//! | `qzeros` | i32 | `[in/group, out/8]`, eight outputs a word |
//! | `scales` | f16 | `[in/group, out]` |
//! | `g_idx` | i32 | `[in]`, the group of each input; it may be absent, or all zeros, and then groups follow each other |
//!
//! `ŵ = (code - zero)·scale`. The first version of the format (`checkpoint_format: gptq`, which is what files without the field are) stores
//! `zero - 1`, in four bits; the second (`gptq_v2`) stores `zero`.

use std::sync::Arc;

use super::four_bits::{Grouped, IN_A_WORD, nibble};
use super::{Floats, FormatRow, Stored, WeightFormat, Weights, four_bits};
use crate::VlmError;
use crate::files::Fields;

pub(super) const ROW: FormatRow = FormatRow { method: "gptq", open };

#[derive(Debug)]
struct Gptq {
    /// Inputs that share a scale; `None` for all of them.
    group: Option<usize>,
    /// What is to be added to a stored zero point.
    below: u8,
}

fn open(section: &Fields<'_>) -> Result<Arc<dyn WeightFormat>, VlmError> {
    four_bits::expect_bits(section, "bits")?;
    let below = match section.text("checkpoint_format")? {
        None | Some("gptq") => 1,
        Some("gptq_v2") => 0,
        Some(other) => return Err(section.unknown("checkpoint_format", other, &["gptq", "gptq_v2"])),
    };
    if section.object("dynamic")?.is_some_and(|dynamic| dynamic.keys().next().is_some()) {
        return Err(section.error("dynamic", "layers with settings of their own are not read"));
    }
    Ok(Arc::new(Gptq { group: four_bits::group_size(section, "group_size")?, below }))
}

impl Gptq {
    fn grouped(&self, weights: &Weights, name: &str, shape: &[usize]) -> Result<Grouped, VlmError> {
        let tensor = format!("{name}.qweight");
        let grouped = Grouped::new(weights, &tensor, shape, self.group)?;
        if !grouped.out.is_multiple_of(IN_A_WORD) {
            return Err(weights.error(&tensor, format!("packs zero points by {IN_A_WORD} outputs, and the layer has {}", grouped.out)));
        }
        Ok(grouped)
    }
}

/// A bias that a packer wrote for a layer that has none is zeros.
fn pass_over_zero_bias(weights: &mut Weights, name: &str, out: usize) -> Result<(), VlmError> {
    let bias = format!("{name}.bias");
    if weights.contains(&bias) && weights.shape(&bias) == Some(&[out]) && weights.peek_zeros(&bias)? {
        weights.skip(&bias, &[out])?;
    }
    Ok(())
}

impl WeightFormat for Gptq {
    fn take(&self, weights: &mut Weights, name: &str, shape: &[usize]) -> Result<Stored, VlmError> {
        if !weights.contains(&format!("{name}.qweight")) {
            return Floats.take(weights, name, shape);
        }
        let grouped = self.grouped(weights, name, shape)?;
        let (out, input, groups, words) = (grouped.out, grouped.input, grouped.groups(), Grouped::words(grouped.out));
        let codes = weights.take_words(&format!("{name}.qweight"), &[Grouped::words(input), out])?;
        let zeros = weights.take_words(&format!("{name}.qzeros"), &[groups, words])?;
        let scales = weights.take(&format!("{name}.scales"), &[groups, out])?.data;
        let order = format!("{name}.g_idx");
        if weights.contains(&order) {
            let group_of = weights.take_words(&order, &[input])?;
            let in_order = group_of.iter().enumerate().all(|(input, &group)| group as usize == input / grouped.group);
            if !in_order && group_of.iter().any(|&group| group > 0) {
                return Err(weights.error(&order, four_bits::OUT_OF_ORDER));
            }
        }
        pass_over_zero_bias(weights, name, out)?;
        grouped.packed(
            weights,
            &format!("{name}.scales"),
            |output, input| nibble(codes[input / IN_A_WORD * out + output], input % IN_A_WORD),
            |output, group| scales[group * out + output],
            |output, group| ((nibble(zeros[group * words + output / IN_A_WORD], output % IN_A_WORD) + self.below) & 15).into(),
        )
    }

    fn survey(&self, weights: &mut Weights, name: &str, shape: &[usize]) -> Result<Option<u64>, VlmError> {
        if !weights.contains(&format!("{name}.qweight")) {
            return Floats.survey(weights, name, shape);
        }
        let grouped = self.grouped(weights, name, shape)?;
        let (out, input, groups, words) = (grouped.out, grouped.input, grouped.groups(), Grouped::words(grouped.out));
        weights.skip(&format!("{name}.qweight"), &[Grouped::words(input), out])?;
        weights.skip(&format!("{name}.qzeros"), &[groups, words])?;
        weights.skip(&format!("{name}.scales"), &[groups, out])?;
        if weights.contains(&format!("{name}.g_idx")) {
            weights.skip(&format!("{name}.g_idx"), &[input])?;
        }
        pass_over_zero_bias(weights, name, out)?;
        Ok(Some(grouped.bytes()))
    }
}
