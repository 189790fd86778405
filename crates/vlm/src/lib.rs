//! The models: checkpoint reading, tokenizer, image processors, architectures, KV cache, decoding.
//!
//! A [`checkpoint`] in the published layout becomes a [`Vlm`] on a [`device`]. A study asks in three steps, each of which is
//! shared by everything below it: [`Vlm::encode`] once per image, [`Vlm::prefix`] once per image and acceleration,
//! [`Vlm::answer`] once per question. [`Vlm::ask`] does all of it in one pass.
//!
//! Accelerations come in from outside: [`Vlm::map_linears`] puts packed weights in the place of dense ones, and a
//! [`TokenReducer`] drops or merges visual tokens at one [`Stage`].

pub mod checkpoint;
mod cost;
mod decoder;
pub mod device;
mod error;
mod family;
mod footprint;
mod generate;
pub mod image;
mod llava;
mod llava_next;
mod matrix;
mod model;
mod nn;
mod prefill;
mod qwen_vl;
mod reduction;
pub mod text;
mod vision;

pub use checkpoint::Checkpoint;
pub use cost::Cost;
#[cfg(feature = "gpu")]
pub use device::open_webgpu;
pub use device::{DeviceChoice, OpenDevice, Precision};
pub use error::VlmError;
pub use footprint::{Footprint, LinearSize};
pub use generate::Decoding;
pub use image::PixelValues;
pub use matrix::HostMatrix;
pub use model::{Answer, EncodedImage, ModelInfo, Vlm};
pub use nn::{Dense, LinearMap};
pub use prefill::Prefix;
pub use reduction::{Evidence, Needs, PositionPolicy, Reduction, Stage, TokenReducer};
pub use text::{Interleaved, Prepared};
