//! What follows from the answers: rates with their intervals, tests, and the finding in words.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Serialize;

use crate::error::ReportError;
use crate::measurements::{AnswerRow, FirstToken, Measurements, QuestionRow};
use crate::number::{p_relation, percent, points};
use crate::outcome::Outcome;
use crate::rates::{Rate, Tally};
use crate::statistics::{Interval, cluster_bootstrap, holm, mcnemar, mean, median};

/// Seed of the bootstrap. Fixed, so that a report gives the same intervals wherever it is read.
const BOOTSTRAP_SEED: u64 = 0x7374_6561_6479;

/// Answers are called hidden movement when at least this many times more of them changed than the accuracy did.
const HIDDEN_RATIO: f64 = 3.0;

/// What the accelerations did to the answers about images to which one thing was done, or nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// One summary for each acceleration, in their order.
    pub accelerations: Vec<Summary>,
    /// That of the baseline against itself, where it was measured.
    pub noise_floor: Option<Summary>,
}

/// What one acceleration did to the answers. Shares are fractions of 1; all intervals are 95 % ones.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// The acceleration's spec; `none` for the baseline, against itself or under a perturbation.
    pub spec: String,
    /// How often each outcome occurred.
    pub tally: Tally,
    /// Share of right answers of the baseline.
    pub accuracy_before: Rate,
    /// Share of right answers under the acceleration.
    pub accuracy_after: Rate,
    /// Accuracy after minus before, with its bootstrap interval by image.
    pub accuracy_change: Change,
    /// Mean score after minus before: the same as the change in accuracy unless the benchmark gives partial scores.
    pub score_change: f64,
    /// Divergence ratio: another answer.
    pub dr: Rate,
    /// Negative divergence ratio: right before, wrong after.
    pub ndr: Rate,
    /// Positive divergence ratio: wrong before, right after.
    pub pdr: Rate,
    /// Another answer, the same verdict.
    pub neutral: Rate,
    /// NDR + PDR.
    pub flips: Rate,
    /// Of what the baseline got right, how much broke.
    pub ndr_given_correct: Option<Rate>,
    /// Of the answers that changed, how many went from right to wrong.
    pub ndr_given_change: Option<Rate>,
    /// Interval of the DR from a bootstrap by image: honest also where several questions are about one image.
    pub dr_by_image: Interval,
    /// The same for the NDR.
    pub ndr_by_image: Interval,
    /// The same for the PDR.
    pub pdr_by_image: Interval,
    /// Exact McNemar test: is accuracy itself different?
    pub mcnemar_p: f64,
    /// The same, adjusted by Holm for the number of accelerations in the report.
    pub mcnemar_p_holm: f64,
    /// DR of the baseline against itself, where it was measured.
    pub noise_floor: Option<Rate>,
    /// Whether the interval of the DR lies wholly above the noise floor.
    pub above_noise_floor: Option<bool>,
    /// Mean KL(baseline || accelerated) on the first answer token, nats.
    pub kl_mean: Option<f64>,
    /// Median of the same.
    pub kl_median: Option<f64>,
    /// Median baseline margin, in logits, of the questions whose answer stayed.
    pub margin_same: Option<f64>,
    /// Median baseline margin of the questions whose answer changed.
    pub margin_diverged: Option<f64>,
    /// The same by task family.
    pub per_family: BTreeMap<String, FamilySummary>,
}

/// A difference of two shares, after minus before.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Change {
    /// The difference.
    pub value: f64,
    /// Lower end of its interval.
    pub low: f64,
    /// Upper end of its interval.
    pub high: f64,
}

/// What one acceleration did to the answers of one task family.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FamilySummary {
    /// How often each outcome occurred.
    pub tally: Tally,
    /// Share of right answers of the baseline.
    pub accuracy_before: Rate,
    /// Share of right answers under the acceleration.
    pub accuracy_after: Rate,
    /// Divergence ratio.
    pub dr: Rate,
    /// Negative divergence ratio.
    pub ndr: Rate,
    /// Positive divergence ratio.
    pub pdr: Rate,
}

