//! How sure the rates are: intervals and tests.

pub mod design;
pub mod exact;
pub mod pooling;
pub mod size;
pub mod tango;

use std::array;
use std::collections::HashMap;
use std::hash::Hash;
use std::ops::{AddAssign, Mul};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::Serialize;
use statrs::function::beta::beta_reg;
use statrs::function::erf::{erfc, erfc_inv};

/// The 97.5 % quantile of the standard normal distribution: every interval here is a 95 % one.
const Z: f64 = 1.959_963_984_540_054;

/// How often a report has [`cluster_bootstrap`] draw.
pub const BOOTSTRAP_REPLICATES: usize = 2000;

/// How often one does that is derived anew before long, see [`Report::sketch`](crate::Report::sketch).
pub const SKETCH_REPLICATES: usize = 200;

/// A 95 % interval, in the units of what it is an interval of.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// The 95 % score interval of a binomial proportion; `None` for `of == 0` or `count > of`.
///
/// With p = count/of, n = of: `(p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n)`.
/// E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927); recommended for small n and extreme p by
/// Brown, Cai, DasGupta, "Interval estimation for a binomial proportion", Statistical Science 16 (2001).
pub fn wilson(count: u64, of: u64) -> Option<Interval> {
    if of == 0 || count > of {
        return None;
    }
    let n = of as f64;
    let p = count as f64 / n;
    let shrink = 1.0 + Z * Z / n;
    let centre = (p + Z * Z / (2.0 * n)) / shrink;
    let half = Z / shrink * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    // exact on paper for 0 and n, off by a rounding error in floating point
    let low = if count == 0 { 0.0 } else { centre - half };
    let high = if count == of { 1.0 } else { centre + half };
    Some(Interval { low, high })
}

/// Two-sided exact McNemar test: the probability, were right-to-wrong and wrong-to-right equally likely, of a split at least as uneven as this one.
///
/// `min(1, 2 P(X <= min(broken, repaired)))` with X ~ Binomial(broken + repaired, 1/2); 1 when nothing flipped.
/// Q. McNemar, Psychometrika 12 (1947), in the exact form of Edwards (1948). The binomial tail is the regularised incomplete beta function,
/// `P(X <= k) = I_{1/2}(n - k, k + 1)`.
pub fn mcnemar(broken: u64, repaired: u64) -> f64 {
    let (few, all) = (broken.min(repaired), broken + repaired);
    if all == 0 {
        return 1.0;
    }
    (2.0 * beta_reg((all - few) as f64, few as f64 + 1.0, 0.5)).min(1.0)
}

/// Two-sided sign-flip test of differences that come in clusters: the probability, were each cluster's difference as likely to point the other way, of a
/// sum at least as far from 0 as this one; 1 for a sum of 0.
///
/// Questions about one image are not independent, but images are. With one difference of ±1 a cluster this is [`mcnemar`]; with several it is its form
/// for clusters. All 2ⁿ assignments of signs to n clusters count, and none is drawn: differences are whole numbers, so the chances of all sums follow one
/// cluster at a time (Pagano & Tritchler, "On obtaining permutation distributions in polynomial time", JASA 78 (1983)). Where clusters times the sum of
/// all sizes exceed [`MOST_SUMS`], which takes thousands of clusters, it is the normal distribution with a correction for continuity.
pub fn sign_flips(differences: impl IntoIterator<Item = i64>) -> f64 {
    let flips = SignFlips::of(differences);
    match flips.sum().abs() {
        0 => 1.0,
        seen => (2.0 * flips.p_as_high(seen)).min(1.0),
    }
}

/// What the sum of differences might have been, were each as likely to point the other way.
pub(crate) struct SignFlips {
    sum: i64,
    /// Sum of the squares of the differences.
    variance: f64,
    /// Sum of their sizes.
    all: usize,
    /// `chances[s]`: of the sizes that point upwards to add up to s; none where they are too many to count.
    chances: Option<Vec<f64>>,
}

