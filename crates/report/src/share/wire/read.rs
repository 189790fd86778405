//! The layout of a link as a report.

use super::{
    Acceleration, Answered, Answers, Control, Controlled, Cost, FLAGS, Incomplete, KINDS, NOT_CARRIED, OUTCOMES, Perturbed, Questions,
    Said, Wire, Words, field, positions_of,
};
use crate::measurements::{AccelerationReport, AnswerRow, BASELINE, ControlReport, FirstToken, Flagged, Measurements, QuestionRow, Ties};
use crate::outcome::Outcome;
use crate::report::Report;
use crate::share::{ShareError, SharedReport, Suite, SuiteQuestion};

impl Wire {
    pub(in crate::share) fn open(mut self, rebuild: impl FnOnce(&Suite) -> Option<Vec<SuiteQuestion>>) -> Result<SharedReport, ShareError> {
        // the one control of earlier versions is one of several now
        if let Some((what_it_is, answers)) = self.answered.noise_floor.take() {
            self.controlled.controls.insert(0, Control { spec: BASELINE.to_owned(), what_it_is, answers });
        }
        let suite = self.answered.suite();
        let drawn = suite.as_ref().and_then(rebuild);
        self.check(drawn.as_deref())?;
        let Self { answered, perturbed, controlled, incomplete } = self;
        answered.open(perturbed, controlled, incomplete, suite, drawn)
    }
}

impl Answered {
    /// The suite that the questions are positions in, if they are.
    fn suite(&self) -> Option<Suite> {
        match &self.questions.words {
            Words::OfSuite { size, .. } => Some(Suite {
                name: self.plan.benchmark.clone(),
                fingerprint: self.plan.benchmark_fingerprint.clone(),
                size: *size as usize,
            }),
            Words::Listed(_) => None,
        }
    }

    /// Everything that could be too large was checked before.
    fn open(
        self,
        perturbed: Perturbed,
        controlled: Controlled,
        incomplete: Incomplete,
        suite: Option<Suite>,
        drawn: Option<Vec<SuiteQuestion>>,
    ) -> Result<SharedReport, ShareError> {
        let count = self.correct.len();
        let rebuilt = drawn.is_some();
        let conditions = 1 + perturbed.perturbations.len();
        if !count.is_multiple_of(conditions) {
            return Err(field(
                "correct",
                format!("a list of {count}"),
                format!("a multiple of {conditions}, one for each question and image"),
            ));
        }
        let questions = count / conditions;
        let asked = self.questions.open(questions, suite.as_ref().zip(drawn))?;
        same_length("perturbed", perturbed.baseline.len(), count - questions)?;
        same_length("baseline", self.baseline.len(), count)?;
        scores_fit(&self.scores, count)?;
        let said = |index: u32| match index.checked_sub(1) {
            None => Ok((NOT_CARRIED.to_owned(), Some(NOT_CARRIED.to_owned()))),
            Some(index) => self
                .said
                .get(index as usize)
                .map(Said::open)
                .ok_or_else(|| field("said", index, format!("an index below {}", self.said.len()))),
        };
        let answer = |(text, parsed): (String, Option<String>), correct: bool, score: Option<&f32>, cost: &Cost| AnswerRow {
            text,
            parsed,
            correct,
            score: score.copied().unwrap_or(f32::from(u8::from(correct))),
            margin: None,
            kl: None,
            outcome: None,
            visual_tokens: cost.visual_tokens as f32,
            top: Vec::new(),
        };
        let mut rows = Vec::with_capacity(count);
        for (i, asked) in asked.iter().cycle().take(count).enumerate() {
            let correct = match self.correct[i] {
                0 => false,
                1 => true,
                other => return Err(field("correct", other, "0 or 1")),
            };
            let baseline = answer(said(self.baseline[i])?, correct, self.scores.get(i), &self.baseline_cost);
            rows.push(asked.clone().answered(baseline));
        }
        for (i, (row, &code)) in rows[questions..].iter_mut().zip(&perturbed.baseline).enumerate() {
            row.perturbation = Some(perturbed.perturbations[i / questions].clone());
            row.baseline.outcome = Some(outcome(code)?);
        }
        let column = |answers: &Answers, cost: &Cost| -> Result<Vec<AnswerRow>, ShareError> {
            same_length("outcomes", answers.outcomes.len(), count)?;
            scores_fit(&answers.scores, count)?;
            let mut others = answers.said.iter();
            let mut column = Vec::with_capacity(count);
            for (i, (&code, question)) in answers.outcomes.iter().zip(&rows).enumerate() {
                let outcome = outcome(code)?;
                let QuestionRow { baseline, .. } = question;
                let words = if outcome.diverged() {
                    let index = others.next().ok_or_else(|| field("said", answers.said.len(), "an entry for every answer that changed"))?;
                    said(*index)?
                } else {
                    (baseline.text.clone(), baseline.parsed.clone())
                };
                let correct = match outcome {
                    Outcome::Same | Outcome::Changed => baseline.correct,
                    Outcome::Broken => false,
                    Outcome::Repaired => true,
                };
                column.push(AnswerRow { outcome: Some(outcome), ..answer(words, correct, answers.scores.get(i), cost) });
            }
            match others.len() {
                0 => Ok(column),
                _ => Err(field("said", answers.said.len(), "an entry for every answer that changed")),
            }
        };
        let Controlled { controls, ties, flagged, stored, post_prompts } = controlled;
        if !stored.is_empty() {
            same_length("stored", stored.len(), 1 + self.accelerations.len())?;
        }
        let stored = |i: usize| stored.get(i).copied().flatten();
        if !ties.is_empty() {
            same_length("ties", ties.len(), self.accelerations.len() + controls.len())?;
        }
        let ties = |i: usize| ties.get(i).copied().flatten().map(|(margin, count)| Ties { margin, count });
        let mut accelerations = Vec::with_capacity(self.accelerations.len());
        for (i, Acceleration { spec, what_it_is, answers, cost }) in self.accelerations.iter().enumerate() {
            accelerations.push(AccelerationReport {
                spec: spec.clone(),
                what_it_is: what_it_is.clone(),
                answers: column(answers, cost)?,
                first_token: Some(answers.first_token(ties(i))),
                cost: cost.open(stored(1 + i)),
            });
        }
        let mut opened = Vec::with_capacity(controls.len());
        for (i, Control { spec, what_it_is, answers }) in controls.into_iter().enumerate() {
            opened.push(ControlReport {
                spec,
                what_it_is,
                answers: column(&answers, &self.baseline_cost)?,
                first_token: Some(answers.first_token(ties(accelerations.len() + i))),
            });
        }
        let controls = opened;
        let flag = |(row, spec, code): (u32, String, u8)| {
            let flag = FLAGS.get(code as usize).copied().ok_or_else(|| field("flagged", code, "0 or 1"))?;
            Ok(Flagged { row: row as usize, spec, flag })
        };
        let flagged = flagged.into_iter().map(flag).collect::<Result<_, ShareError>>()?;
        let baseline_cost = self.baseline_cost.open(stored(0));
        let plan = self.plan.open(questions, perturbed.perturbations, post_prompts, incomplete);
        let report = Report::new(Measurements { plan, baseline_cost, questions: rows, accelerations, controls, flagged })?;
        let left_out = report.worst_first().into_iter().filter(|&i| self.baseline[i] == 0).count();
        Ok(SharedReport { report, suite, rebuilt, left_out })
    }
}

