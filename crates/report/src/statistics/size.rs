//! How many questions it takes, and what a given number can show.

use super::exact::{as_few, at_most};
use super::{quantile_of_normal, rising_root};

/// Numbers of questions beyond this are called too many.
pub const MOST_QUESTIONS: u64 = 10_000_000;

/// A plan's demands: how sure a verdict is to be, and how likely one is to come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Demands {
    /// One-sided confidence of a verdict, e.g. 0.95.
    pub confidence: f64,
    /// Chance that what is true is shown, e.g. 0.8.
    pub power: f64,
}

/// The fewest independent questions with which a share that truly is `rate` is shown, with this power, to be at most `limit`; how many of them may break
/// stands beside it. `None` for `rate >= limit` and beyond [`MOST_QUESTIONS`].
///
/// Exact: for each number of broken questions in turn, the fewest questions under which [`at_most`] allows so many, until so few are likely enough.
pub fn to_show_at_most(rate: f64, limit: f64, demands: Demands) -> Option<(u64, u64)> {
    if !(0.0 <= rate && rate < limit && limit < 1.0) {
        return None;
    }
    let needed =
        |broken: u64| fewest(broken + 1, |of| at_most(broken as f64, of as f64, demands.confidence).is_some_and(|bound| bound <= limit));
    let enough = |broken: u64| Some(needed(broken)?).map(|of| as_few(broken as f64, of as f64, rate) >= demands.power);
    // the chance of so few rises with how many are allowed, but for teeth that a search may land between
    let mut high = 1;
    while !enough(high)? {
        high *= 2;
    }
    let broken = if enough(0)? { 0 } else { fewest(high / 2, |broken| enough(broken).unwrap_or(true))? };
    Some((needed(broken)?, broken))
}

/// The fewest independent questions with which a share that truly is `rate` is shown, with this power, to exceed `limit`. `None` for `rate <= limit` and
/// beyond [`MOST_QUESTIONS`].
///
/// By the normal distribution: `(z_c √(l(1-l)) + z_p √(r(1-r)))² / (r-l)²`. J. L. Fleiss, B. Levin, M. C. Paik, "Statistical Methods for Rates and
/// Proportions", 3rd edition (2003), section 2.6.
pub fn to_show_above(rate: f64, limit: f64, demands: Demands) -> Option<u64> {
    let spread = |share: f64| (share * (1.0 - share)).sqrt();
    let deviations = quantile_of_normal(demands.confidence) * spread(limit) + quantile_of_normal(demands.power) * spread(rate);
    (limit < rate).then(|| whole((deviations / (rate - limit)).powi(2)))?
}

/// The fewest independent questions with which a drop in accuracy that truly is `drop` is shown, with this power, to be smaller than `margin`, where a
/// share `flips` of all verdicts changes either way. `None` for `drop >= margin` and beyond [`MOST_QUESTIONS`].
///
/// `(z_c + z_p)² (ψ - δ²) / (m - δ)²`. J. Liu, H. Hsueh, E. Hsieh, J. J. Chen, "Tests for equivalence or non-inferiority for paired binary data",
/// Statistics in Medicine 21 (2002), 231-245. Under the margin at least as many verdicts change as it is wide, so the variance is no smaller than that.
pub fn to_show_not_inferior(drop: f64, margin: f64, flips: f64, demands: Demands) -> Option<u64> {
    let deviations = quantile_of_normal(demands.confidence) + quantile_of_normal(demands.power);
    let variance = flips.max(margin) - drop * drop;
    (drop < margin).then(|| whole(deviations.powi(2) * variance / (margin - drop).powi(2)))?
}

/// The least drop in accuracy that McNemar's one-sided test finds with this power among so many independent questions, where a share `flips` of all
/// verdicts changes either way. `None` where even a drop by all flips would not be found.
///
/// The δ that solves `δ √n = z_c √ψ + z_p √(ψ - δ²)`. R. J. Connor, "Sample size for testing differences in proportions for the paired-sample design",
/// Biometrics 43 (1987).
pub fn least_drop(questions: f64, flips: f64, demands: Demands) -> Option<f64> {
    let (z_confidence, z_power) = (quantile_of_normal(demands.confidence), quantile_of_normal(demands.power));
    let excess = |drop: f64| drop * questions.sqrt() - z_confidence * flips.sqrt() - z_power * (flips - drop * drop).max(0.0).sqrt();
    (flips > 0.0 && excess(flips) >= 0.0).then(|| rising_root(0.0, flips, excess))
}

