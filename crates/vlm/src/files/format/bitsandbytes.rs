//! bitsandbytes' files (<https://github.com/bitsandbytes-foundation/bitsandbytes>, `functional.py`; transformers writes them): four bits as NF4 or
//! FP4, and LLM.int8().
//!
//! | tensor | type | shape |
//! |---|---|---|
//! | `weight` | u8 | `[out·in/2, 1]`, two codes a byte, the first in the high half |
//! | `weight.absmax` | f32, or u8 where these are quantized once more | `[blocks]` |
//! | `weight.quant_map` | f32 | `[16]`, what codes stand for |
//! | `weight.nested_absmax`, `weight.nested_quant_map` | f32 | `[blocks of blocks]`, `[256]`; where `absmax` is u8 |
//! | `weight.quant_state.bitsandbytes__nf4` | u8 | JSON: shape, block sizes, offset of the nested maxima |
//!
//! Blocks of 64 weights run through the matrix row by row: `ŵ = map[code]·absmax`, where a nested maximum is `nested_map[code]·nested_absmax + offset`.
//!
//! | tensor | type | shape |
//! |---|---|---|
//! | `weight` | i8 | `[out, in]` |
//! | `SCB` | f32 | `[out]`, the largest magnitude of a row |
//! | `weight_format` | u8 | a number that says that rows follow each other |
//!
//! `ŵ = code·SCB/127`.

use std::sync::Arc;

use safetensors::Dtype;
use steady_kernels::{Codebook, Constants, GroupedCodes, GroupedWeight, Int8Codes, Int8Weight, PackedLinear, Shift};

use super::{FormatRow, LayerTensors, Stored, WeightFormat};
use crate::VlmError;
use crate::files::{Fields, Values};

pub(super) const ROW: FormatRow = FormatRow { method: "bitsandbytes", open };

fn open(section: &Fields<'_>) -> Result<Arc<dyn WeightFormat>, VlmError> {
    let (four, eight) = (section.bool("load_in_4bit")?.unwrap_or(false), section.bool("load_in_8bit")?.unwrap_or(false));
    match (four, eight) {
        (true, false) => Ok(Arc::new(FourBits)),
        (false, true) => {
            let threshold = section.f64("llm_int8_threshold")?.unwrap_or(6.0) as f32;
            if !(threshold > 0.0 && threshold.is_finite()) {
                return Err(section.error("llm_int8_threshold", format!("expected a number above 0, found {threshold}")));
            }
            Ok(Arc::new(EightBits { threshold }))
        }
        _ => Err(section.error("load_in_4bit", "expected either this or load_in_8bit to be true")),
    }
}

#[derive(Debug)]
struct EightBits {
    threshold: f32,
}

impl WeightFormat for EightBits {
    fn layer(&self, tensors: &mut LayerTensors<'_>, shape: &[usize]) -> Result<Stored, VlmError> {
        if !tensors.has("SCB") {
            return tensors.dense(shape);
        }
        let [out, input] = tensors.matrix("weight", shape)?;
        let codes = tensors.bytes("weight", Dtype::I8, shape)?;
        let scales = tensors.floats("SCB", &[out])?;
        if tensors.has("weight_format") {
            let format = tensors.text("weight_format")?;
            if format != [0] {
                return Err(tensors.error("weight_format", format!("is {format:?}; expected 0, rows one behind the other")));
            }
        }
        tensors.packed(Int8Weight::bytes_of([out, input]), || {
            let codes = codes.into_iter().map(u8::cast_signed).collect();
            let codes = Int8Codes { out, input, codes, scales, divisor: Int8Codes::OF_MAXIMA, outlier_threshold: self.threshold };
            Int8Weight::new(&codes).map(PackedLinear::from).map_err(|error| tensors.misfit("SCB", &error))
        })
    }
}

#[derive(Debug)]
struct FourBits;

