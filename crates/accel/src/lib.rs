//! What is done to a model: quantizers and visual-token reducers, named by a short spec.
//!
//! Which methods there are and how a spec is written is steady-methods's. An [`Acceleration`] is a parsed spec with what carries
//! it out; a [`Registry`] pairs methods with code, those of this crate and one's own.
//!
//! A [`Quantizer`] is fitted to a model's layers, and what comes of it, a [`Fitted`], turns a float matrix into a packed one;
//! [`Acceleration::quantize`] applies it to the linear layers it is meant for. A token reducer implements
//! [`steady_vlm::TokenReducer`] and is handed to the model with each prompt.
//!
//! ```
//! use std::path::Path;
//!
//! use steady_vlm::Device;
//! use pollster::FutureExt;
//! use steady_accel::Acceleration;
//! use steady_vlm::{Checkpoint, Decoding, Precision, Vlm};
//!
//! let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference/tiny-llava");
//! let model = Vlm::load(&Checkpoint::open(&folder.join("checkpoint"))?, &Device::Cpu, Precision::F32)?;
//! let image = steady_vlm::image::load(&folder.join("images/tiny.png"))?;
//! let prepared = model.prepare(&image, &model.prompt("read the word")?)?;
//!
//! let acceleration = Acceleration::parse("divprune:keep=8+int8")?;
//! assert_eq!(acceleration.to_string(), "int8:threshold=6+divprune:keep=8");
//! let packed = acceleration.quantize(&model).block_on()?.expect("int8 changes the weights");
//! assert!(packed.weight_bytes() < model.weight_bytes());
//!
//! let answer = packed.ask(&prepared, acceleration.reducer(), &Decoding::default()).block_on()?;
//! assert_eq!(answer.kept().map(<[usize]>::len), Some(8));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Tests add a method of one's own, in one file: `tests/recipe_reducer.rs` and `tests/recipe_quantizer.rs`.

mod acceleration;
mod apply;
mod cache;
mod calibrate;
mod chain;
mod dot;
mod factors;
mod implementation;
#[cfg(not(target_family = "wasm"))]
mod kept;
mod locate;
pub mod memory;
mod quantize;
mod reconstruction;
mod reduce;
mod registry;
mod role;
mod search;
mod spectrum;

pub use acceleration::Acceleration;
pub use apply::{Description, QuantizedModules};
pub use calibrate::{Inputs, KeptLayers, Samples};
pub use implementation::{Built, Implementation};
#[cfg(not(target_family = "wasm"))]
pub use kept::PackedFolder;
pub use locate::Grain;
pub use quantize::{
    AccelError, Awq, Blocks, Calibration, Fitted, FittedAwq, FittedBlocks, FittedGptq, FittedHqq, FittedRtn, Fp8, Ggml, Gptq, Hqq, Int8,
    LinearShape, Quantizer, Rtn, Smooth, Together, W8a8,
};
pub use reconstruction::{Reconstruction, reconstruction};
pub use reduce::{
    Blind, Blur, CdPruner, Dart, DivPrune, FastV, FasterVlm, HoloV, Lofi, PruMerge, PyramidDrop, RandomKeep, SparseVlm, ToMe, VisPruner,
    VisionZip, Vtw, VtwSearch,
};
pub use registry::Registry;
pub use search::{Found, Search};
pub use steady_methods::{Group, Keep, Layers, Positions, SpecError};
