//! Images in: decoding, Pillow's resampling, CLIP's image processor.

mod clip_processor;
mod decode;
mod resize;

pub use clip_processor::{ImageProcessor, PixelValues};
pub use decode::{decode, load};
pub use resize::{Filter, resize};