/// The rows asked under one condition, see [`Report::condition`](crate::Report::condition).
fn rows(measurements: &Measurements, condition: usize) -> Range<usize> {
    let questions = measurements.plan.questions;
    condition * questions..(condition + 1) * questions
}

impl Condition {
    pub(crate) fn of(measurements: &Measurements, condition: usize) -> Result<Self, ReportError> {
        let rows = rows(measurements, condition);
        let questions = &measurements.questions[rows.clone()];
        let summarise = |spec: &str, field: &str, answers: &[AnswerRow], first_token: Option<&FirstToken>| {
            let at = |i: usize| format!("{field}.answers[{}].outcome", rows.start + i);
            // where the answers do not say it, it is said of those about clean images
            summarise(spec, &at, questions, answers[rows.clone()].iter(), first_token.filter(|_| condition == 0))
        };
        let noise_floor = measurements.noise_floor.as_ref();
        let noise_floor =
            noise_floor.map(|floor| summarise(BASELINE, "noise_floor", &floor.answers, floor.first_token.as_ref())).transpose()?;
        let mut accelerations = Vec::with_capacity(measurements.accelerations.len());
        for (i, acceleration) in measurements.accelerations.iter().enumerate() {
            let field = format!("accelerations[{i}]");
            let mut summary = summarise(&acceleration.spec, &field, &acceleration.answers, acceleration.first_token.as_ref())?;
            summary.noise_floor = noise_floor.as_ref().map(|noise_floor| noise_floor.dr);
            summary.above_noise_floor = noise_floor.as_ref().map(|noise_floor| summary.dr.low > noise_floor.dr.value);
            accelerations.push(summary);
        }
        let p_values: Vec<f64> = accelerations.iter().map(|summary| summary.mcnemar_p).collect();
        for (summary, adjusted) in accelerations.iter_mut().zip(holm(&p_values)) {
            summary.mcnemar_p_holm = adjusted;
        }
        Ok(Self { accelerations, noise_floor })
    }
}

/// The spec of the baseline.
pub(crate) const BASELINE: &str = "none";

/// `after` are the answers that are compared with those beside the questions; `at` names the field of the i-th outcome.
fn summarise<'a>(
    spec: &str,
    at: &dyn Fn(usize) -> String,
    questions: &[QuestionRow],
    after: impl Iterator<Item = &'a AnswerRow>,
    first_token: Option<&FirstToken>,
) -> Result<Summary, ReportError> {
    let mut by_image: BTreeMap<&str, Tally> = BTreeMap::new();
    let mut by_family: BTreeMap<&str, Tally> = BTreeMap::new();
    let (mut score_changes, mut kl, mut margins_same, mut margins_diverged) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (i, (question, answer)) in questions.iter().zip(after).enumerate() {
        let outcome = answer.outcome.unwrap_or(Outcome::Same);
        for tally in [by_image.entry(&question.image).or_default(), by_family.entry(&question.family).or_default()] {
            tally
                .record(outcome, question.baseline.correct, answer.correct)
                .map_err(|reason| ReportError::Contradiction { field: at(i), reason })?;
        }
        score_changes.push(f64::from(answer.score) - f64::from(question.baseline.score));
        kl.extend(answer.kl);
        if outcome.diverged() { &mut margins_diverged } else { &mut margins_same }.extend(question.baseline.margin.map(f64::from));
    }
    let images: Vec<Tally> = by_image.into_values().collect();
    let tally: Tally = images.iter().copied().sum();
    let per_family = by_family.into_iter().filter_map(|(family, tally)| Some((family.to_owned(), FamilySummary::of(tally)?))).collect();
    let share = |proportion: crate::rates::Proportion| proportion.value().unwrap_or_default();
    let bootstrap = cluster_bootstrap(
        &images,
        |tally| [share(tally.dr()), share(tally.ndr()), share(tally.pdr()), tally.accuracy_change().unwrap_or_default()],
        BOOTSTRAP_SEED,
    );
    let first_token = first_token.copied().unwrap_or_else(|| FirstToken {
        kl_mean: mean(&kl),
        kl_median: median(&kl),
        margin_same: median(&margins_same),
        margin_diverged: median(&margins_diverged),
    });
    // every rate exists as soon as there is one question
    let filled = || {
        let [dr_by_image, ndr_by_image, pdr_by_image, change] = bootstrap?;
        let mcnemar_p = mcnemar(tally.ndr().count, tally.pdr().count);
        Some(Summary {
            spec: spec.to_owned(),
            tally,
            accuracy_before: tally.accuracy_before().rate()?,
            accuracy_after: tally.accuracy_after().rate()?,
            accuracy_change: Change { value: tally.accuracy_change()?, low: change.low, high: change.high },
            score_change: mean(&score_changes)?,
            dr: tally.dr().rate()?,
            ndr: tally.ndr().rate()?,
            pdr: tally.pdr().rate()?,
            neutral: tally.neutral().rate()?,
            flips: tally.flips().rate()?,
            ndr_given_correct: tally.ndr_given_correct().rate(),
            ndr_given_change: tally.ndr_given_change().rate(),
            dr_by_image,
            ndr_by_image,
            pdr_by_image,
            mcnemar_p,
            mcnemar_p_holm: mcnemar_p,
            noise_floor: None,
            above_noise_floor: None,
            kl_mean: first_token.kl_mean,
            kl_median: first_token.kl_median,
            margin_same: first_token.margin_same,
            margin_diverged: first_token.margin_diverged,
            per_family,
        })
    };
    filled().ok_or(ReportError::NoQuestions)
}

