//! Bounds, sizes and poolings against values of scipy and statsmodels, and their coverage by simulation.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::Deserialize;
use steady_report::statistics::design::{effect, effect_on_drop, independent};
use steady_report::statistics::exact::{at_least, at_most};
use steady_report::statistics::pooling::pool;
use steady_report::statistics::size::{Demands, least_drop, to_show_at_most};
use steady_report::statistics::tango::Pairs;

/// What `tests/reference/assurance_values.py` wrote.
#[derive(Deserialize)]
struct Reference {
    versions: std::collections::BTreeMap<String, String>,
    exact: Vec<(f64, f64, f64, f64, f64)>,
    tango: Vec<Tango>,
    pooled: Vec<Poolings>,
    to_show_at_most: Vec<(f64, f64, f64, f64, u64, u64)>,
    least_drop: Vec<(f64, f64, f64, f64, f64)>,
    design_effect: Vec<Design>,
}

#[derive(Deserialize)]
struct Tango {
    broken: f64,
    repaired: f64,
    of: f64,
    confidence: f64,
    low: f64,
    high: f64,
    p_inferior: Vec<(f64, f64)>,
}

#[derive(Deserialize)]
struct Poolings {
    benchmarks: Vec<Vec<i64>>,
    pooled: f64,
    largest_drop: f64,
    fisher: f64,
}

#[derive(Deserialize)]
struct Design {
    images: Vec<(f64, f64)>,
    effect: f64,
}

#[track_caller]
fn close(ours: f64, theirs: f64, digits: f64) {
    assert!((ours - theirs).abs() <= digits, "{ours} is not {theirs}");
}

#[test]
fn values_are_those_of_the_reference() {
    let reference: Reference = serde_json::from_str(include_str!("../reference/assurance.json")).unwrap();
    assert!(reference.versions.contains_key("scipy") && reference.versions.contains_key("statsmodels"));
    let lengths = [reference.exact.len(), reference.tango.len(), reference.pooled.len(), reference.design_effect.len()];
    assert_eq!((lengths, reference.to_show_at_most.len(), reference.least_drop.len()), ([60, 44, 12, 4], 8, 5));
    for &(count, of, confidence, low, high) in &reference.exact {
        close(at_least(count, of, confidence).unwrap(), low, 1e-10);
        close(at_most(count, of, confidence).unwrap(), high, 1e-10);
    }
    for &Tango { broken, repaired, of, confidence, low, high, ref p_inferior } in &reference.tango {
        let pairs = Pairs { broken, repaired, of };
        // the search behind the reference stops at the seventh digit of a share
        close(pairs.drop_at_least(confidence), low, 2e-7);
        close(pairs.drop_at_most(confidence), high, 2e-7);
        for &(margin, p) in p_inferior {
            close(pairs.p_inferior(margin), p, 1e-6);
        }
    }
    for Poolings { benchmarks, pooled, largest_drop, fisher } in &reference.pooled {
        let ours = pool(benchmarks);
        close(ours.pooled, *pooled, 1e-12);
        close(ours.largest_drop, *largest_drop, 1e-12);
        close(ours.fisher, *fisher, 1e-10);
    }
    for &(rate, limit, confidence, power, of, broken) in &reference.to_show_at_most {
        assert_eq!(to_show_at_most(rate, limit, Demands { confidence, power }), Some((of, broken)), "{rate} {limit}");
    }
    for &(questions, flips, confidence, power, drop) in &reference.least_drop {
        close(least_drop(questions, flips, Demands { confidence, power }).unwrap(), drop, 1e-10);
    }
    for Design { images, effect: theirs } in &reference.design_effect {
        close(effect(images), *theirs, 1e-10);
    }
}

