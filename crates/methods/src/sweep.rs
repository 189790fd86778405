//! One parameter at several values: a curve for each method that has it.

use std::str::FromStr;

use thiserror::Error;

use crate::{Spec, SpecError};

/// Values that a range without a step is cut into.
const POINTS: usize = 5;
/// Most values of a sweep: each is an acceleration of its own.
const MOST: usize = 50;

/// A parameter, and the values that it takes one after the other: `keep=0.1..0.9`, `keep=0.1..0.9/0.1` or `keep=64,128,192`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sweep {
    /// Its name.
    pub parameter: String,
    /// The values as a spec has them.
    pub values: Vec<String>,
}

/// Why a text is no [`Sweep`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "`{text}`: expected a parameter with a range, `keep=0.1..0.9` or `keep=0.1..0.9/0.1`, or with 2 to {MOST} values, `keep=64,128,192`"
)]
pub struct NoSweep {
    /// The text.
    pub text: String,
}

impl Sweep {
    /// `specs` with each that has the parameter in place of itself at every value. Where two methods of a spec have it, the later one's is meant.
    ///
    /// # Errors
    /// [`SpecError::Value`] for a value that a method does not take.
    pub fn over(&self, specs: &[Spec]) -> Result<Vec<Spec>, SpecError> {
        let mut swept = Vec::new();
        for spec in specs {
            let at = |value: &String| spec.with(&self.parameter, value);
            let at_all: Option<Vec<Spec>> = self.values.iter().map(at).collect::<Result<_, _>>()?;
            swept.extend(at_all.unwrap_or_else(|| vec![spec.clone()]));
        }
        // Two specs that differ in nothing else are the same curve.
        let mut once: Vec<Spec> = Vec::with_capacity(swept.len());
        for spec in swept {
            if !once.contains(&spec) {
                once.push(spec);
            }
        }
        Ok(once)
    }
}

impl FromStr for Sweep {
    type Err = NoSweep;

    fn from_str(text: &str) -> Result<Self, NoSweep> {
        let read = || {
            let (parameter, values) = text.split_once('=')?;
            let values = match values.split_once("..") {
                Some((from, rest)) => {
                    let (to, step) = rest.split_once('/').map_or((rest, None), |(to, step)| (to, Some(step)));
                    let number = |text: &str| text.trim().parse::<f64>().ok();
                    let (from, to) = (number(from)?, number(to)?);
                    let step = step.map_or(Some((to - from) / (POINTS - 1) as f64), number)?;
                    range(from, to, step)?
                }
                None => {
                    values.split(',').map(|value| Some(value.trim().to_owned()).filter(|value| !value.is_empty())).collect::<Option<_>>()?
                }
            };
            let parameter = parameter.trim().to_owned();
            (!parameter.is_empty() && (2..=MOST).contains(&values.len())).then_some(Self { parameter, values })
        };
        read().ok_or_else(|| NoSweep { text: text.to_owned() })
    }
}

/// From `from` to `to`, both ends included, in steps of `step`; `None` where that is no range.
fn range(from: f64, to: f64, step: f64) -> Option<Vec<String>> {
    if !(from.is_finite() && to.is_finite() && to > from && step > 0.0) {
        return None;
    }
    let count = ((to - from) / step + 1e-9).floor();
    if count >= MOST as f64 {
        return None;
    }
    // In six digits, so that 0.1 + 2 * 0.1 is 0.3.
    Some((0..=count as usize).map(|index| (((from + index as f64 * step) * 1e6).round() / 1e6).to_string()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> String {
        text.parse::<Sweep>().map_or_else(|error| error.to_string(), |sweep| sweep.values.join(" "))
    }

    #[test]
    fn ranges_and_lists() {
        assert_eq!(values("keep=0.1..0.9"), "0.1 0.3 0.5 0.7 0.9");
        assert_eq!(values("keep=0.1..0.9/0.1"), "0.1 0.2 0.3 0.4 0.5 0.6 0.7 0.8 0.9");
        assert_eq!(values("keep=0.1..0.95/0.4"), "0.1 0.5 0.9");
        assert_eq!(values(" keep = 64 , 128,192 "), "64 128 192");
        for wrong in [
            "keep",
            "keep=",
            "keep=0.5",
            "=1,2",
            "keep=0.9..0.1",
            "keep=0.1..",
            "keep=0..1/0.001",
            "keep=0..1/0",
            "keep=1,,2",
            "keep=0..inf",
        ] {
            assert!(values(wrong).contains("expected a parameter with a range"), "{wrong}: {}", values(wrong));
        }
    }

    #[test]
    fn every_spec_that_has_it_at_every_value() {
        let sweep: Sweep = "keep=0.25,0.5".parse().unwrap();
        let specs: Vec<Spec> =
            ["int8", "divprune", "w4:rtn+tome:keep=0.7+fastv:k=3", "divprune:keep=0.9"].map(|spec| spec.parse().unwrap()).into();
        let over: Vec<String> = sweep.over(&specs).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(
            over,
            [
                "int8:threshold=6",
                "divprune:keep=0.25",
                "divprune:keep=0.5",
                "w4:rtn,g=auto+tome:keep=0.7+fastv:k=3,keep=0.25",
                "w4:rtn,g=auto+tome:keep=0.7+fastv:k=3,keep=0.5"
            ]
        );
        let wrong: Sweep = "keep=0.5,2.5".parse().unwrap();
        assert!(wrong.over(&specs).unwrap_err().to_string().contains("keep=2.5: expected a share"));
    }
}
