//! Resampling of 8-bit RGB, bit for bit as the two libraries that transformers resizes with.
//!
//! Both are the same separable convolution: the kernel is stretched when shrinking, its weights are normalised in f64 and rounded
//! to whole numbers, and the first pass is rounded and clipped to 8 bits before the second. They differ in how finely weights are
//! rounded and in which pass comes first. That shows by a level here and there: enough to change answers.

use std::f64::consts::PI;

use image::RgbImage;

/// Which library's resize is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PixelBackend {
    /// `resize` of torchvision with `antialias`, on uint8 tensors on a CPU with AVX2 or newer (ATen's `UpSampleKernel.cpp`):
    /// weights are 16-bit numbers, as fine as the largest of them allows; rows first.
    #[default]
    Torchvision,
    /// `Image.resize` of Pillow 13 (`Resample.c`): weights with 22 fractional bits; mostly rows first.
    Pil,
}

impl PixelBackend {
    /// Every backend.
    pub const ALL: [Self; 2] = [Self::Torchvision, Self::Pil];

    /// As commands, plans and transformers' `backend=` write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Torchvision => "torchvision",
            Self::Pil => "pil",
        }
    }

    /// The backend of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|backend| backend.name() == name)
    }
}

/// Resampling kernels that image processors name.
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

    fn weight(self, x: f64, backend: PixelBackend) -> f64 {
        let x = x.abs();
        match self {
            Self::Bilinear => (1.0 - x).max(0.0),
            Self::Bicubic => {
                const A: f64 = -0.5;
                if x < 1.0 {
                    ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
                } else if x < 2.0 {
                    match backend {
                        PixelBackend::Torchvision => ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A,
                        PixelBackend::Pil => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
                    }
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

/// Resizes to `width` x `height`. The size it has already is a copy.
///
/// A side of 0 gives an empty image.
pub fn resize(image: &RgbImage, width: u32, height: u32, filter: Filter, backend: PixelBackend) -> RgbImage {
    if image.dimensions() == (width, height) {
        return image.clone();
    }
    if image.is_empty() || width == 0 || height == 0 {
        return RgbImage::new(width, height);
    }
    if backend == PixelBackend::Pil && vertical_first(image.dimensions(), (width, height)) {
        to_width(to_height(image.clone(), height, filter, backend), width, filter, backend)
    } else {
        to_height(to_width(image.clone(), width, filter, backend), height, filter, backend)
    }
}

/// Whether Pillow 13 resizes the columns before the rows: when the height shrinks, and by more than twice what the
/// width does. Earlier versions begin with the rows (but for strips a hundred times as tall as wide). The rule was found by trying both orders against Pillow
/// 13.0.0: it holds for each of 1,425 random pairs of sizes and all three kernels.
fn vertical_first((from_width, from_height): (u32, u32), (width, height): (u32, u32)) -> bool {
    let narrower = i64::from(from_width) - i64::from(width);
    let shorter = i64::from(from_height) - i64::from(height);
    shorter > 0 && 2 * narrower < shorter
}

fn to_width(image: RgbImage, width: u32, filter: Filter, backend: PixelBackend) -> RgbImage {
    if image.width() == width {
        return image;
    }
    let mut out = RgbImage::new(width, image.height());
    let windows = Windows::new(image.width() as usize, width as usize, filter, backend);
    horizontal(&image, image.width() as usize, &windows, &mut out);
    out
}

fn to_height(image: RgbImage, height: u32, filter: Filter, backend: PixelBackend) -> RgbImage {
    if image.height() == height {
        return image;
    }
    let mut out = RgbImage::new(image.width(), height);
    let windows = Windows::new(image.height() as usize, height as usize, filter, backend);
    vertical(&image, image.width() as usize * 3, &windows, &mut out);
    out
}

/// The weights of every output sample of one axis.
struct Windows {
    /// The first input sample, and the weights from there on.
    list: Vec<(usize, Vec<i32>)>,
    /// Fractional bits of a weight.
    bits: u32,
}

impl Windows {
    fn new(input: usize, output: usize, filter: Filter, backend: PixelBackend) -> Self {
        let scale = input as f64 / output as f64;
        let stretch = scale.max(1.0);
        let support = filter.support() * stretch;
        let window = |out: usize| {
            let centre = (out as f64 + 0.5) * scale;
            // Truncation toward zero, then clamping: what a C cast of these sums does.
            let first = (centre - support + 0.5).max(0.0) as usize;
            let end = ((centre + support + 0.5) as usize).min(input);
            let weight = |sample: usize| filter.weight((sample as f64 - centre + 0.5) * (1.0 / stretch), backend);
            let mut weights: Vec<f64> = (first..end).map(weight).collect();
            let sum: f64 = weights.iter().sum();
            if sum != 0.0 {
                for weight in &mut weights {
                    *weight /= sum;
                }
            }
            (first, weights)
        };
        let exact: Vec<(usize, Vec<f64>)> = (0..output).map(window).collect();
        let bits = match backend {
            PixelBackend::Torchvision => bits_of_16(exact.iter().flat_map(|(_, weights)| weights)),
            // 32 minus 8 for the sample minus 2 for the overshoot of negative lobes.
            PixelBackend::Pil => 22,
        };
        let whole = |weights: Vec<f64>| weights.into_iter().map(|weight| fixed(weight, bits)).collect();
        Self { list: exact.into_iter().map(|(first, weights)| (first, whole(weights))).collect(), bits }
    }

    /// What rounds a sum of products when its fraction is cut off.
    fn half(&self) -> i32 {
        1 << (self.bits - 1)
    }

    fn clip(&self, sum: i32) -> u8 {
        (sum >> self.bits).clamp(0, 255) as u8
    }
}

/// The most fractional bits, up to 22, with which the largest weight still is a 16-bit number.
fn bits_of_16<'a>(weights: impl Iterator<Item = &'a f64>) -> u32 {
    let largest = weights.fold(0.0_f64, |largest, weight| largest.max(*weight));
    (0..22).find(|bits| 0.5 + largest * f64::from(2_u32 << bits) >= 32_768.0).unwrap_or(22)
}

/// Rounds half away from zero.
fn fixed(weight: f64, bits: u32) -> i32 {
    let scaled = weight * f64::from(1_u32 << bits);
    (if weight < 0.0 { scaled - 0.5 } else { scaled + 0.5 }) as i32
}

fn horizontal(samples: &[u8], width: usize, windows: &Windows, out: &mut [u8]) {
    for (row, out) in samples.chunks_exact(width * 3).zip(out.chunks_exact_mut(windows.list.len() * 3)) {
        for ((first, weights), out) in windows.list.iter().zip(out.chunks_exact_mut(3)) {
            let mut sums = [windows.half(); 3];
            for (pixel, weight) in row[first * 3..].chunks_exact(3).zip(weights) {
                for (sum, sample) in sums.iter_mut().zip(pixel) {
                    *sum += i32::from(*sample) * weight;
                }
            }
            out.copy_from_slice(&sums.map(|sum| windows.clip(sum)));
        }
    }
}

/// Row by row, so that memory is walked in order.
fn vertical(samples: &[u8], row: usize, windows: &Windows, out: &mut [u8]) {
    let mut sums = vec![0_i32; row];
    for ((first, weights), out) in windows.list.iter().zip(out.chunks_exact_mut(row)) {
        sums.fill(windows.half());
        for (line, weight) in samples[first * row..].chunks_exact(row).zip(weights) {
            for (sum, sample) in sums.iter_mut().zip(line) {
                *sum += i32::from(*sample) * weight;
            }
        }
        for (out, sum) in out.iter_mut().zip(&sums) {
            *out = windows.clip(*sum);
        }
    }
}
