//! The middle of an image, brought back to its size: torchvision's `center_crop` and a bilinear `resize`.

use image::RgbImage;

use super::bilinear::sample;

/// Keeps the share `keep` of each side.
pub(super) fn centre(image: &RgbImage, keep: f64) -> RgbImage {
    // pixel centres are half a pixel into their pixels, on both sides of the resize
    let from = |at: f64, side: u32| (1.0 - keep) / 2.0 * f64::from(side) + (at + 0.5) * keep - 0.5;
    sample(image, |x, y| Some((from(x, image.width()), from(y, image.height()))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    #[test]
    fn half_of_a_ramp_is_half_as_steep() {
        let ramp = RgbImage::from_fn(16, 4, |x, _| Rgb([10 * x as u8, 0, 255]));
        let cropped = centre(&ramp, 0.5);
        // the middle half begins at pixel 4; the first new centre lies a quarter pixel before the old one: 37.5
        let red: Vec<u8> = (0..4).map(|x| cropped.get_pixel(x, 0).0[0]).collect();
        assert_eq!(red, [38, 43, 48, 53]);
        assert_eq!(cropped.dimensions(), (16, 4));
    }
}
