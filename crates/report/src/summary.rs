//! What follows from the answers: rates with their intervals, tests, and the finding in words.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Range;

use serde::Serialize;

use crate::assurance::Assurance;
use crate::error::ReportError;
use crate::measurements::{AnswerRow, BASELINE, FirstToken, Measurements, QuestionRow, Ties};
use crate::number::{p_relation, percent, points};
use crate::outcome::Outcome;
use crate::rates::{Proportion, Rate, Tally};
use crate::statistics::{Interval, PairedTest, cluster_bootstrap, mean, median};
use crate::weighted::Weighted;

/// Seed of the bootstrap. Fixed, so that a report gives the same intervals wherever it is read.
pub(crate) const BOOTSTRAP_SEED: u64 = 0x7374_6561_6479;

/// Answers are called hidden movement when at least this many times more of them changed than the accuracy did.
const HIDDEN_RATIO: f64 = 3.0;

/// What the accelerations did to the answers about images to which one thing was done, or nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// One summary for each acceleration, in their order.
    pub accelerations: Vec<Summary>,
    /// One for each control, in theirs.
    pub controls: Vec<Summary>,
}

/// What one acceleration did to the answers. Shares are fractions of 1; all intervals are 95 % ones.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// The acceleration's spec; `none` for the baseline, against itself or under a perturbation.
    pub spec: String,
    /// How often each outcome occurred.
    pub tally: Tally,
    /// Images that the questions are about. Where they are fewer than the questions, intervals are by image.
    pub images: usize,
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
    /// McNemar's test: is accuracy itself different? Upwards are the repaired, downwards the broken.
    pub mcnemar: PairedTest,
    /// DR of the control under which most answers changed, where there is one.
    pub noise_floor: Option<Rate>,
    /// Does it change more answers than that control? Upwards are answers that it alone changed, downwards those that the control alone changed.
    pub excess: Option<PairedTest>,
    /// Changed answers that were ties to begin with, where controls and margins tell.
    pub ties: Option<Ties>,
    /// The same by the questions' weights, where these differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weighted: Option<Weighted>,
    /// What a release board asks beyond that.
    pub assurance: Assurance,
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
    /// Its interval from a bootstrap by image, where that has one.
    pub interval: Option<Interval>,
}

/// What one acceleration did to the answers of one task family.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FamilySummary {
    /// How often each outcome occurred.
    pub tally: Tally,
    /// Images that the questions are about.
    pub images: usize,
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

/// What was drawn of task families: by name for each variant, controls before accelerations.
pub(crate) type Families = Vec<BTreeMap<String, FamilySummary>>;

impl Condition {
    /// Counts the answers of all controls and then of all accelerations, before anything is drawn.
    pub(crate) fn count(measurements: &Measurements, condition: usize) -> Result<Vec<Counted>, ReportError> {
        let rows = rows(measurements, condition);
        let questions = &measurements.questions[rows.clone()];
        let controls = measurements.controls.iter().enumerate();
        let controls = controls.map(|(i, of)| (format!("controls[{i}]"), &of.spec, &of.answers[rows.clone()], &of.first_token));
        let accelerations = measurements.accelerations.iter().enumerate();
        let accelerations =
            accelerations.map(|(i, of)| (format!("accelerations[{i}]"), &of.spec, &of.answers[rows.clone()], &of.first_token));
        let mut counted = Vec::with_capacity(measurements.controls.len() + measurements.accelerations.len());
        for (field, spec, answers, first_token) in controls.chain(accelerations) {
            let at = |i: usize| format!("{field}.answers[{}].outcome", rows.start + i);
            // where the answers do not say it, it is said of those about clean images
            let first_token = first_token.as_ref().filter(|_| condition == 0);
            counted.push(Counted::of(spec, &at, questions, &answers.iter().collect::<Vec<_>>(), first_token)?);
        }
        Ok(counted)
    }

