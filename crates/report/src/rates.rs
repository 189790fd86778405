//! Counts of outcomes, and the rates that follow from them.

use std::iter::Sum;
use std::ops::{Add, AddAssign, Mul};

use serde::Serialize;

use crate::outcome::{Contradiction, Outcome};
use crate::statistics::{Interval, wilson};

/// How often each outcome occurred in a set of questions. Tallies add up: that of a union of disjoint sets is the sum of theirs.
///
/// Outcomes and verdicts are counted independently of each other, and [`Tally::record`] lets no pair in where they contradict, so that the identity
/// `accuracy before - accuracy after = NDR - PDR` holds for every tally there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Tally {
    questions: u64,
    same: u64,
    broken: u64,
    repaired: u64,
    changed: u64,
    correct_before: u64,
    correct_after: u64,
}

impl Tally {
    /// Counts one more pair; `before` and `after` say whether its two answers are right. A contradiction leaves the tally as it was.
    pub fn record(&mut self, outcome: Outcome, before: bool, after: bool) -> Result<(), Contradiction> {
        outcome.check(before, after)?;
        self.questions += 1;
        match outcome {
            Outcome::Same => self.same += 1,
            Outcome::Broken => self.broken += 1,
            Outcome::Repaired => self.repaired += 1,
            Outcome::Changed => self.changed += 1,
        }
        self.correct_before += u64::from(before);
        self.correct_after += u64::from(after);
        Ok(())
    }

    /// Number of questions.
    pub fn questions(&self) -> u64 {
        self.questions
    }

    /// Number of questions with this outcome.
    pub fn count(&self, outcome: Outcome) -> u64 {
        match outcome {
            Outcome::Same => self.same,
            Outcome::Broken => self.broken,
            Outcome::Repaired => self.repaired,
            Outcome::Changed => self.changed,
        }
    }

    /// Divergence ratio: the answer changed, right or wrong.
    pub fn dr(&self) -> Proportion {
        self.of_all(self.broken + self.repaired + self.changed)
    }

    /// Negative divergence ratio: right before, wrong after. A share of all questions.
    pub fn ndr(&self) -> Proportion {
        self.of_all(self.broken)
    }

    /// Positive divergence ratio: wrong before, right after. A share of all questions.
    pub fn pdr(&self) -> Proportion {
        self.of_all(self.repaired)
    }

    /// Neutral divergence: another answer, the same verdict.
    pub fn neutral(&self) -> Proportion {
        self.of_all(self.changed)
    }

    /// Flips of correctness either way, NDR + PDR (Dutta et al., "Accuracy is Not All You Need", arXiv 2407.09141).
    pub fn flips(&self) -> Proportion {
        self.of_all(self.broken + self.repaired)
    }

    /// Share of right answers of the baseline.
    pub fn accuracy_before(&self) -> Proportion {
        self.of_all(self.correct_before)
    }

    /// Share of right answers under the acceleration.
    pub fn accuracy_after(&self) -> Proportion {
        self.of_all(self.correct_after)
    }

    /// Of what the baseline got right, how much broke.
    pub fn ndr_given_correct(&self) -> Proportion {
        Proportion { count: self.broken, of: self.correct_before }
    }

    /// Of the answers that changed, how many went from right to wrong.
    pub fn ndr_given_change(&self) -> Proportion {
        Proportion { count: self.broken, of: self.broken + self.repaired + self.changed }
    }

    /// Accuracy after minus accuracy before, as a fraction (-0.007 = lost 0.7 points); equals PDR - NDR. `None` without questions.
    pub fn accuracy_change(&self) -> Option<f64> {
        (self.questions > 0).then(|| (self.correct_after as f64 - self.correct_before as f64) / self.questions as f64)
    }

    fn of_all(&self, count: u64) -> Proportion {
        Proportion { count, of: self.questions }
    }
}

impl Add for Tally {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            questions: self.questions + other.questions,
            same: self.same + other.same,
            broken: self.broken + other.broken,
            repaired: self.repaired + other.repaired,
            changed: self.changed + other.changed,
            correct_before: self.correct_before + other.correct_before,
            correct_after: self.correct_after + other.correct_after,
        }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

/// That of so many sets of questions that came out alike.
impl Mul<u64> for Tally {
    type Output = Self;

    fn mul(self, times: u64) -> Self {
        let Self { questions, same, broken, repaired, changed, correct_before, correct_after } = self;
        Self {
            questions: questions * times,
            same: same * times,
            broken: broken * times,
            repaired: repaired * times,
            changed: changed * times,
            correct_before: correct_before * times,
            correct_after: correct_after * times,
        }
    }
}

impl Sum for Tally {
    fn sum<I: Iterator<Item = Self>>(tallies: I) -> Self {
        tallies.fold(Self::default(), Add::add)
    }
}

