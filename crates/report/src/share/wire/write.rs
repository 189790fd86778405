//! A report as the layout of a link.

use std::collections::{BTreeMap, BTreeSet};

use super::limits::most_answers;
use super::{
    Acceleration, Answered, Answers, Control, Controlled, Cost, FLAGS, Incomplete, KINDS, OUTCOMES, Perturbed, Plan, Questions, Said, Wire,
    Words, cut, skipped,
};
use crate::measurements::{AnswerRow, Flagged, Measurements, PlanSummary, QuestionRow};
use crate::outcome::Outcome;
use crate::report::Report;
use crate::share::{ShareError, Suite, SuiteQuestion};
use crate::summary::Summary;

/// Where the report's questions are in a suite, in ascending order; `None` if they are not exactly questions of it.
pub(in crate::share) fn positions(report: &Report, suite: &Suite, asked: &[SuiteQuestion]) -> Option<Vec<usize>> {
    let plan = report.plan();
    if plan.benchmark != suite.name || plan.benchmark_fingerprint != suite.fingerprint || asked.len() != suite.size {
        return None;
    }
    let mut rest = asked.iter().enumerate();
    asked_questions(report).iter().map(|question| rest.find(|(_, asked)| is(question, asked)).map(|(position, _)| position)).collect()
}

/// The rows about clean images: every question once.
fn asked_questions(report: &Report) -> &[QuestionRow] {
    &report.questions()[..report.plan().questions]
}

impl Perturbed {
    fn of(report: &Report) -> Self {
        let PlanSummary { questions, perturbations, .. } = report.plan();
        let rows = &report.questions()[*questions..];
        Self { perturbations: perturbations.clone(), baseline: rows.iter().map(|row| code(&row.baseline)).collect() }
    }
}

fn is(question: &QuestionRow, asked: &SuiteQuestion) -> bool {
    let QuestionRow { id, family, image, perturbation: _, text, gold, kind, weight, baseline: _ } = question;
    let SuiteQuestion { id: asked_id, family: of, image: about, text: words, gold: accepted, kind: answered, weight: counts } = asked;
    (id, family, image, text, gold, kind, weight) == (asked_id, of, about, words, accepted, answered, counts)
}

impl Wire {
    /// `carried` says for each row whether the words of its question and its answers are carried.
    pub(in crate::share) fn of(report: &Report, positions: Option<&(usize, Vec<usize>)>, carried: &[bool]) -> Result<Self, ShareError> {
        let Measurements { plan, baseline_cost, questions, accelerations, controls, flagged } = report.measurements();
        let columns = accelerations.len() + controls.len();
        most_answers(questions.len(), columns)?;
        // a question has its words if they are needed anywhere
        let mut words = vec![false; plan.questions];
        for (i, _) in carried.iter().enumerate().filter(|(_, carried)| **carried) {
            words[report.clean(i)] = true;
        }
        let dictionary =
            Dictionary::of(questions, accelerations.iter().map(|a| &a.answers).chain(controls.iter().map(|c| &c.answers)), carried);
        let baseline: Vec<&AnswerRow> = questions.iter().map(|question| &question.baseline).collect();
        let column = |answers: &[AnswerRow], summary: &Summary| Answers {
            outcomes: answers.iter().map(code).collect(),
            said: answers
                .iter()
                .zip(carried)
                .filter(|(answer, _)| answer.outcome.is_some_and(Outcome::diverged))
                .map(|(answer, &carried)| if carried { dictionary.index(answer) } else { 0 })
                .collect(),
            scores: scores(&answers.iter().collect::<Vec<_>>()),
            kl_mean: summary.kl_mean.map(short),
            kl_median: summary.kl_median.map(short),
            margin_same: summary.margin_same.map(short),
            margin_diverged: summary.margin_diverged.map(short),
        };
        let stored = std::iter::once(baseline_cost).chain(accelerations.iter().map(|acceleration| &acceleration.cost));
        let stored = stored.map(|cost| cost.stored_bytes).collect();
        let accelerations = accelerations
            .iter()
            .zip(report.summaries())
            .map(|(acceleration, summary)| Acceleration {
                spec: acceleration.spec.clone(),
                what_it_is: cut(&acceleration.what_it_is),
                answers: column(&acceleration.answers, summary),
                cost: Cost::of(&acceleration.cost),
            })
            .collect();
        let controls = controls.iter().zip(report.control_summaries()).map(|(control, summary)| Control {
            spec: control.spec.clone(),
            what_it_is: cut(&control.what_it_is),
            answers: column(&control.answers, summary),
        });
        let ties = report.summaries().iter().chain(report.control_summaries()).map(|summary| summary.ties);
        let flag = |Flagged { row, spec, flag }: &Flagged| {
            (*row as u32, spec.clone(), FLAGS.iter().position(|known| known == flag).unwrap_or_default() as u8)
        };
        let controlled = Controlled {
            controls: controls.collect(),
            ties: ties.map(|ties| ties.map(|ties| (short(ties.margin), ties.count))).collect(),
            flagged: flagged.iter().map(flag).collect(),
            stored: if report.tells_files() { stored } else { Vec::new() },
            post_prompts: plan.post_prompts.clone(),
        };
        let answered = Answered {
            plan: Plan::of(plan),
            questions: Questions::of(asked_questions(report), positions, &words),
            correct: baseline.iter().map(|answer| u8::from(answer.correct)).collect(),
            baseline: baseline.iter().zip(carried).map(|(answer, &carried)| if carried { dictionary.index(answer) } else { 0 }).collect(),
            scores: scores(&baseline),
            said: dictionary.said,
            baseline_cost: Cost::of(baseline_cost),
            accelerations,
            noise_floor: None,
        };
        let left_out = plan.left_out.iter().map(|(spec, reason)| (cut(spec), cut(reason))).collect();
        Ok(Self { answered, perturbed: Perturbed::of(report), controlled, incomplete: Incomplete { left_out } })
    }
}

