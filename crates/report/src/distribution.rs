//! What the logits of the first answer token say, beyond the answer itself.

/// Logits that no distribution follows from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DistributionError {
    /// The two vectors are not over one vocabulary.
    #[error("logits over different vocabularies: {base} tokens for the baseline, {accelerated} for the accelerated model")]
    Vocabulary {
        /// Entries of the baseline's vector.
        base: usize,
        /// Entries of the accelerated model's vector.
        accelerated: usize,
    },
    /// Fewer entries than the quantity needs.
    #[error("{found} logits where at least {needed} are needed")]
    TooFew {
        /// Least number of entries.
        needed: usize,
        /// Number of entries.
        found: usize,
    },
    /// A NaN or an infinity.
    #[error("logit {index} is not a finite number")]
    NotFinite {
        /// Position in its vector.
        index: usize,
    },
}

/// Kullback-Leibler divergence KL(base || accelerated) in nats between the softmax distributions of two logit vectors over one vocabulary.
///
/// `Σ pᵢ (ln pᵢ - ln qᵢ)`, summed in f64 over log-softmaxes, so neither large nor equal logits lose it; never below 0.
pub fn kl_divergence(base: &[f32], accelerated: &[f32]) -> Result<f64, DistributionError> {
    if base.len() != accelerated.len() {
        return Err(DistributionError::Vocabulary { base: base.len(), accelerated: accelerated.len() });
    }
    let (base_total, accelerated_total) = (log_sum_exp(base)?, log_sum_exp(accelerated)?);
    let sum: f64 = base
        .iter()
        .zip(accelerated)
        .map(|(&base, &accelerated)| {
            let ln_p = f64::from(base) - base_total;
            ln_p.exp() * (ln_p - (f64::from(accelerated) - accelerated_total))
        })
        .sum();
    Ok(sum.max(0.0))
}

/// Least of what the likeliest tokens leave to all others that is told from what whoever wrote the logarithms down left out.
const LEAST_REST: f64 = 1e-6;

/// By how much of itself a number is off at most that was rounded to `f32`.
const ROUNDING: f64 = 1.0 / 16_777_216.0;

/// A lower bound of KL(base || accelerated) in nats, where only the likeliest tokens of both are known: text and logarithm of the probability. `None` where
/// one of both tells nothing.
///
/// It is the divergence of the coarser distributions over the tokens that stand in both lists, each alone, and all others together. Merging outcomes never
/// makes a divergence larger (the data-processing inequality; Cover and Thomas, Elements of Information Theory, 2.8). A text that stands twice in a list is
/// two tokens that cannot be told apart, and belongs to the others.
///
/// What is left to all others is a small difference of numbers that were rounded to `f32`. Of all that it may have been, what makes the divergence least
/// is taken: the most for the accelerated model, and for the baseline whatever comes nearest to the minimum of `r ln(r / q)`, which is at `r = q / e`.
pub fn kl_of_likeliest(base: &[(String, f32)], accelerated: &[(String, f32)]) -> Option<f64> {
    if base.is_empty() || accelerated.is_empty() {
        return None;
    }
    let alone = |list: &[(String, f32)], token: &str| {
        let mut found = list.iter().filter(|(text, _)| text == token).map(|(_, ln)| f64::from(*ln));
        found.next().filter(|_| found.next().is_none())
    };
    let (mut divergence, mut rest, mut rest_accelerated) = (0.0, 1.0, 1.0);
    // By how much the rests may be off: a logarithm that is off by so much makes its number off by as large a share of it. What has no finite logarithm is 0.
    let off_by = |ln: f64| ln.exp() * ln.max(f64::MIN).abs() * ROUNDING;
    let (mut off, mut off_accelerated) = (0.0, 0.0);
    for (token, _) in base {
        if let (Some(ln_p), Some(ln_q)) = (alone(base, token), alone(accelerated, token)) {
            divergence += ln_p.exp() * (ln_p - ln_q);
            rest -= ln_p.exp();
            rest_accelerated -= ln_q.exp();
            off += off_by(ln_p);
            off_accelerated += off_by(ln_q);
        }
    }
    let most_accelerated = f64::max(rest_accelerated + off_accelerated, LEAST_REST);
    let (least, most) = if rest > LEAST_REST { (rest - off, rest + off) } else { (0.0, LEAST_REST) };
    let rest = (most_accelerated / std::f64::consts::E).clamp(least, most);
    if rest > 0.0 {
        divergence += rest * (rest.ln() - most_accelerated.ln());
    }
    Some(divergence.max(0.0))
}