impl FamilySummary {
    fn of(tally: Tally) -> Option<Self> {
        Some(Self {
            tally,
            accuracy_before: tally.accuracy_before().rate()?,
            accuracy_after: tally.accuracy_after().rate()?,
            dr: tally.dr().rate()?,
            ndr: tally.ndr().rate()?,
            pdr: tally.pdr().rate()?,
        })
    }
}

impl Summary {
    /// What a perturbation did to the baseline's own answers.
    pub(crate) fn of_perturbation(measurements: &Measurements, condition: usize) -> Result<Self, ReportError> {
        let (clean, rows) = (rows(measurements, 0), rows(measurements, condition));
        let at = |i: usize| format!("questions[{}].baseline.outcome", rows.start + i);
        let after = measurements.questions[rows.clone()].iter().map(|question| &question.baseline);
        summarise(BASELINE, &at, &measurements.questions[clean], after, None)
    }

    /// What the model that answered after lost or gained against itself elsewhere: its accuracy here minus its accuracy there.
    pub(crate) fn own_change(&self, there: &Self) -> f64 {
        self.accuracy_after.value - there.accuracy_after.value
    }

    /// Whether accuracy hides what happened: at least three times as many answers changed as accuracy shows, and more than noise explains.
    pub fn hidden(&self) -> bool {
        self.dr.count > 0 && self.above_noise_floor != Some(false) && self.dr.value >= HIDDEN_RATIO * self.accuracy_change.value.abs()
    }

    /// The finding in one line, e.g. `accuracy 88.0 -> 87.3 (-0.7 points), but 12.3 % of answers changed (95 % interval 9.1-16.5; noise floor 0.0 %),
    /// 5.0 % broke, 4.3 % were repaired; McNemar p=0.85`.
    pub fn finding(&self) -> String {
        let accuracy = format!(
            "accuracy {} -> {} ({} points)",
            percent(self.accuracy_before.value),
            percent(self.accuracy_after.value),
            points(self.accuracy_change.value)
        );
        let noise = self.noise_floor.map(|noise| format!("; noise floor {} %", percent(noise.value))).unwrap_or_default();
        let sure = format!("95 % interval {}-{}{noise}", percent(self.dr.low), percent(self.dr.high));
        if self.dr.count == 0 {
            return format!("{accuracy}, and no answer changed ({sure})");
        }
        let link = if self.hidden() { "but" } else { "and" };
        let attribution = if self.above_noise_floor == Some(false) { "; not above the noise floor" } else { "" };
        format!(
            "{accuracy}, {link} {} % of answers changed ({sure}), {} % broke, {} % were repaired; McNemar p{}{attribution}",
            percent(self.dr.value),
            percent(self.ndr.value),
            percent(self.pdr.value),
            p_relation(self.mcnemar_p)
        )
    }
}
