//! Quantizers: a float matrix in, a packed one out.

mod awq;
mod blocks;
mod fp8;
mod ggml;
mod gptq;
mod hqq;
mod int8;
mod layers;
mod rtn;
mod smooth;
mod w8a8;

use serde::{Deserialize, Serialize};
use steady_kernels::{PackError, PackedLinear};
use steady_vlm::HostMatrix;
use thiserror::Error;

pub use awq::{Awq, FittedAwq};
pub use blocks::{Blocks, FittedBlocks};
pub use fp8::Fp8;
pub use ggml::Ggml;
pub use gptq::{FittedGptq, Gptq};
pub use hqq::{FittedHqq, Hqq};
pub use int8::Int8;
pub(crate) use layers::DECODER;
pub use rtn::{FittedRtn, Rtn};
pub use smooth::Smooth;
pub use w8a8::W8a8;

use crate::{Implementation, Inputs};

/// For every quantizer of [`steady_methods::METHODS`], in that order, what carries it out.
pub(crate) const QUANTIZERS: &[Implementation] = &[
    rtn::W4,
    gptq::W4,
    awq::W4,
    hqq::IMPLEMENTATION,
    blocks::NF4_BLOCKS,
    blocks::FP4_BLOCKS,
    ggml::FOUR,
    rtn::W3,
    gptq::W3,
    awq::W3,
    rtn::W2,
    rtn::W8,
    ggml::EIGHT,
    int8::IMPLEMENTATION,
    w8a8::IMPLEMENTATION,
    smooth::IMPLEMENTATION,
    fp8::IMPLEMENTATION,
];

/// A way to pack the weights of a model's linear layers, as asked for.
pub trait Quantizer: Send + Sync {
    /// The canonical text of the method, e.g. `w4:rtn,g=auto`.
    fn name(&self) -> String;

    /// Which linear layers the method packs, in words; the decoder's, as deployed recipes have it, where it does not say otherwise.
    fn scope(&self) -> &'static str {
        layers::SCOPE
    }

    /// Whether the linear layer with this canonical name is one of them. Whoever says otherwise says so in [`Self::scope`] too.
    fn takes(&self, linear: &str) -> bool {
        linear.starts_with(layers::DECODER)
    }

    /// This method with everything settled that depends on the model's shapes.
    ///
    /// # Errors
    /// When the method does not fit one of `linears`, which are those that it takes.
    fn fit(&self, linears: &[LinearShape]) -> Result<Box<dyn Fitted>, AccelError>;
}

/// A quantizer that is fitted to a model's layers: nothing is left open, so it can say what packing takes, and pack.
///
/// Layers are packed one by one, several at the same time, and none depends on another. A method that moves factors between activations and
/// weights (AWQ, SmoothQuant) says which, for layers that are given the same: their columns are multiplied with them before they are packed, and
/// what is packed divides its inputs. So a layer stands for the same with and without, and one that is put back into float is what it was.
pub trait Fitted: Send + Sync {
    /// The canonical text of the method as settled, e.g. `w4:rtn,g=64`. On one model, equal texts mean equal packed weights.
    fn method(&self) -> String;

    /// What must be known of the layers beside their weights.
    fn calibration(&self) -> Calibration {
        Calibration::Nothing
    }

    /// Bytes that a packed layer of this shape takes, by its layout.
    fn packed_bytes(&self, linear: &LinearShape) -> u64;

    /// Bytes that it takes in a file, where these are others.
    fn stored_bytes(&self, linear: &LinearShape) -> u64 {
        self.packed_bytes(linear)
    }

    /// Factors that the inputs of `together` may be divided by: the first of those is taken whose rounding changes least what is made of the
    /// calibration prompts. None where inputs stay what they are.
    fn factors(&self, together: &Together<'_>) -> Vec<Vec<f32>> {
        let _ = together;
        Vec::new()
    }

    /// Packs `weight [out, in]` of the layer `linear` in the host's memory. `seen` is what went into the layer, if [`Self::calibration`] asks
    /// for that.
    ///
    /// # Errors
    /// When the weight does not fit the packed layout.
    fn pack(&self, linear: &str, weight: &HostMatrix, seen: Option<&Inputs>) -> Result<PackedLinear, AccelError>;
}

/// Layers that are given the same: queries, keys and values; gate and up; or one.
pub struct Together<'a> {
    /// Their canonical names, without `.weight`.
    pub names: Vec<&'a str>,
    /// Their weights `[out, in]`.
    pub weights: &'a [HostMatrix],
    /// What goes into them.
    pub seen: &'a Inputs,
}

/// What a quantizer must see of a model at work, while it reads so many prompts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calibration {
    /// Nothing: the weights are enough.
    Nothing,
    /// What goes into the layers that it takes, with those before them packed.
    Inputs {
        /// Prompts.
        samples: usize,
    },
    /// What goes into them while all of the model is in float.
    InFloat {
        /// Prompts.
        samples: usize,
    },
    /// Of the same their magnitudes alone.
    Magnitudes {
        /// Prompts.
        samples: usize,
    },
}

impl Calibration {
    /// Prompts that it takes.
    pub fn samples(self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Inputs { samples } | Self::InFloat { samples } | Self::Magnitudes { samples } => samples,
        }
    }
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
    /// Blocks of one size do not divide an input width.
    #[error("{method}: {linear}: its input width {input} is no whole number of blocks of {block}; w4:rtn and w8:rtn take other sizes")]
    Blocks {
        /// The method.
        method: String,
        /// The layer.
        linear: String,
        /// Its input width.
        input: usize,
        /// Weights of a block.
        block: usize,
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
    /// A part of names that none of the method's layers has.
    #[error("{method}: {parameter}={part}: none of the layers that it packs is called so; one of them is {example}")]
    NoSuchLinear {
        /// The method as settled.
        method: String,
        /// What was to become of them: `float` or `w8`.
        parameter: &'static str,
        /// The part as written.
        part: String,
        /// A layer that it packs.
        example: String,
    },
    /// Every layer is put back.
    #[error("{method}: {back}: these are all layers that it packs, and nothing would be left to it")]
    AllBack {
        /// The method as settled.
        method: String,
        /// What is put back, as in the spec.
        back: String,
    },
    /// There is no quantizer whose layers could be put back into float, or packed in 8 bits.
    #[error("{spec}: packs no layers, so none can be put back into float; give an acceleration with a quantizer, like w4:rtn")]
    PacksNothing {
        /// The acceleration.
        spec: String,
    },
    /// The method asks for what goes into its layers, which nobody has watched.
    #[error("{method}: needs to see what goes into its layers over {samples} prompts, and there is no calibration set")]
    Uncalibrated {
        /// The method as settled.
        method: String,
        /// Prompts it asks for.
        samples: usize,
    },
    /// There are fewer prompts to calibrate with than the method asks for.
    #[error("{method}: calibrates with {samples} prompts, and there are {found}; give fewer with n=")]
    TooFew {
        /// The method as settled.
        method: String,
        /// Prompts it asks for.
        samples: usize,
        /// Prompts there are.
        found: usize,
    },
    /// What the layers saw is of no use.
    #[error("calibration: {problem}")]
    Calibration {
        /// Why.
        problem: String,
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