    /// Of what was counted and of the families that were drawn of it. `tie_margin` is the largest lead of a tie, where it is known; `replicates` is how often the
    /// bootstrap draws.
    pub(crate) fn of(
        measurements: &Measurements,
        condition: usize,
        tie_margin: Option<f64>,
        replicates: usize,
        counted: Vec<Counted>,
        families: Families,
    ) -> Result<Self, ReportError> {
        let rows = rows(measurements, condition);
        let questions = &measurements.questions[rows.clone()];
        let columns = measurements.controls.iter().map(|of| &of.answers).chain(measurements.accelerations.iter().map(|of| &of.answers));
        let answers: Vec<Vec<&AnswerRow>> = columns.map(|answers| answers[rows.clone()].iter().collect()).collect();
        let mut controls = summaries(questions, &answers, counted, replicates, families)?;
        if let Some(margin) = tie_margin {
            for (summary, answers) in controls.iter_mut().zip(&answers) {
                summary.ties = Some(ties(margin, questions, answers));
            }
        }
        let mut accelerations = controls.split_off(measurements.controls.len());
        let floor = largest(&controls).map(|i| (controls[i].dr, &measurements.controls[i].answers[rows.clone()]));
        for (summary, acceleration) in accelerations.iter_mut().zip(&measurements.accelerations) {
            summary.noise_floor = floor.map(|(dr, _)| dr);
            summary.excess =
                floor.map(|(_, control)| in_one_alone(questions, &acceleration.answers[rows.clone()], control, Outcome::diverged));
        }
        Ok(Self { accelerations, controls })
    }

    /// The summary of the control under which most answers changed; of equals the first.
    pub fn noise_floor(&self) -> Option<&Summary> {
        largest(&self.controls).map(|i| &self.controls[i])
    }
}

/// The place of the control under which most answers changed; of equals the first.
fn largest(controls: &[Summary]) -> Option<usize> {
    (0..controls.len()).max_by_key(|&i| (controls[i].dr.count, Reverse(i)))
}

/// Questions to which something happened in one of two columns of answers alone: upwards in the first, downwards in the second.
pub(crate) fn in_one_alone(questions: &[QuestionRow], first: &[AnswerRow], second: &[AnswerRow], what: fn(Outcome) -> bool) -> PairedTest {
    let mut by_image: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for ((question, first), second) in questions.iter().zip(first).zip(second) {
        let (up, down) = by_image.entry(&question.image).or_default();
        match [first, second].map(|answer| answer.outcome.is_some_and(what)) {
            [true, false] => *up += 1,
            [false, true] => *down += 1,
            _ => {}
        }
    }
    PairedTest::of(by_image.into_values())
}

fn ties(margin: f64, questions: &[QuestionRow], answers: &[&AnswerRow]) -> Ties {
    let pairs = questions.iter().zip(answers);
    let count = pairs.filter(|(question, answer)| diverged(answer) && question.baseline.is_tie(margin)).count() as u64;
    Ties { margin, count }
}

fn diverged(answer: &AnswerRow) -> bool {
    answer.outcome.is_some_and(Outcome::diverged)
}

/// The rates of some questions, given the tally of each image.
struct Rates {
    tally: Tally,
    accuracy_before: Rate,
    accuracy_after: Rate,
    accuracy_change: Change,
    dr: Rate,
    ndr: Rate,
    pdr: Rate,
    neutral: Rate,
    flips: Rate,
    ndr_given_correct: Option<Rate>,
    ndr_given_change: Option<Rate>,
}

/// Each rate of a tally has its place.
const SHARES: [fn(&Tally) -> Proportion; 9] = [
    Tally::accuracy_before,
    Tally::accuracy_after,
    Tally::dr,
    Tally::ndr,
    Tally::pdr,
    Tally::neutral,
    Tally::flips,
    Tally::ndr_given_correct,
    Tally::ndr_given_change,
];