fn uniform(random: &mut ChaCha8Rng) -> f64 {
    (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

/// Broken, repaired and all questions of each of `images` images with one to six questions. A share of the images, `shaky`, breaks its answers with chance
/// `broken` and repairs them with chance `repaired`; the others keep theirs.
fn study(random: &mut ChaCha8Rng, images: usize, shaky: f64, broken: f64, repaired: f64) -> Vec<(f64, f64, f64)> {
    let image = |_| {
        let (size, moves) = (1 + (6.0 * uniform(random)) as usize, uniform(random) < shaky);
        let mut image = (0.0, 0.0, size as f64);
        for _ in 0..if moves { size } else { 0 } {
            let drawn = uniform(random);
            image.0 += f64::from(u8::from(drawn < broken));
            image.1 += f64::from(u8::from((broken..broken + repaired).contains(&drawn)));
        }
        image
    };
    (0..images).map(image).collect()
}

fn total(images: &[(f64, f64, f64)]) -> Pairs {
    images.iter().fold(Pairs { broken: 0.0, repaired: 0.0, of: 0.0 }, |sum, image| Pairs {
        broken: sum.broken + image.0,
        repaired: sum.repaired + image.1,
        of: sum.of + image.2,
    })
}

/// Of 2,000 studies how many bounds hold the truth: of the share of broken questions from above and from below, and of the drop likewise. First as of
/// independent questions, then with their design effect.
fn coverage(seed: u64, images: usize, shaky: f64, broken: f64, repaired: f64) -> ([usize; 4], [usize; 4]) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let (share, drop) = (shaky * broken, shaky * (broken - repaired));
    let (mut by_question, mut by_image) = ([0; 4], [0; 4]);
    for _ in 0..2000 {
        let images = study(&mut random, images, shaky, broken, repaired);
        let pairs = total(&images);
        let counts: Vec<(f64, f64)> = images.iter().map(|image| (image.0, image.2)).collect();
        for (holds, on_share, on_drop) in [(&mut by_question, 1.0, 1.0), (&mut by_image, effect(&counts), effect_on_drop(&images))] {
            let (count, of) = (pairs.broken / on_share, pairs.of / on_share);
            let pairs = independent(pairs, on_drop);
            let bounds = [
                at_most(count, of, 0.95).unwrap() >= share,
                at_least(count, of, 0.95).unwrap() <= share,
                pairs.drop_at_most(0.95) >= drop,
                pairs.drop_at_least(0.95) <= drop,
            ];
            holds.iter_mut().zip(bounds).for_each(|(holds, bound)| *holds += usize::from(bound));
        }
    }
    (by_question, by_image)
}

/// Bounds at 95 % hold the truth in 95 of 100 studies, and not in many more where the questions are many.
#[test]
fn bounds_hold_the_truth_of_independent_questions() {
    // all images alike: whatever a question does, its image is no sign of it
    for (seed, broken, repaired) in [(1, 0.02, 0.01), (2, 0.1, 0.08), (3, 0.005, 0.0)] {
        let (by_question, by_image) = coverage(seed, 100, 1.0, broken, repaired);
        // 95 % of 2,000 is 1,900 with a standard deviation of 9.7; a score interval may fall a little short, an exact one may not
        for holds in [by_question, by_image] {
            assert!(holds[0] >= 1880 && holds[1] >= 1880 && holds[2] >= 1850 && holds[3] >= 1840, "{broken}: {holds:?}");
        }
    }
}

/// Where some images shake and others do not, bounds as of independent questions fail far more often than announced; with the design effect they do not.
#[test]
fn bounds_hold_the_truth_of_questions_that_share_images() {
    for (seed, images, shaky, broken, repaired) in
        [(4, 71, 0.25, 0.6, 0.2), (5, 150, 0.1, 0.5, 0.5), (6, 71, 0.05, 0.8, 0.0), (7, 300, 0.03, 0.5, 0.1)]
    {
        let (by_question, by_image) = coverage(seed, images, shaky, broken, repaired);
        assert!(by_question[0] < 1820, "{images} {shaky}: {by_question:?}");
        assert!(by_image.iter().all(|&holds| holds >= 1840), "{images} {shaky}: {by_image:?}");
    }
}
