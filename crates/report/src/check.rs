//! Whether measurements fit each other. Names of fields are put together only where they are needed, which is where something is wrong.

use std::collections::BTreeSet;
use std::fmt::Arguments;

use crate::error::ReportError;
use crate::measurements::{AnswerRow, CostRow, FirstToken, Measurements, PlanSummary};
use crate::outcome::Outcome;

impl Measurements {
    /// Names the first field that contradicts another, or is out of its range.
    pub(crate) fn check(&self) -> Result<(), ReportError> {
        self.check_rows()?;
        self.check_costs()?;
        let mut specs = BTreeSet::new();
        for (i, acceleration) in self.accelerations.iter().enumerate() {
            let field = format_args!("accelerations[{i}]");
            if !specs.insert(&acceleration.spec) {
                return Err(ReportError::Duplicate { field: format!("{field}.spec"), value: acceleration.spec.clone() });
            }
            self.check_answers(format_args!("{field}.answers"), &acceleration.answers)?;
            self.check_first_token(field, &acceleration.answers, acceleration.first_token.as_ref())?;
        }
        let mut specs = BTreeSet::new();
        for (i, control) in self.controls.iter().enumerate() {
            let field = format_args!("controls[{i}]");
            if !specs.insert(&control.spec) {
                return Err(ReportError::Duplicate { field: format!("{field}.spec"), value: control.spec.clone() });
            }
            self.check_answers(format_args!("{field}.answers"), &control.answers)?;
            self.check_first_token(field, &control.answers, control.first_token.as_ref())?;
        }
        if let Some((i, flagged)) = self.flagged.iter().enumerate().find(|(_, flagged)| flagged.row >= self.questions.len()) {
            let expected = format!("a row below {}", self.questions.len());
            return Err(ReportError::Place { field: format!("flagged[{i}].row"), found: flagged.row.to_string(), expected });
        }
        Ok(())
    }

    pub(crate) fn check_costs(&self) -> Result<(), ReportError> {
        self.baseline_cost.check(format_args!("baseline_cost"))?;
        let mut accelerations = self.accelerations.iter().enumerate();
        accelerations.try_for_each(|(i, acceleration)| acceleration.cost.check(format_args!("accelerations[{i}].cost")))
    }

    /// The questions: all about the clean images first, then the same again under each perturbation.
    fn check_rows(&self) -> Result<(), ReportError> {
        let (found, PlanSummary { questions, perturbations, .. }) = (self.questions.len(), &self.plan);
        let questions = *questions;
        if found == 0 {
            return Err(ReportError::NoQuestions);
        }
        if perturbations.is_empty() && questions != found {
            return Err(ReportError::Length { field: "plan.questions".to_owned(), found: questions, expected: found });
        }
        if questions.checked_mul(1 + perturbations.len()) != Some(found) {
            return Err(ReportError::Rows { found, questions, perturbations: perturbations.len() });
        }
        let mut names = BTreeSet::new();
        if let Some((i, twice)) = perturbations.iter().enumerate().find(|(_, name)| !names.insert(*name)) {
            return Err(ReportError::Duplicate { field: format!("plan.perturbations[{i}]"), value: twice.clone() });
        }
        let mut ids = BTreeSet::new();
        for (i, row) in self.questions.iter().enumerate() {
            let (field, clean) = (format_args!("questions[{i}]"), i % questions);
            let perturbation = (i / questions).checked_sub(1).map(|of| &perturbations[of]);
            if row.perturbation.as_ref() != perturbation {
                return Err(ReportError::Place {
                    field: format!("{field}.perturbation"),
                    found: row.perturbation.as_ref().map_or("missing".to_owned(), |found| format!("{found:?}")),
                    expected: perturbation.map_or("none before the last clean image".to_owned(), |expected| format!("{expected:?}")),
                });
            }
            let before = (i != clean).then(|| &self.questions[clean]);
            match before {
                None if !ids.insert(&row.id) => {
                    return Err(ReportError::Duplicate { field: format!("{field}.id"), value: row.id.clone() });
                }
                Some(before) if !before.asks_what(row) => {
                    return Err(ReportError::Place {
                        field: field.to_string(),
                        found: "another question".to_owned(),
                        expected: format!("the one of `questions[{clean}]`, word for word"),
                    });
                }
                _ => {}
            }
            check_number(field, format_args!("weight"), row.weight, |weight| weight > 0.0, "a finite number above 0")?;
            row.baseline.check_baseline(format_args!("{field}.baseline"), before.map(|before| &before.baseline))?;
        }
        Ok(())
    }