impl Rates {
    /// Of several samples, which share the draws of the bootstrap where they have equally many images. `None` if one is without questions.
    fn of_each(samples: &[&[Tally]], replicates: usize) -> Option<Vec<Self>> {
        let statistics = |tally: &Tally| {
            let mut values = [None; SHARES.len() + 1];
            for (value, share) in values.iter_mut().zip(SHARES) {
                *value = share(tally).value();
            }
            values[SHARES.len()] = tally.accuracy_change();
            values
        };
        let drawn = cluster_bootstrap(replicates, samples, statistics, BOOTSTRAP_SEED);
        samples.iter().zip(drawn).map(|(images, drawn)| Self::of(images, drawn)).collect()
    }

    fn of(images: &[Tally], drawn: [Option<Interval>; SHARES.len() + 1]) -> Option<Self> {
        let tally: Tally = images.iter().copied().sum();
        let by_image = (images.len() as u64) < tally.questions();
        let rate = |i: usize| {
            let rate = SHARES[i](&tally).rate()?;
            Some(if by_image { Rate { interval: drawn[i], ..rate } } else { rate })
        };
        Some(Self {
            tally,
            accuracy_before: rate(0)?,
            accuracy_after: rate(1)?,
            accuracy_change: Change { value: tally.accuracy_change()?, interval: drawn[SHARES.len()] },
            dr: rate(2)?,
            ndr: rate(3)?,
            pdr: rate(4)?,
            neutral: rate(5)?,
            flips: rate(6)?,
            ndr_given_correct: rate(7),
            ndr_given_change: rate(8),
        })
    }
}

/// What is counted of some answers, before anything is drawn.
#[derive(Clone, Debug)]
pub(crate) struct Counted {
    spec: String,
    /// The tally of each image, in the order of their names.
    images: Vec<Tally>,
    /// The same of each task family.
    families: BTreeMap<String, Vec<Tally>>,
    score_change: f64,
    first_token: FirstToken,
}

impl Counted {
    /// `after` are the answers that are compared with those beside the questions; `at` names the field of the i-th outcome.
    fn of(
        spec: &str,
        at: &dyn Fn(usize) -> String,
        questions: &[QuestionRow],
        after: &[&AnswerRow],
        first_token: Option<&FirstToken>,
    ) -> Result<Self, ReportError> {
        let mut by_image: BTreeMap<&str, Tally> = BTreeMap::new();
        let mut by_family: BTreeMap<&str, BTreeMap<&str, Tally>> = BTreeMap::new();
        let (mut score_changes, mut kl, mut margins_same, mut margins_diverged) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (i, (question, answer)) in questions.iter().zip(after).enumerate() {
            let outcome = answer.outcome.unwrap_or(Outcome::Same);
            let of_family = by_family.entry(&question.family).or_default();
            for tally in [by_image.entry(&question.image).or_default(), of_family.entry(&question.image).or_default()] {
                tally
                    .record(outcome, question.baseline.correct, answer.correct)
                    .map_err(|reason| ReportError::Contradiction { field: at(i), reason })?;
            }
            score_changes.push(f64::from(answer.score) - f64::from(question.baseline.score));
            kl.extend(answer.kl);
            if outcome.diverged() { &mut margins_diverged } else { &mut margins_same }.extend(question.baseline.margin.map(f64::from));
        }
        let first_token = first_token.copied().unwrap_or_else(|| FirstToken {
            kl_mean: mean(&kl),
            kl_median: median(&kl),
            margin_same: median(&margins_same),
            margin_diverged: median(&margins_diverged),
            ties: None,
        });
        Ok(Self {
            spec: spec.to_owned(),
            images: by_image.into_values().collect(),
            families: by_family.into_iter().map(|(family, images)| (family.to_owned(), images.into_values().collect())).collect(),
            score_change: mean(&score_changes).ok_or(ReportError::NoQuestions)?,
            first_token,
        })
    }
}