impl Questions {
    /// The questions, with the words of a suite that was drawn again, or with those that the link lists.
    fn open(&self, count: usize, suite: Option<(&Suite, Vec<SuiteQuestion>)>) -> Result<Vec<SuiteQuestion>, ShareError> {
        same_length("family", self.family.len(), count)?;
        same_length("image", self.image.len(), count)?;
        same_length("kind", self.kind.len(), count)?;
        let mut questions = Vec::with_capacity(count);
        for (i, ((&family, &image), &kind)) in self.family.iter().zip(&self.image).zip(&self.kind).enumerate() {
            questions.push(SuiteQuestion {
                id: format!("question {} {NOT_CARRIED}", i + 1),
                family: self
                    .families
                    .get(family as usize)
                    .ok_or_else(|| field("family", family, format!("an index below {}", self.families.len())))?
                    .clone(),
                // sorts as the rank does
                image: format!("image-{image:010}"),
                text: format!("Question {} {NOT_CARRIED}", i + 1),
                gold: Vec::new(),
                kind: *KINDS.get(kind as usize).ok_or_else(|| field("kind", kind, "0 to 3"))?,
                weight: 1.0,
            });
        }
        match (&self.words, suite) {
            (Words::OfSuite { skipped, .. }, Some((suite, drawn))) => {
                same_length("skipped", skipped.len(), count)?;
                for (question, position) in questions.iter_mut().zip(positions_of(skipped)) {
                    let drawn =
                        drawn.get(position).ok_or_else(|| field("skipped", position, format!("a position below {}", drawn.len())))?;
                    if (&drawn.family, drawn.kind) != (&question.family, question.kind) {
                        let found = format!("{} ({}) for question {position} of {}", question.family, question.kind.label(), suite.name);
                        return Err(field("family", found, format!("{} ({})", drawn.family, drawn.kind.label())));
                    }
                    *question = drawn.clone();
                }
            }
            (Words::OfSuite { .. }, None) => {}
            (Words::Listed(listed), _) => {
                let skipped: Vec<u32> = listed.iter().map(|(skipped, ..)| *skipped).collect();
                for ((_, id, text, gold), position) in listed.iter().zip(positions_of(&skipped)) {
                    let question =
                        questions.get_mut(position).ok_or_else(|| field("words", position, format!("a position below {count}")))?;
                    (question.id, question.text, question.gold) = (id.clone(), text.clone(), gold.clone());
                }
            }
        }
        Ok(questions)
    }
}

impl Answers {
    fn first_token(&self, ties: Option<Ties>) -> FirstToken {
        let Self { kl_mean, kl_median, margin_same, margin_diverged, .. } = *self;
        FirstToken { kl_mean, kl_median, margin_same, margin_diverged, ties }
    }
}

fn outcome(code: u8) -> Result<Outcome, ShareError> {
    OUTCOMES.get(code as usize).copied().ok_or_else(|| field("outcomes", code, "0 to 3"))
}

fn scores_fit(scores: &[f32], count: usize) -> Result<(), ShareError> {
    if scores.is_empty() { Ok(()) } else { same_length("scores", scores.len(), count) }
}

fn same_length(name: &'static str, found: usize, expected: usize) -> Result<(), ShareError> {
    if found == expected {
        Ok(())
    } else {
        Err(field(name, format!("a list of {found}"), format!("one of {expected}, one for each question")))
    }
}
