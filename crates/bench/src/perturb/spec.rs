//! What is done to an image, as people write it: `noise=20`, `blur=1.5+jpeg=30`.

use std::fmt;
use std::str::FromStr;

use image::RgbImage;

use super::{PERTURBATIONS, Perturbation, perturb};

/// The text of the spec that does nothing.
pub const CLEAN: &str = "none";

/// What is done to an image: some of [`PERTURBATIONS`], each with its amount, or nothing.
///
/// Its text is canonical: the parts in the order in which they are applied, joined by `+`, amounts as short as they can be written. A part that would
/// leave the image as it is has no place in it, so that no other text than [`CLEAN`] stands for the clean image.
#[derive(Clone, Debug, PartialEq)]
pub struct PerturbationSpec {
    /// In the order of [`PERTURBATIONS`]; neutral where nothing is done.
    amounts: [f64; PERTURBATIONS.len()],
}

/// Why a text is not a [`PerturbationSpec`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// A part that does not begin with the name of a perturbation.
    #[error("there is no perturbation `{found}`; there are {}", names())]
    Unknown {
        /// What stands in the name's place.
        found: String,
    },
    /// A part whose amount is missing, no number, or out of its range.
    #[error("{name} takes an amount from {low} to {high} ({unit}), like {example}; found `{found}`")]
    Amount {
        /// The perturbation.
        name: &'static str,
        /// Least amount.
        low: String,
        /// Largest amount.
        high: String,
        /// What the amount counts.
        unit: &'static str,
        /// A part that is right.
        example: String,
        /// What stands in the amount's place.
        found: String,
    },
    /// A part that does nothing.
    #[error("{0} leaves the image as it is; the clean image needs no perturbation")]
    Neutral(String),
    /// Two amounts of one perturbation.
    #[error("{0} occurs twice")]
    Twice(&'static str),
}

impl PerturbationSpec {
    /// The spec that does nothing.
    pub fn clean() -> Self {
        Self { amounts: PERTURBATIONS.map(|perturbation| perturbation.neutral) }
    }

    /// The image called `id`, perturbed.
    pub fn apply(&self, image: &RgbImage, id: &str) -> RgbImage {
        perturb(image, &self.amounts, id)
    }

    /// What is done, with how much of it.
    fn parts(&self) -> impl Iterator<Item = (&'static Perturbation, f64)> {
        PERTURBATIONS.iter().zip(self.amounts).filter(|(perturbation, amount)| perturbation.changes(*amount))
    }
}

impl Perturbation {
    /// Whether this amount does anything.
    pub(super) fn changes(&self, amount: f64) -> bool {
        // also catches what is not a number
        (amount - self.neutral).abs() > 0.0
    }

    /// A spec of its [`typical`](Self::typical) amount.
    pub fn example(&self) -> String {
        format!("{}={}", self.name, self.typical)
    }
}

impl FromStr for PerturbationSpec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let mut spec = Self::clean();
        if text == CLEAN {
            return Ok(spec);
        }
        for part in text.split('+') {
            let (name, amount) = part.split_once('=').unwrap_or((part, ""));
            let Some(place) = PERTURBATIONS.iter().position(|perturbation| perturbation.name == name) else {
                return Err(SpecError::Unknown { found: name.to_owned() });
            };
            let perturbation = &PERTURBATIONS[place];
            let Perturbation { name, low, high, unit, .. } = *perturbation;
            let amount = amount.parse().ok().filter(|amount| (low..=high).contains(amount)).ok_or_else(|| SpecError::Amount {
                name,
                low: low.to_string(),
                high: high.to_string(),
                unit,
                example: perturbation.example(),
                found: amount.to_owned(),
            })?;
            if !perturbation.changes(amount) {
                return Err(SpecError::Neutral(part.to_owned()));
            }
            if perturbation.changes(spec.amounts[place]) {
                return Err(SpecError::Twice(name));
            }
            spec.amounts[place] = amount;
        }
        Ok(spec)
    }
}

impl fmt::Display for PerturbationSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self.parts().map(|(perturbation, amount)| format!("{}={amount}", perturbation.name)).collect();
        f.write_str(if parts.is_empty() { CLEAN.to_owned() } else { parts.join("+") }.as_str())
    }
}

/// The names that a part may begin with.
fn names() -> String {
    PERTURBATIONS.map(|perturbation| perturbation.name).join(", ")
}