/// What follows from counts of answers to the same questions.
fn summaries(
    questions: &[QuestionRow],
    answers: &[Vec<&AnswerRow>],
    counted: Vec<Counted>,
    replicates: usize,
    families: Families,
) -> Result<Vec<Summary>, ReportError> {
    let before: Vec<&AnswerRow> = questions.iter().map(|question| &question.baseline).collect();
    // every rate exists as soon as there is one question
    let rates = Rates::of_each(&counted.iter().map(|counted| counted.images.as_slice()).collect::<Vec<_>>(), replicates);
    let rates = rates.ok_or(ReportError::NoQuestions)?;
    let summary = |counted: Counted, after: &Vec<&AnswerRow>, rates: Rates, per_family: BTreeMap<String, FamilySummary>| {
        let Counted { spec, images, score_change, first_token, .. } = counted;
        let assurance = Assurance::of(questions, &before, after, &images).ok_or(ReportError::NoQuestions)?;
        Ok(Summary {
            spec,
            tally: rates.tally,
            images: images.len(),
            accuracy_before: rates.accuracy_before,
            accuracy_after: rates.accuracy_after,
            accuracy_change: rates.accuracy_change,
            score_change,
            dr: rates.dr,
            ndr: rates.ndr,
            pdr: rates.pdr,
            neutral: rates.neutral,
            flips: rates.flips,
            ndr_given_correct: rates.ndr_given_correct,
            ndr_given_change: rates.ndr_given_change,
            mcnemar: PairedTest::of(images.iter().map(|tally| (tally.pdr().count, tally.ndr().count))),
            noise_floor: None,
            excess: None,
            ties: first_token.ties,
            weighted: Weighted::of(questions, after, replicates),
            assurance,
            kl_mean: first_token.kl_mean,
            kl_median: first_token.kl_median,
            margin_same: first_token.margin_same,
            margin_diverged: first_token.margin_diverged,
            per_family,
        })
    };
    let each = counted.into_iter().zip(answers).zip(rates).zip(families);
    each.map(|(((counted, after), rates), per_family)| summary(counted, after, rates, per_family)).collect()
}

/// Draws a task family of answers to the same questions; `families` has a place for each of whom was counted.
pub(crate) fn draw_family(counted: &[Counted], family: &str, replicates: usize, families: &mut Families) -> Result<(), ReportError> {
    let samples: Vec<&[Tally]> = counted.iter().filter_map(|counted| Some(counted.families.get(family)?.as_slice())).collect();
    let rates = Rates::of_each(&samples, replicates).ok_or(ReportError::NoQuestions)?;
    for ((of_variant, images), rates) in families.iter_mut().zip(samples).zip(rates) {
        of_variant.insert(family.to_owned(), FamilySummary::of(images, &rates));
    }
    Ok(())
}

impl FamilySummary {
    fn of(images: &[Tally], rates: &Rates) -> Self {
        let &Rates { tally, accuracy_before, accuracy_after, dr, ndr, pdr, .. } = rates;
        Self { tally, images: images.len(), accuracy_before, accuracy_after, dr, ndr, pdr }
    }
}

impl Summary {
    /// What a perturbation did to the baseline's own answers.
    pub(crate) fn of_perturbation(measurements: &Measurements, condition: usize, replicates: usize) -> Result<Self, ReportError> {
        let (clean, rows) = (rows(measurements, 0), rows(measurements, condition));
        let at = |i: usize| format!("questions[{}].baseline.outcome", rows.start + i);
        let after: Vec<&AnswerRow> = measurements.questions[rows.clone()].iter().map(|question| &question.baseline).collect();
        let questions = &measurements.questions[clean];
        let counted = vec![Counted::of(BASELINE, &at, questions, &after, None)?];
        let mut families = vec![BTreeMap::new()];
        for family in counted[0].families.keys() {
            draw_family(&counted, family, replicates, &mut families)?;
        }
        summaries(questions, &[after], counted, replicates, families)?.pop().ok_or(ReportError::NoQuestions)
    }

