//! Images in: decoding, Pillow's resampling, CLIP's image processor and what the LLaVA family puts in front of it.

mod anyres;
mod clip_processor;
mod decode;
mod resize;

pub use anyres::{Pinpoints, TileLayout};
pub use clip_processor::{ImageProcessor, PixelValues};
pub use decode::{decode, load};
pub use resize::{Filter, resize};
