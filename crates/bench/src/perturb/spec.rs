//! What is done to an image and to the words of a question, as people write it: `noise=20`, `blur=1.5+jpeg=30`, `noise=20+typos=2`.

use std::fmt;
use std::str::FromStr;

use image::RgbImage;

use super::text::Wording;
use super::{LEVELS, PERTURBATIONS, Perturbation, TEXT_PERTURBATIONS, TextPerturbation, in_turn};

/// The text of the spec that does nothing.
pub const CLEAN: &str = "none";

/// What is done to an image: some of a table of perturbations, each with its amount, or nothing. The table is [`PERTURBATIONS`] unless
/// somebody brings another. And what is done to the words of a question: some of [`TEXT_PERTURBATIONS`], each with its level.
///
/// Its text is canonical: the parts in the order in which they are applied, joined by `+`, amounts as short as they can be written. A part that would
/// leave the image as it is has no place in it, so that no other text than [`CLEAN`] stands for the clean image. Two specs are equal when their texts are.
#[derive(Clone)]
pub struct PerturbationSpec {
    table: &'static [Perturbation],
    /// In the order of the table; neutral where nothing is done.
    amounts: Vec<f64>,
    /// In the order of [`TEXT_PERTURBATIONS`]; 0 where nothing is done.
    levels: [u32; TEXT_PERTURBATIONS.len()],
}

/// Why a text is not a [`PerturbationSpec`].
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// A part that does not begin with the name of a perturbation.
    #[error("there is no perturbation `{name}`; there are {known}")]
    Unknown {
        /// What stands in the name's place.
        name: String,
        /// The names of all perturbations.
        known: String,
    },
    /// A part whose amount is missing, no number, or out of its range.
    #[error(
        "{} takes an amount from {} to {} ({}), like {}; found `{found}`",
        .of.name, .of.low, .of.high, .of.unit, .of.example()
    )]
    Amount {
        /// The perturbation.
        of: &'static Perturbation,
        /// What stands in the amount's place.
        found: String,
    },
    /// A part whose level is missing, no number, or out of the range.
    #[error("{} takes a level from 1 to {LEVELS} ({}), like {}; found `{found}`", .of.name, .of.level, .of.example())]
    Level {
        /// The perturbation.
        of: &'static TextPerturbation,
        /// What stands in the level's place.
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
        Self::clean_of(&PERTURBATIONS)
    }

    fn clean_of(table: &'static [Perturbation]) -> Self {
        Self { table, amounts: table.iter().map(|perturbation| perturbation.neutral).collect(), levels: [0; TEXT_PERTURBATIONS.len()] }
    }

    /// Reads a spec of these perturbations, which have different names and are applied in this order.
    ///
    /// # Errors
    /// [`SpecError`], which says what would be valid.
    pub fn parse_of(table: &'static [Perturbation], text: &str) -> Result<Self, SpecError> {
        let mut spec = Self::clean_of(table);
        if text == CLEAN {
            return Ok(spec);
        }
        for part in text.split('+') {
            let (name, found) = part.split_once('=').unwrap_or((part, ""));
            if let Some(place) = TEXT_PERTURBATIONS.iter().position(|perturbation| perturbation.name == name) {
                let of = &TEXT_PERTURBATIONS[place];
                let level = found.parse().ok().filter(|level| (1..=LEVELS).contains(level));
                let level = level.ok_or_else(|| SpecError::Level { of, found: found.to_owned() })?;
                if std::mem::replace(&mut spec.levels[place], level) > 0 {
                    return Err(SpecError::Twice(of.name));
                }
                continue;
            }
            let known = table.iter().enumerate().find(|(_, perturbation)| perturbation.name == name);
            let (place, of) = known.ok_or_else(|| SpecError::Unknown { name: name.to_owned(), known: names(table) })?;
            let amount: f64 = found
                .parse()
                .ok()
                .filter(|amount| (of.low..=of.high).contains(amount))
                .ok_or_else(|| SpecError::Amount { of, found: found.to_owned() })?;
            if !of.changes(amount) {
                return Err(SpecError::Neutral(part.to_owned()));
            }
            if of.changes(spec.amounts[place]) {
                return Err(SpecError::Twice(of.name));
            }
            spec.amounts[place] = amount;
        }
        Ok(spec)
    }

    /// An amount for each of the table's perturbations, in their order.
    pub fn amounts(&self) -> &[f64] {
        &self.amounts
    }

    /// The image called `id`, perturbed.
    pub fn apply(&self, image: &RgbImage, id: &str) -> RgbImage {
        in_turn(self.table, image, &self.amounts, id)
    }

    /// The words of the question called `id`, perturbed, and which option stands where, by its number in `text`: empty where each stands in its place.
    pub(crate) fn reword(&self, text: String, id: &str) -> (String, Vec<usize>) {
        if self.levels.iter().all(|level| *level == 0) {
            return (text, Vec::new());
        }
        let mut wording = Wording::of(&text);
        for (perturbation, level) in TEXT_PERTURBATIONS.iter().zip(self.levels) {
            perturbation.apply(&mut wording, level, id);
        }
        let text = wording.to_string();
        let order = wording.into_order();
        let in_place = order.iter().enumerate().all(|(stands, was)| stands == *was);
        (text, if in_place { Vec::new() } else { order })
    }

    /// What is done to the image, with how much of it.
    fn parts(&self) -> impl Iterator<Item = (&'static Perturbation, f64)> {
        self.table.iter().zip(self.amounts.iter().copied()).filter(|(perturbation, amount)| perturbation.changes(*amount))
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
        Self::parse_of(&PERTURBATIONS, text)
    }
}

impl fmt::Display for PerturbationSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of_image = self.parts().map(|(perturbation, amount)| format!("{}={amount}", perturbation.name));
        let of_text = TEXT_PERTURBATIONS.iter().zip(self.levels).filter(|(_, level)| *level > 0);
        let parts: Vec<String> = of_image.chain(of_text.map(|(perturbation, level)| format!("{}={level}", perturbation.name))).collect();
        f.write_str(if parts.is_empty() { CLEAN.to_owned() } else { parts.join("+") }.as_str())
    }
}

impl fmt::Debug for PerturbationSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PerturbationSpec({self})")
    }
}

impl PartialEq for PerturbationSpec {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

/// The names that a part may begin with.
fn names(table: &[Perturbation]) -> String {
    let of_images = table.iter().map(|perturbation| perturbation.name);
    of_images.chain(TEXT_PERTURBATIONS.iter().map(|perturbation| perturbation.name)).collect::<Vec<_>>().join(", ")
}
