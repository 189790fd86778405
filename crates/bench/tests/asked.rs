//! What a report gets from a benchmark: its questions, its suite drawn again, its pictures.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use image::RgbImage;
use steady_bench::perturb::PerturbationSpec;
use steady_bench::world::EmbeddedSuite;
use steady_bench::{BENCHMARKS, Benchmark, asked, suite_of, thumbnail};
use steady_report::Picture;

#[test]
fn a_suite_is_drawn_again_only_if_it_is_the_same() {
    let suite = EmbeddedSuite::test(2);
    let named = suite_of(&suite);
    assert_eq!((named.name.as_str(), named.size), ("steady-world", 20));
    let again = |name: &str, fingerprint: &str, questions: usize| {
        BENCHMARKS.reopen(name, fingerprint, questions).map(|suite| suite.questions().len())
    };
    assert_eq!(again(&named.name, &named.fingerprint, 20), Some(20));
    // a run that asked 13 of them
    assert_eq!(again(&named.name, &named.fingerprint, 13), Some(20));
    assert_eq!(again(&named.name, &named.fingerprint, 10), None);
    assert_eq!(again("pope", &named.fingerprint, 20), None);
    assert_eq!(again(&named.name, "", 20), None);
    assert_eq!(again(&named.name, &named.fingerprint, usize::MAX), None);
}

/// A report from anywhere cannot have its reader draw for minutes; a run that asked so many has drawn them.
#[test]
fn a_large_suite_is_drawn_again_for_who_asked_it() {
    let named = suite_of(&EmbeddedSuite::test(501));
    let again = |asked: usize| {
        let suite = BENCHMARKS.reopen_asked(&named.name, &named.fingerprint, named.size, asked)?;
        Some(suite.questions().len())
    };
    assert!(BENCHMARKS.reopen(&named.name, &named.fingerprint, named.size).is_none());
    assert_eq!([500, 501, 5_010].map(again), [None, Some(5_010), Some(5_010)]);
}

#[test]
fn questions_keep_their_words() {
    let suite = EmbeddedSuite::test(1);
    let (question, asked) = (&suite.questions()[0], &asked(&suite)[0]);
    assert_eq!((&question.id, &question.text, &question.gold), (&asked.id, &asked.text, &asked.gold));
    assert_eq!(asked.kind.label(), "yes/no");
}

#[test]
fn a_thumbnail_is_the_picture() {
    let suite = EmbeddedSuite::test(1);
    let id = &suite.questions()[0].image;
    let of = |image: &str, perturbation: Option<&str>| {
        thumbnail(&suite, &Picture { image: image.to_owned(), perturbation: perturbation.map(str::to_owned) })
    };
    let picture = suite.image(id).unwrap();
    assert_eq!(image::load_from_memory(&of(id, None).unwrap()).unwrap().to_rgb8(), picture);
    assert!(of("test-99999", None).is_err());
    assert!(of(id, Some("fog=3")).unwrap_err().to_string().contains("no perturbation `fog`"));

    // the one that was asked about, as good as JPEG shows it
    let noisy = of(id, Some("noise=40")).unwrap();
    let shown = image::load_from_memory(&noisy).unwrap().to_rgb8();
    let asked = "noise=40".parse::<PerturbationSpec>().unwrap().apply(&picture, id);
    let distance = |a: &RgbImage, b: &RgbImage| {
        a.iter().zip(b.iter()).map(|(&a, &b)| f64::from(a.abs_diff(b))).sum::<f64>() / f64::from(3 * a.width() * a.height())
    };
    assert!(2.0 * distance(&shown, &asked) < distance(&shown, &picture), "{} {}", distance(&shown, &asked), distance(&shown, &picture));
    assert!(noisy.len() < 30_000, "{} bytes", noisy.len());
}