    fn check_first_token(&self, field: Arguments<'_>, answers: &[AnswerRow], first_token: Option<&FirstToken>) -> Result<(), ReportError> {
        let Some(first_token) = first_token else { return Ok(()) };
        let field = format_args!("{field}.first_token");
        if answers.iter().any(|answer| answer.kl.is_some()) || self.questions.iter().any(|question| question.baseline.margin.is_some()) {
            return Err(ReportError::Presence {
                field: field.to_string(),
                found: "present",
                expected: "none: it follows from the answers",
            });
        }
        let FirstToken { kl_mean, kl_median, margin_same, margin_diverged, ties } = *first_token;
        let changed = answers.iter().take(self.plan.questions).filter(|answer| answer.outcome.is_some_and(Outcome::diverged)).count();
        if let Some(ties) = ties.filter(|ties| ties.count > changed as u64) {
            let (field, found) = (format!("{field}.ties.count"), ties.count.to_string());
            return Err(ReportError::Place { field, found, expected: format!("at most {changed}, the answers that changed") });
        }
        let ties = ties.map(|ties| ties.margin);
        let named = [("kl_mean", kl_mean), ("kl_median", kl_median), ("margin_same", margin_same), ("margin_diverged", margin_diverged)];
        named
            .into_iter()
            .chain([("ties.margin", ties)])
            .filter_map(|(name, value)| Some((name, value?)))
            .try_for_each(|(name, value)| check_number(field, format_args!("{name}"), value, not_negative, "a finite number >= 0"))
    }

    fn check_answers(&self, field: Arguments<'_>, answers: &[AnswerRow]) -> Result<(), ReportError> {
        if answers.len() != self.questions.len() {
            return Err(ReportError::Length { field: field.to_string(), found: answers.len(), expected: self.questions.len() });
        }
        for (i, (answer, question)) in answers.iter().zip(&self.questions).enumerate() {
            let field = format_args!("{field}[{i}]");
            answer.check(field)?;
            answer.check_outcome(field, &question.baseline)?;
        }
        Ok(())
    }
}

impl AnswerRow {
    fn check(&self, field: Arguments<'_>) -> Result<(), ReportError> {
        let finite_and_not_negative = "a finite number >= 0";
        check_number(field, format_args!("score"), f64::from(self.score), |score| (0.0..=1.0).contains(&score), "a number from 0 to 1")?;
        check_number(field, format_args!("visual_tokens"), f64::from(self.visual_tokens), not_negative, finite_and_not_negative)?;
        if let Some(margin) = self.margin {
            check_number(field, format_args!("margin"), f64::from(margin), not_negative, finite_and_not_negative)?;
        }
        if let Some(kl) = self.kl {
            check_number(field, format_args!("kl"), kl, not_negative, finite_and_not_negative)?;
        }
        for (i, candidate) in self.top.iter().enumerate() {
            check_number(field, format_args!("top[{i}].logit"), f64::from(candidate.logit), f64::is_finite, "a finite number")?;
        }
        Ok(())
    }

    /// `before` is the answer that this one is compared with.
    fn check_outcome(&self, field: Arguments<'_>, before: &Self) -> Result<(), ReportError> {
        let field = || format!("{field}.outcome");
        let Some(outcome) = self.outcome else {
            return Err(ReportError::Presence { field: field(), found: "missing", expected: "what became of the question" });
        };
        outcome.check(before.correct, self.correct).map_err(|reason| ReportError::Contradiction { field: field(), reason })
    }

    /// `clean` is the baseline's answer about the clean image, where this is one about another.
    fn check_baseline(&self, field: Arguments<'_>, clean: Option<&Self>) -> Result<(), ReportError> {
        self.check(field)?;
        let absent = |name: &str, present: bool| {
            if present {
                Err(ReportError::Presence {
                    field: format!("{field}.{name}"),
                    found: "present",
                    expected: "none: the baseline is not compared with itself",
                })
            } else {
                Ok(())
            }
        };
        match clean {
            Some(clean) => self.check_outcome(field, clean)?,
            None => absent("outcome", self.outcome.is_some())?,
        }
        absent("kl", self.kl.is_some())
    }
}

impl CostRow {
    fn check(&self, field: Arguments<'_>) -> Result<(), ReportError> {
        let named = [
            ("kv_bytes", Some(self.kv_bytes)),
            ("visual_tokens", Some(self.visual_tokens)),
            ("prompt_tokens", Some(self.prompt_tokens)),
            ("flops", Some(self.flops)),
            ("seconds", self.seconds),
        ];
        named
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .try_for_each(|(name, value)| check_number(field, format_args!("{name}"), value, not_negative, "a finite number >= 0"))
    }
}

fn not_negative(number: f64) -> bool {
    number.is_finite() && number >= 0.0
}

fn check_number(
    field: Arguments<'_>,
    name: Arguments<'_>,
    found: f64,
    holds: impl Fn(f64) -> bool,
    expected: &'static str,
) -> Result<(), ReportError> {
    if holds(found) { Ok(()) } else { Err(ReportError::Number { field: format!("{field}.{name}"), found, expected }) }
}