/// What the JSON beside a layer of four bits says.
struct State {
    shape: Vec<usize>,
    block: usize,
    nested: Option<Nested>,
}

/// Maxima that are quantized once more.
struct Nested {
    block: usize,
    offset: f32,
}

const BOOKS: [(&str, Codebook); 2] =
    [("weight.quant_state.bitsandbytes__nf4", Codebook::Nf4), ("weight.quant_state.bitsandbytes__fp4", Codebook::Fp4)];

impl WeightFormat for FourBits {
    fn layer(&self, tensors: &mut LayerTensors<'_>, shape: &[usize]) -> Result<Stored, VlmError> {
        let Some((state, book)) = BOOKS.into_iter().find(|(part, _)| tensors.has(part)) else { return tensors.dense(shape) };
        let [out, input] = tensors.matrix("weight", shape)?;
        let State { shape: told, block, nested } = State::read(tensors, state)?;
        if told != shape {
            return Err(tensors.error(state, format!("says shape {told:?}, expected {shape:?} by the configuration")));
        }
        let blocks = (out * input).div_ceil(block);
        let pairs = tensors.bytes("weight", Dtype::U8, &[(out * input).div_ceil(2), 1])?;
        let map = tensors.floats("weight.quant_map", &[16])?;
        let maxima = match nested {
            None => tensors.floats("weight.absmax", &[blocks])?,
            Some(Nested { block, offset }) => {
                let codes = tensors.bytes("weight.absmax", Dtype::U8, &[blocks])?;
                let maxima = tensors.floats("weight.nested_absmax", &[blocks.div_ceil(block)])?;
                let map = tensors.floats("weight.nested_quant_map", &[256])?;
                let number = |(at, code): (usize, u8)| map[usize::from(code)] * maxima[at / block] + offset;
                codes.into_iter().enumerate().map(number).collect()
            }
        };
        // A survey has nothing to look at.
        if !map.is_empty() && book.table() != Some(&map[..]) {
            return Err(tensors.error("weight.quant_map", format!("is not the table of {book:?}")));
        }
        let codes = pairs.into_iter().flat_map(|pair| [pair >> 4, pair & 15]).take(out * input);
        if !input.is_multiple_of(block) {
            // A block that begins in one row and ends in the next has no place in the packed form.
            let value = |(at, code): (usize, u8)| map[usize::from(code)] * maxima[at / block];
            return tensors.unpacked(|| Values::F32(codes.enumerate().map(value).collect()));
        }
        tensors.packed(GroupedWeight::bytes_of([out, input], block, book, Constants::Scale), || {
            let codes = GroupedCodes { out, input, group: block, book, codes: codes.collect(), scales: maxima, shift: Shift::Middle };
            tensors.grouped("weight.absmax", &codes)
        })
    }
}

impl State {
    fn read(tensors: &mut LayerTensors<'_>, part: &str) -> Result<Self, VlmError> {
        let text = tensors.text(part)?;
        let broken = |problem: String| tensors.error(part, problem);
        let json: serde_json::Value = serde_json::from_slice(&text).map_err(|error| broken(format!("is no JSON: {error}")))?;
        let size = |name: &str| json.get(name).and_then(serde_json::Value::as_u64).and_then(|size| usize::try_from(size).ok());
        let sized = |name: &str| size(name).filter(|&size| size > 0).ok_or_else(|| broken(format!("expected a number above 0 as {name}")));
        let shape = json.get("shape").and_then(|shape| serde_json::from_value(shape.clone()).ok());
        let shape = shape.ok_or_else(|| broken("expected sizes as shape".to_owned()))?;
        let nested = match json.get("nested_offset").and_then(serde_json::Value::as_f64) {
            None => None,
            Some(offset) => Some(Nested { block: sized("nested_blocksize")?, offset: offset as f32 }),
        };
        Ok(Self { shape, block: sized("blocksize")?, nested })
    }
}
