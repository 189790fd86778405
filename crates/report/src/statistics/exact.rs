//! Exact bounds of a share: what it is at most, and what it is at least.
//!
//! C. J. Clopper, E. S. Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial", Biometrika 26 (1934). Counts may
//! be fractions: those of clustered questions are scaled down to as many independent ones as they are worth (E. L. Korn, B. I. Graubard, "Confidence
//! intervals for proportions with small expected number of positive counts estimated from survey data", Survey Methodology 24 (1998)).

use statrs::function::beta::beta_reg;

use super::falling_root;

/// The highest share under which `count` or fewer out of `of` still have a chance of `1 - confidence`: with that confidence the true share is no
/// higher. 0 of 300 at 95 % means at most 1.0 %. `None` for `of <= 0`, a count outside `0..=of` or a confidence outside (0, 1).
pub fn at_most(count: f64, of: f64, confidence: f64) -> Option<f64> {
    sensible(count, of, confidence)?;
    Some(if count >= of { 1.0 } else { falling_root(0.0, 1.0, |share| as_few(count, of, share) - (1.0 - confidence)) })
}

/// The lowest share under which `count` or more out of `of` still have a chance of `1 - confidence`: with that confidence the true share is no lower.
/// `None` as for [`at_most`].
pub fn at_least(count: f64, of: f64, confidence: f64) -> Option<f64> {
    sensible(count, of, confidence)?;
    Some(if count <= 0.0 { 0.0 } else { falling_root(0.0, 1.0, |share| 1.0 - confidence - as_many(count, of, share)) })
}

/// The chance of at most `count` out of `of` where each has the chance `share`: the p-value of the claim that the share is this high or higher.
pub fn as_few(count: f64, of: f64, share: f64) -> f64 {
    if count >= of || share <= 0.0 {
        1.0
    } else if share >= 1.0 {
        0.0
    } else {
        beta_reg(of - count, count + 1.0, 1.0 - share)
    }
}

/// The chance of at least `count` out of `of` where each has the chance `share`: the p-value of the claim that the share is this low or lower.
pub fn as_many(count: f64, of: f64, share: f64) -> f64 {
    if count <= 0.0 || share >= 1.0 {
        1.0
    } else if share <= 0.0 || count > of {
        0.0
    } else {
        beta_reg(count, of - count + 1.0, share)
    }
}

fn sensible(count: f64, of: f64, confidence: f64) -> Option<()> {
    (of > 0.0 && (0.0..=of).contains(&count) && confidence > 0.0 && confidence < 1.0).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (1 - p)³⁰⁰ = 5 % on paper, and nothing can be said of nothing.
    #[test]
    fn none_of_300_means_at_most_one_percent() {
        let bound = at_most(0.0, 300.0, 0.95).unwrap();
        assert!((bound - (1.0 - 0.05_f64.powf(1.0 / 300.0))).abs() < 1e-12 && bound < 0.01, "{bound}");
        assert_eq!((at_least(0.0, 300.0, 0.95), at_most(300.0, 300.0, 0.95)), (Some(0.0), Some(1.0)));
        for (count, of, confidence) in [(0.0, 0.0, 0.95), (2.0, 1.0, 0.95), (-1.0, 5.0, 0.95), (1.0, 5.0, 1.0), (f64::NAN, 5.0, 0.9)] {
            assert_eq!((at_most(count, of, confidence), at_least(count, of, confidence)), (None, None));
        }
    }
}
