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

use super::integers::{self, Integers, Read};
use super::{FormatRow, LayerTensors, Stored, WeightFormat};
use crate::VlmError;
use crate::files::Fields;

pub(super) const ROW: FormatRow = FormatRow { method: "awq", open };

/// Where in a word an output is, by its place among eight.
const PLACE: [usize; 8] = [0, 4, 1, 5, 2, 6, 3, 7];

#[derive(Debug)]
struct Awq(Integers);

fn open(section: &Fields<'_>) -> Result<Arc<dyn WeightFormat>, VlmError> {
    let bits = integers::bits(section, "bits", &[4])?;
    match section.text("version")? {
        None => {}
        Some(version) if version.eq_ignore_ascii_case("gemm") => {}
        Some(other) => return Err(section.unknown("version", other, &["gemm"])),
    }
    Ok(Arc::new(Awq(Integers { bits, group: integers::group_size(section, "group_size")? })))
}

impl WeightFormat for Awq {
    fn layer(&self, tensors: &mut LayerTensors<'_>, shape: &[usize]) -> Result<Stored, VlmError> {
        if !tensors.has("qweight") {
            return tensors.dense(shape);
        }
        let grouped = self.0.of(tensors, "qweight", shape)?;
        let (out, words, groups) = (grouped.out, grouped.words(grouped.out), grouped.groups());
        if !out.is_multiple_of(PLACE.len()) {
            return Err(tensors.error("qweight", format!("packs outputs by {}, and the layer has {out}", PLACE.len())));
        }
        let codes = tensors.words("qweight", &[grouped.input, words])?;
        let zeros = tensors.words("qzeros", &[groups, words])?;
        let scales = tensors.floats("scales", &[groups, out])?;
        let of = |table: &[u32], row: usize, output: usize| {
            let place = output / PLACE.len() * PLACE.len() + PLACE[output % PLACE.len()];
            grouped.code(place, |word| table[row * words + word])
        };
        let read = Read {
            code: |output, input| of(&codes, input, output),
            scale: |output, group| scales[group * out + output],
            zero: Some(|output, group| of(&zeros, group, output).into()),
            scales: "scales",
            halves: true,
        };
        grouped.stored(tensors, None, &read)
    }
}