/// How far the highest logit is above the second highest: how firmly the token was chosen. 0 for a tie.
pub fn margin(logits: &[f32]) -> Result<f32, DistributionError> {
    if logits.len() < 2 {
        return Err(DistributionError::TooFew { needed: 2, found: logits.len() });
    }
    check_finite(logits)?;
    let (mut first, mut second) = (f32::NEG_INFINITY, f32::NEG_INFINITY);
    for &logit in logits {
        if logit > first {
            (first, second) = (logit, first);
        } else if logit > second {
            second = logit;
        }
    }
    Ok(first - second)
}

/// `ln Σ exp(xᵢ)`, shifted by the maximum.
fn log_sum_exp(logits: &[f32]) -> Result<f64, DistributionError> {
    if logits.is_empty() {
        return Err(DistributionError::TooFew { needed: 1, found: 0 });
    }
    check_finite(logits)?;
    let highest = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    Ok(highest + logits.iter().map(|&logit| (f64::from(logit) - highest).exp()).sum::<f64>().ln())
}

fn check_finite(logits: &[f32]) -> Result<(), DistributionError> {
    match logits.iter().position(|logit| !logit.is_finite()) {
        Some(index) => Err(DistributionError::NotFinite { index }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `scipy.stats.entropy(softmax(base), softmax(accelerated))`, scipy 1.17.1.
    #[test]
    fn kl_is_that_of_scipy() {
        let close = |base: &[f32], accelerated: &[f32], reference: f64| {
            let ours = kl_divergence(base, accelerated).unwrap();
            assert!((ours - reference).abs() < 1e-12, "{ours} is not {reference}");
        };
        close(&[2.0, 1.0, 0.125, -3.0], &[1.5, 1.75, 0.0, -2.0], 0.161_974_380_318_087_5);
        close(&[1000.0, 999.0, -1000.0], &[999.0, 1000.0, -1000.0], 0.462_117_157_260_009_74);
    }

    /// p = (1/2, 1/2), q = (1/4, 3/4): KL = ½ ln(½ / ¼) + ½ ln(½ / ¾) = ½ ln(4/3).
    #[test]
    fn kl_on_paper() {
        let kl = kl_divergence(&[0.0, 0.0], &[0.0, 3.0_f32.ln()]).unwrap();
        assert!((kl - 0.5 * (4.0_f64 / 3.0).ln()).abs() < 1e-7, "{kl}");
    }

    /// p = (1/2, 1/4, rest 1/4), q = (1/4, 1/4, rest 1/2): KL = ½ ln 2 + ¼ ln(¼ / ½) = ¼ ln 2, whatever the rest is made of and in whatever order.
    #[test]
    fn kl_of_the_likeliest_on_paper() {
        let list = |of: &[(&str, f32)]| -> Vec<(String, f32)> { of.iter().map(|(token, p)| ((*token).to_owned(), p.ln())).collect() };
        let base = list(&[("yes", 0.5), ("no", 0.25), ("maybe", 0.2)]);
        let accelerated = list(&[("no", 0.25), ("yes", 0.25), ("perhaps", 0.3)]);
        let close = |found: Option<f64>| assert!((found.unwrap() - 0.25 * 2_f64.ln()).abs() < 1e-7, "{found:?}");
        close(kl_of_likeliest(&base, &accelerated));
        // A text that stands twice is no token.
        let twice = list(&[("yes", 0.5), ("no", 0.25), ("maybe", 0.1), ("maybe", 0.1)]);
        close(kl_of_likeliest(&twice, &list(&[("no", 0.25), ("yes", 0.25), ("maybe", 0.3)])));
        assert_eq!((kl_of_likeliest(&base, &[]), kl_of_likeliest(&[], &base)), (None, None));
        assert_eq!(kl_of_likeliest(&base, &base), Some(0.0));
    }

    /// The first two of three tokens are known, as `f32`. What they leave is little for the accelerated model, then for the baseline: a difference of
    /// numbers that were rounded. Allowed is what rounding moves the known tokens' own share by.
    #[test]
    fn little_that_is_left_makes_no_bound_too_large() {
        let known = |logits: &[f32]| -> Vec<(String, f32)> {
            let total = log_sum_exp(logits).unwrap();
            logits[..2].iter().enumerate().map(|(id, logit)| (id.to_string(), (f64::from(*logit) - total) as f32)).collect()
        };
        for step in 0..400_u16 {
            let spread = [0.0, 0.004 * f32::from(step), -11.0 - 0.01 * f32::from(step)];
            let even = [0.3, 0.2, 0.1 + 0.01 * f32::from(step)];
            for (base, accelerated) in [(even, spread), (spread, even)] {
                let whole = kl_divergence(&base, &accelerated).unwrap();
                let bound = kl_of_likeliest(&known(&base), &known(&accelerated)).unwrap();
                assert!(bound <= whole + 1e-6, "{bound} is above {whole}: {base:?}, {accelerated:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn kl_of_the_likeliest_is_a_lower_bound(
            (base, accelerated) in (2..9_usize).prop_flat_map(|n| {
                let logits = || proptest::collection::vec(-8.0..8.0_f32, n);
                (logits(), logits())
            }),
            known in 1..9_usize,
        ) {
            let likeliest = |logits: &[f32]| {
                let total = log_sum_exp(logits).unwrap();
                let mut list: Vec<(String, f32)> =
                    logits.iter().enumerate().map(|(id, logit)| (id.to_string(), (f64::from(*logit) - total) as f32)).collect();
                list.sort_by(|a, b| b.1.total_cmp(&a.1));
                list.truncate(known);
                list
            };
            let (whole, bound) = (kl_divergence(&base, &accelerated).unwrap(), kl_of_likeliest(&likeliest(&base), &likeliest(&accelerated)).unwrap());
            prop_assert!(bound <= whole + 1e-5, "{} is above {}", bound, whole);
            if known >= base.len() {
                prop_assert!((bound - whole).abs() < 1e-4, "{} is not {}", bound, whole);
            }
        }
    }

    #[test]
    fn margin_is_between_the_two_highest() {
        assert_eq!(margin(&[1.0, 4.5, -2.0, 4.0]), Ok(0.5));
        assert_eq!(margin(&[4.5, 1.0, 3.0]), Ok(1.5));
        assert_eq!(margin(&[2.0, 2.0, 1.0]), Ok(0.0));
    }

    #[test]
    fn bad_logits_are_named() {
        assert_eq!(kl_divergence(&[1.0], &[1.0, 2.0]), Err(DistributionError::Vocabulary { base: 1, accelerated: 2 }));
        assert_eq!(kl_divergence(&[], &[]), Err(DistributionError::TooFew { needed: 1, found: 0 }));
        assert_eq!(kl_divergence(&[1.0, 2.0], &[1.0, f32::NAN]), Err(DistributionError::NotFinite { index: 1 }));
        assert_eq!(margin(&[1.0]), Err(DistributionError::TooFew { needed: 2, found: 1 }));
        assert_eq!(margin(&[f32::INFINITY, 1.0]), Err(DistributionError::NotFinite { index: 0 }));
    }

    fn logits() -> impl Strategy<Value = (Vec<f32>, Vec<f32>)> {
        prop::collection::vec((-30.0_f32..30.0, -30.0_f32..30.0), 1..40).prop_map(|pairs| pairs.into_iter().unzip())
    }

    proptest! {
        #[test]
        fn kl_is_never_negative_and_zero_to_itself((base, accelerated) in logits()) {
            prop_assert!(kl_divergence(&base, &accelerated).unwrap() >= 0.0);
            prop_assert!(kl_divergence(&base, &base).unwrap() < 1e-12);
        }

        #[test]
        fn a_shift_of_all_logits_means_nothing((base, accelerated) in logits(), shift in -50.0_f32..50.0) {
            let shifted: Vec<f32> = accelerated.iter().map(|logit| logit + shift).collect();
            let (plain, moved) = (kl_divergence(&base, &accelerated).unwrap(), kl_divergence(&base, &shifted).unwrap());
            prop_assert!((plain - moved).abs() < 1e-3, "{plain} {moved}");
        }
    }
}
