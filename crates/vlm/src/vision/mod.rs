//! Vision towers that several families share: pixels to patch features.

mod clip;
mod clip_activations;
mod clip_config;

pub(crate) use clip::{Clip, Selection};
pub(crate) use clip_activations::view_bytes;
pub use clip_config::ClipVisionConfig;
