//! What holds for every perturbation.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use steady_bench::Benchmark;
use steady_bench::perturb::{PERTURBATIONS, PerturbationSpec, perturb};
use steady_bench::world::EmbeddedSuite;

use image::RgbImage;

/// An image with its id.
fn pictured() -> (String, RgbImage) {
    let suite = EmbeddedSuite::test(1);
    let id = suite.questions()[0].image.clone();
    let image = suite.image(&id).unwrap();
    (id, image)
}

#[test]
fn neutral_amounts_leave_the_image_alone_and_all_others_do_not() {
    let (id, image) = pictured();
    for perturbation in &PERTURBATIONS {
        assert_eq!(perturbation.apply(&image, perturbation.neutral, &id), image, "{}", perturbation.name);
        assert_eq!(perturbation.apply(&image, f64::NAN, &id), image, "{}", perturbation.name);
        for end in [perturbation.low, perturbation.high] {
            let same = perturbation.apply(&image, end, &id) == image;
            assert_eq!(same, (end - perturbation.neutral).abs() < 1e-9, "{} at {end}", perturbation.name);
        }
        assert_eq!(perturbation.apply(&image, 1e9, &id), perturbation.apply(&image, perturbation.high, &id));
    }
    assert_eq!(perturb(&image, &[], &id), image);
}

#[test]
fn an_image_always_meets_the_same_noise_and_another_image_meets_another() {
    let (id, image) = pictured();
    let noise = PERTURBATIONS.iter().find(|perturbation| perturbation.name == "noise").unwrap();
    let once = noise.apply(&image, 30.0, &id);
    assert_eq!(once, noise.apply(&image, 30.0, &id));
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

fn refused(text: &str) -> String {
    text.parse::<PerturbationSpec>().unwrap_err().to_string()
}

#[test]
fn specs_have_one_text_each() {
    let canonical = |text: &str| text.parse::<PerturbationSpec>().unwrap().to_string();
    for text in [
        "none",
        "noise=20",
        "blur=1.5",
        "brightness=-0.2",
        "blur=1.5+jpeg=30",
        "rotation=-10+crop=0.9+noise=20",
        "noise=20+shuffle=1+typos=5",
    ] {
        assert_eq!(canonical(text), text);
    }
    assert_eq!(canonical("noise=20.0"), "noise=20");
    assert_eq!(canonical("jpeg=3e1+blur=01.50"), "blur=1.5+jpeg=30");
    assert_eq!(canonical("typos=02+case=1+noise=1"), "noise=1+typos=2+case=1");
}

#[test]
fn every_perturbation_has_a_name_a_range_and_an_example_that_can_be_typed() {
    for perturbation in &PERTURBATIONS {
        let example: PerturbationSpec = perturbation.example().parse().unwrap();
        assert_eq!(example.to_string(), perturbation.example());
        for beyond in [perturbation.low - 0.5, perturbation.high + 0.5] {
            let message = refused(&format!("{}={beyond}", perturbation.name));
            for part in [perturbation.name, &perturbation.low.to_string(), &perturbation.high.to_string(), &format!("`{beyond}`")] {
                assert!(message.contains(part), "{message}");
            }
        }
        assert!(refused(&format!("{}={}", perturbation.name, perturbation.neutral)).contains("leaves the image as it is"));
    }
}

#[test]
fn bad_specs_say_what_would_be_right() {
    let amount = |found: &str| format!("noise takes an amount from 0 to 100 (of 255), like noise=20; found `{found}`");
    for found in ["", "loud", "NaN", "inf", "-1", "100.5", "20,sigma=3"] {
        assert_eq!(refused(&format!("noise={found}")), amount(found));
    }
    assert_eq!(refused("noise"), amount(""));
    let unknown = |found: &str| {
        format!(
            "there is no perturbation `{found}`; there are rotation, crop, brightness, contrast, blur, noise, jpeg, shuffle, paraphrase, typos, case, punctuation"
        )
    };
    assert_eq!(refused("nose=20"), unknown("nose"));
    assert_eq!(refused(""), unknown(""));
    assert_eq!(refused("noise=20+"), unknown(""));
    assert_eq!(refused("none+noise=20"), unknown("none"));
    assert_eq!(refused("NOISE=20"), unknown("NOISE"));
    assert_eq!(refused("noise=20+blur=1+noise=30"), "noise occurs twice");
    assert_eq!(refused("typos=2+typos=2"), "typos occurs twice");
    for found in ["0", "6", "1.5", "-1", "", "much"] {
        let expected =
            format!("typos takes a level from 1 to 5 (words of four letters and more with a slip), like typos=2; found `{found}`");
        assert_eq!(refused(&format!("noise=1+typos={found}")), expected);
    }
    assert_eq!(refused("noise=20+contrast=1"), "contrast=1 leaves the image as it is; the clean image needs no perturbation");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// What a study does to an image by a spec, the page does to it by sliders.
    #[test]
    fn a_spec_is_its_amounts_on_the_sliders(shares in prop::collection::vec(prop::option::of(0.0..=1.0), PERTURBATIONS.len())) {
        let amounts: Vec<f64> = PERTURBATIONS
            .iter()
            .zip(&shares)
            .map(|(p, share)| share.map_or(p.neutral, |share| p.low + share * (p.high - p.low)))
            .collect();
        let parts: Vec<String> = PERTURBATIONS
            .iter()
            .zip(&amounts)
            .filter(|(p, amount)| (*amount - p.neutral).abs() > 0.0)
            .map(|(p, amount)| format!("{}={amount}", p.name))
            .collect();
        let spec: PerturbationSpec = if parts.is_empty() { "none".to_owned() } else { parts.join("+") }.parse().unwrap();
        let image = RgbImage::from_fn(13, 9, |x, y| image::Rgb([(19 * x) as u8, (23 * y) as u8, 77]));
        prop_assert_eq!(spec.apply(&image, "image"), perturb(&image, &amounts, "image"));
        prop_assert_eq!(spec.to_string().parse::<PerturbationSpec>().unwrap(), spec);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,30}") {
        drop(text.parse::<PerturbationSpec>());
    }

    #[test]
    fn images_of_any_size_keep_it(width in 1_u32..40, height in 1_u32..40, shares in prop::collection::vec(0.0..=1.0, PERTURBATIONS.len())) {
        let image = RgbImage::from_fn(width, height, |x, y| image::Rgb([(9 * x) as u8, (11 * y) as u8, 77]));
        let amounts: Vec<f64> = PERTURBATIONS.iter().zip(&shares).map(|(p, share)| p.low + share * (p.high - p.low)).collect();
        prop_assert_eq!(perturb(&image, &amounts, "q").dimensions(), (width, height));
    }
}

