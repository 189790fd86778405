//! What somebody who must release the accelerated model asks, beyond what changed: how bad can it be, what would have been seen, and did the answers turn
//! into others of a kind.
//!
//! Bounds are one-sided at [`CONFIDENCE`]. Where several questions are about one image they are by image: counts are divided by their design effect
//! ([`design`](crate::statistics::design)).

mod agreement;
mod calibration;
mod collapse;
mod unparsed;

use serde::Serialize;

pub use agreement::{Agreement, Diagnostic};
pub use calibration::{Calibration, CalibrationShift};
pub use collapse::Collapse;
pub use unparsed::Unparsed;

use crate::measurements::{AnswerRow, QuestionRow};
use crate::outcome::Outcome;
use crate::rates::{Proportion, Tally};
use crate::share::NOT_CARRIED;
use crate::statistics::Interval;
use crate::statistics::design::{effect, effect_on_drop, independent};
use crate::statistics::exact::at_most;
use crate::statistics::size::{Demands, least_drop};
use crate::statistics::tango::Pairs;

/// One-sided confidence of every bound of an [`Assurance`].
pub const CONFIDENCE: f64 = 0.95;

/// Chance with which [`Assurance::least_drop`] would have been found.
pub const POWER: f64 = 0.8;

/// What a release board asks of an acceleration. Shares are fractions of 1.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Assurance {
    /// Accuracy fell by no more, by Tango's score interval: an acceleration is not inferior by any margin above this.
    pub drop_at_most: f64,
    /// Tango's two-sided 95 % interval of the drop.
    pub drop: Interval,
    /// No more than this share of the questions breaks (exact).
    pub ndr_at_most: f64,
    /// No more than this share of the answers changes (exact).
    pub dr_at_most: f64,
    /// The least drop in accuracy that so many questions would have shown with a chance of 80 %, as many verdicts changing as did. `None` where fewer
    /// changed than any drop needs.
    pub least_drop: Option<f64>,
    /// Answers that the parser could not read; `None` where the answers are not all known, as in some links.
    pub unparsed: Option<Unparsed>,
    /// Of the yes/no questions, agreement with the baseline and with the gold answers; `None` where there are none, or not all answers are known.
    pub agreement: Option<Agreement>,
    /// How sure the model is of its answers and how sure it may be; `None` where margins are not recorded.
    pub calibration: Option<CalibrationShift>,
    /// Task families in which one answer took over; `None` where the answers are not all known.
    pub collapsed: Option<Vec<Collapse>>,
}

impl Assurance {
    /// `before` and `after` are the answers to `questions`, `images` the tally of each image.
    pub(crate) fn of(questions: &[QuestionRow], before: &[&AnswerRow], after: &[&AnswerRow], images: &[Tally]) -> Option<Self> {
        let known = before.iter().chain(after).all(|answer| answer.text != NOT_CARRIED);
        let clustered = Clustered::of(images)?;
        let pairs = clustered.pairs;
        let demands = Demands { confidence: CONFIDENCE, power: POWER };
        Some(Self {
            drop_at_most: pairs.drop_at_most(CONFIDENCE),
            drop: pairs.interval(0.95),
            ndr_at_most: clustered.at_most(Tally::ndr, CONFIDENCE)?,
            dr_at_most: clustered.at_most(Tally::dr, CONFIDENCE)?,
            least_drop: least_drop(pairs.of, (pairs.broken + pairs.repaired) / pairs.of, demands),
            unparsed: known.then(|| Unparsed::of(before, after)).flatten(),
            agreement: known.then(|| Agreement::of(questions, before, after)).flatten(),
            calibration: CalibrationShift::of(before, after),
            collapsed: known.then(|| collapse::collapsed(questions, before, after)),
        })
    }
}

/// What images say about a share or about the drop, worth as much as independent questions.
#[derive(Clone, Debug)]
pub struct Clustered<'a> {
    images: &'a [Tally],
    /// Broken, repaired and all questions, divided by the design effect on their difference.
    pub pairs: Pairs,
    /// That design effect.
    pub effect_on_drop: f64,
}

impl<'a> Clustered<'a> {
    /// `None` without questions.
    pub fn of(images: &'a [Tally]) -> Option<Self> {
        let all: Tally = images.iter().copied().sum();
        let number = |tally: &Tally, outcome| tally.count(outcome) as f64;
        let moved = |tally: &Tally| (number(tally, Outcome::Broken), number(tally, Outcome::Repaired), tally.questions() as f64);
        let (broken, repaired, of) = moved(&all);
        let effect_on_drop = effect_on_drop(&images.iter().map(moved).collect::<Vec<_>>());
        (of > 0.0).then(|| Self { images, pairs: independent(Pairs { broken, repaired, of }, effect_on_drop), effect_on_drop })
    }

    /// A share's count and total, divided by its design effect, and that.
    pub fn share(&self, share: impl Fn(&Tally) -> Proportion) -> (f64, f64, f64) {
        let of_image = |tally: &Tally| {
            let Proportion { count, of } = share(tally);
            (count as f64, of as f64)
        };
        let images: Vec<(f64, f64)> = self.images.iter().map(of_image).collect();
        let (count, of) = images.iter().fold((0.0, 0.0), |sum, image| (sum.0 + image.0, sum.1 + image.1));
        let effect = effect(&images);
        (count / effect, of / effect, effect)
    }

    /// The exact upper bound of a share.
    pub fn at_most(&self, share: impl Fn(&Tally) -> Proportion, confidence: f64) -> Option<f64> {
        let (count, of, _) = self.share(share);
        at_most(count, of, confidence)
    }
}
