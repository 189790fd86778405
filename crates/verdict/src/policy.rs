//! The policy: what may happen to the answers, written down before they are looked at.

use std::fmt;

use data_encoding::HEXLOWER;
use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};
use toml::Spanned;

use crate::criterion::Measure;
use crate::error::VerdictError;

/// One-sided confidence where a policy names none.
const USUAL_CONFIDENCE: f64 = 0.95;

/// In place of a group's or a perturbation's name: each of them.
pub(crate) const EACH: &str = "*";

/// What must hold of an acceleration.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// One-sided confidence of every verdict.
    pub confidence: f64,
    /// The rules, in the order of the file.
    pub rules: Vec<Rule>,
    /// SHA-256 of the file, hexadecimal: which limits were fixed. Empty where they came as flags.
    pub sha256: String,
}

/// Limits for one part of the questions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rule {
    /// What an answer to this rule counts for.
    pub tier: Tier,
    /// The benchmark it is about; `None` for each that was run.
    pub benchmark: Option<String>,
    /// The group of questions, a task family; `*` for each by itself, `None` for all together.
    pub group: Option<String>,
    /// What was done to the images; `*` for each perturbation by itself, `None` for clean images.
    pub perturbation: Option<String>,
    /// What is limited, and to what share.
    pub limits: Vec<(Measure, f64)>,
    /// Where the rule stands, for messages.
    pub place: String,
}

/// What an answer to a rule counts for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// Must be shown to hold: what fails it fails the gate, what leaves it open leaves the gate open.
    #[default]
    Critical,
    /// Must not be shown to be violated; may stay open.
    Supporting,
    /// Is told and decides nothing.
    Advisory,
}

impl Tier {
    /// As policies write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Supporting => "supporting",
            Self::Advisory => "advisory",
        }
    }
}

/// A share of 1, written as a number (`0.02`) or in percent (`2%`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share(pub f64);

impl std::str::FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unreadable = || format!("{text:?} is no share: expected a number such as 0.02, or a percentage such as 2%");
        let text = text.trim();
        let number = |text: &str| text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
        let share = match text.strip_suffix('%') {
            Some(percent) => number(percent).ok_or_else(unreadable)? / 100.0,
            None => number(text).ok_or_else(unreadable)?,
        };
        Self::checked(share)
    }
}

impl Share {
    fn checked(share: f64) -> Result<Self, String> {
        if share > 0.0 && share < 1.0 {
            return Ok(Self(share));
        }
        let hint = if share >= 1.0 {
            format!("; {share} percent is written \"{share}%\"")
        } else {
            ": no number of questions shows a limit of 0".to_owned()
        };
        Err(format!("{share} is no share between 0 and 1{}", if share >= 1.0 || share == 0.0 { hint } else { String::new() }))
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrText;
        impl Visitor<'_> for NumberOrText {
            type Value = Share;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a share such as 0.02 or \"2%\"")
            }

            fn visit_f64<E: serde::de::Error>(self, share: f64) -> Result<Share, E> {
                Share::checked(share).map_err(E::custom)
            }

            fn visit_i64<E: serde::de::Error>(self, share: i64) -> Result<Share, E> {
                self.visit_f64(share as f64)
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Share, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(NumberOrText)
    }
}

/// A policy's file. An unknown key is an error, for a limit that is misspelled must not be none.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    confidence: Option<Share>,
    #[serde(default)]
    rule: Vec<Spanned<FileRule>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct FileRule {
    #[serde(default, deserialize_with = "tier")]
    tier: Tier,
    benchmark: Option<String>,
    group: Option<String>,
    perturbation: Option<String>,
    max_ndr: Option<Share>,
    max_dr: Option<Share>,
    max_drop: Option<Share>,
    non_inferiority_margin: Option<Share>,
}

fn tier<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Tier, D::Error> {
    let found = String::deserialize(deserializer)?;
    let tiers = [Tier::Critical, Tier::Supporting, Tier::Advisory];
    tiers.into_iter().find(|tier| tier.name() == found).ok_or_else(|| {
        D::Error::custom(format!("unknown tier {found:?}, expected one of {}", tiers.map(|tier| format!("\"{}\"", tier.name())).join(", ")))
    })
}

