//! Whether acceleration makes a model more brittle: does it break more answers where images or words are perturbed than where they are as they were?

use std::collections::BTreeMap;

use crate::measurements::AnswerRow;
use crate::number::{p_relation, percent};
use crate::outcome::Outcome;
use crate::printable::one_line;
use crate::rates::Rate;
use crate::report::Report;
use crate::statistics::PairedTest;

/// One acceleration under one perturbation, beside itself without.
#[derive(Clone, Debug, PartialEq)]
pub struct Brittleness {
    /// Index of the acceleration.
    pub acceleration: usize,
    /// Index of the perturbation.
    pub perturbation: usize,
    /// Its NDR without perturbation.
    pub clean: Rate,
    /// Its NDR under it, of the baseline's answers to what is perturbed alike.
    pub under: Rate,
    /// Does it break more there? Upwards are questions that broke under the perturbation alone, downwards those that broke without it alone; by image,
    /// adjusted for all accelerations and perturbations.
    pub test: PairedTest,
    /// What became of accuracy.
    pub effects: Effects,
}

/// Three effects on accuracy, as fractions of 1, and what two of them leave of the third.
///
/// Per question, amplification is what the acceleration did to the verdict about the perturbed input less what it did to that about the clean one: the
/// interaction of a two-by-two design, -2 to 2.
#[derive(Clone, Debug, PartialEq)]
pub struct Effects {
    /// The acceleration on clean input.
    pub acceleration: f64,
    /// The perturbation on the baseline.
    pub perturbation: f64,
    /// The acceleration on the perturbed input, beside the baseline on the clean one.
    pub together: f64,
    /// Could questions be amplified one way as well as the other? Upwards is what acceleration costs more on perturbed input, summed by image; adjusted
    /// for all accelerations and perturbations. The p by question takes steps of 2 for two questions.
    pub test: PairedTest,
}

impl Effects {
    /// What the acceleration costs beyond its cost on clean input: above 0 where the perturbation makes it worse.
    pub fn amplification(&self) -> f64 {
        self.acceleration + self.perturbation - self.together
    }
}

impl Brittleness {
    /// How many times as often it breaks; `None` where nothing broke without it.
    pub fn times(&self) -> Option<f64> {
        (self.clean.count > 0).then(|| self.under.count as f64 / self.clean.count as f64)
    }

    /// Whether it is shown to break more.
    pub fn shown(&self) -> bool {
        self.test.up > self.test.down && self.test.p_adjusted < 0.05
    }
}

impl Report {
    /// All of them, by acceleration and then by perturbation; nothing where nothing was perturbed or no answer judged.
    pub fn brittleness(&self) -> Vec<Brittleness> {
        if !self.judged() {
            return Vec::new();
        }
        let asked = self.plan().questions;
        let mut all = Vec::new();
        for (acceleration, (clean, answers)) in self.summaries().iter().zip(self.accelerations()).enumerate() {
            for (perturbation, perturbed) in self.perturbed().iter().enumerate() {
                let Some(under) = perturbed.condition.accelerations.get(acceleration) else { continue };
                let broke = |row: usize| answers.answers.get(row).is_some_and(|answer| answer.outcome == Some(Outcome::Broken));
                let mut images: BTreeMap<&str, [(u64, u64); 2]> = BTreeMap::new();
                for (i, question) in self.questions().iter().take(asked).enumerate() {
                    let perturbed = (1 + perturbation) * asked + i;
                    let [broken, cost] = images.entry(&question.image).or_default();
                    match (broke(i), broke(perturbed)) {
                        (false, true) => broken.0 += 1,
                        (true, false) => broken.1 += 1,
                        _ => {}
                    }
                    let costs = |row: usize| {
                        let right = |answer: Option<&AnswerRow>| i64::from(answer.is_some_and(|answer| answer.correct));
                        right(self.questions().get(row).map(|question| &question.baseline)) - right(answers.answers.get(row))
                    };
                    let amplified = costs(perturbed) - costs(i);
                    cost.0 += amplified.max(0).unsigned_abs();
                    cost.1 += amplified.min(0).unsigned_abs();
                }
                let [test, amplified] = [0, 1].map(|which| PairedTest::of(images.values().map(|of_image| of_image[which])));
                let effects = Effects {
                    acceleration: clean.accuracy_change.value,
                    perturbation: perturbed.baseline.accuracy_change.value,
                    together: under.accuracy_after.value - clean.accuracy_before.value,
                    test: amplified,
                };
                all.push(Brittleness { acceleration, perturbation, clean: clean.ndr, under: under.ndr, test, effects });
            }
        }
        PairedTest::adjust(all.iter_mut().map(|one| &mut one.test).collect());
        PairedTest::adjust(all.iter_mut().map(|one| &mut one.effects.test).collect());
        all
    }

    /// The answer in a sentence, about the acceleration that stands out most; `None` where there is no question.
    pub fn brittleness_in_words(&self) -> Option<String> {
        self.told_brittleness(&self.brittleness())
    }

    /// The same of what [`Self::brittleness`] gave: testing goes through every answer.
    pub(crate) fn told_brittleness(&self, all: &[Brittleness]) -> Option<String> {
        let most = all.iter().min_by(|a, b| {
            let more = |one: &Brittleness| one.under.value - one.clean.value;
            a.test.p_adjusted.total_cmp(&b.test.p_adjusted).then(more(b).total_cmp(&more(a)))
        })?;
        let spec = one_line(&self.accelerations().get(most.acceleration)?.spec);
        let perturbation = one_line(&self.perturbed().get(most.perturbation)?.perturbation);
        let often = match most.times() {
            Some(times) => format!("{times:.1} times as often"),
            None if most.under.count > 0 => "answers".to_owned(),
            None => "nothing".to_owned(),
        };
        let sure = format!(
            "{} % against {} %; p{}, by image{}",
            percent(most.under.value),
            percent(most.clean.value),
            p_relation(most.test.p_adjusted),
            if all.len() > 1 { format!(", adjusted for {} tests", all.len()) } else { String::new() }
        );
        let sentence = format!("{spec} breaks {often} under {perturbation} as without ({sure})");
        let sentence = if most.times().is_some() { sentence } else { sentence.replace(" as without (", ", and nothing without (") };
        Some(if most.shown() {
            format!("{sentence}.")
        } else if most.under.count > most.clean.count {
            format!("No acceleration is shown to break more answers under perturbation than without. The nearest: {sentence}.")
        } else {
            "No acceleration breaks more answers under perturbation than without.".to_owned()
        })
    }
}
