//! Matrix products over packed weights, as burn extension operations for Flex and CubeCL.
//!
//! A quantizer decides the integers ([`W4Codes`], [`Int8Codes`]: plain vectors on the host); this crate packs them
//! into device memory ([`W4Weight`], [`Int8Weight`]) and computes `y = x Wᵀ` from the packed form. No full float copy
//! of the matrix is kept anywhere: that is what makes the memory figures of a study real. [`Bf16Weight`] does the same for
//! weights that were published as bf16 and stay what they are.
//!
//! | layout | weights | per group or row | product |
//! |---|---|---|---|
//! | [`W4Weight`] | 4 bits | f16 scale and f16 zero point per group of inputs | float: `ŵ = (q − z)·s` |
//! | [`Int8Weight`] | 8 bits | f32 absolute maximum per output | int8 × int8 → int32, float for outliers |
//! | [`Bf16Weight`] | 16 bits | | float: `ŵ` is the number itself |
//!
//! All layouts are arrays of `u32` words (and one f32 vector), which every device can hold: WGSL has neither 8-bit
//! nor, everywhere, 16-bit storage.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use steady_kernels::{Int8Codes, Int8Weight, W4Codes, W4Weight};
//!
//! let device = Device::flex();
//! let values = |y: Tensor<2>| y.into_data().iter::<f32>().collect::<Vec<_>>();
//!
//! // one row of weights (q - 4) / 2, from -2 to 1.5, and the sum of them
//! let codes = (0..8).collect();
//! let w4 = W4Weight::new(&W4Codes { out: 1, input: 8, group: 8, codes, scales: vec![0.5], zeros: vec![4.0] }, &device)?;
//! assert_eq!(values(w4.forward(Tensor::from_data([[1.0f32; 8]], &device))), [-2.0]);
//!
//! // weights 3, -3 and 0 and activations below the threshold, which are rounded to 8 bits, without loss here
//! let codes = vec![127, -127, 0];
//! let int8 = Int8Weight::new(&Int8Codes { out: 1, input: 3, codes, absmax: vec![3.0], outlier_threshold: 6.0 }, &device)?;
//! let y = values(int8.forward(Tensor::from_data([[2.0f32, 0.0, 2.0]], &device)));
//! assert!((y[0] - 6.0).abs() < 1e-5, "{y:?}");
//! # Ok::<(), steady_kernels::PackError>(())
//! ```

mod bf16;
mod codes;
#[cfg(feature = "gpu")]
mod cube;
mod flex;
mod int8;
mod linear;
mod ops;
mod w4;

pub use bf16::Bf16Weight;
pub use codes::{Int8Codes, PackError, W4Codes};
pub use int8::Int8Weight;
pub use linear::PackedLinear;
pub use w4::W4Weight;