/// Two questions under every level of every perturbation of words, as a model is asked them.
fn shown() -> String {
    use std::fmt::Write as _;

    use steady_bench::perturb::{LEVELS, TEXT_PERTURBATIONS};
    use steady_bench::{AnswerKind, Posed, PostPrompts, Question};

    let question = |id: &str, text: &str, kind: AnswerKind| Question {
        id: id.into(),
        benchmark: "docs".into(),
        family: "f".into(),
        image: "i".into(),
        text: text.into(),
        gold: vec!["A".into()],
        kind,
        weight: 1.0,
    };
    let options = ["dog", "cat", "cow", "hen"].map(str::to_owned).to_vec();
    let lettered = question("animal", "Which animal is it?\nA. dog\nB. cat\nC. cow\nD. hen", AnswerKind::Choice { options });
    let short = question("a", "What color is the bus, which stands beside the station?", AnswerKind::Short);
    let mut shown = String::new();
    for perturbation in &TEXT_PERTURBATIONS {
        for level in 0..=LEVELS {
            let spec = if level == 0 { "none".to_owned() } else { format!("{}={level}", perturbation.name) };
            let asked = if perturbation.name == "shuffle" { &lettered } else { &short };
            let posed = Posed::of(asked, &spec.parse().unwrap(), &PostPrompts::standard());
            let _ = writeln!(shown, "{spec:<14} {}", posed.text().replace('\n', " / "));
        }
        shown.push('\n');
    }
    shown
}

/// They are drawn from seeds: whoever changes that changes every study that was made with them.
#[test]
fn the_document_shows_what_is_asked() {
    let document = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/perturbations.md")).unwrap();
    let shown = shown();
    assert!(document.contains(shown.trim_end()), "docs/perturbations.md should hold\n{shown}");
}
