//! How sure the rates are: intervals and tests.

use std::array;
use std::ops::AddAssign;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::Serialize;
use statrs::function::beta::beta_reg;

/// The 97.5 % quantile of the standard normal distribution: every interval here is a 95 % one.
const Z: f64 = 1.959_963_984_540_054;

/// How often [`cluster_bootstrap`] draws.
pub const BOOTSTRAP_REPLICATES: usize = 2000;

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

/// 95 % percentile intervals of several statistics of a sample that comes in clusters; `None` without clusters.
///
/// Questions about one image are not independent, so whole clusters are drawn with replacement, as many as there are, and their sums are handed to
/// `statistics`. [`BOOTSTRAP_REPLICATES`] draws by ChaCha8 from `seed`: the same on every platform.
/// Davison & Hinkley, "Bootstrap Methods and their Application" (1997), sections 3.8 and 5.3; Field & Welsh, "Bootstrapping clustered data", JRSS B 69 (2007).
pub fn cluster_bootstrap<C, const K: usize>(clusters: &[C], statistics: impl Fn(&C) -> [f64; K], seed: u64) -> Option<[Interval; K]>
where
    C: AddAssign + Copy + Default,
{
    if clusters.is_empty() {
        return None;
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut draws: [Vec<f64>; K] = array::from_fn(|_| Vec::with_capacity(BOOTSTRAP_REPLICATES));
    for _ in 0..BOOTSTRAP_REPLICATES {
        let mut sum = C::default();
        for _ in 0..clusters.len() {
            // multiply-shift onto 0..len; its bias, len / 2^64, is beyond measuring
            let drawn = (u128::from(random.next_u64()) * clusters.len() as u128) >> 64;
            sum += clusters[drawn as usize];
        }
        for (draws, value) in draws.iter_mut().zip(statistics(&sum)) {
            draws.push(value);
        }
    }
    Some(draws.map(|mut draws| {
        draws.sort_by(f64::total_cmp);
        Interval { low: quantile_of_sorted(&draws, 0.025), high: quantile_of_sorted(&draws, 0.975) }
    }))
}

/// Arithmetic mean, `None` of nothing.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Median, the mean of the middle two for an even number; `None` of nothing.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    (!sorted.is_empty()).then(|| quantile_of_sorted(&sorted, 0.5))
}

/// The q-quantile of a non-empty ascending sample, linear between order statistics (Hyndman & Fan 1996, type 7).
fn quantile_of_sorted(sorted: &[f64], q: f64) -> f64 {
    let position = q * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[position.floor() as usize], sorted[position.ceil() as usize]);
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

    /// `statsmodels.stats.proportion.proportion_confint(count, of, alpha=0.05, method="wilson")`, statsmodels 0.15.0.
    #[test]
    fn wilson_is_that_of_statsmodels() {
        for (count, of, low, high) in [
            (0, 1, 0.0, 0.793_450_685_622_762_7),
            (0, 20, 0.0, 0.161_125_158_052_819_4),
            (1, 10, 0.017_876_213_095_072_924, 0.404_150_026_795_238_54),
            (15, 300, 0.030_531_640_629_347_278, 0.080_847_033_472_744_15),
            (37, 300, 0.090_817_314_293_667_93, 0.165_373_724_028_823_42),
            (299, 300, 0.981_363_306_305_468_8, 0.999_411_342_278_148_8),
            (300, 300, 0.987_357_028_775_453_8, 1.0),
            (12345, 50000, 0.243_139_903_307_643_26, 0.250_698_984_633_728_97),
        ] {
            let interval = wilson(count, of).unwrap();
            assert_close(interval.low, low);
            assert_close(interval.high, high);
        }
        assert_eq!(wilson(0, 0), None);
        assert_eq!(wilson(3, 2), None);
    }

    /// `scipy.stats.binomtest(broken, broken + repaired).pvalue`, scipy 1.17.1, which agrees with
    /// `statsmodels.stats.contingency_tables.mcnemar([[0, broken], [repaired, 0]], exact=True).pvalue`.
    #[test]
    fn mcnemar_is_that_of_scipy() {
        for (broken, repaired, p) in [
            (0, 0, 1.0),
            (1, 0, 1.0),
            (3, 3, 1.0),
            (5, 0, 0.0625),
            (2, 11, 0.022_460_937_5),
            (15, 13, 0.850_554_019_212_722_8),
            (40, 10, 2.386_133_167_675_552_6e-5),
            (600, 500, 0.002_819_544_991_436_428_4),
            (0, 100, 1.577_721_810_442_023_6e-30),
        ] {
            assert_close(mcnemar(broken, repaired), p);
        }
    }

    /// `statsmodels.stats.multitest.multipletests(p, method="holm")[1]`, statsmodels 0.15.0.
    #[test]
    fn holm_is_that_of_statsmodels() {
        let check = |p: &[f64], reference: &[f64]| holm(p).iter().zip(reference).for_each(|(&ours, &theirs)| assert_close(ours, theirs));
        check(&[0.01, 0.04, 0.03, 0.005, 0.5, 0.02], &[0.05, 0.09, 0.09, 0.03, 0.5, 0.08]);
        check(&[0.9, 0.6, 0.04], &[1.0, 1.0, 0.12]);
        assert_eq!(holm(&[]), Vec::<f64>::new());
    }

    /// Questions and diverged answers of one image.
    #[derive(Clone, Copy, Default)]
    struct Image {
        questions: f64,
        diverged: f64,
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
        let images: Vec<Image> =
            questions.iter().zip(diverged).map(|(&n, d)| Image { questions: f64::from(n), diverged: f64::from(d) }).collect();
        let statistics = |sum: &Image| [sum.diverged / sum.questions, 1.0];
        let [ratio, constant] = cluster_bootstrap(&images, statistics, 7).unwrap();
        assert!((ratio.low - 0.136_36).abs() < 0.02 && (ratio.high - 0.428_57).abs() < 0.02, "{ratio:?}");
        assert_eq!(constant, Interval { low: 1.0, high: 1.0 });
        assert_eq!(cluster_bootstrap(&images, statistics, 7), Some([ratio, constant]), "the same seed draws the same");
        assert_ne!(cluster_bootstrap(&images, statistics, 8), Some([ratio, constant]), "another seed draws others");
        assert!(cluster_bootstrap(&[], statistics, 7).is_none());
    }

    /// When the questions about an image stand or fall together, k images with m questions each know no more than k questions do.
    #[test]
    fn clusters_widen_the_interval() {
        let together: Vec<Image> = (0..300).map(|i| Image { questions: 6.0, diverged: if i % 5 == 0 { 6.0 } else { 0.0 } }).collect();
        let alone: Vec<Image> = (0..1800).map(|i| Image { questions: 1.0, diverged: if i % 5 == 0 { 1.0 } else { 0.0 } }).collect();
        let width = |images: &[Image]| {
            let [interval] = cluster_bootstrap(images, |sum| [sum.diverged / sum.questions], 3).unwrap();
            interval.high - interval.low
        };
        let ratio = width(&together) / width(&alone);
        assert!((ratio - 6.0_f64.sqrt()).abs() < 0.25, "{ratio}");
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
        let sorted = [1.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 9.0];
        assert_close(quantile_of_sorted(&sorted, 0.025), 1.0);
        assert_close(quantile_of_sorted(&sorted, 0.975), 8.475);
    }

    proptest! {
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
