//! How sure the model is, and how sure it may be.
//!
//! M. P. Naeini, G. F. Cooper, M. Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning", AAAI 2015, for the expected calibration
//! error; C. Guo and others, "On calibration of modern neural networks", ICML 2017, for its use, with 15 bins of equal width.
//!
//! Confidence is that of the first answer token against the second, `1 / (1 + exp(-margin))`: margins are recorded, whole distributions are not.

use serde::Serialize;

use crate::measurements::AnswerRow;

/// Bins of equal width between 0 and 1.
const BINS: usize = 15;

/// Calibration before and after.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CalibrationShift {
    /// Of the baseline.
    pub before: Calibration,
    /// Of the accelerated model.
    pub after: Calibration,
}

/// How far confidence is from being right. All are fractions of 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Calibration {
    /// Expected calibration error: the mean distance of a bin's confidence from its accuracy, weighted by its answers.
    pub ece: f64,
    /// Mean confidence minus accuracy: above 0, the model is surer than it is right.
    pub overconfidence: f64,
    /// Answers with a margin.
    pub answers: usize,
}

impl CalibrationShift {
    /// Of the questions with a margin on both sides; `None` without any.
    pub(super) fn of(before: &[&AnswerRow], after: &[&AnswerRow]) -> Option<Self> {
        let both = || before.iter().zip(after).filter(|(before, after)| before.margin.is_some() && after.margin.is_some());
        Some(Self {
            before: Calibration::of(both().filter_map(|(before, _)| sure(before)))?,
            after: Calibration::of(both().filter_map(|(_, after)| sure(after)))?,
        })
    }
}

/// Confidence and whether it is right.
fn sure(answer: &AnswerRow) -> Option<(f64, bool)> {
    Some((1.0 / (1.0 + (-f64::from(answer.margin?)).exp()), answer.correct))
}

impl Calibration {
    /// From confidences, 0 to 1, each with whether its answer is right; `None` of nothing.
    pub fn of(answers: impl Iterator<Item = (f64, bool)>) -> Option<Self> {
        let (mut bins, mut count, mut surplus) = ([0.0; BINS], 0, 0.0);
        for (confidence, right) in answers {
            let above = confidence - f64::from(u8::from(right));
            // a bin holds its upper end, as the reference has it
            let bin = ((confidence * BINS as f64).ceil() as usize).clamp(1, BINS) - 1;
            bins[bin] += above;
            surplus += above;
            count += 1;
        }
        let of = count as f64;
        // |confidence - accuracy| of a bin times its share of the answers
        (count > 0).then(|| Self {
            ece: bins.iter().map(|above: &f64| above.abs()).sum::<f64>() / of,
            overconfidence: surplus / of,
            answers: count,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two bins on paper: three answers at 0.9 with two right are 0.7 / 3 over, two at 0.6 with two right 0.4 under.
    #[test]
    fn two_bins_on_paper() {
        let answers = [(0.9, true), (0.9, true), (0.9, false), (0.6, true), (0.6, true)];
        let Calibration { ece, overconfidence, answers } = Calibration::of(answers.into_iter()).unwrap();
        assert!((ece - (0.7 + 0.8) / 5.0).abs() < 1e-12 && (overconfidence - (0.7 - 0.8) / 5.0).abs() < 1e-12, "{ece} {overconfidence}");
        assert_eq!((answers, Calibration::of(std::iter::empty())), (5, None));
    }
}
