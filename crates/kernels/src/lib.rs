//! What a vision-language model is computed with, on the CPU (burn's Flex, and our own products over packed weights) and on GPUs
//! (steady-gpu). A model is written once, against [`Matrix`] and the operations beside it; the device of its numbers picks who computes.
//!
//! # Packed weights
//!
//! A quantizer or a file decides the codes ([`GroupedCodes`], [`Int8Codes`]: plain vectors on the host); this crate packs them
//! ([`GroupedWeight`], [`Int8Weight`]) and computes `y = x Wᵀ` from the packed form. No full float copy
//! of the matrix is kept anywhere: that is what makes the memory figures of a study real. [`Bf16Weight`] does the same for
//! weights that were published as bf16 and stay what they are.
//!
//! | layout | weights | per group or row | product |
//! |---|---|---|---|
//! | [`GroupedWeight`] | 4 or 8 bits, by a [`Codebook`] integers, NF4, FP4 or FP8 | per group of inputs a scale, and a zero point or an offset ([`Shift`]) | float: `ŵ = (v − z)·s` |
//! | [`Int8Weight`] | 8 bits | f32 scale per output | int8 × int8 → int32, float for outliers |
//! | [`Bf16Weight`] | 16 bits | | float: `ŵ` is the number itself |
//!
//! All layouts are arrays of `u32` words (and one f32 vector), which every device can hold: WGSL has neither 8-bit
//! nor, everywhere, 16-bit storage.
//!
//! ```
//! use steady_kernels::{Added, Codebook, Device, Element, GroupedCodes, GroupedWeight, Int8Codes, Int8Weight, Matrix, Shift, Weight};
//!
//! let product = |x: Vec<f32>, weight: &Weight| {
//!     let input = x.len();
//!     pollster::block_on(weight.product(&Matrix::new(x, [1, input], &Device::Cpu, Element::F32), Added::default()).read())
//! };
//!
//! // one row of weights (q - 4) / 2, from -2 to 1.5, and the sum of them
//! let codes = (0..8).collect();
//! let shift = Shift::Zeros(vec![4.0]);
//! let w4 = GroupedWeight::new(&GroupedCodes { out: 1, input: 8, group: 8, book: Codebook::Int4, codes, scales: vec![0.5], shift })?;
//! assert_eq!(product(vec![1.0; 8], &Weight::packed(w4.into(), &Device::Cpu))?, [-2.0]);
//!
//! // weights 3, -3 and 0 and activations below the threshold, which are rounded to 8 bits, without loss here
//! let codes = vec![127, -127, 0];
//! let (scales, divisor) = (vec![3.0], Int8Codes::OF_MAXIMA);
//! let int8 = Int8Weight::new(&Int8Codes { out: 1, input: 3, codes, scales, divisor, outlier_threshold: 6.0 })?;
//! let y = product(vec![2.0, 0.0, 2.0], &Weight::packed(int8.into(), &Device::Cpu))?;
//! assert!((y[0] - 6.0).abs() < 1e-5, "{y:?}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod activation;
mod attention;
mod bf16;
mod choice;
mod codebook;
mod codes;
mod dense;
mod device;
mod flex;
mod floats;
mod grouped;
mod int8;
mod linear;
mod matrix;
mod norm;
mod ops;
mod rotation;
mod together;
mod vectorized;
mod weight;

pub use activation::Activation;
pub use attention::{CacheBits, CausalSight, Heads, KeyValues, LastRow, Seen, Stretches, attend_all, attend_within, received};
pub use bf16::Bf16Weight;
pub use choice::{Choice, Chooser, Chosen, Next};
pub use codebook::Codebook;
pub use codes::{GroupedCodes, Int8Codes, PackError, Shift};
pub use device::{Device, DeviceError, Element};
pub use flex::attention::{SCORES, rows_at_once};
pub use flex::streaming::attention_rows;
pub use floats::{Floats, Kept};
pub use grouped::{Constants, GroupedWeight};
pub use int8::Int8Weight;
pub use linear::{Codes, Intake, PackedLinear};
pub use matrix::Matrix;
pub use norm::Normalization;
pub use rotation::Rotation;
pub use together::together;
pub use vectorized::vectorized;
pub use weight::{Added, Layer, Table, Weight};