impl Policy {
    /// Reads a policy's file. `file` is its name for messages.
    ///
    /// ```
    /// let policy = steady_verdict::Policy::read("[[rule]]\nmax-ndr = \"2%\"\nmax-nrd = 0.1\n", "policy.toml");
    /// let told = policy.unwrap_err().to_string();
    /// assert!(told.starts_with("policy.toml, line 3: unknown field `max-nrd`, expected one of `tier`, `benchmark`"), "{told}");
    /// ```
    ///
    /// # Errors
    /// [`VerdictError::Policy`] naming the line, the key and what may stand there.
    pub fn read(text: &str, file: &str) -> Result<Self, VerdictError> {
        let wrong = |at: Option<usize>, reason: String| {
            let line = 1 + text.get(..at.unwrap_or(0)).unwrap_or_default().matches('\n').count();
            VerdictError::Policy { file: file.to_owned(), line, reason }
        };
        let read: File = toml::from_str(text).map_err(|error| wrong(error.span().map(|span| span.start), error.message().to_owned()))?;
        if read.rule.is_empty() {
            return Err(wrong(None, "no [[rule]]: a policy without rules would pass everything".to_owned()));
        }
        let rules = read.rule.into_iter().enumerate().map(|(i, rule)| {
            let at = rule.span().start;
            let rule = rule.into_inner();
            let limits = [
                (Measure::Ndr, rule.max_ndr),
                (Measure::Dr, rule.max_dr),
                (Measure::Drop, rule.max_drop),
                (Measure::NonInferiority, rule.non_inferiority_margin),
            ];
            let limits: Vec<(Measure, f64)> = limits.into_iter().filter_map(|(measure, share)| Some((measure, share?.0))).collect();
            if limits.is_empty() {
                let keys = Measure::ALL.map(|measure| format!("`{}`", measure.key())).join(", ");
                return Err(wrong(Some(at), format!("rule {} limits nothing: expected one or more of {keys}", i + 1)));
            }
            let place = format!("{file}, rule {}", i + 1);
            Ok(Rule { tier: rule.tier, benchmark: rule.benchmark, group: rule.group, perturbation: rule.perturbation, limits, place })
        });
        Ok(Self {
            confidence: read.confidence.map_or(USUAL_CONFIDENCE, |share| share.0),
            rules: rules.collect::<Result<_, _>>()?,
            sha256: HEXLOWER.encode(&Sha256::digest(text)),
        })
    }

    /// One critical rule over all questions about clean images, as flags give it.
    pub fn of_limits(limits: Vec<(Measure, f64)>) -> Self {
        let rule = Rule { limits, place: "the limits on the command line".to_owned(), ..Rule::default() };
        Self { confidence: USUAL_CONFIDENCE, rules: vec![rule], sha256: String::new() }
    }

    /// The most that may be wrong: 1 minus the confidence.
    pub(crate) fn level(&self) -> f64 {
        1.0 - self.confidence
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_says_all_that_it_may() {
        let policy = Policy::read(
            "confidence = \"90 %\"\n[[rule]]\nmax-ndr = 0.02\nnon-inferiority-margin = \"1.5%\"\n[[rule]]\ntier = \"advisory\"\nbenchmark = \"pope\"\ngroup = \"*\"\nperturbation = \"noise=20\"\nmax-dr = 0.1\nmax-drop = 0.01\n",
            "p.toml",
        )
        .unwrap();
        assert_eq!((policy.confidence, policy.rules.len(), policy.sha256.len()), (0.9, 2, 64));
        assert_eq!(policy.rules[0].limits, [(Measure::Ndr, 0.02), (Measure::NonInferiority, 0.015)]);
        assert_eq!(policy.rules[0].tier, Tier::Critical);
        let [_, second] = &policy.rules[..] else { panic!("two rules") };
        assert_eq!((second.tier, second.group.as_deref(), second.perturbation.as_deref()), (Tier::Advisory, Some("*"), Some("noise=20")));
        assert_eq!((second.limits.as_slice(), second.place.as_str()), (&[(Measure::Dr, 0.1), (Measure::Drop, 0.01)][..], "p.toml, rule 2"));
    }

    #[test]
    fn refusals_name_the_line() {
        let refusals = [
            "",
            "[[rule]]\n",
            "[[rule]]\nmax-ndr = 2\n",
            "[[rule]]\nmax-ndr = 0\n",
            "[[rule]]\nmax-ndr = -0.1\n",
            "[[rule]]\nmax-ndr = \"two\"\n",
            "[[rule]]\nmax-ndr = true\n",
            "[[rule]]\nmax-dr = 0.1\ntier = \"vital\"\n",
            "[[rule]]\nmax-dr = 0.1\n\n[[rule]]\n# of what?\ntier = \"critical\"\n",
            "confidense = 0.9\n[[rule]]\nmax-dr = 0.1\n",
            "[[rules]]\nmax-dr = 0.1\n",
            "[[rule]\n",
            "[[rule]]\nmax-dr = 0.1\nmax-dr = 0.2\n",
        ];
        let told: Vec<String> = refusals.iter().map(|text| Policy::read(text, "policy.toml").unwrap_err().to_string()).collect();
        insta::assert_snapshot!(told.join("\n"));
    }
}
