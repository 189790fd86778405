//! How far accuracy fell: a score interval for the difference of two proportions of the same questions, and non-inferiority by it.
//!
//! T. Tango, "Equivalence test and confidence interval for the difference in proportions for the paired-sample design", Statistics in Medicine 17
//! (1998). A drop δ is tested against its own variance: that of the most likely shares of broken and repaired questions whose difference is δ. So it
//! holds for few questions, for none that changed and for shares near 0, where intervals after Wald have no width.

use super::{Interval, normal_tail, quantile_of_normal, rising_root};

/// What happened to the verdicts of some questions. Counts may be fractions, as [`independent`](super::design::independent) makes them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pairs {
    /// Right before, wrong after.
    pub broken: f64,
    /// Wrong before, right after.
    pub repaired: f64,
    /// All of them, the unchanged ones included.
    pub of: f64,
}

impl Pairs {
    /// Observed drop in accuracy, as a fraction.
    pub fn drop(self) -> f64 {
        (self.broken - self.repaired) / self.of
    }

    /// How many standard deviations the observed drop is above `drop`, if that were the true one.
    fn score(self, drop: f64) -> f64 {
        let Self { broken, repaired, of } = self;
        let above = broken - repaired - of * drop;
        if above == 0.0 {
            return 0.0;
        }
        // the most likely share of repaired questions, as the root of a quadratic equation
        let (a, c) = (2.0 * of, -repaired * drop * (1.0 - drop));
        let b = -broken - repaired + (2.0 * of - broken + repaired) * drop;
        let likely = ((b * b - 4.0 * a * c).max(0.0).sqrt() - b) / (2.0 * a);
        above / (of * (2.0 * likely + drop * (1.0 - drop))).max(0.0).sqrt()
    }

    /// One-sided p of the claim that accuracy fell by `margin` or more: small where the acceleration is not inferior by that margin.
    pub fn p_inferior(self, margin: f64) -> f64 {
        if margin >= 1.0 { 0.0 } else { normal_tail(-self.score(margin)) }
    }

    /// One-sided p of the claim that accuracy fell by `margin` or less: small where the acceleration is inferior by more than the margin.
    pub fn p_not_inferior(self, margin: f64) -> f64 {
        if margin <= -1.0 { 0.0 } else { normal_tail(self.score(margin)) }
    }

    /// With this one-sided confidence accuracy fell by no more.
    pub fn drop_at_most(self, confidence: f64) -> f64 {
        let z = quantile_of_normal(confidence);
        rising_root(self.drop(), 1.0, |drop| -self.score(drop) - z)
    }

    /// With this one-sided confidence accuracy fell by no less.
    pub fn drop_at_least(self, confidence: f64) -> f64 {
        let z = quantile_of_normal(confidence);
        rising_root(-1.0, self.drop(), |drop| z - self.score(drop))
    }

    /// Two-sided interval of the drop.
    pub fn interval(self, confidence: f64) -> Interval {
        let one_sided = f64::midpoint(1.0, confidence);
        Interval { low: self.drop_at_least(one_sided), high: self.drop_at_most(one_sided) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_drop_is_inside_and_mirrored(broken in 0_u32..60, repaired in 0_u32..60, same in 0_u32..400) {
            prop_assume!(broken + repaired + same > 0);
            let of = f64::from(broken + repaired + same);
            let pairs = Pairs { broken: broken.into(), repaired: repaired.into(), of };
            let mirrored = Pairs { broken: repaired.into(), repaired: broken.into(), of };
            let (ours, theirs) = (pairs.interval(0.95), mirrored.interval(0.95));
            prop_assert!(-1.0 <= ours.low && ours.low <= pairs.drop() && pairs.drop() <= ours.high && ours.high <= 1.0, "{:?}", ours);
            prop_assert!((ours.low + theirs.high).abs() < 1e-9 && (ours.high + theirs.low).abs() < 1e-9, "{:?} {:?}", ours, theirs);
        }

        /// A margin is shown exactly where it lies beyond the bound.
        #[test]
        fn test_and_bound_agree(broken in 0_u32..40, repaired in 0_u32..40, same in 1_u32..400, margin in 0.001_f64..0.3) {
            let pairs = Pairs { broken: broken.into(), repaired: repaired.into(), of: f64::from(broken + repaired + same) };
            let bound = pairs.drop_at_most(0.95);
            prop_assume!(f64::abs(bound - margin) > 1e-6);
            prop_assert_eq!(pairs.p_inferior(margin) < 0.05, bound < margin);
            prop_assert!((pairs.p_inferior(margin) + pairs.p_not_inferior(margin) - 1.0).abs() < 1e-9);
        }
    }
}
