//! Vision towers that several families share: pixels to patch features.

mod clip;
mod clip_config;

pub(crate) use clip::{Clip, Selection};
pub use clip_config::ClipVisionConfig;
