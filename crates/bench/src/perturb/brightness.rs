//! Brightness, as in ImageNet-C: a shift of the value channel of HSV. Hue and saturation stay.

use image::{Rgb, RgbImage};

use super::byte;

/// Adds `shift` (1 is from black to full) to each pixel's value, its largest channel.
pub(super) fn shift(image: &RgbImage, shift: f64) -> RgbImage {
    let mut image = image.clone();
    for Rgb(pixel) in image.pixels_mut() {
        let value = f64::from(*pixel.iter().max().unwrap_or(&0));
        let moved = (value + 255.0 * shift).clamp(0.0, 255.0);
        // black has no hue and becomes grey
        *pixel = if value > 0.0 { pixel.map(|channel| byte(f64::from(channel) * moved / value)) } else { [byte(moved); 3] };
    }
    image
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_moves_and_the_colour_stays() {
        let image = RgbImage::from_raw(4, 1, vec![100, 50, 0, 0, 0, 0, 255, 255, 255, 200, 100, 40]).unwrap();
        // + 51: value 100 -> 151, so all channels times 1.51
        assert_eq!(shift(&image, 0.2).into_raw(), [151, 76, 0, 51, 51, 51, 255, 255, 255, 251, 126, 50]);
        // - 51: value 100 -> 49
        assert_eq!(shift(&image, -0.2).into_raw(), [49, 25, 0, 0, 0, 0, 204, 204, 204, 149, 75, 30]);
    }
}
