//! Vision towers: pixels to patch features.

pub(crate) mod clip;

pub(crate) use clip::Clip;
