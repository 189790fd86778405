//! Vision towers: pixels to patch features.

pub(crate) mod clip;
pub(crate) mod qwen;
pub(crate) mod qwen2_5_vl;
pub(crate) mod qwen2_vl;

pub(crate) use clip::Clip;
