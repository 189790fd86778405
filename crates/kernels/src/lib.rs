//! Matrix products over packed weights, as burn extension operations for Flex and CubeCL.
//!
//! A quantizer decides the integers ([`W4Codes`], [`Int8Codes`]: plain vectors on the host); this crate packs them
//! into device memory ([`W4Weight`], [`Int8Weight`]) and computes `y = x Wᵀ` from the packed form. No full float copy
//! of the matrix is kept anywhere: that is what makes the memory figures of a study real.
//!
//! | layout | weights | per group or row | product |
//! |---|---|---|---|
//! | [`W4Weight`] | 4 bits | f16 scale and f16 zero point per group of inputs | float: `ŵ = (q − z)·s` |
//! | [`Int8Weight`] | 8 bits | f32 absolute maximum per output | int8 × int8 → int32, float for outlier columns |
//!
//! Both layouts are arrays of `u32` words (and one f32 vector), which every device can hold: WGSL has neither 8-bit
//! nor, everywhere, 16-bit storage.

mod codes;
#[cfg(feature = "gpu")]
mod cube;
mod flex;
mod int8;
mod linear;
mod ops;
mod w4;

pub use codes::{Int8Codes, PackError, W4Codes};
pub use int8::Int8Weight;
pub use linear::PackedLinear;
pub use w4::W4Weight;
