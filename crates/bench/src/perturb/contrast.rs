//! Contrast, as in ImageNet-C: distances from the image's mean colour, scaled.

use image::{Rgb, RgbImage};

use super::byte;

/// `(x - mean) * factor + mean` in each channel.
pub(super) fn scale(image: &RgbImage, factor: f64) -> RgbImage {
    let pixels = f64::from(image.width()) * f64::from(image.height());
    let mean = |channel: usize| image.pixels().map(|pixel| f64::from(pixel.0[channel])).sum::<f64>() / pixels.max(1.0);
    let means = [mean(0), mean(1), mean(2)];
    let mut image = image.clone();
    for Rgb(pixel) in image.pixels_mut() {
        for (channel, mean) in pixel.iter_mut().zip(means) {
            *channel = byte((f64::from(*channel) - mean) * factor + mean);
        }
    }
    image
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_from_the_mean_are_scaled_channel_by_channel() {
        let image = RgbImage::from_raw(2, 1, vec![100, 10, 7, 200, 30, 7]).unwrap();
        // means 150, 20, 7
        assert_eq!(scale(&image, 0.5).into_raw(), [125, 15, 7, 175, 25, 7]);
        assert_eq!(scale(&image, 0.0).into_raw(), [150, 20, 7, 150, 20, 7]);
        assert_eq!(scale(&image, 2.0).into_raw(), [50, 0, 7, 250, 40, 7]);
    }
}
