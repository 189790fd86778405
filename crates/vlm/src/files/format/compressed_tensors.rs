//! Files of compressed-tensors, as llm-compressor writes them and vLLM reads them (<https://github.com/vllm-project/compressed-tensors>), in three
//! layouts: integers in words, a byte a weight, and FP8.

mod bytes;
mod pack_quantized;

use std::sync::Arc;

use self::bytes::{Activations, Bytes};
use self::pack_quantized::PackQuantized;
use super::integers::{self, Integers};
use super::{FormatRow, WeightFormat};
use crate::VlmError;
use crate::files::Fields;

pub(super) const ROW: FormatRow = FormatRow { method: "compressed-tensors", open };

/// How the layers of a file are stored: one way for all that are packed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Layout {
    PackQuantized(PackQuantized),
    Bytes(Bytes),
}

fn open(section: &Fields<'_>) -> Result<Arc<dyn WeightFormat>, VlmError> {
    for other in ["sparsity_config", "transform_config", "kv_cache_scheme"] {
        if section.object(other)?.is_some_and(|fields| fields.keys().next().is_some()) {
            return Err(section.error(other, "is not read; expected nothing but packed weights"));
        }
    }
    let groups = section.object("config_groups")?.ok_or_else(|| section.error("config_groups", "is missing"))?;
    let mut found: Option<Layout> = None;
    for name in groups.keys() {
        let group = groups.object(name)?.ok_or_else(|| groups.error(name, "expected an object"))?;
        let layout = layout(section, &group)?;
        if found.is_some_and(|found| found != layout) {
            return Err(groups.error(name, "has other settings than the group before; one set for all packed layers is read"));
        }
        found = Some(layout);
    }
    match found.ok_or_else(|| section.error("config_groups", "is empty"))? {
        Layout::PackQuantized(layout) => Ok(Arc::new(layout)),
        Layout::Bytes(layout) => Ok(Arc::new(layout)),
    }
}

/// What a group of layers says of itself; its format is the file's where it has none of its own.
fn layout(section: &Fields<'_>, group: &Fields<'_>) -> Result<Layout, VlmError> {
    let weights = group.object("weights")?.ok_or_else(|| group.error("weights", "is missing"))?;
    if group.object("output_activations")?.is_some() {
        return Err(group.error("output_activations", "quantized outputs are not read"));
    }
    let inputs = group.object("input_activations")?;
    let (of, format) = match group.text("format")? {
        Some(format) => (group, format),
        None => (section, section.text("format")?.unwrap_or("pack-quantized")),
    };
    match format {
        "pack-quantized" => {
            if inputs.is_some() {
                let problem = "quantized activations are not read in pack-quantized files; expected weights alone (W4A16)";
                return Err(group.error("input_activations", problem));
            }
            expect(&weights, "type", "int")?;
            let group = match weights.text("strategy")? {
                Some("group") | None => integers::group_size(&weights, "group_size")?,
                Some("channel") => None,
                Some(other) => return Err(weights.unknown("strategy", other, &["group", "channel"])),
            };
            let bits = integers::bits(&weights, "num_bits", &[2, 3, 4, 5, 6, 7, 8])?;
            Ok(Layout::PackQuantized(PackQuantized {
                integers: Integers { bits, group },
                symmetric: weights.bool("symmetric")?.unwrap_or(true),
                ordered: matches!(weights.text("actorder")?, Some("group" | "dynamic")),
            }))
        }
        "int-quantized" | "float-quantized" => {
            let kind = if format == "int-quantized" { "int" } else { "float" };
            expect(&weights, "type", kind)?;
            integers::bits(&weights, "num_bits", &[8])?;
            if weights.bool("symmetric")? == Some(false) {
                return Err(weights.error("symmetric", "expected true: zero points of 8-bit weights are not read"));
            }
            match weights.text("strategy")? {
                Some("channel" | "tensor") | None => {}
                Some(other) => return Err(weights.unknown("strategy", other, &["channel", "tensor"])),
            }
            let activations = inputs.map(|inputs| activations(&inputs, kind)).transpose()?.unwrap_or(Activations::AsTheyAre);
            Ok(Layout::Bytes(if kind == "int" { Bytes::Int(activations) } else { Bytes::Float(activations) }))
        }
        other => Err(of.unknown("format", other, &["pack-quantized", "int-quantized", "float-quantized"])),
    }
}

/// Activations in 8 bits, with a scale that is found for each token.
fn activations(inputs: &Fields<'_>, kind: &str) -> Result<Activations, VlmError> {
    expect(inputs, "type", kind)?;
    integers::bits(inputs, "num_bits", &[8])?;
    expect(inputs, "strategy", "token")?;
    if inputs.bool("dynamic")? != Some(true) {
        return Err(inputs.error("dynamic", "expected true: static scales of activations are not read"));
    }
    if inputs.bool("symmetric")? == Some(false) {
        return Err(inputs.error("symmetric", "expected true: zero points of activations are not read"));
    }
    Ok(Activations::RoundedByToken)
}

/// Refuses another value than `expected`; without the field it is that.
fn expect(fields: &Fields<'_>, name: &str, expected: &str) -> Result<(), VlmError> {
    match fields.text(name)? {
        Some(other) if other != expected => Err(fields.unknown(name, other, &[expected])),
        _ => Ok(()),
    }
}