/// A measured number in single precision, which is more than it is exact to: a report and the same one read from its JSON, where a sum may end in
/// another digit, make one link.
fn short(number: f64) -> f64 {
    f64::from(number as f32)
}

impl Questions {
    fn of(questions: &[QuestionRow], positions: Option<&(usize, Vec<usize>)>, carried: &[bool]) -> Self {
        let families: BTreeSet<&str> = questions.iter().map(|question| question.family.as_str()).collect();
        let images: BTreeSet<&str> = questions.iter().map(|question| question.image.as_str()).collect();
        let ranks =
            |ids: &BTreeSet<&str>| -> BTreeMap<String, u32> { ids.iter().zip(0..).map(|(id, rank)| ((*id).to_owned(), rank)).collect() };
        let (family, image) = (ranks(&families), ranks(&images));
        let words = if let Some((size, positions)) = positions {
            Words::OfSuite { size: *size as u32, skipped: skipped(positions.iter().copied()) }
        } else {
            let listed = || questions.iter().enumerate().filter(|(i, _)| carried[*i]);
            let skipped = skipped(listed().map(|(i, _)| i));
            let gold = |question: &QuestionRow| question.gold.iter().map(|gold| cut(gold)).collect();
            let listed = listed().zip(skipped);
            Words::Listed(listed.map(|((_, q), skipped)| (skipped, cut(&q.id), cut(&q.text), gold(q))).collect())
        };
        Self {
            families: families.into_iter().map(str::to_owned).collect(),
            family: questions.iter().map(|question| family[&question.family]).collect(),
            image: questions.iter().map(|question| image[&question.image]).collect(),
            kind: questions.iter().map(|question| KINDS.iter().position(|kind| *kind == question.kind).unwrap_or_default() as u8).collect(),
            words,
        }
    }
}

/// Every text that is carried, once, in the order of the texts.
struct Dictionary {
    said: Vec<Said>,
}

impl Dictionary {
    fn of<'a>(questions: &'a [QuestionRow], columns: impl Iterator<Item = &'a Vec<AnswerRow>>, carried: &[bool]) -> Self {
        let baseline = questions.iter().zip(carried).filter(|(_, carried)| **carried).map(|(question, _)| Said::of(&question.baseline));
        let mut said: BTreeSet<Said> = baseline.collect();
        for answers in columns {
            let changed =
                answers.iter().zip(carried).filter(|(answer, carried)| **carried && answer.outcome.is_some_and(Outcome::diverged));
            said.extend(changed.map(|(answer, _)| Said::of(answer)));
        }
        Self { said: said.into_iter().collect() }
    }

    /// One more than the text's place.
    fn index(&self, answer: &AnswerRow) -> u32 {
        self.said.binary_search(&Said::of(answer)).map_or(0, |index| index as u32 + 1)
    }
}

fn code(answer: &AnswerRow) -> u8 {
    OUTCOMES.iter().position(|known| Some(*known) == answer.outcome).unwrap_or_default() as u8
}

/// Nothing where the verdicts say it all.
fn scores(answers: &[&AnswerRow]) -> Vec<f32> {
    let plain = |answer: &&AnswerRow| answer.score.to_bits() == f32::from(u8::from(answer.correct)).to_bits();
    if answers.iter().all(plain) { Vec::new() } else { answers.iter().map(|answer| answer.score).collect() }
}