    /// What the model that answered after lost or gained against itself elsewhere: its accuracy here minus its accuracy there.
    pub(crate) fn own_change(&self, there: &Self) -> f64 {
        self.accuracy_after.value - there.accuracy_after.value
    }

    /// Share of answers that were harmed: broken ones where they are [judged](crate::Report::judged), else changed ones.
    pub(crate) fn harmed(&self, judged: bool) -> Rate {
        if judged { self.ndr } else { self.dr }
    }

    /// Whether intervals are by image: several questions are about one.
    pub fn by_image(&self) -> bool {
        (self.images as u64) < self.tally.questions()
    }

    /// Whether more answers changed than under the noisiest control, by the paired test at 5 %, adjusted; `None` without controls.
    pub fn above_noise_floor(&self) -> Option<bool> {
        self.excess.map(|excess| excess.up > excess.down && excess.p_adjusted < 0.05)
    }

    /// Whether accuracy hides what happened: at least three times as many answers changed as accuracy shows, and more than noise explains.
    pub fn hidden(&self) -> bool {
        self.dr.count > 0 && self.above_noise_floor() != Some(false) && self.dr.value >= HIDDEN_RATIO * self.accuracy_change.value.abs()
    }

    /// The finding in one line, e.g. `accuracy 88.0 -> 87.3 (-0.7 points), but 12.3 % of answers changed (95 % interval by image 9.1-16.5; noise floor
    /// 0.0 %), 5.0 % broke, 4.3 % were repaired, 1.0 % were ties; McNemar p=0.85, adjusted for 5 tests`.
    pub fn finding(&self) -> String {
        let accuracy = format!(
            "accuracy {} -> {} ({} points)",
            percent(self.accuracy_before.value),
            percent(self.accuracy_after.value),
            points(self.accuracy_change.value)
        );
        let noise = self.noise_floor.map(|noise| format!("; noise floor {} %", percent(noise.value))).unwrap_or_default();
        let by = if self.by_image() { " by image" } else { "" };
        let sure = format!("95 % interval{by} {}{noise}", ends(self.dr.interval));
        if self.dr.count == 0 {
            return format!("{accuracy}, and no answer changed ({sure})");
        }
        let link = if self.hidden() { "but" } else { "and" };
        let attribution = if self.above_noise_floor() == Some(false) { "; not above the noise floor" } else { "" };
        let ties = self.ties.filter(|ties| ties.count > 0).map(|ties| format!(", {} % were ties", percent(self.share(ties.count))));
        format!(
            "{accuracy}, {link} {} % of answers changed ({sure}), {} % broke, {} % were repaired{}; McNemar p{}{}{attribution}",
            percent(self.dr.value),
            percent(self.ndr.value),
            percent(self.pdr.value),
            ties.unwrap_or_default(),
            p_relation(self.mcnemar.p_adjusted),
            self.adjusted(),
        )
    }

    /// What changed in one line, where nothing is right or wrong: `12.3 % of answers changed (95 % interval 9.1-16.5)`.
    pub(crate) fn change(&self) -> String {
        let noise = self.noise_floor.map(|noise| format!("; noise floor {} %", percent(noise.value))).unwrap_or_default();
        let by = if self.by_image() { " by image" } else { "" };
        format!("{} % of answers changed (95 % interval{by} {}{noise})", percent(self.dr.value), ends(self.dr.interval))
    }

    /// What a p-value was adjusted for, to stand behind it.
    pub(crate) fn adjusted(&self) -> String {
        if self.mcnemar.tests > 1 { format!(", adjusted for {} tests", self.mcnemar.tests) } else { String::new() }
    }

    /// A count as a share of all questions.
    pub(crate) fn share(&self, count: u64) -> f64 {
        count as f64 / self.tally.questions() as f64
    }
}

/// The ends of an interval in percent, e.g. `9.1-16.5`.
pub(crate) fn ends(interval: Option<Interval>) -> String {
    interval.map_or_else(|| "not available".to_owned(), |Interval { low, high }| format!("{}-{}", percent(low), percent(high)))
}
