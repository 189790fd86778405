//! One limit, judged: does it hold, does it not, or can nobody know?

use std::fmt;

use serde::{Deserialize, Serialize};
use steady_report::statistics::exact::{as_few, as_many, at_least, at_most};
use steady_report::statistics::size::{Demands, to_show_above, to_show_at_most, to_show_not_inferior};
use steady_report::{Clustered, Outcome, POWER, Proportion, Tally};

use crate::policy::Tier;

/// What is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verdict {
    /// Shown to hold.
    Pass,
    /// Neither shown to hold nor shown not to.
    Inconclusive,
    /// Shown not to hold.
    Fail,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "PASS",
            Self::Inconclusive => "INCONCLUSIVE",
            Self::Fail => "FAIL",
        })
    }
}

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// The true share of questions that break is at most the limit (exact, by image).
    #[serde(rename = "max-ndr")]
    Ndr,
    /// The true share of answers that change is at most the limit (exact, by image).
    #[serde(rename = "max-dr")]
    Dr,
    /// The drop in accuracy as observed is at most the limit. A comparison of two numbers, as regression tests make it: it is never open.
    #[serde(rename = "max-drop")]
    Drop,
    /// The true drop in accuracy is less than the limit, by Tango's score test, by image.
    #[serde(rename = "non-inferiority-margin")]
    NonInferiority,
}

impl Measure {
    /// All of them, in the order of a policy's keys.
    pub const ALL: [Self; 4] = [Self::Ndr, Self::Dr, Self::Drop, Self::NonInferiority];

    /// The key of a policy.
    pub fn key(self) -> &'static str {
        match self {
            Self::Ndr => "max-ndr",
            Self::Dr => "max-dr",
            Self::Drop => "max-drop",
            Self::NonInferiority => "non-inferiority-margin",
        }
    }

    /// For people.
    pub fn label(self) -> &'static str {
        match self {
            Self::Ndr => "NDR",
            Self::Dr => "DR",
            Self::Drop => "drop observed",
            Self::NonInferiority => "drop",
        }
    }
}

/// A limit on one part of the questions of one run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Criterion {
    /// What it counts for.
    pub tier: Tier,
    /// The benchmark.
    pub benchmark: String,
    /// The group of questions; `None` for all.
    pub group: Option<String>,
    /// What was done to the images; `None` for nothing.
    pub perturbation: Option<String>,
    /// What is limited.
    pub measure: Measure,
    /// To what share.
    pub limit: f64,
}

/// A criterion and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// What was to hold.
    #[serde(flatten)]
    pub criterion: Criterion,
    /// Whether it does.
    pub verdict: Verdict,
    /// What it is judged by; `None` where the benchmark was not run.
    pub evidence: Option<Evidence>,
}

/// What a verdict rests on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Evidence {
    /// The share or drop as observed, as a fraction.
    pub observed: f64,
    /// Questions.
    pub questions: u64,
    /// Images that they are about.
    pub images: usize,
    /// How many of them say as much as one independent question.
    pub design_effect: f64,
    /// With the policy's confidence it is no less, each side by itself; `None` of what is only observed.
    pub at_least: Option<f64>,
    /// With the policy's confidence it is no more.
    pub at_most: Option<f64>,
    /// Small where the limit is shown to hold.
    pub p_violated: f64,
    /// Small where the limit is shown not to hold.
    pub p_kept: f64,
    /// The same, adjusted by Holm for all limits that can fail this acceleration.
    pub p_kept_adjusted: f64,
    /// About so many questions would decide it with a chance of 80 %, if what was observed is true and they cluster as these do. `None` where it is
    /// decided, and where ten million would not do.
    pub needed: Option<u64>,
}

/// What images say about a limit, as far as a verdict needs it.
pub(crate) struct Tests {
    pub(crate) p_violated: f64,
    pub(crate) p_kept: f64,
}

impl Measure {
    fn share(self) -> Option<fn(&Tally) -> Proportion> {
        match self {
            Self::Ndr => Some(Tally::ndr),
            Self::Dr => Some(Tally::dr),
            Self::Drop | Self::NonInferiority => None,
        }
    }

