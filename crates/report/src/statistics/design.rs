//! How many independent questions those about shared images are worth.
//!
//! J. N. K. Rao, A. J. Scott, "A simple method for the analysis of clustered binary data", Biometrics 48 (1992): counts and totals are divided by the
//! design effect, which is how many times larger a share's variance is by image than by question. With the method for independent questions they then
//! give intervals and tests for clustered ones.

use super::tango::Pairs;

/// How many times larger the variance of `Σ counts / Σ sizes` is, given the counts of each image, than if questions were independent. At least 1: an
/// image that happens to spread its changes buys nobody certainty.
///
/// Few images that moved say little about how changes cluster. So one more is counted as if its questions stood or fell together, which is the most that
/// an image of this size can do; where none moved, that alone.
pub fn effect(images: &[(f64, f64)]) -> f64 {
    let of: f64 = images.iter().map(|&(_, size)| size).sum();
    let count: f64 = images.iter().map(|&(count, _)| count).sum();
    let share = count / of;
    between(images, share * (1.0 - share) / of)
}

/// The same of the drop in accuracy, given broken, repaired and all questions of each image.
pub fn effect_on_drop(images: &[(f64, f64, f64)]) -> f64 {
    let (broken, repaired, of) = images.iter().fold((0.0, 0.0, 0.0), |sum, image| (sum.0 + image.0, sum.1 + image.1, sum.2 + image.2));
    let independent = (broken + repaired - (broken - repaired).powi(2) / of) / (of * of);
    let differences: Vec<(f64, f64)> = images.iter().map(|&(broken, repaired, size)| (broken - repaired, size)).collect();
    between(&differences, independent)
}

/// `independent` is the variance of the ratio if questions were.
fn between(images: &[(f64, f64)], independent: f64) -> f64 {
    let of: f64 = images.iter().map(|&(_, size)| size).sum();
    let n = images.len() as f64;
    let together = images.iter().map(|&(_, size)| size * size).sum::<f64>() / of;
    if images.len() < 2 || independent <= 0.0 {
        return together.max(1.0);
    }
    let moved = images.iter().filter(|&&(value, _)| value != 0.0).count() as f64;
    let ratio = images.iter().map(|&(value, _)| value).sum::<f64>() / of;
    let squares: f64 = images.iter().map(|&(value, size)| (value - ratio * size).powi(2)).sum();
    let seen = n / (n - 1.0) * squares / (of * of) / independent;
    ((moved * seen + together) / (moved + 1.0)).max(1.0)
}

/// Pairs that say as much as independent ones would.
pub fn independent(pairs: Pairs, effect: f64) -> Pairs {
    Pairs { broken: pairs.broken / effect, repaired: pairs.repaired / effect, of: pairs.of / effect }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three questions an image that stand or fall together are worth one; on paper the factor n/(n-1) of the sample's variance is left.
    #[test]
    fn questions_that_stand_or_fall_together_are_worth_one() {
        let images: Vec<(f64, f64)> = (0..100).map(|i| (if i % 5 == 0 { 3.0 } else { 0.0 }, 3.0)).collect();
        let seen = 3.0 * 100.0 / 99.0;
        assert!((effect(&images) - (20.0 * seen + 3.0) / 21.0).abs() < 1e-9, "{}", effect(&images));
        let drops: Vec<(f64, f64, f64)> = images.iter().map(|&(count, size)| (count, 0.0, size)).collect();
        assert!((effect_on_drop(&drops) - effect(&images)).abs() < 1e-9);
    }

    #[test]
    fn single_questions_are_worth_themselves() {
        let images: Vec<(f64, f64)> = (0..400).map(|i| (f64::from(u8::from(i % 40 == 0)), 1.0)).collect();
        assert!((effect(&images) - 1.0).abs() < 0.01);
        assert!((effect(&[(0.0, 1.0); 50]) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn of_what_never_happened_an_image_counts_once() {
        assert!((effect(&[(0.0, 4.0); 50]) - 4.0).abs() < 1e-12);
        // (2² + 4²) / (2 + 4): a question is more often one of the larger image's
        assert!((effect_on_drop(&[(0.0, 0.0, 2.0), (0.0, 0.0, 4.0)]) - 20.0 / 6.0).abs() < 1e-12);
    }
}