impl SignFlips {
    pub(crate) fn of(differences: impl IntoIterator<Item = i64>) -> Self {
        let differences: Vec<i64> = differences.into_iter().filter(|&difference| difference != 0).collect();
        let sizes = || differences.iter().map(|difference| difference.unsigned_abs() as usize);
        let (all, sum) = (sizes().sum::<usize>(), differences.iter().sum::<i64>());
        let variance = sizes().map(|size| (size as f64).powi(2)).sum();
        if differences.len().saturating_mul(all) > MOST_SUMS {
            return Self { sum, variance, all, chances: None };
        }
        let mut chances = vec![0.0; all + 1];
        chances[0] = 1.0;
        let mut reached = 0;
        for size in sizes() {
            reached += size;
            for sum in (0..=reached).rev() {
                let with = if sum >= size { chances[sum - size] } else { 0.0 };
                chances[sum] = 0.5 * (chances[sum] + with);
            }
        }
        Self { sum, variance, all, chances: Some(chances) }
    }

    /// The sum as it came out.
    pub(crate) fn sum(&self) -> i64 {
        self.sum
    }

    /// Whether any difference is one.
    pub(crate) fn moves(&self) -> bool {
        self.all > 0
    }

    /// Standard deviation of the sum.
    pub(crate) fn deviation(&self) -> f64 {
        self.variance.sqrt()
    }

    /// The chance of a sum of at least `least`.
    pub(crate) fn p_as_high(&self, least: i64) -> f64 {
        let all = self.all as i64;
        if least <= -all {
            return 1.0;
        }
        if least > all {
            return 0.0;
        }
        match &self.chances {
            None => pooling::normal_as_high(least, self.variance).min(1.0),
            // as far down as up, and the smallest first
            Some(chances) => chances[..=((all - least) / 2) as usize].iter().sum::<f64>().min(1.0),
        }
    }
}

/// Clusters times possible sums up to which [`sign_flips`] counts them all: a tenth of a second.
pub const MOST_SUMS: usize = 50_000_000;

/// A test of pairs that differ one way or the other: could both be equally likely?
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PairedTest {
    /// Pairs that differ upwards.
    pub up: u64,
    /// Pairs that differ downwards.
    pub down: u64,
    /// Two-sided p by [`mcnemar`], as if questions were independent.
    pub p_by_question: f64,
    /// Two-sided p by [`sign_flips`] of images; the same where no two questions are about one.
    pub p_by_image: f64,
    /// The p by image, adjusted by Holm for all tests of its family.
    pub p_adjusted: f64,
    /// Tests in the family: all accelerations under all conditions.
    pub tests: usize,
}

impl PairedTest {
    /// The test of the pairs of each image, counted upwards and downwards.
    pub fn of(images: impl IntoIterator<Item = (u64, u64)>) -> Self {
        let images: Vec<(u64, u64)> = images.into_iter().collect();
        let (up, down) = images.iter().fold((0, 0), |(up, down), image| (up + image.0, down + image.1));
        let p_by_image = sign_flips(images.iter().map(|&(up, down)| up as i64 - down as i64));
        Self { up, down, p_by_question: mcnemar(up, down), p_by_image, p_adjusted: p_by_image, tests: 1 }
    }

    /// Makes one family of several tests.
    pub(crate) fn adjust(family: Vec<&mut Self>) {
        let (tests, p_values) = (family.len(), family.iter().map(|test| test.p_by_image).collect::<Vec<_>>());
        for (test, adjusted) in family.into_iter().zip(holm(&p_values)) {
            (test.p_adjusted, test.tests) = (adjusted, tests);
        }
    }
}

/// P-values adjusted for having made several tests, in the order given: rejecting those under α keeps the chance of any false rejection under α.
///
/// Step-down: with p(1) <= ... <= p(m), the adjusted p(i) is the maximum over j <= i of `min(1, (m - j + 1) p(j))`.
/// S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6 (1979).
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut adjusted = vec![0.0; p_values.len()];
    let mut largest: f64 = 0.0;
    for (rank, index) in order.into_iter().enumerate() {
        largest = largest.max((p_values.len() - rank) as f64 * p_values[index]).min(1.0);
        adjusted[index] = largest;
    }
    adjusted
}

