//! AWQ's "gemm" files, as AutoAWQ writes them (<https://github.com/casper-hansen/AutoAWQ>, `awq/modules/linear/gemm.py` and
//! `awq/utils/packing_utils.py`).
//!
//! | tensor | type | shape |
//! |---|---|---|
//! | `qweight` | i32 | `[in, out/8]`, eight outputs a word |
//! | `qzeros` | i32 | `[in/group, out/8]`, likewise |
//! | `scales` | f16 | `[in/group, out]` |
//!
//! `ŵ = (code - zero)·scale`. Within a word outputs stand in the order 0 2 4 6 1 3 5 7.

use std::sync::Arc;

use super::four_bits::{Grouped, IN_A_WORD, nibble};
use super::{Floats, FormatRow, Stored, WeightFormat, Weights, four_bits};
use crate::VlmError;
use crate::files::Fields;

pub(super) const ROW: FormatRow = FormatRow { method: "awq", open };

/// Where in a word an output is, by its place among eight.
const PLACE: [usize; IN_A_WORD] = [0, 4, 1, 5, 2, 6, 3, 7];

#[derive(Debug)]
struct Awq {
    /// Inputs that share a scale; `None` for all of them.
    group: Option<usize>,
}

fn open(section: &Fields<'_>) -> Result<Arc<dyn WeightFormat>, VlmError> {
    four_bits::expect_bits(section, "bits")?;
    match section.text("version")? {
        None => {}
        Some(version) if version.eq_ignore_ascii_case("gemm") => {}
        Some(other) => return Err(section.unknown("version", other, &["gemm"])),
    }
    Ok(Arc::new(Awq { group: four_bits::group_size(section, "group_size")? }))
}

impl Awq {
    fn grouped(&self, weights: &Weights, name: &str, shape: &[usize]) -> Result<Grouped, VlmError> {
        let tensor = format!("{name}.qweight");
        let grouped = Grouped::new(weights, &tensor, shape, self.group)?;
        if !grouped.out.is_multiple_of(IN_A_WORD) {
            return Err(weights.error(&tensor, format!("packs outputs by {IN_A_WORD}, and the layer has {}", grouped.out)));
        }
        Ok(grouped)
    }
}

impl WeightFormat for Awq {
    fn take(&self, weights: &mut Weights, name: &str, shape: &[usize]) -> Result<Stored, VlmError> {
        if !weights.contains(&format!("{name}.qweight")) {
            return Floats.take(weights, name, shape);
        }
        let grouped = self.grouped(weights, name, shape)?;
        let (out, words, groups) = (grouped.out, Grouped::words(grouped.out), grouped.groups());
        let codes = weights.take_words(&format!("{name}.qweight"), &[grouped.input, words])?;
        let zeros = weights.take_words(&format!("{name}.qzeros"), &[groups, words])?;
        let scales = weights.take(&format!("{name}.scales"), &[groups, out])?.data;
        let of = |table: &[u32], row: usize, output: usize| nibble(table[row * words + output / IN_A_WORD], PLACE[output % IN_A_WORD]);
        grouped.packed(
            weights,
            &format!("{name}.scales"),
            |output, input| of(&codes, input, output),
            |output, group| scales[group * out + output],
            |output, group| of(&zeros, group, output).into(),
        )
    }

    fn survey(&self, weights: &mut Weights, name: &str, shape: &[usize]) -> Result<Option<u64>, VlmError> {
        if !weights.contains(&format!("{name}.qweight")) {
            return Floats.survey(weights, name, shape);
        }
        let grouped = self.grouped(weights, name, shape)?;
        let (out, words, groups) = (grouped.out, Grouped::words(grouped.out), grouped.groups());
        weights.skip(&format!("{name}.qweight"), &[grouped.input, words])?;
        weights.skip(&format!("{name}.qzeros"), &[groups, words])?;
        weights.skip(&format!("{name}.scales"), &[groups, out])?;
        Ok(Some(grouped.bytes()))
    }
}
