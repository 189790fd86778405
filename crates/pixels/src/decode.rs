//! Picture files to RGB, as `transformers.image_utils.load_image` does with Pillow.
//!
//! The picture is turned upright, then `convert("RGB")`: alpha is dropped (not blended), palettes and grey are expanded, 16-bit
//! colour keeps its high byte, and 16-bit grey without an alpha channel is clipped at 255, because Pillow does that.

use std::io::Cursor;
use std::path::Path;

use image::codecs::png::PngDecoder;
use image::{DynamicImage, ImageDecoder, ImageError, Limits, RgbImage};

use crate::{PictureError, jpeg, orientation};

/// Most pixels of a picture: those at which Pillow refuses one as a decompression bomb, twice its `MAX_IMAGE_PIXELS`.
pub const MAX_PIXELS: u64 = 2 * 89_478_485;
/// Bytes that a decoder may allocate: 16-bit RGBA at the pixel limit.
const MAX_BYTES: u64 = MAX_PIXELS * 8;
#[cfg(not(feature = "formats"))]
const NO_WEBP: &str = "is a WebP file, which this build does not read";

/// Kinds of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Png,
    Jpeg,
    WebP,
}

impl Kind {
    /// By what a file begins with.
    fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1A, b'\n', ..] => Some(Self::Png),
            [0xFF, 0xD8, 0xFF, ..] => Some(Self::Jpeg),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] if cfg!(feature = "formats") => Some(Self::WebP),
            _ => None,
        }
    }

    /// The same, or what was expected.
    fn expected(bytes: &[u8]) -> Result<Self, String> {
        if bytes.is_empty() {
            return Err("the file is empty".to_owned());
        }
        Self::of(bytes).ok_or_else(|| "is not a PNG, JPEG or WebP file".to_owned())
    }
}

/// Reads a picture file: PNG, JPEG or WebP, told apart by content.
///
/// # Errors
/// When the file cannot be read, is none of these, is cut or broken, or has more pixels than [`MAX_PIXELS`].
pub fn load(path: &Path) -> Result<RgbImage, PictureError> {
    let bytes = std::fs::read(path).map_err(|source| PictureError::Io { path: path.to_owned(), source })?;
    decode(&bytes, &path.display().to_string())
}

/// Decodes the bytes of a picture file; `name` is what error messages call it.
///
/// # Errors
/// As [`load`].
pub fn decode(bytes: &[u8], name: &str) -> Result<RgbImage, PictureError> {
    upright(bytes).map_err(|problem| PictureError::Refused { name: name.to_owned(), problem })
}

/// Width and height of the picture in these bytes as [`decode()`] makes it, turned upright, from its headers alone.
///
/// # Errors
/// As [`decode()`], as far as headers tell.
pub fn size(bytes: &[u8], name: &str) -> Result<(u32, u32), PictureError> {
    upright_size(bytes).map_err(|problem| PictureError::Refused { name: name.to_owned(), problem })
}

fn upright_size(bytes: &[u8]) -> Result<(u32, u32), String> {
    let kind = Kind::expected(bytes)?;
    let (width, height) = match kind {
        Kind::Jpeg => jpeg::size(bytes)?,
        Kind::Png => PngDecoder::new(Cursor::new(bytes)).map_err(told)?.dimensions(),
        #[cfg(feature = "formats")]
        Kind::WebP => image::codecs::webp::WebPDecoder::new(Cursor::new(bytes)).map_err(told)?.dimensions(),
        #[cfg(not(feature = "formats"))]
        Kind::WebP => return Err(NO_WEBP.to_owned()),
    };
    bounded((width, height))?;
    Ok(if orientation::lies(bytes, kind)? { (height, width) } else { (width, height) })
}

fn upright(bytes: &[u8]) -> Result<RgbImage, String> {
    let kind = Kind::expected(bytes)?;
    let image = match kind {
        Kind::Jpeg => {
            bounded(jpeg::size(bytes)?)?;
            DynamicImage::ImageRgb8(jpeg::decode(bytes)?)
        }
        Kind::Png => decoded(PngDecoder::new(Cursor::new(bytes)).map_err(told)?)?,
        #[cfg(feature = "formats")]
        Kind::WebP => decoded(image::codecs::webp::WebPDecoder::new(Cursor::new(bytes)).map_err(told)?)?,
        #[cfg(not(feature = "formats"))]
        Kind::WebP => return Err(NO_WEBP.to_owned()),
    };
    // Grey that counts to 65,535 is clipped, and a transparent level of it (tRNS) is no alpha channel.
    let clipped = kind == Kind::Png && matches!(bytes.get(24..26), Some([16, 0]));
    let mut image = DynamicImage::ImageRgb8(to_rgb(image, clipped));
    orientation::apply(&mut image, bytes, kind)?;
    Ok(image.into_rgb8())
}

fn decoded(mut decoder: impl ImageDecoder) -> Result<DynamicImage, String> {
    bounded(decoder.dimensions())?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_BYTES);
    decoder.set_limits(limits).map_err(told)?;
    DynamicImage::from_decoder(decoder).map_err(told)
}

/// Pillow's words for what is cut, the decoder's for the rest.
fn told(error: ImageError) -> String {
    match error {
        ImageError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => jpeg::truncated(),
        other => other.to_string(),
    }
}

fn bounded((width, height): (u32, u32)) -> Result<(), String> {
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 {
        Err(format!("has no pixels ({width}x{height})"))
    } else if pixels > MAX_PIXELS {
        Err(format!("has {width}x{height} pixels, more than the {MAX_PIXELS} that are read"))
    } else {
        Ok(())
    }
}

/// Pillow's `convert("RGB")` for every mode it opens these formats in.
fn to_rgb(image: DynamicImage, clipped: bool) -> RgbImage {
    let high = |sample: u16| (sample >> 8) as u8;
    let low = |sample: u16| sample.min(255) as u8;
    match image {
        DynamicImage::ImageRgb8(image) => image,
        DynamicImage::ImageLuma16(image) => from_pixels(&image, |p| [low(p.0[0]); 3]),
        DynamicImage::ImageLumaA16(image) if clipped => from_pixels(&image, |p| [low(p.0[0]); 3]),
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
