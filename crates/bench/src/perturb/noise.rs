//! Gaussian noise, as in ImageNet-C: independent in every channel of every pixel.

use std::f64::consts::TAU;

use image::RgbImage;
use rand_chacha::{ChaCha8Rng, rand_core::Rng};

use super::byte;

/// Adds noise of standard deviation `sigma` in units of 1/255.
pub(super) fn gaussian(image: &RgbImage, sigma: f64, mut random: ChaCha8Rng) -> RgbImage {
    let mut image = image.clone();
    for pair in image.chunks_mut(2) {
        for (channel, normal) in pair.iter_mut().zip(normals(&mut random)) {
            *channel = byte(f64::from(*channel) + sigma * normal);
        }
    }
    image
}

/// Two independent standard normal numbers, by Box and Muller. Written out, and over libm, so that no platform and no release draws others.
fn normals(random: &mut ChaCha8Rng) -> [f64; 2] {
    let mut uniform = || (f64::from(random.next_u32()) + 0.5) / 4_294_967_296.0;
    let (radius, angle) = (libm::sqrt(-2.0 * libm::log(uniform())), TAU * uniform());
    let (sin, cos) = libm::sincos(angle);
    [radius * cos, radius * sin]
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;
    use rand_chacha::rand_core::SeedableRng;

    #[test]
    fn it_has_the_moments_of_a_normal_distribution() {
        let (side, sigma) = (200, 20.0);
        let noisy = gaussian(&RgbImage::from_pixel(side, side, Rgb([128; 3])), sigma, ChaCha8Rng::from_seed([7; 32]));
        let errors: Vec<f64> = noisy.iter().map(|&channel| f64::from(channel) - 128.0).collect();
        let n = errors.len() as f64;
        let moment = |power: i32| errors.iter().map(|error| (error / sigma).powi(power)).sum::<f64>() / n;
        // standard errors of these for 120,000 draws: 0.003, 0.004, 0.007, 0.028; rounding to bytes adds 0.0002 to the variance
        for (power, expected, tolerance) in [(1, 0.0, 0.012), (2, 1.0, 0.017), (3, 0.0, 0.03), (4, 3.0, 0.12)] {
            assert!((moment(power) - expected).abs() < tolerance, "{power}: {}", moment(power));
        }
        let neighbours = errors.windows(2).map(|pair| pair[0] * pair[1]).sum::<f64>() / n / sigma.powi(2);
        assert!(neighbours.abs() < 0.012, "{neighbours}");
    }
}
