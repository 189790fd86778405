//! How to add a perturbation of images.
//!
//! 1. Write what it does in a file of its own, `crates/bench/src/perturb/<name>.rs`: a pure function of the image, an amount and a seeded
//!    generator. The image keeps its size.
//! 2. Give it a row in `PERTURBATIONS` in `crates/bench/src/perturb/mod.rs`, where it is to be applied: specs are written in that order.
//!
//! Nothing else names it. The command line's list, the page's sliders and its checkboxes read the table, and `crates/bench/tests/perturb.rs`
//! asks every row what all perturbations have to keep.
//!
//! This file does so from outside: the row stands in a table of its own, and [`PerturbationSpec::parse_of`] reads specs of that. Studies
//! and reports read the specs of `PERTURBATIONS` alone, since whoever opens a report must be able to draw its pictures again.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use image::{Rgb, RgbImage};
use steady_bench::perturb::{PERTURBATIONS, Perturbation, PerturbationSpec};

/// Squares of this many pixels, each in the colour of its upper left corner. This would be `crates/bench/src/perturb/mosaic.rs`.
fn mosaic(image: &RgbImage, side: f64) -> RgbImage {
    let side = side as u32;
    RgbImage::from_fn(image.width(), image.height(), |x, y| *image.get_pixel(x - x % side, y - y % side))
}

/// This would be a row of `PERTURBATIONS`.
const MOSAIC: Perturbation = Perturbation {
    name: "mosaic",
    label: "Mosaic",
    unit: "pixels",
    neutral: 1.0,
    low: 1.0,
    high: 16.0,
    step: 1.0,
    typical: 4.0,
    apply: |image, amount, _| mosaic(image, amount),
};

/// First the squares, then what every image meets last.
static TABLE: [Perturbation; 2] = [MOSAIC, {
    let [.., jpeg] = PERTURBATIONS;
    jpeg
}];

fn parse(text: &str) -> PerturbationSpec {
    PerturbationSpec::parse_of(&TABLE, text).unwrap()
}

/// Grey values, row by row.
fn grey(width: u32, values: &[u8]) -> RgbImage {
    RgbImage::from_fn(width, values.len() as u32 / width, |x, y| Rgb([values[(y * width + x) as usize]; 3]))
}

#[test]
fn it_is_read_and_applied() {
    #[rustfmt::skip]
    let image = grey(5, &[
        10, 20, 30, 40, 50,
        11, 21, 31, 41, 51,
        12, 22, 32, 42, 52,
    ]);
    #[rustfmt::skip]
    let squares = grey(5, &[
        10, 10, 30, 30, 50,
        10, 10, 30, 30, 50,
        12, 12, 32, 32, 52,
    ]);
    assert_eq!(parse("mosaic=2").apply(&image, "a"), squares);
    assert_eq!(parse("none").apply(&image, "a"), image);
    assert_eq!(MOSAIC.apply(&image, 1.0, "a"), image);
}

#[test]
fn it_stands_beside_others_in_the_order_of_the_table() {
    let spec = parse("jpeg=30+mosaic=3");
    assert_eq!((spec.to_string().as_str(), spec.amounts()), ("mosaic=3+jpeg=30", &[3.0, 30.0][..]));
    assert_eq!(spec, parse("mosaic=3.0+jpeg=30"));
    assert_eq!(parse("jpeg=30"), "jpeg=30".parse().unwrap());
    let image = RgbImage::from_fn(16, 16, |x, y| Rgb([(15 * x) as u8, (15 * y) as u8, 90]));
    let first_squares = "jpeg=30".parse::<PerturbationSpec>().unwrap().apply(&mosaic(&image, 3.0), "a");
    assert_eq!(spec.apply(&image, "a"), first_squares);
    assert_ne!(first_squares, mosaic(&"jpeg=30".parse::<PerturbationSpec>().unwrap().apply(&image, "a"), 3.0));
}

#[test]
fn what_is_wrong_is_said_in_its_own_words() {
    let refused = |text: &str| PerturbationSpec::parse_of(&TABLE, text).unwrap_err().to_string();
    assert_eq!(refused("mosaic=17"), "mosaic takes an amount from 1 to 16 (pixels), like mosaic=4; found `17`");
    assert_eq!(refused("mosaic=1"), "mosaic=1 leaves the image as it is; the clean image needs no perturbation");
    // those of words are there whatever the table of images has
    assert_eq!(
        refused("noise=20"),
        "there is no perturbation `noise`; there are mosaic, jpeg, shuffle, paraphrase, typos, case, punctuation"
    );
    assert!("mosaic=2".parse::<PerturbationSpec>().unwrap_err().to_string().starts_with("there is no perturbation `mosaic`"));
}
