//! Which images a threshold is chosen on, and which it is tried on.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::Image;

/// Whole images, drawn by the seed: questions about one image are not independent, so none may be on both sides. At least one is calibrated on.
pub(super) fn by_image(mut images: Vec<Image>, calibrate: f64, seed: u64) -> (Vec<Image>, Vec<Image>) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    for last in (1..images.len()).rev() {
        let drawn = (u128::from(random.next_u64()) * (last as u128 + 1)) >> 64;
        images.swap(last, drawn as usize);
    }
    let count = ((calibrate * images.len() as f64).round() as usize).clamp(1.min(images.len()), images.len());
    let held_out = images.split_off(count);
    (images, held_out)
}