/// 95 % percentile intervals of several statistics of samples that come in clusters, for each sample.
///
/// Questions about one image are not independent, so whole clusters are drawn with replacement, as many as there are, and their sums are handed to
/// `statistics`. So many `replicates` are drawn by ChaCha8 from `seed`: the same on every platform, and the same for samples of equally many clusters.
///
/// An interval is `None`, which is to be shown as "not available", where the draws say nothing about it: of fewer than two clusters, of a statistic that
/// came out the same in (almost) all draws, as of what never happened, and of one that more than a twentieth of the draws leave undefined.
/// Davison & Hinkley, "Bootstrap Methods and their Application" (1997), sections 3.8 and 5.3; Field & Welsh, "Bootstrapping clustered data", JRSS B 69 (2007).
pub fn cluster_bootstrap<C, const K: usize>(
    replicates: usize,
    samples: &[&[C]],
    statistics: impl Fn(&C) -> [Option<f64>; K],
    seed: u64,
) -> Vec<[Option<Interval>; K]>
where
    C: AddAssign + Copy + Default + Eq + Hash + Mul<u64, Output = C>,
{
    let drawn = samples.chunk_by(|one, next| one.len() == next.len());
    drawn.flat_map(|alike| cluster_bootstrap_of(replicates, alike, &statistics, seed)).collect()
}

/// The same of samples of equally many clusters, which share the draws: drawing is most of the work.
fn cluster_bootstrap_of<C, const K: usize>(
    replicates: usize,
    samples: &[&[C]],
    statistics: impl Fn(&C) -> [Option<f64>; K],
    seed: u64,
) -> Vec<[Option<Interval>; K]>
where
    C: AddAssign + Copy + Default + Eq + Hash + Mul<u64, Output = C>,
{
    let clusters = samples.first().map_or(0, |sample| sample.len());
    if clusters < 2 {
        return vec![[None; K]; samples.len()];
    }
    let mut samples: Vec<Kinds<C>> = samples.iter().map(|sample| Kinds::of(sample)).collect();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut draws: Vec<[Vec<f64>; K]> = samples.iter().map(|_| array::from_fn(|_| Vec::with_capacity(replicates))).collect();
    let mut times = vec![0_u32; clusters];
    for _ in 0..replicates {
        times.fill(0);
        for _ in 0..clusters {
            // multiply-shift onto 0..len; its bias, len / 2^64, is beyond measuring
            let drawn = (u128::from(random.next_u64()) * clusters as u128) >> 64;
            times[drawn as usize] += 1;
        }
        for (sample, draws) in samples.iter_mut().zip(&mut draws) {
            for (draws, value) in draws.iter_mut().zip(statistics(&sample.sum(&times))) {
                draws.extend(value);
            }
        }
    }
    let interval = |mut draws: Vec<f64>| {
        if 20 * draws.len() < 19 * replicates {
            return None;
        }
        let (low, high) = (quantile(&mut draws, 0.025), quantile(&mut draws, 0.975));
        (low < high).then_some(Interval { low, high })
    };
    draws.into_iter().map(|draws| draws.map(interval)).collect()
}

/// A sample's clusters by kind. Most images of a study are alike, so what is drawn is counted by kind, and of the most common one not even that.
struct Kinds<C> {
    clusters: u64,
    /// The different ones, the most common first, and how often each was drawn.
    counts: Vec<(C, u64)>,
    /// Place and kind of each cluster that is not of the first.
    others: Vec<(u32, u32)>,
}

impl<C: AddAssign + Copy + Default + Eq + Hash + Mul<u64, Output = C>> Kinds<C> {
    fn of(clusters: &[C]) -> Self {
        let mut counts: HashMap<C, usize> = HashMap::new();
        for &cluster in clusters {
            *counts.entry(cluster).or_default() += 1;
        }
        let common = counts.iter().max_by_key(|(_, count)| **count).map_or_else(C::default, |(kind, _)| *kind);
        let (mut kinds, mut places, mut others) = (vec![(common, 0)], HashMap::from([(common, 0)]), Vec::new());
        for (place, &cluster) in clusters.iter().enumerate() {
            let kind = *places.entry(cluster).or_insert_with(|| {
                kinds.push((cluster, 0));
                kinds.len() as u32 - 1
            });
            if kind > 0 {
                others.push((place as u32, kind));
            }
        }
        Self { clusters: clusters.len() as u64, counts: kinds, others }
    }

    /// The sum of what was drawn, given how often each cluster was.
    fn sum(&mut self, times: &[u32]) -> C {
        self.counts.iter_mut().for_each(|(_, drawn)| *drawn = 0);
        for &(place, kind) in &self.others {
            self.counts[kind as usize].1 += u64::from(times[place as usize]);
        }
        let others: u64 = self.counts.iter().map(|(_, drawn)| drawn).sum();
        self.counts[0].1 = self.clusters - others;
        let mut sum = C::default();
        self.counts.iter().for_each(|&(kind, drawn)| sum += kind * drawn);
        sum
    }
}