    /// The two tests of a limit.
    pub(crate) fn tests(self, images: &Clustered<'_>, limit: f64) -> Tests {
        match (self, self.share()) {
            (_, Some(share)) => {
                let (count, of, _) = images.share(share);
                Tests { p_violated: as_few(count, of, limit), p_kept: as_many(count, of, limit) }
            }
            (Self::NonInferiority, None) => {
                Tests { p_violated: images.pairs.p_inferior(limit), p_kept: images.pairs.p_not_inferior(limit) }
            }
            (_, None) => {
                // a drop of exactly the limit keeps it, whatever the last digit of its share is
                let kept = images.pairs.drop() <= limit + 1e-12;
                Tests { p_violated: if kept { 0.0 } else { 1.0 }, p_kept: if kept { 1.0 } else { 0.0 } }
            }
        }
    }

    /// Everything that is told of a limit, given the tallies of the images.
    pub(crate) fn evidence(self, tallies: &[Tally], images: &Clustered<'_>, limit: f64, confidence: f64) -> Evidence {
        let all: Tally = tallies.iter().copied().sum();
        let Tests { p_violated, p_kept } = self.tests(images, limit);
        let demands = Demands { confidence, power: POWER };
        let (observed, effect, at_least, at_most, needed) = match (self, self.share()) {
            (_, Some(share)) => {
                let (count, of, effect) = images.share(share);
                let observed = count / of;
                let needed =
                    to_show_at_most(observed, limit, demands).map(|(of, _)| of).or_else(|| to_show_above(observed, limit, demands));
                (observed, effect, at_least(count, of, confidence), at_most(count, of, confidence), needed)
            }
            (Self::NonInferiority, None) => {
                let (pairs, flips) = (images.pairs, (images.pairs.broken + images.pairs.repaired) / images.pairs.of);
                let drop = pairs.drop();
                let needed =
                    to_show_not_inferior(drop, limit, flips, demands).or_else(|| to_show_not_inferior(-drop, -limit, flips, demands));
                (drop, images.effect_on_drop, Some(pairs.drop_at_least(confidence)), Some(pairs.drop_at_most(confidence)), needed)
            }
            (_, None) => (images.pairs.drop(), images.effect_on_drop, None, None, None),
        };
        let open = p_violated > 1.0 - confidence && p_kept > 1.0 - confidence;
        Evidence {
            observed,
            questions: all.questions(),
            images: tallies.len(),
            design_effect: effect,
            at_least,
            at_most,
            p_violated,
            p_kept,
            p_kept_adjusted: p_kept,
            needed: needed.filter(|_| open).map(|needed| (needed as f64 * effect).ceil() as u64),
        }
    }
}

impl Verdict {
    /// Of one limit, at this level. The limit is shown to hold by a test of its own: all limits must hold, and a test for each keeps the chance of passing
    /// one that does not (R. L. Berger, "Multiparameter hypothesis testing and acceptance sampling", Technometrics 24 (1982)). One that fails is enough to
    /// fail, so that test is adjusted for how many there are.
    pub(crate) fn of(p_violated: f64, p_kept_adjusted: f64, level: f64) -> Self {
        if p_violated <= level {
            Self::Pass
        } else if p_kept_adjusted <= level {
            Self::Fail
        } else {
            Self::Inconclusive
        }
    }

    /// Of the whole, from the verdicts on its limits.
    pub(crate) fn all(limits: impl IntoIterator<Item = (Tier, Self)>) -> Self {
        let counts = |(tier, verdict): (Tier, Self)| match (tier, verdict) {
            (Tier::Critical, verdict) | (Tier::Supporting, verdict @ Self::Fail) => verdict,
            (Tier::Supporting | Tier::Advisory, _) => Self::Pass,
        };
        limits.into_iter().map(counts).max().unwrap_or(Self::Pass)
    }
}

/// Broken minus repaired questions of each image.
pub(crate) fn differences(images: &[Tally]) -> Vec<i64> {
    images.iter().map(|tally| tally.count(Outcome::Broken) as i64 - tally.count(Outcome::Repaired) as i64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiers_decide_what_they_are_for() {
        use Tier::{Advisory, Critical, Supporting};
        use Verdict::{Fail, Inconclusive, Pass};
        for (limits, verdict) in [
            (vec![(Critical, Pass), (Supporting, Pass), (Advisory, Fail)], Pass),
            (vec![(Critical, Pass), (Supporting, Inconclusive)], Pass),
            (vec![(Critical, Inconclusive), (Supporting, Pass)], Inconclusive),
            (vec![(Critical, Inconclusive), (Supporting, Fail)], Fail),
            (vec![(Critical, Fail), (Supporting, Pass)], Fail),
            (vec![(Advisory, Inconclusive)], Pass),
        ] {
            assert_eq!(Verdict::all(limits.clone()), verdict, "{limits:?}");
        }
    }
}
