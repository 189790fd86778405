//! What became of one question when the model was accelerated.

use serde::{Deserialize, Serialize};

/// What became of one question: its baseline answer against its accelerated answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The same answer as before.
    Same,
    /// Right before, wrong after.
    Broken,
    /// Wrong before, right after.
    Repaired,
    /// Another answer that is exactly as right or wrong as the one before.
    Changed,
}

impl Outcome {
    /// All outcomes, the one that costs most first.
    pub const ALL: [Self; 4] = [Self::Broken, Self::Repaired, Self::Changed, Self::Same];

    /// The outcome of a pair of answers to one question.
    ///
    /// `same_answer` is the benchmark's equality test, `before` and `after` say whether the baseline and the accelerated answer are right.
    /// One question has one gold answer and one scorer, so equal answers are equally right: `same_answer` with `before != after` means that the
    /// equality test and the scorer disagree, and is an error rather than a silent choice between the two.
    pub fn of(same_answer: bool, before: bool, after: bool) -> Result<Self, Contradiction> {
        match (same_answer, before, after) {
            (false, true, false) => Ok(Self::Broken),
            (false, false, true) => Ok(Self::Repaired),
            (false, _, _) => Ok(Self::Changed),
            (true, _, _) if before == after => Ok(Self::Same),
            (true, _, _) => Err(Contradiction { outcome: Self::Same, before, after }),
        }
    }

    /// Whether this outcome can belong to a pair with these verdicts; the error says why not.
    pub fn check(self, before: bool, after: bool) -> Result<(), Contradiction> {
        let possible = match self {
            Self::Same | Self::Changed => before == after,
            Self::Broken => before && !after,
            Self::Repaired => !before && after,
        };
        if possible { Ok(()) } else { Err(Contradiction { outcome: self, before, after }) }
    }

    /// Whether the answer differs from the baseline's.
    pub fn diverged(self) -> bool {
        self != Self::Same
    }

    /// One word, lower case; also the spelling in `report.json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Broken => "broken",
            Self::Repaired => "repaired",
            Self::Changed => "changed",
        }
    }
}

/// An outcome that cannot belong to the verdicts it stands beside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "outcome `{}` cannot belong to an answer that was {} before and is {} after",
    .outcome.name(), right_or_wrong(*.before), right_or_wrong(*.after)
)]
pub struct Contradiction {
    /// The outcome that was claimed.
    pub outcome: Outcome,
    /// Whether the baseline answer is right.
    pub before: bool,
    /// Whether the accelerated answer is right.
    pub after: bool,
}

fn right_or_wrong(correct: bool) -> &'static str {
    if correct { "right" } else { "wrong" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_truth_table() {
        assert_eq!(Outcome::of(true, true, true), Ok(Outcome::Same));
        assert_eq!(Outcome::of(true, false, false), Ok(Outcome::Same));
        assert_eq!(Outcome::of(false, true, false), Ok(Outcome::Broken));
        assert_eq!(Outcome::of(false, false, true), Ok(Outcome::Repaired));
        // "red" -> "blue" when it is green; "two" -> "2" when both spellings are gold
        assert_eq!(Outcome::of(false, false, false), Ok(Outcome::Changed));
        assert_eq!(Outcome::of(false, true, true), Ok(Outcome::Changed));
    }

    #[test]
    fn equal_answers_with_unequal_verdicts_are_an_error() {
        let error = Outcome::of(true, true, false).unwrap_err();
        assert_eq!(error.to_string(), "outcome `same` cannot belong to an answer that was right before and is wrong after");
        assert!(Outcome::of(true, false, true).is_err());
    }

    #[test]
    fn every_outcome_belongs_to_its_verdicts_only() {
        let possible = |outcome: Outcome| {
            [(false, false), (false, true), (true, false), (true, true)].map(|(before, after)| outcome.check(before, after).is_ok())
        };
        assert_eq!(possible(Outcome::Same), [true, false, false, true]);
        assert_eq!(possible(Outcome::Changed), [true, false, false, true]);
        assert_eq!(possible(Outcome::Broken), [false, false, true, false]);
        assert_eq!(possible(Outcome::Repaired), [false, true, false, false]);
    }
}
