//! Pillow's resampling for 8-bit RGB, bit for bit.
//!
//! Separable convolution in fixed point, as `Image.resize` of Pillow computes it: the kernel is stretched when
//! shrinking, its weights are normalised in f64 and rounded to i32 with 22 fractional bits, the horizontal pass comes
//! first, and its result is rounded and clipped to 8 bits before the vertical pass.

use std::f64::consts::PI;

use image::RgbImage;

/// Fractional bits of a weight: 32 minus 8 for the sample minus 2 for the overshoot of negative lobes.
const PRECISION: u32 = 22;

/// Resampling kernels that CLIP-type processors name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Triangle, one sample wide on each side.
    Bilinear,
    /// Keys' cubic with a = -0.5.
    Bicubic,
    /// Sinc windowed by a sinc, three samples wide on each side.
    Lanczos,
}

impl Filter {
    fn support(self) -> f64 {
        match self {
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
            Self::Lanczos => 3.0,
        }
    }

    fn weight(self, x: f64) -> f64 {
        let x = x.abs();
        match self {
            Self::Bilinear => (1.0 - x).max(0.0),
            Self::Bicubic => {
                const A: f64 = -0.5;
                if x < 1.0 {
                    ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
                } else if x < 2.0 {
                    (((x - 5.0) * x + 8.0) * x - 4.0) * A
                } else {
                    0.0
                }
            }
            Self::Lanczos => {
                if x < 3.0 {
                    sinc(x) * sinc(x / 3.0)
                } else {
                    0.0
                }
            }
        }
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 {
        return 1.0;
    }
    let x = x * PI;
    x.sin() / x
}

/// The weights of one output sample: input samples from `first` on.
struct Window {
    first: usize,
    weights: Vec<i32>,
}

/// Resizes to `width` x `height`. The size it has already is a copy.
///
/// A side of 0 gives an empty image.
pub fn resize(image: &RgbImage, width: u32, height: u32, filter: Filter) -> RgbImage {
    if image.dimensions() == (width, height) {
        return image.clone();
    }
    let mut resized = RgbImage::new(width, height);
    if image.is_empty() || resized.is_empty() {
        return resized;
    }
    let (source_width, source_height) = (image.width() as usize, image.height() as usize);
    let row = width as usize * 3;
    let wide = if image.width() == width {
        image.as_raw().clone()
    } else {
        horizontal(image.as_raw(), source_width, &windows(source_width, width as usize, filter))
    };
    if image.height() == height {
        resized.copy_from_slice(&wide);
    } else {
        vertical(&wide, row, &windows(source_height, height as usize, filter), &mut resized);
    }
    resized
}

fn windows(input: usize, output: usize, filter: Filter) -> Vec<Window> {
    let scale = input as f64 / output as f64;
    let stretch = scale.max(1.0);
    let support = filter.support() * stretch;
    (0..output)
        .map(|out| {
            let centre = (out as f64 + 0.5) * scale;
            // Truncation toward zero, then clamping: what a C cast of these sums does.
            let first = (centre - support + 0.5).max(0.0) as usize;
            let end = ((centre + support + 0.5) as usize).min(input);
            let reach: Vec<f64> =
                (first..end).map(|sample| filter.weight((sample as f64 - centre + 0.5) * (1.0 / stretch))).collect();
            let sum: f64 = reach.iter().sum();
            let weights = reach.iter().map(|weight| fixed(if sum == 0.0 { *weight } else { weight / sum })).collect();
            Window { first, weights }
        })
        .collect()
}

/// Rounds half away from zero.
fn fixed(weight: f64) -> i32 {
    let scaled = weight * f64::from(1_u32 << PRECISION);
    (if weight < 0.0 { scaled - 0.5 } else { scaled + 0.5 }) as i32
}

fn clip(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

fn horizontal(samples: &[u8], width: usize, windows: &[Window]) -> Vec<u8> {
    let mut out = Vec::with_capacity(samples.len() / width * windows.len());
    for row in samples.chunks_exact(width * 3) {
        for window in windows {
            let mut sums = [1_i32 << (PRECISION - 1); 3];
            for (pixel, weight) in row[window.first * 3..].chunks_exact(3).zip(&window.weights) {
                for (sum, sample) in sums.iter_mut().zip(pixel) {
                    *sum += i32::from(*sample) * weight;
                }
            }
            out.extend(sums.map(clip));
        }
    }
    out
}

/// Row by row, so that memory is walked in order.
fn vertical(samples: &[u8], row: usize, windows: &[Window], out: &mut [u8]) {
    let mut sums = vec![0_i32; row];
    for (window, out) in windows.iter().zip(out.chunks_exact_mut(row)) {
        sums.fill(1 << (PRECISION - 1));
        for (line, weight) in samples[window.first * row..].chunks_exact(row).zip(&window.weights) {
            for (sum, sample) in sums.iter_mut().zip(line) {
                *sum += i32::from(*sample) * weight;
            }
        }
        for (out, sum) in out.iter_mut().zip(&sums) {
            *out = clip(*sum);
        }
    }
}