/// The least number from `from` on for which `holds`, which then holds of all larger ones.
fn fewest(from: u64, holds: impl Fn(u64) -> bool) -> Option<u64> {
    let mut high = from.max(1);
    while !holds(high) {
        high = high.checked_mul(2).filter(|&high| high <= MOST_QUESTIONS)?;
    }
    let mut low = from;
    while low < high {
        let middle = u64::midpoint(low, high);
        if holds(middle) { high = middle } else { low = middle + 1 }
    }
    Some(high)
}

fn whole(questions: f64) -> Option<u64> {
    (questions <= MOST_QUESTIONS as f64).then(|| questions.ceil().max(1.0) as u64)
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};

    use super::*;
    use crate::statistics::mcnemar;
    use crate::statistics::tango::Pairs;

    const USUAL: Demands = Demands { confidence: 0.95, power: 0.8 };

    /// ln 0.05 / ln 0.99 = 298.07 on paper.
    #[test]
    fn a_clean_sheet_of_299_shows_one_percent() {
        assert_eq!(to_show_at_most(0.0, 0.01, USUAL), Some((299, 0)));
        assert_eq!((to_show_at_most(0.02, 0.01, USUAL), to_show_above(0.005, 0.01, USUAL)), (None, None));
        assert_eq!((to_show_at_most(0.009_999_9, 0.01, USUAL), to_show_not_inferior(0.02, 0.02, 0.1, USUAL)), (None, None));
    }

    fn uniform(random: &mut ChaCha8Rng) -> f64 {
        (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Of 2,000 drawn studies of the size that was asked for, as many as asked for reach the verdict.
    #[test]
    fn sizes_have_their_power() {
        let mut random = ChaCha8Rng::seed_from_u64(21);
        let mut studies = |of: u64, broken: f64, repaired: f64, shows: &dyn Fn(Pairs) -> bool| {
            let mut shown = 0;
            for _ in 0..2000 {
                let mut pairs = Pairs { broken: 0.0, repaired: 0.0, of: of as f64 };
                for _ in 0..of {
                    let drawn = uniform(&mut random);
                    pairs.broken += f64::from(u8::from(drawn < broken));
                    pairs.repaired += f64::from(u8::from((broken..broken + repaired).contains(&drawn)));
                }
                shown += usize::from(shows(pairs));
            }
            shown
        };
        // 80 % of 2,000 is 1,600 with a standard deviation of 18
        let (of, _) = to_show_at_most(0.01, 0.04, USUAL).unwrap();
        let shown = studies(of, 0.01, 0.0, &|pairs| at_most(pairs.broken, pairs.of, 0.95).unwrap() <= 0.04);
        assert!((1550..=1800).contains(&shown), "{of}: {shown}");
        let of = to_show_not_inferior(0.0, 0.04, 0.08, USUAL).unwrap();
        let shown = studies(of, 0.04, 0.04, &|pairs| pairs.p_inferior(0.04) < 0.05);
        assert!((1530..=1680).contains(&shown), "{of}: {shown}");
        let of = to_show_above(0.06, 0.03, USUAL).unwrap();
        let shown = studies(of, 0.06, 0.0, &|pairs| crate::statistics::exact::at_least(pairs.broken, pairs.of, 0.95).unwrap() > 0.03);
        assert!((1480..=1680).contains(&shown), "{of}: {shown}");
        let drop = least_drop(300.0, 0.2, USUAL).unwrap();
        let (broken, repaired) = (f64::midpoint(0.2, drop), (0.2 - drop) / 2.0);
        let one_sided = |pairs: Pairs| pairs.broken > pairs.repaired && mcnemar(pairs.broken as u64, pairs.repaired as u64) / 2.0 < 0.05;
        let shown = studies(300, broken, repaired, &one_sided);
        assert!((1420..=1640).contains(&shown), "{drop}: {shown}");
    }

    /// Where a few flips are all there is, no drop among them stands out.
    #[test]
    fn some_drops_are_never_found() {
        assert_eq!((least_drop(300.0, 0.0, USUAL), least_drop(100.0, 0.01, USUAL)), (None, None));
    }
}
