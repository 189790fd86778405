//! The lowest threshold that keeps a risk under a limit, with a guarantee for any number of images.
//!
//! The risk is the expected share of a new image's questions that break although the guard kept the accelerated answer. It can only fall as the threshold
//! rises, and is never above 1: that is all that either guarantee needs, besides that images of calibration and of use come from the same source. Images
//! are the units, for questions about one image are not independent.

use serde::{Deserialize, Serialize};
use steady_report::Outcome;
use steady_report::statistics::exact::as_few;

use super::Image;

/// What is to stay rare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    /// Answers that go from right to wrong.
    Ndr,
    /// Answers that change.
    Dr,
}

impl Risk {
    /// For people.
    pub fn label(self) -> &'static str {
        match self {
            Self::Ndr => "NDR",
            Self::Dr => "DR",
        }
    }

    pub(super) fn is(self, outcome: Outcome) -> bool {
        match self {
            Self::Ndr => outcome == Outcome::Broken,
            Self::Dr => outcome.diverged(),
        }
    }
}

/// How a limit is guaranteed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "by", deny_unknown_fields)]
pub enum Guarantee {
    /// The limit holds on average over all calibrations that might have been drawn.
    ///
    /// A. N. Angelopoulos, S. Bates, A. Fisch, L. Lei, T. Schuster, "Conformal risk control", ICLR 2024, arXiv 2208.02814: the lowest threshold λ with
    /// `n/(n+1) R(λ) + 1/(n+1) <= limit`.
    ConformalRiskControl,
    /// The limit holds for this calibration, but for a chance of 1 minus the confidence.
    ///
    /// A. N. Angelopoulos, S. Bates, E. J. Candès, M. I. Jordan, L. Lei, "Learn then test: calibrating predictive algorithms to achieve risk control",
    /// arXiv 2110.01052, with thresholds tested from the safest down. The test is theirs by the inequalities of Hoeffding and Bentkus; where every image
    /// has one question the exact binomial one.
    LearnThenTest {
        /// E.g. 0.95.
        confidence: f64,
    },
}

impl Guarantee {
    /// Images that it takes at least, if nothing breaks.
    pub fn images_needed(self, limit: f64) -> u64 {
        let images = match self {
            Self::ConformalRiskControl => 1.0 / limit - 1.0,
            Self::LearnThenTest { confidence } => (1.0 - confidence).ln() / (1.0 - limit).ln(),
        };
        // a whole number on paper may be off by its last digit
        (images - 1e-9).ceil().max(1.0) as u64
    }

    /// Whether a mean loss of `risk` over so many images shows that the limit holds; `single` where each image has one question.
    fn shows(self, risk: f64, images: usize, single: bool, limit: f64) -> bool {
        let n = images as f64;
        match self {
            Self::ConformalRiskControl => (n * risk + 1.0) / (n + 1.0) <= limit,
            Self::LearnThenTest { confidence } => p_value(risk, n, single, limit) <= 1.0 - confidence,
        }
    }
}

/// The chance of so low a mean loss if the risk were `limit` or higher, or a bound on it.
fn p_value(risk: f64, n: f64, single: bool, limit: f64) -> f64 {
    if single {
        return as_few((risk * n).round(), n, limit);
    }
    let term = |p: f64, of: f64| if p > 0.0 { p * (p / of).ln() } else { 0.0 };
    let below = risk.min(limit);
    let hoeffding = (-n * (term(below, limit) + term(1.0 - below, 1.0 - limit))).exp();
    let bentkus = std::f64::consts::E * as_few((n * risk - 1e-9).ceil().max(0.0), n, limit);
    hoeffding.min(bentkus).min(1.0)
}

/// The mean over the images of the share of an image's questions that are harmed and kept.
pub(super) fn mean(images: &[Image], threshold: f32) -> f64 {
    if images.is_empty() { 0.0 } else { images.iter().map(|image| image.loss(threshold)).sum::<f64>() / images.len() as f64 }
}

