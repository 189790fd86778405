//! From the bytes of a picture file to RGB, and from RGB to the size that a model is shown.
//!
//! Both are what the reference does, to the bit: files as Pillow reads them ([`load`], [`decode()`]), sizes as Pillow or torchvision
//! make them ([`resize()`], [`PixelBackend`]). What is not exact is refused, with the reason. There are no tensors here.

mod decode;
mod error;
mod jpeg;
mod orientation;
mod resize;

pub(crate) use decode::Kind;
pub use decode::{MAX_PIXELS, decode, load, size};
pub use error::PictureError;
pub use resize::{Filter, PixelBackend, resize};
