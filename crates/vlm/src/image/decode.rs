//! Image files to RGB, as `transformers.image_utils.load_image` does with Pillow.
//!
//! The EXIF orientation is applied, then `convert("RGB")`: alpha is dropped (not blended), palettes and grey are
//! expanded, 16-bit colour keeps its high byte, and 16-bit grey without alpha is clipped at 255, because Pillow does
//! that. PNG and WebP (lossless) decode to Pillow's bytes; JPEG differs from libjpeg-turbo by a level here and there.

use std::io::Cursor;
use std::path::Path;

use image::{DynamicImage, ImageDecoder, ImageError, ImageReader, Limits, RgbImage};

use crate::VlmError;

/// Pixels beyond which an image is refused before it is decoded.
const MAX_PIXELS: u64 = 100_000_000;
/// Bytes a decoder may allocate: 16-bit RGBA at the pixel limit.
const MAX_BYTES: u64 = MAX_PIXELS * 8;

/// Reads an image file: PNG, JPEG or WebP, told apart by content.
///
/// # Errors
/// When the file cannot be read, is none of these, is broken, or has more than 100 million pixels.
pub fn load(path: &Path) -> Result<RgbImage, VlmError> {
    let bytes = std::fs::read(path).map_err(|source| VlmError::Io { path: path.to_owned(), source })?;
    decode(&bytes, &path.display().to_string())
}

/// Decodes the bytes of an image file; `name` is what error messages call it.
///
/// # Errors
/// As [`load`].
pub fn decode(bytes: &[u8], name: &str) -> Result<RgbImage, VlmError> {
    if bytes.is_empty() {
        return Err(VlmError::image(name, "the file is empty"));
    }
    let broken = |error: ImageError| VlmError::image(name, error.to_string());
    let mut reader =
        ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|error| VlmError::image(name, error.to_string()))?;
    if reader.format().is_none_or(|format| !format.reading_enabled()) {
        return Err(VlmError::image(name, "is not a PNG, JPEG or WebP file"));
    }
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(broken)?;
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        return Err(VlmError::image(name, format!("has no pixels ({width}x{height})")));
    }
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(VlmError::image(name, format!("has {width}x{height} pixels, more than the {MAX_PIXELS} that are read")));
    }
    let orientation = decoder.orientation().map_err(broken)?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(broken)?;
    image.apply_orientation(orientation);
    Ok(to_rgb(image))
}

/// Pillow's `convert("RGB")` for every mode it opens these formats in.
fn to_rgb(image: DynamicImage) -> RgbImage {
    let high = |sample: u16| (sample >> 8) as u8;
    match image {
        DynamicImage::ImageRgb8(image) => image,
        DynamicImage::ImageLuma16(image) => from_pixels(&image, |p| [p.0[0].min(255) as u8; 3]),
        DynamicImage::ImageLumaA16(image) => from_pixels(&image, |p| [high(p.0[0]); 3]),
        DynamicImage::ImageRgb16(image) => from_pixels(&image, |p| p.0.map(high)),
        DynamicImage::ImageRgba16(image) => from_pixels(&image, |p| [high(p.0[0]), high(p.0[1]), high(p.0[2])]),
        // `image` drops alpha here, as Pillow does.
        other => other.into_rgb8(),
    }
}

fn from_pixels<P: image::Pixel>(image: &image::ImageBuffer<P, Vec<P::Subpixel>>, rgb: impl Fn(&P) -> [u8; 3]) -> RgbImage {
    RgbImage::from_fn(image.width(), image.height(), |x, y| image::Rgb(rgb(image.get_pixel(x, y))))
}