impl Image {
    /// Questions that are harmed and kept.
    pub(super) fn harmed(&self, threshold: f32) -> usize {
        self.answers.iter().filter(|(lead, harm)| *harm && *lead >= threshold).count()
    }

    fn loss(&self, threshold: f32) -> f64 {
        self.harmed(threshold) as f64 / self.answers.len() as f64
    }
}

/// The lowest threshold for which the guarantee holds: 0, or just above the lead of an answer that is harmed, for the risk changes nowhere else. `None`
/// where so few images cannot show it even of a guard that keeps no harm.
pub(super) fn threshold(images: &[Image], limit: f64, guarantee: Guarantee) -> Option<f32> {
    let single = images.iter().all(|image| image.answers.len() == 1);
    let harmed = |image: &Image| {
        let size = image.answers.len() as f64;
        image.answers.iter().filter(|(_, harm)| *harm).map(move |(lead, _)| (*lead, 1.0 / size)).collect::<Vec<_>>()
    };
    let mut harms: Vec<(f32, f64)> = images.iter().flat_map(harmed).collect();
    harms.sort_by(|a, b| b.0.total_cmp(&a.0));
    let shows = |sum: f64| guarantee.shows(sum / images.len() as f64, images.len(), single, limit);
    if images.is_empty() || !shows(0.0) {
        return None;
    }
    // from the safest threshold down, while the guarantee holds
    let (mut sum, mut next) = (0.0, 0);
    while let Some(&(lead, _)) = harms.get(next) {
        let tied = harms[next..].iter().take_while(|harm| harm.0.total_cmp(&lead).is_eq());
        let (more, count) = tied.fold((0.0, 0), |(more, count), harm| (more + harm.1, count + 1));
        if !shows(sum + more) {
            return Some(lead.next_up().max(0.0));
        }
        (sum, next) = (sum + more, next + count);
    }
    Some(0.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};

    use super::*;

    fn image(answers: &[(f32, bool)]) -> Image {
        Image { answers: answers.to_vec() }
    }

    const LEARN: Guarantee = Guarantee::LearnThenTest { confidence: 0.9 };

    /// 19 images and a limit of 10 %: (sum + 1) / 20 <= 0.1 allows one harm, so the second largest lead decides.
    #[test]
    fn a_threshold_on_paper() {
        let mut images: Vec<Image> = (0..16).map(|_| image(&[(1.0, false)])).collect();
        images.extend([image(&[(0.5, true)]), image(&[(2.0, true)]), image(&[(3.0, true)])]);
        assert_eq!(threshold(&images, 0.1, Guarantee::ConformalRiskControl), Some(2.0_f32.next_up()));
        assert_eq!(threshold(&images, 0.2, Guarantee::ConformalRiskControl), Some(0.0));
        assert_eq!(threshold(&images[..16], 0.05, Guarantee::ConformalRiskControl), None);
        assert_eq!((Guarantee::ConformalRiskControl.images_needed(0.05), Guarantee::ConformalRiskControl.images_needed(0.1)), (19, 9));
        // 0.9²² > 0.1 >= 0.9²²·⁰…: ln 0.1 / ln 0.9 = 21.85
        assert_eq!(LEARN.images_needed(0.1), 22);
        assert_eq!(threshold(&images, 0.1, LEARN), None);
        assert!(threshold(&vec![image(&[(1.0, false)]); 22], 0.1, LEARN).is_some());
        // what has no logits is never kept
        assert!(mean(&[image(&[(f32::NEG_INFINITY, true)])], 0.0) == 0.0);
    }

    /// Among ties either all leave or all stay.
    #[test]
    fn equal_leads_go_together() {
        let images: Vec<Image> = (0..40).map(|i| image(&[(1.0, i < 3)])).collect();
        // (2 + 1) / 41 would do, (3 + 1) / 41 does not
        assert_eq!(threshold(&images, 0.08, Guarantee::ConformalRiskControl), Some(1.0_f32.next_up()));
    }

    proptest! {
        /// No lower threshold at which the risk changes shows the limit, and the one that is chosen does, by going through all of them.
        #[test]
        fn the_lowest_threshold_is_chosen(
            drawn in prop::collection::vec(prop::collection::vec((0_u8..20, any::<bool>()), 1..4), 1..60), limit in 0.05_f64..0.6, learn in any::<bool>()
        ) {
            let guarantee = if learn { LEARN } else { Guarantee::ConformalRiskControl };
            let images: Vec<Image> = drawn.iter().map(|of| image(&of.iter().map(|&(lead, harm)| (f32::from(lead), harm)).collect::<Vec<_>>())).collect();
            let single = images.iter().all(|image| image.answers.len() == 1);
            let holds = |threshold: f32| guarantee.shows(mean(&images, threshold) + 1e-12, images.len(), single, limit);
            // from the safest down, until one does not hold
            let mut naive = None;
            for lead in (0..=20_u8).rev() {
                if !holds(f32::from(lead)) { break }
                naive = Some(f32::from(lead));
            }
            match (threshold(&images, limit, guarantee), naive) {
                (None, naive) => prop_assert_eq!(naive, None),
                (Some(ours), Some(naive)) => prop_assert!(ours <= naive && naive - 1.0 <= ours, "{} {}", ours, naive),
                (ours, naive) => prop_assert!(false, "{:?} {:?}", ours, naive),
            }
        }
    }

    /// Leads are uniform on 0..1 and an answer breaks with chance `shaky (1 - lead)` of its image's, so a guard at λ has the risk `shaky (1 - λ)² / 2`
    /// with the mean over images of `shaky`. Of an image half are three times as shaky as the others.
    fn drawn(random: &mut ChaCha8Rng, images: usize, largest: u64) -> Vec<Image> {
        let mut uniform = || (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        (0..images)
            .map(|_| {
                let shaky = if uniform() < 0.5 { 0.45 } else { 0.15 };
                let size = 1 + (uniform() * largest as f64) as usize;
                let answers: Vec<(f32, bool)> = (0..size)
                    .map(|_| {
                        let lead = uniform();
                        (lead as f32, uniform() < shaky * (1.0 - lead))
                    })
                    .collect();
                image(&answers)
            })
            .collect()
    }

    fn truth(threshold: f32) -> f64 {
        0.3 * (1.0 - f64::from(threshold).min(1.0)).powi(2) / 2.0
    }

    /// 2,000 calibrations: on average the true risk is under the limit, and not far under it; with a confidence, nine times of ten.
    #[test]
    fn guarantees_hold() {
        let mut random = ChaCha8Rng::seed_from_u64(31);
        for (images, largest, limit) in [(60, 1, 0.05), (60, 5, 0.05), (200, 4, 0.02), (25, 3, 0.1)] {
            let (mut mean_risk, mut exceeded, mut learnt) = (0.0, 0, 0);
            for _ in 0..2000 {
                let images = drawn(&mut random, images, largest);
                // without a threshold everything goes to the baseline
                mean_risk += threshold(&images, limit, Guarantee::ConformalRiskControl).map_or(0.0, truth) / 2000.0;
                if let Some(threshold) = threshold(&images, limit, LEARN) {
                    learnt += 1;
                    exceeded += usize::from(truth(threshold) > limit);
                }
            }
            // a risk is at most 0.15, so the mean of 2,000 is known to 0.003 and less
            assert!(mean_risk <= limit + 0.001 && mean_risk >= 0.5 * limit, "{images} {largest} {limit}: {mean_risk}");
            // 10 % of 2,000 is 200, with a standard deviation of 13
            assert!(exceeded <= 230 && learnt == 2000, "{images} {largest} {limit}: {exceeded} of {learnt}");
        }
    }
}
