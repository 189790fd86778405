//! Whether the baseline knows anything about its questions, or guesses.

use std::collections::{BTreeMap, BTreeSet};

use crate::measurements::{QuestionKind, QuestionRow};
use crate::rates::Rate;
use crate::report::Report;

/// A baseline of so few questions is not told from one that guesses.
const FEWEST: u64 = 30;

/// A baseline that is not shown to know more than one that guesses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Guessing {
    /// Its share of right answers about clean images.
    pub accuracy: Rate,
    /// What guessing would get right, as a fraction.
    pub by_chance: f64,
}

impl Report {
    /// Says so where the baseline is not shown to be better than guessing: the 95 % interval of its accuracy reaches down to what guessing gets right. Which
    /// answers such a baseline changes says little. `None` where it is better, where nothing is judged, and of fewer than thirty questions unless none is right.
    pub fn guessing(&self) -> Option<Guessing> {
        let accuracy = self.summaries().first().filter(|_| self.judged())?.accuracy_before;
        let by_chance = by_chance(&self.questions()[..self.plan().questions]);
        let enough = accuracy.of >= FEWEST || accuracy.count == 0;
        (enough && accuracy.wilson.low <= by_chance).then_some(Guessing { accuracy, by_chance })
    }
}

/// What somebody gets right who knows the families and the answers that occur in each, and draws one of them: of a yes/no question half, else one of as many as
/// its family has different gold answers, and never more than half.
fn by_chance(questions: &[QuestionRow]) -> f64 {
    let mut answers: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for question in questions {
        let of_family = answers.entry(&question.family).or_default();
        of_family.extend(question.gold.first().map(|gold| gold.trim().to_lowercase()));
    }
    let share = |question: &QuestionRow| match question.kind {
        QuestionKind::YesNo => 0.5,
        _ => 1.0 / answers.get(question.family.as_str()).map_or(2, |answers| answers.len().max(2)) as f64,
    };
    questions.iter().map(share).sum::<f64>() / questions.len().max(1) as f64
}
