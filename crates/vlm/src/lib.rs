//! The models: checkpoint reading, tokenizer, image processors, architectures, KV cache, decoding.
//!
//! A [`Checkpoint`] in the published layout becomes a [`Vlm`] on a [`device`]. A study asks in three steps, each of which is
//! shared by everything below it: [`Vlm::encode`] once per image, [`Vlm::prefix`] once per image and acceleration,
//! [`Vlm::answer`] once per question. [`Vlm::ask`] does all of it in one pass.
//!
//! Accelerations come in from outside: [`Vlm::map_linears`] puts packed weights in the place of dense ones, and a
//! [`TokenReducer`] drops or merges visual tokens, step by step, each at its [`Site`].
//!
//! What differs from one kind of model to the next is in [`families`], a folder and a row each.
//!
//! ```
//! use std::path::Path;
//!
//! use pollster::FutureExt;
//! use steady_vlm::{Checkpoint, Decoding, Device, Precision, Vlm};
//!
//! let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference/tiny-llava");
//! let checkpoint = Checkpoint::open(&folder.join("checkpoint"))?;
//! let footprint = checkpoint.footprint()?; // before anything is allocated
//! let model = Vlm::load(&checkpoint, &Device::Cpu, Precision::F32)?;
//! assert_eq!(model.weight_bytes() as u64, footprint.weight_bytes(Precision::F32));
//!
//! let image = steady_vlm::image::load(&folder.join("images/tiny.png"))?;
//! let prepared = model.prepare(&image, &model.prompt("read the word")?)?;
//! let answer = model.ask(&prepared, None, &Decoding::default()).block_on()?;
//! assert_eq!(answer.visual_tokens, 26); // a class token, and 5 rows of 5 patches
//!
//! // The same in steps, of which only the last is paid for every question.
//! let encoded = model.encode(&prepared.pixels).block_on()?;
//! let prefix = model.prefix(&prepared.input_ids, &prepared.layout, &encoded, None).block_on()?;
//! let question = &prepared.input_ids[prepared.layout.end()..];
//! assert_eq!(model.answer(&prefix, question, &Decoding::default()).block_on()?.text, answer.text);
//! # Ok::<(), steady_vlm::VlmError>(())
//! ```

mod activations;
mod checkpoint;
mod cost;
pub mod decoder;
pub mod device;
mod encoded;
mod error;
pub mod families;
pub mod files;
mod footprint;
mod generate;
pub mod image;
mod layout;
mod matrix;
mod model;
pub mod nn;
mod prefill;
pub mod published;
mod reduction;
pub mod text;
pub mod vision;

pub use activations::{Extent, ImageBytes, Sizes};
pub use checkpoint::{Checkpoint, Known};
pub use cost::Cost;
#[cfg(not(target_family = "wasm"))]
pub use device::open_faster;
#[cfg(feature = "gpu")]
pub use device::open_webgpu;
pub use device::{Asked, DeviceChoice, DeviceMemory, Faster, OpenDevice, Pace, Precision, Work};
pub use encoded::EncodedImage;
pub use error::VlmError;
pub use footprint::Footprint;
pub use generate::Decoding;
pub use image::PixelValues;
pub use layout::{Cell, Cells, Frame, View, VisualLayout, row_by_row};
pub use matrix::HostMatrix;
pub use model::{Answer, Edits, ModelInfo, NormFeed, NotFinite, Vlm};
pub use nn::{Dense, LinearMap, LinearSize, Observer};
pub use prefill::{Gathered, Left, Prefix};
pub use reduction::{
    Evidence, Merge, Merger, Needs, Observed, PositionPolicy, PromptStates, Reduction, Site, Step, TokenReducer, TowerTask, TowerTokens,
    changes_the_image,
};
pub use steady_kernels::{CacheBits, Codes, Device, Element, Matrix, PackedLinear};
pub use text::{Interleaved, Prepared};
