//! Rotation about the centre, as torchvision's `rotate` with bilinear interpolation.

use image::RgbImage;

use super::bilinear::sample;

/// Turns counter-clockwise by `degrees`; what comes from outside the image is black.
pub(super) fn rotate(image: &RgbImage, degrees: f64) -> RgbImage {
    let (sin, cos) = libm::sincos(degrees.to_radians());
    let (width, height) = (f64::from(image.width()), f64::from(image.height()));
    let (cx, cy) = ((width - 1.0) / 2.0, (height - 1.0) / 2.0);
    // y points down: the place that turns onto (x, y) lies clockwise of it
    sample(image, |x, y| {
        let (dx, dy) = (x - cx, y - cy);
        let (x, y) = (cx + cos * dx - sin * dy, cy + sin * dx + cos * dy);
        let inside = (-0.5..=width - 0.5).contains(&x) && (-0.5..=height - 0.5).contains(&y);
        inside.then_some((x, y))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    #[test]
    fn a_quarter_turn_moves_pixels_from_right_to_top() {
        let mut image = RgbImage::new(5, 5);
        image.put_pixel(4, 2, Rgb([200, 100, 50]));
        let turned = rotate(&image, 90.0);
        let mut expected = RgbImage::new(5, 5);
        expected.put_pixel(2, 0, Rgb([200, 100, 50]));
        assert_eq!(turned, expected);
    }

    #[test]
    fn corners_come_from_outside() {
        let turned = rotate(&RgbImage::from_pixel(9, 9, Rgb([255; 3])), 45.0);
        assert_eq!((turned.get_pixel(0, 0).0, turned.get_pixel(4, 4).0), ([0; 3], [255; 3]));
    }
}
