//! Images at places between their pixels.

use image::{Rgb, RgbImage};

use super::byte;

/// A new image whose pixel (x, y) is `image` at the place that `place` gives for it; pixel centres are whole numbers, and the border goes on for ever.
/// `None` is black.
pub(super) fn sample(image: &RgbImage, place: impl Fn(f64, f64) -> Option<(f64, f64)>) -> RgbImage {
    let (width, height) = image.dimensions();
    RgbImage::from_fn(width, height, |x, y| place(f64::from(x), f64::from(y)).map_or(Rgb([0; 3]), |(x, y)| at(image, x, y)))
}

fn at(image: &RgbImage, x: f64, y: f64) -> Rgb<u8> {
    let (right, bottom) = (f64::from(image.width() - 1), f64::from(image.height() - 1));
    let (x, y) = (x.clamp(0.0, right), y.clamp(0.0, bottom));
    let (left, top) = (x.floor(), y.floor());
    let (u, v) = (x - left, y - top);
    let pixel = |x: f64, y: f64| image.get_pixel(x.min(right) as u32, y.min(bottom) as u32).0;
    let corners = [pixel(left, top), pixel(left + 1.0, top), pixel(left, top + 1.0), pixel(left + 1.0, top + 1.0)];
    let weights = [(1.0 - u) * (1.0 - v), u * (1.0 - v), (1.0 - u) * v, u * v];
    let mixed = |channel: usize| corners.iter().zip(weights).map(|(pixel, weight)| weight * f64::from(pixel[channel])).sum::<f64>();
    Rgb([byte(mixed(0)), byte(mixed(1)), byte(mixed(2))])
}
