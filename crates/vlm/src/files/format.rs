//! How a checkpoint holds the weights of its linear layers: as floats, or in one of the packed formats that quantizers publish.
//!
//! A layer is asked for by its name and its shape, and comes as it is stored: what was published packed goes to the device packed,
//! and never exists as floats. A format is a row of [`FORMATS`] and a file of its own.

mod awq;
mod bitsandbytes;
mod compressed_tensors;
mod gguf;
mod gptq;
mod integers;
mod layer;

use std::fmt::Debug;
use std::sync::Arc;

use steady_kernels::PackedLinear;

use super::fields::Fields;
use super::weights::Values;
use crate::VlmError;

pub(crate) use gguf::Gguf;
pub use layer::LayerTensors;

/// A way of storing linear layers.
pub trait WeightFormat: Debug + Send + Sync {
    /// Takes the weight of a layer out of its `tensors`; its shape by the configuration is `[out, ..]`, the trailing sizes together being its
    /// inputs. In a survey the tensors give nothing to read, and what comes back is how many bytes the layer takes.
    ///
    /// # Errors
    /// When one of the layer's tensors is missing, of another shape, or not what the format says.
    fn layer(&self, tensors: &mut LayerTensors<'_>, shape: &[usize]) -> Result<Stored, VlmError>;
}

/// A layer's weight as it was stored.
#[derive(Debug)]
pub enum Stored {
    /// Nothing but its bytes on a device, if it is packed: of a survey.
    Surveyed(Option<u64>),
    /// Floats, `[out, ..]`, as [`Weights::values`](super::Weights::values) reads them.
    Dense(Values),
    /// Packed.
    Packed(Box<PackedLinear>),
}

/// A packed format, by what `quantization_config.quant_method` calls it.
#[derive(Debug)]
pub struct FormatRow {
    /// The value of `quant_method`.
    pub method: &'static str,
    /// Reads the section.
    pub open: fn(&Fields<'_>) -> Result<Arc<dyn WeightFormat>, VlmError>,
}

/// The packed formats that are read.
pub const FORMATS: &[FormatRow] = &[compressed_tensors::ROW, awq::ROW, gptq::ROW, bitsandbytes::ROW];

/// The format that a configuration names: floats if it has no `quantization_config`.
pub(crate) fn of(root: &Fields<'_>, formats: &[FormatRow]) -> Result<Arc<dyn WeightFormat>, VlmError> {
    const SECTION: &str = "quantization_config";
    let Some(section) = root.object(SECTION)? else { return Ok(Arc::new(Floats)) };
    let method = section.text("quant_method")?;
    if let Some(format) = formats.iter().find(|format| Some(format.method) == method) {
        (format.open)(&section)
    } else {
        let known: Vec<&str> = formats.iter().map(|format| format.method).collect();
        let found = method.map_or_else(|| "there is none".to_owned(), |method| format!("found `{method}`"));
        let known = known.join(", ");
        Err(section.error("quant_method", format!("expected one of {known}; {found}, which is not read: use the float checkpoint")))
    }
}

/// Every weight as `{name}.weight`, in floats.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Floats;

impl WeightFormat for Floats {
    fn layer(&self, tensors: &mut LayerTensors<'_>, shape: &[usize]) -> Result<Stored, VlmError> {
        tensors.dense(shape)
    }
}
