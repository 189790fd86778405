//! Quantizers: a float matrix in, a packed one out.

pub(crate) mod int8;
pub(crate) mod rtn;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use steady_kernels::{PackError, PackedLinear};
use steady_vlm::HostMatrix;
use thiserror::Error;

pub use int8::Int8;
pub use rtn::{Group, Rtn};

/// A way to pack the weight of a linear layer. Needs no calibration data.
pub trait Quantizer: Send + Sync {
    /// The canonical text of the method, e.g. `w4:rtn,g=64`.
    fn name(&self) -> String;

    /// Which linear layers the method packs, in words.
    fn scope(&self) -> &'static str;

    /// Whether the linear layer with this canonical name is one of them.
    fn takes(&self, linear: &str) -> bool;

    /// This method with everything settled that depends on the model's shapes.
    ///
    /// # Errors
    /// When the method does not fit one of `linears`.
    fn fit(&self, linears: &[LinearShape]) -> Result<Box<dyn Quantizer>, AccelError>;

    /// Bytes that a packed layer of this shape takes, by its layout. Call it on what [`Self::fit`] gave.
    fn packed_bytes(&self, linear: &LinearShape) -> u64;

    /// Packs `weight [out, in]` of the layer `linear` onto `device`. Call it on what [`Self::fit`] gave.
    ///
    /// # Errors
    /// When the weight does not fit the packed layout.
    fn quantize(&self, linear: &str, weight: &HostMatrix, device: &Device) -> Result<PackedLinear, AccelError>;
}

/// Name and shape of a linear layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinearShape {
    /// Canonical name, without `.weight`.
    pub name: String,
    /// Output features.
    pub out: usize,
    /// Input features.
    pub input: usize,
}

/// Why an acceleration cannot be applied to a model.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum AccelError {
    /// A group size does not divide an input width.
    #[error(
        "{linear}: its input width {input} is not a multiple of the group size {group}; valid: auto, or a multiple of 8 that divides every width"
    )]
    Group {
        /// The layer.
        linear: String,
        /// Its input width.
        input: usize,
        /// The group size asked for.
        group: usize,
    },
    /// None of the usual group sizes divides every input width.
    #[error(
        "{linear}: its input width {input} leaves no group size: none of {candidates:?} divides all widths of the model; give one with g="
    )]
    NoGroup {
        /// The first layer that rules out the smallest size.
        linear: String,
        /// Its input width.
        input: usize,
        /// The sizes tried.
        candidates: &'static [usize],
    },
    /// The model has none of the layers the method packs.
    #[error("{method}: the model has no linear layers for it; it packs {scope}")]
    NothingToQuantize {
        /// The method.
        method: String,
        /// What it packs.
        scope: &'static str,
    },
    /// A layer's weight could not be read back from its device.
    #[error("{linear}: {problem}")]
    Read {
        /// The layer.
        linear: String,
        /// Why.
        problem: String,
    },
    /// A layer's numbers do not fit the packed layout.
    #[error("{linear}: {source}")]
    Pack {
        /// The layer.
        linear: String,
        /// Why.
        source: PackError,
    },
}