/// The chance of a standard normal number above `z`.
pub(crate) fn normal_tail(z: f64) -> f64 {
    0.5 * erfc(z / std::f64::consts::SQRT_2)
}

/// The number that a standard normal one stays below with chance `p`.
pub(crate) fn quantile_of_normal(p: f64) -> f64 {
    std::f64::consts::SQRT_2 * erfc_inv(2.0 * (1.0 - p))
}

/// Where a rising function crosses 0 between `low` and `high`, to the last digit; `low` where it is above 0 throughout, `high` where below.
pub(crate) fn rising_root(mut low: f64, mut high: f64, function: impl Fn(f64) -> f64) -> f64 {
    for _ in 0..100 {
        let middle = f64::midpoint(low, high);
        if middle <= low || middle >= high {
            break;
        }
        if function(middle) < 0.0 { low = middle } else { high = middle }
    }
    high
}

/// The same of a falling function.
pub(crate) fn falling_root(low: f64, high: f64, function: impl Fn(f64) -> f64) -> f64 {
    rising_root(low, high, |x| -function(x))
}

/// Arithmetic mean, `None` of nothing.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Median, the mean of the middle two for an even number; `None` of nothing.
pub fn median(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| quantile(&mut values.to_vec(), 0.5))
}

/// The q-quantile of a non-empty sample, linear between order statistics (Hyndman & Fan 1996, type 7). Selects instead of sorting, and leaves the sample in
/// another order.
fn quantile(sample: &mut [f64], q: f64) -> f64 {
    let position = q * (sample.len() - 1) as f64;
    let (_, &mut below, rest) = sample.select_nth_unstable_by(position.floor() as usize, f64::total_cmp);
    let above = rest.iter().copied().min_by(f64::total_cmp).unwrap_or(below);
    below + (above - below) * position.fract()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Equal up to rounding: 9 digits.
    fn assert_close(ours: f64, reference: f64) {
        assert!((ours - reference).abs() <= 1e-9 * reference.abs().max(1e-300), "{ours} is not {reference}");
    }

    #[test]
    fn nothing_has_no_interval_and_no_tests() {
        assert_eq!((wilson(0, 0), wilson(3, 2)), (None, None));
        assert_eq!(holm(&[]), Vec::<f64>::new());
    }

    /// Questions and diverged answers of one image.
    #[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
    struct Image {
        questions: u64,
        diverged: u64,
    }

    impl Image {
        fn share(&self) -> f64 {
            self.diverged as f64 / self.questions as f64
        }
    }

    impl Mul<u64> for Image {
        type Output = Self;

        fn mul(self, times: u64) -> Self {
            Self { questions: self.questions * times, diverged: self.diverged * times }
        }
    }

    impl AddAssign for Image {
        fn add_assign(&mut self, other: Self) {
            self.questions += other.questions;
            self.diverged += other.diverged;
        }
    }

    /// Two million resamples of the same twelve images by numpy 2.4.6, `np.quantile(d[idx].sum(1) / n[idx].sum(1), [.025, .975])`, gave
    /// (0.13636, 0.42857); 2,000 resamples from three seeds stayed within 0.008 of it.
    #[test]
    fn bootstrap_agrees_with_numpy() {
        let questions = [4, 2, 6, 3, 5, 1, 4, 4, 2, 6, 3, 5];
        let diverged = [1, 0, 3, 0, 2, 1, 0, 1, 0, 4, 0, 1];
        let images: Vec<Image> = questions.iter().zip(diverged).map(|(&n, d)| Image { questions: n, diverged: d }).collect();
        let statistics = |sum: &Image| [Some(sum.share())];
        let drawn = cluster_bootstrap(BOOTSTRAP_REPLICATES, &[&images], statistics, 7);
        let [[Some(ratio)]] = drawn[..] else { panic!("an interval") };
        assert!((ratio.low - 0.136_36).abs() < 0.02 && (ratio.high - 0.428_57).abs() < 0.02, "{ratio:?}");
        assert_eq!(cluster_bootstrap(BOOTSTRAP_REPLICATES, &[&images], statistics, 7), drawn, "the same seed draws the same");
        assert_ne!(cluster_bootstrap(BOOTSTRAP_REPLICATES, &[&images], statistics, 8), drawn, "another seed draws others");
    }

    /// Samples that are drawn together come out as each does by itself, also where one has another number of clusters.
    #[test]
    fn samples_drawn_together_are_drawn_alike() {
        let image = |i: u64, odds: u64| Image { questions: 1 + i % 4, diverged: u64::from(i.is_multiple_of(odds)) };
        let samples: Vec<Vec<Image>> =
            [(40, 3), (40, 7), (25, 3), (40, 5)].iter().map(|&(count, odds)| (0..count).map(|i| image(i, odds)).collect()).collect();
        let samples: Vec<&[Image]> = samples.iter().map(Vec::as_slice).collect();
        let statistics = |sum: &Image| [Some(sum.share()), Some(sum.questions as f64)];
        let apart: Vec<_> = samples.iter().map(|&sample| by_adding_up(sample, statistics, 7)).collect();
        assert_eq!(cluster_bootstrap(BOOTSTRAP_REPLICATES, &samples, statistics, 7), apart);
    }

    /// The bootstrap as one writes it down: draw a cluster, add it.
    fn by_adding_up<const K: usize>(
        clusters: &[Image],
        statistics: impl Fn(&Image) -> [Option<f64>; K],
        seed: u64,
    ) -> [Option<Interval>; K] {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let sums: Vec<[Option<f64>; K]> = (0..BOOTSTRAP_REPLICATES)
            .map(|_| {
                let mut sum = Image::default();
                for _ in 0..clusters.len() {
                    sum += clusters[((u128::from(random.next_u64()) * clusters.len() as u128) >> 64) as usize];
                }
                statistics(&sum)
            })
            .collect();
        array::from_fn(|k| {
            let mut values: Vec<f64> = sums.iter().map(|sum| sum[k].unwrap()).collect();
            Some(Interval { low: quantile(&mut values, 0.025), high: quantile(&mut values, 0.975) })
        })
    }

    /// What the draws cannot tell is no interval of no width.
    #[test]
    fn a_degenerate_bootstrap_has_no_interval() {
        let images = [Image { questions: 2, diverged: 0 }; 30];
        let always = |sum: &Image| [Some(sum.share()), (sum.diverged > 0).then_some(1.0), Some(1.0)];
        assert_eq!(cluster_bootstrap(BOOTSTRAP_REPLICATES, &[&images], always, 7), [[None; 3]]);
        let of = |images: &[Image]| cluster_bootstrap(BOOTSTRAP_REPLICATES, &[images], |sum: &Image| [Some(sum.diverged as f64)], 7);
        assert_eq!((of(&[Image { questions: 2, diverged: 1 }]), of(&[])), (vec![[None]], vec![[None]]));
        // one image of thirty with a change is missed by (29/30)^30, more than a third of the draws: too many for a share of the changed
        let mut images = images;
        images[0].diverged = 1;
        let drawn = cluster_bootstrap(
            BOOTSTRAP_REPLICATES,
            &[&images],
            |sum: &Image| [Some(sum.share()), (sum.diverged > 0).then(|| sum.diverged as f64 / (sum.diverged as f64 + 1.0))],
            7,
        );
        let [[share, given]] = drawn[..] else { panic!("one sample") };
        assert!(share.is_some_and(|share| share.low == 0.0 && share.high > 1.0 / 60.0) && given.is_none());
    }

    /// When the questions about an image stand or fall together, k images with m questions each know no more than k questions do.
    #[test]
    fn clusters_widen_the_interval() {
        let together: Vec<Image> = (0..300).map(|i| Image { questions: 6, diverged: if i % 5 == 0 { 6 } else { 0 } }).collect();
        let alone: Vec<Image> = (0..1800).map(|i| Image { questions: 1, diverged: u64::from(i % 5 == 0) }).collect();
        let width = |images: &[Image]| {
            let interval = cluster_bootstrap(BOOTSTRAP_REPLICATES, &[images], |sum: &Image| [Some(sum.share())], 3)[0][0].unwrap();
            interval.high - interval.low
        };
        let ratio = width(&together) / width(&alone);
        assert!((ratio - 6.0_f64.sqrt()).abs() < 0.25, "{ratio}");
    }

    /// Values of `tests/reference/statistics_values.py`, which has them from scipy and statsmodels and from going through all signs.
    #[derive(serde::Deserialize)]
    struct Reference {
        versions: std::collections::BTreeMap<String, String>,
        sign_flips: Vec<SignFlips>,
        mcnemar: Vec<(u64, u64, f64)>,
        holm: Vec<(Vec<f64>, Vec<f64>)>,
        wilson: Vec<(u64, u64, f64, f64)>,
    }

    #[derive(serde::Deserialize)]
    struct SignFlips {
        differences: Vec<i64>,
        by: String,
        p: f64,
    }

    #[test]
    fn tests_and_intervals_are_those_of_the_reference() {
        let reference: Reference = serde_json::from_str(include_str!("../tests/reference/statistics.json")).unwrap();
        assert!(reference.versions.contains_key("scipy") && reference.versions.contains_key("statsmodels"));
        assert!(
            reference.sign_flips.len() >= 20 && reference.mcnemar.len() >= 9 && reference.holm.len() >= 3 && reference.wilson.len() >= 8
        );
        assert!(["scipy.stats.permutation_test", "all signs"].iter().all(|by| reference.sign_flips.iter().any(|case| case.by == *by)));
        for case in &reference.sign_flips {
            assert_close(sign_flips(case.differences.iter().copied()), case.p);
        }
        for &(broken, repaired, p) in &reference.mcnemar {
            assert_close(mcnemar(broken, repaired), p);
        }
        for (p, adjusted) in &reference.holm {
            holm(p).iter().zip(adjusted).for_each(|(&ours, &theirs)| assert_close(ours, theirs));
        }
        for &(count, of, low, high) in &reference.wilson {
            let interval = wilson(count, of).unwrap();
            assert!((interval.low - low).abs() < 1e-12 && (interval.high - high).abs() < 1e-12);
        }
    }

    /// Where clusters are too many to count all sums, the normal distribution says nearly the same.
    #[test]
    fn many_clusters_are_nearly_normal() {
        let differences = |n: usize| (0..n).map(move |i| if i % 100 < 52 { 1 + (i % 3) as i64 } else { -1 - (i % 3) as i64 });
        let counted = sign_flips(differences(4000));
        let (sum, variance) = differences(4000).fold((0.0, 0.0), |(sum, squares), d| (sum + d as f64, squares + (d * d) as f64));
        let normal = erfc((sum - 1.0) / (2.0 * variance).sqrt());
        assert!((counted - normal).abs() < 2e-4 && counted > 1e-4, "{counted} {normal}");
        let many = sign_flips(differences(20_000));
        assert!(many > 0.0 && many < counted, "{many}");
    }

    /// Of 2,000 studies without any effect, in 40 images of up to six questions that stand or fall together, few are called different at 5 %: by image at
    /// most as many as announced, by question far more.
    #[test]
    fn the_test_by_image_keeps_its_level() {
        let mut random = ChaCha8Rng::seed_from_u64(11);
        let (mut by_image, mut by_question) = (0, 0);
        for _ in 0..2000 {
            let study: Vec<(u64, u64)> = (0..40)
                .map(|_| {
                    let (count, drawn) = (1 + random.next_u64() % 6, random.next_u64() % 5);
                    match drawn {
                        0 => (count, 0),
                        1 => (0, count),
                        _ => (0, 0),
                    }
                })
                .collect();
            let test = PairedTest::of(study);
            by_image += usize::from(test.p_by_image <= 0.05);
            by_question += usize::from(test.p_by_question <= 0.05);
        }
        // 5 % of 2,000 is 100, with a standard deviation of 9.7
        assert!((60..=130).contains(&by_image), "{by_image}");
        assert!(by_question > 250, "{by_question}");
    }

    /// Of 2,000 studies of 71 images with one to six questions, whose images differ in how often they change, the interval by image holds the true share
    /// nearly as often as announced, Wilson's far less often.
    #[test]
    fn the_interval_by_image_covers_the_truth() {
        let mut random = ChaCha8Rng::seed_from_u64(12);
        let mut uniform = move || (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        // an image in four changes 60 % of its answers, the others none: 15 %
        let truth = 0.15;
        let (mut by_image, mut by_question) = (0, 0);
        for study in 0..2000 {
            let images: Vec<Image> = (0..71)
                .map(|_| {
                    let (questions, changes) = (1 + (6.0 * uniform()) as usize, uniform() < 0.25);
                    let diverged = (0..questions).filter(|_| changes && uniform() < 0.6).count();
                    Image { questions: questions as u64, diverged: diverged as u64 }
                })
                .collect();
            let [interval] = cluster_bootstrap_of::<_, 1>(300, &[&images], |sum: &Image| [Some(sum.share())], study)[0];
            let holds = |interval: Interval| interval.low <= truth && truth <= interval.high;
            let (diverged, questions) = images.iter().fold((0, 0), |(d, q), image| (d + image.diverged, q + image.questions));
            by_image += usize::from(interval.is_some_and(holds));
            by_question += usize::from(wilson(diverged, questions).is_some_and(holds));
        }
        assert!((1820..=1930).contains(&by_image), "{by_image}");
        assert!(by_question < 1700, "{by_question}");
    }

    #[test]
    fn middle_of_a_sample() {
        assert_eq!(median(&[3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0]), Some(3.5));
        assert_eq!(median(&[2.0, 9.0, 4.0]), Some(4.0));
        assert_eq!(median(&[]), None);
        assert_eq!(mean(&[1.0, 2.0, 6.0]), Some(3.0));
        assert_eq!(mean(&[]), None);
    }

    /// `np.quantile([3, 1, 4, 1, 5, 9, 2, 6], [0.025, 0.975])`, numpy 2.4.6.
    #[test]
    fn quantiles_are_those_of_numpy() {
        let mut sample = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0];
        assert_close(quantile(&mut sample, 0.025), 1.0);
        assert_close(quantile(&mut sample, 0.975), 8.475);
    }

    proptest! {
        /// One question an image: the test by image is the test by question. And several that agree count as one larger step, going through all signs.
        #[test]
        fn sign_flips_of_single_questions_are_mcnemar(broken in 0_u64..60, repaired in 0_u64..60) {
            let single = std::iter::repeat_n(-1, broken as usize).chain(std::iter::repeat_n(1, repaired as usize));
            let (ours, exact) = (sign_flips(single), mcnemar(broken, repaired));
            prop_assert!((ours - exact).abs() <= 1e-9 * exact, "{} {}", ours, exact);
        }

        #[test]
        fn sign_flips_go_through_all_signs(differences in prop::collection::vec(-6_i64..=6, 0..11)) {
            let seen = differences.iter().sum::<i64>().abs();
            let signs = 0_u32..1 << differences.len();
            let sum = |signs: u32| differences.iter().enumerate().map(|(i, d)| if signs >> i & 1 == 1 { -d } else { *d }).sum::<i64>();
            let (all, as_far) = (signs.len(), signs.filter(|&signs| sum(signs).abs() >= seen).count());
            prop_assert!((sign_flips(differences) - as_far as f64 / all as f64).abs() < 1e-12);
        }

        #[test]
        fn wilson_holds_the_share_inside_0_1(of in 1u64..5000, part in 0.0..=1.0) {
            let count = (part * of as f64) as u64;
            let interval = wilson(count, of).unwrap();
            let share = count as f64 / of as f64;
            prop_assert!(0.0 <= interval.low && interval.low <= share && share <= interval.high && interval.high <= 1.0, "{:?}", interval);
        }

        #[test]
        fn wilson_narrows_with_more_questions(of in 1u64..2000, part in 0.0..=1.0, times in 2u64..9) {
            let count = (part * of as f64) as u64;
            let (few, many) = (wilson(count, of).unwrap(), wilson(count * times, of * times).unwrap());
            prop_assert!(many.high - many.low < few.high - few.low);
        }

        #[test]
        fn wilson_of_the_complement_is_the_mirror_image(of in 1u64..2000, part in 0.0..=1.0) {
            let count = (part * of as f64) as u64;
            let (ours, mirror) = (wilson(count, of).unwrap(), wilson(of - count, of).unwrap());
            prop_assert!((ours.low - (1.0 - mirror.high)).abs() < 1e-12 && (ours.high - (1.0 - mirror.low)).abs() < 1e-12);
        }

        #[test]
        fn mcnemar_is_symmetric_and_a_probability(broken in 0u64..400, repaired in 0u64..400) {
            let p = mcnemar(broken, repaired);
            prop_assert_eq!(p.to_bits(), mcnemar(repaired, broken).to_bits());
            prop_assert!(p > 0.0 && p <= 1.0);
        }

        #[test]
        fn holm_only_raises_and_keeps_the_order(p in prop::collection::vec(0.0..=1.0, 1..12)) {
            let adjusted = holm(&p);
            for (i, &raised) in adjusted.iter().enumerate() {
                prop_assert!(p[i] <= raised && raised <= 1.0);
                for j in 0..p.len() {
                    prop_assert!(p[i] > p[j] || raised <= adjusted[j]);
                }
            }
        }
    }
}
