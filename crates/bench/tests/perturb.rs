//! What holds for every perturbation.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use steady_bench::perturb::{PERTURBATIONS, perturb};
use steady_bench::world::EmbeddedSuite;
use steady_bench::{Benchmark, Question};

use image::RgbImage;

fn pictured() -> (Question, RgbImage) {
    let suite = EmbeddedSuite::test(1);
    let question = suite.questions()[0].clone();
    let image = suite.image(&question.image).unwrap();
    (question, image)
}

#[test]
fn neutral_amounts_leave_the_image_alone_and_all_others_do_not() {
    let (question, image) = pictured();
    for perturbation in &PERTURBATIONS {
        assert_eq!(perturbation.apply(&image, perturbation.neutral, &question.id), image, "{}", perturbation.name);
        assert_eq!(perturbation.apply(&image, f64::NAN, &question.id), image, "{}", perturbation.name);
        for end in [perturbation.low, perturbation.high] {
            let same = perturbation.apply(&image, end, &question.id) == image;
            assert_eq!(same, (end - perturbation.neutral).abs() < 1e-9, "{} at {end}", perturbation.name);
        }
        assert_eq!(perturbation.apply(&image, 1e9, &question.id), perturbation.apply(&image, perturbation.high, &question.id));
    }
    assert_eq!(perturb(&image, &[], &question.id), image);
}

#[test]
fn a_question_always_meets_the_same_noise_and_another_question_meets_another() {
    let (question, image) = pictured();
    let noise = PERTURBATIONS.iter().find(|perturbation| perturbation.name == "noise").unwrap();
    let once = noise.apply(&image, 30.0, &question.id);
    assert_eq!(once, noise.apply(&image, 30.0, &question.id));
    assert_ne!(once, noise.apply(&image, 30.0, "another"));
}

#[test]
fn more_noise_is_the_same_noise_louder() {
    let grey = RgbImage::from_pixel(40, 40, image::Rgb([128; 3]));
    let noise = PERTURBATIONS.iter().find(|perturbation| perturbation.name == "noise").unwrap();
    let (soft, loud) = (noise.apply(&grey, 10.0, "q"), noise.apply(&grey, 20.0, "q"));
    for (soft, loud) in soft.iter().zip(loud.iter()) {
        let (soft, loud) = (i16::from(*soft) - 128, i16::from(*loud) - 128);
        // rounding, once and twice
        assert!((loud - 2 * soft).abs() <= 2, "{soft} {loud}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn images_of_any_size_keep_it(width in 1_u32..40, height in 1_u32..40, shares in prop::collection::vec(0.0..=1.0, 7)) {
        let image = RgbImage::from_fn(width, height, |x, y| image::Rgb([(9 * x) as u8, (11 * y) as u8, 77]));
        let amounts: Vec<f64> = PERTURBATIONS.iter().zip(&shares).map(|(p, share)| p.low + share * (p.high - p.low)).collect();
        prop_assert_eq!(perturb(&image, &amounts, "q").dimensions(), (width, height));
    }
}
