//! Gaussian blur, as in ImageNet-C: by its standard deviation in pixels.

use image::RgbImage;

/// Blurs with standard deviation `sigma`.
pub(super) fn gaussian(image: &RgbImage, sigma: f64) -> RgbImage {
    image::imageops::blur(image, sigma as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    #[test]
    fn a_point_becomes_a_bell() {
        let mut point = RgbImage::new(21, 21);
        point.put_pixel(10, 10, Rgb([255; 3]));
        let blurred = gaussian(&point, 1.5);
        // 255 / (2 pi 1.5^2) exp(-d^2 / (2 1.5^2)) at distances 0, 1, 2: 18.0, 14.4, 7.4
        for (distance, expected) in [(0, 18), (1, 14), (2, 7)] {
            for pixel in [blurred.get_pixel(10 + distance, 10), blurred.get_pixel(10, 10 - distance)] {
                assert!(pixel.0[0].abs_diff(expected) <= 1, "{distance}: {:?}", pixel.0);
            }
        }
    }

    #[test]
    fn a_flat_image_stays_flat() {
        let flat = RgbImage::from_pixel(12, 9, Rgb([90, 120, 30]));
        assert_eq!(gaussian(&flat, 2.5), flat);
    }
}
