//! JPEG compression, as in ImageNet-C: written at a quality and read again.

use image::codecs::jpeg::JpegEncoder;
use image::{ImageFormat, RgbImage};

/// Writes at `quality` from 1 to 100, rounded, and reads again.
pub(super) fn compress(image: &RgbImage, quality: f64) -> RgbImage {
    let mut file = Vec::new();
    let written = image.write_with_encoder(JpegEncoder::new_with_quality(&mut file, quality.round().clamp(1.0, 100.0) as u8));
    // only an image that is larger than the format allows cannot be written; it stays as it is
    let read = written.and_then(|()| image::load_from_memory_with_format(&file, ImageFormat::Jpeg));
    read.map_or_else(|_| image.clone(), |read| read.to_rgb8())
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    #[test]
    fn middle_grey_has_no_coefficients_to_lose() {
        let grey = RgbImage::from_pixel(20, 11, Rgb([128; 3]));
        for quality in [1.0, 30.0, 95.0] {
            assert_eq!(compress(&grey, quality), grey);
        }
    }

    #[test]
    fn the_lower_the_quality_the_farther_from_the_image() {
        let image = RgbImage::from_fn(32, 32, |x, y| Rgb([(x * y % 251) as u8, (7 * x) as u8, (255 - 5 * y) as u8]));
        let error = |quality| {
            let read = compress(&image, quality);
            image.iter().zip(read.iter()).map(|(&a, &b)| f64::from(a.abs_diff(b)).powi(2)).sum::<f64>()
        };
        let errors = [95.0, 50.0, 20.0, 5.0].map(error);
        assert!(errors.is_sorted_by(|a, b| a < b), "{errors:?}");
    }
}