/// A count and what it is a count of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proportion {
    /// How many.
    pub count: u64,
    /// Out of how many.
    pub of: u64,
}

impl Proportion {
    /// The share, `None` out of nothing.
    pub fn value(self) -> Option<f64> {
        (self.of > 0).then(|| self.count as f64 / self.of as f64)
    }

    /// The share with its 95 % Wilson interval, as of questions of which no two are about one image; `None` out of nothing.
    pub fn rate(self) -> Option<Rate> {
        let wilson = wilson(self.count, self.of)?;
        Some(Rate { value: self.value()?, count: self.count, of: self.of, interval: Some(wilson), wilson })
    }
}

/// A share with its 95 % intervals, all as fractions of 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Rate {
    /// `count / of`.
    pub value: f64,
    /// How many.
    pub count: u64,
    /// Out of how many.
    pub of: u64,
    /// The interval to go by: from a bootstrap by image where several questions are about one image, else Wilson's. `None` where the bootstrap has none.
    pub interval: Option<Interval>,
    /// Wilson's, which takes questions for independent.
    pub wilson: Interval,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tally(pairs: &[(bool, bool, bool)]) -> Tally {
        let mut tally = Tally::default();
        for &(differs, before, after) in pairs {
            // equal answers are equally right: the pair (same, right, wrong) does not exist
            let outcome = Outcome::of(!differs && before == after, before, after).unwrap();
            tally.record(outcome, before, after).unwrap();
        }
        tally
    }

    #[test]
    fn ten_questions_by_hand() {
        let (same, differs, right, wrong) = (false, true, true, false);
        let tally = tally(&[
            (same, right, right),
            (same, right, right),
            (same, right, right),
            (same, wrong, wrong),
            (differs, right, wrong),
            (differs, right, wrong),
            (differs, wrong, right),
            (differs, wrong, wrong),
            (differs, right, right),
            (same, right, right),
        ]);
        assert_eq!(tally.dr(), Proportion { count: 5, of: 10 });
        assert_eq!(tally.ndr(), Proportion { count: 2, of: 10 });
        assert_eq!(tally.pdr(), Proportion { count: 1, of: 10 });
        assert_eq!(tally.neutral(), Proportion { count: 2, of: 10 });
        assert_eq!(tally.flips(), Proportion { count: 3, of: 10 });
        assert_eq!(tally.accuracy_before(), Proportion { count: 7, of: 10 });
        assert_eq!(tally.accuracy_after(), Proportion { count: 6, of: 10 });
        assert_eq!(tally.ndr_given_correct(), Proportion { count: 2, of: 7 });
        assert_eq!(tally.ndr_given_change(), Proportion { count: 2, of: 5 });
        assert_eq!(tally.accuracy_change(), Some(-0.1));
    }

    #[test]
    fn nothing_has_no_rates() {
        let none = Tally::default();
        assert_eq!(none.dr().value(), None);
        assert_eq!(none.dr().rate(), None);
        assert_eq!(none.accuracy_change(), None);
    }

    #[test]
    fn a_contradiction_is_refused_and_not_counted() {
        let mut tally = Tally::default();
        assert!(tally.record(Outcome::Broken, false, false).is_err());
        assert_eq!(tally, Tally::default());
    }

    fn pairs() -> impl Strategy<Value = Vec<(bool, bool, bool)>> {
        prop::collection::vec(any::<(bool, bool, bool)>(), 0..60)
    }

    proptest! {
        #[test]
        fn accuracy_drop_is_ndr_minus_pdr(pairs in pairs()) {
            let tally = tally(&pairs);
            // the verdicts themselves, not the tally, say how many are right
            let before = pairs.iter().filter(|pair| pair.1).count() as i64;
            let after = pairs.iter().filter(|pair| pair.2).count() as i64;
            prop_assert_eq!(before - after, tally.ndr().count as i64 - tally.pdr().count as i64);
            prop_assert_eq!(tally.accuracy_before().count as i64 - tally.accuracy_after().count as i64, before - after);
        }

        #[test]
        fn every_question_has_one_outcome(pairs in pairs()) {
            let tally = tally(&pairs);
            prop_assert_eq!(Outcome::ALL.iter().map(|&outcome| tally.count(outcome)).sum::<u64>(), pairs.len() as u64);
            prop_assert_eq!(tally.dr().count, tally.flips().count + tally.neutral().count);
        }

        #[test]
        fn tallies_merge_in_any_grouping(a in pairs(), b in pairs(), c in pairs()) {
            let whole = tally(&[a.clone(), b.clone(), c.clone()].concat());
            let [a, b, c] = [tally(&a), tally(&b), tally(&c)];
            prop_assert_eq!((a + b) + c, whole);
            prop_assert_eq!(a + (b + c), whole);
            prop_assert_eq!(c + a + b, whole);
            prop_assert_eq!([a, b, c].into_iter().sum::<Tally>(), whole);
        }
    }
}
