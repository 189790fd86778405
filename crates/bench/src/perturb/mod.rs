//! What can be done to an image before it is asked about: noise, blur, brightness, contrast, JPEG, rotation, crop; and to the words of a question
//! ([`TEXT_PERTURBATIONS`]).
//!
//! Each of an image's is a pure function of the image, a continuous amount and a seed that derives from (image id, perturbation's name), so the same image meets
//! the same noise on every machine, all questions about it are asked of the same pixels (a vision tower looks at them once), and turning an amount up
//! strengthens that noise instead of drawing another. Definitions are those of
//! ImageNet-C (Hendrycks and Dietterich, arXiv 1903.12261; github.com/hendrycks/robustness) where it has one, and torchvision's for rotation and
//! crop; its five severities become one number. Images keep their size.

mod bilinear;
mod blur;
mod brightness;
mod contrast;
mod crop;
mod jpeg;
mod noise;
mod rotation;
mod spec;
mod text;

use image::RgbImage;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use sha2::{Digest, Sha256};

pub use spec::{CLEAN, PerturbationSpec, SpecError};
pub use text::{LEVELS, TEXT_PERTURBATIONS, TextPerturbation};

/// One way to change an image.
#[derive(Debug)]
pub struct Perturbation {
    /// Identifier, part of every seed.
    pub name: &'static str,
    /// For people.
    pub label: &'static str,
    /// What the amount counts.
    pub unit: &'static str,
    /// The amount that leaves every image as it is.
    pub neutral: f64,
    /// Least amount that makes sense.
    pub low: f64,
    /// Largest amount that makes sense.
    pub high: f64,
    /// A difference that may show.
    pub step: f64,
    /// An amount to begin with: it shows, and people still see what is on the image.
    pub typical: f64,
    /// Changes an image by an amount within the range, with what chance there is drawn from the generator.
    pub apply: fn(&RgbImage, f64, ChaCha8Rng) -> RgbImage,
}

/// All perturbations of images, in the order in which they are applied when there are several.
pub const PERTURBATIONS: [Perturbation; 7] = [
    Perturbation {
        name: "rotation",
        label: "Rotation",
        unit: "°",
        neutral: 0.0,
        low: -45.0,
        high: 45.0,
        step: 1.0,
        typical: 10.0,
        apply: |image, amount, _| rotation::rotate(image, amount),
    },
    Perturbation {
        name: "crop",
        label: "Crop",
        unit: "of each side",
        neutral: 1.0,
        low: 0.5,
        high: 1.0,
        step: 0.01,
        typical: 0.9,
        apply: |image, amount, _| crop::centre(image, amount),
    },
    Perturbation {
        name: "brightness",
        label: "Brightness",
        unit: "of full",
        neutral: 0.0,
        low: -0.6,
        high: 0.6,
        step: 0.02,
        typical: 0.2,
        apply: |image, amount, _| brightness::shift(image, amount),
    },
    Perturbation {
        name: "contrast",
        label: "Contrast",
        unit: "times",
        neutral: 1.0,
        low: 0.0,
        high: 2.0,
        step: 0.05,
        typical: 0.5,
        apply: |image, amount, _| contrast::scale(image, amount),
    },
    Perturbation {
        name: "blur",
        label: "Gaussian blur",
        unit: "pixels",
        neutral: 0.0,
        low: 0.0,
        high: 4.0,
        step: 0.1,
        typical: 1.0,
        apply: |image, amount, _| blur::gaussian(image, amount),
    },
    Perturbation {
        name: "noise",
        label: "Gaussian noise",
        unit: "of 255",
        neutral: 0.0,
        low: 0.0,
        high: 100.0,
        step: 1.0,
        typical: 20.0,
        apply: noise::gaussian,
    },
    Perturbation {
        name: "jpeg",
        label: "JPEG quality",
        unit: "%",
        neutral: 100.0,
        low: 1.0,
        high: 100.0,
        step: 1.0,
        typical: 20.0,
        apply: |image, amount, _| jpeg::compress(image, amount),
    },
];

impl Perturbation {
    /// The image called `id`, perturbed by this amount, which is brought into the perturbation's range.
    pub fn apply(&self, image: &RgbImage, amount: f64, id: &str) -> RgbImage {
        let amount = amount.clamp(self.low, self.high);
        if self.changes(amount) { (self.apply)(image, amount, seed(self.name, id)) } else { image.clone() }
    }
}

/// SHA-256 of the perturbation's name and the image's or the question's id.
fn seed(name: &str, id: &str) -> ChaCha8Rng {
    let mut hash = Sha256::new();
    hash.update(b"steady-perturb/1/");
    hash.update(name);
    hash.update([0]);
    hash.update(id);
    ChaCha8Rng::from_seed(hash.finalize().into())
}

/// The image called `id` under one amount for each of [`PERTURBATIONS`], in their order; amounts that are missing are neutral.
pub fn perturb(image: &RgbImage, amounts: &[f64], id: &str) -> RgbImage {
    in_turn(&PERTURBATIONS, image, amounts, id)
}

/// The image called `id` under one amount for each of `table`, in its order.
fn in_turn(table: &[Perturbation], image: &RgbImage, amounts: &[f64], id: &str) -> RgbImage {
    table.iter().zip(amounts).fold(image.clone(), |image, (perturbation, &amount)| perturbation.apply(&image, amount, id))
}

/// A channel's value back in a byte.
fn byte(value: f64) -> u8 {
    value.round().clamp(0.0, 255.0) as u8
}
