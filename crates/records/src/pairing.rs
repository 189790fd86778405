//! Pairing: every answer beside the baseline's answer to the same question, as a [`Report`].

use std::collections::{BTreeMap, HashMap};

use steady_bench::{Posed, Question, Verdict};
use steady_report::share::SuiteQuestion;
use steady_report::{
    AccelerationReport, AnswerRow, ControlReport, CostRow, Flag, Flagged, Measurements, Outcome, PlanSummary, QuestionRow, Report,
    TokenLogit,
};

use crate::RecordsError;
use crate::plan::{BASELINE, CLEAN, ControlPlan, Plan, perturbation};
use crate::record::Record;

/// First-token candidates that a report keeps of the [`TOP`](crate::record::TOP) recorded.
const SHOWN: usize = 5;

/// The report of `records`, which are those of `plan`: all questions about the clean images, then all again under each perturbation. Their order does
/// not matter. Wall times stay out of it, so that the same plan gives the same report.
///
/// Records are answers: what they are worth is scored here, by the scorer that also says which are the same, so that the two cannot contradict each
/// other. An answer that was scored otherwise when it was given, by another release, is flagged, and so is one whose logits are no numbers.
///
/// # Errors
/// [`RecordsError::Report`] if answers are missing.
pub fn report<'a>(plan: &Plan, questions: &[Question], records: impl IntoIterator<Item = &'a Record>) -> Result<Report, RecordsError> {
    let answers: HashMap<(&str, &str, &str), &Record> = records
        .into_iter()
        .map(|record| ((record.acceleration.as_str(), record.perturbation.as_str(), record.question.as_str()), record))
        .collect();
    let posed = posed(plan, questions)?;
    let of = |acceleration: &str| -> Result<Vec<Judged<'_>>, RecordsError> {
        let missing = |question: &Question, perturbation: &str| {
            RecordsError::Report(format!(
                "question {}, acceleration {acceleration}, perturbation {perturbation}: no record; the run is not finished, run it again to continue",
                question.id
            ))
        };
        posed
            .iter()
            .map(|(perturbation, posed)| {
                let question = posed.question();
                let found = answers.get(&(acceleration, *perturbation, question.id.as_str()));
                let record = found.copied().ok_or_else(|| missing(question, perturbation))?;
                // what stands there before the logits ran out is no answer
                let lost = record.not_finite.is_some();
                let verdict = if lost { Verdict::on_no_answer() } else { posed.score(&record.answer) };
                Ok(Judged { posed, record, verdict })
            })
            .collect()
    };
    let mut flagged = Vec::new();
    let baseline = of(BASELINE)?;
    flagged.extend(flags(BASELINE, &baseline));
    let rows = posed
        .iter()
        .zip(&baseline)
        .enumerate()
        .map(|(i, ((perturbation, posed), answered))| {
            let row = SuiteQuestion::from(posed.question());
            if *perturbation == CLEAN {
                return Ok(row.answered(answered.row()));
            }
            // beside what the same model says about the clean image
            let answer = answered.beside(&baseline[i % questions.len()])?;
            Ok(QuestionRow { perturbation: Some((*perturbation).to_owned()), ..row.answered(answer) })
        })
        .collect::<Result<_, RecordsError>>()?;
    let pair = |after: &[Judged<'_>]| -> Result<Vec<AnswerRow>, RecordsError> {
        baseline.iter().zip(after).map(|(before, after)| after.beside(before)).collect()
    };
    let mut accelerations = Vec::new();
    for acceleration in plan.accelerations.iter().filter(|acceleration| acceleration.spec != BASELINE) {
        let after = of(&acceleration.spec)?;
        flagged.extend(flags(&acceleration.spec, &after));
        accelerations.push(AccelerationReport {
            spec: acceleration.spec.clone(),
            what_it_is: acceleration.describe.clone(),
            answers: pair(&after)?,
            first_token: None,
            cost: cost(&after[..questions.len()], acceleration.stored_bytes),
        });
    }
    let mut controls = Vec::new();
    for ControlPlan { spec, describe } in &plan.controls {
        let after = of(spec)?;
        flagged.extend(flags(spec, &after));
        controls.push(ControlReport { spec: spec.clone(), what_it_is: describe.clone(), answers: pair(&after)?, first_token: None });
    }
    let baseline_cost = cost(&baseline[..questions.len()], plan.accelerations.first().and_then(|baseline| baseline.stored_bytes));
    Report::new(Measurements { plan: summary(plan)?, baseline_cost, questions: rows, accelerations, controls, flagged })
        .map_err(|e| RecordsError::Report(e.to_string()))
}

/// How many answers of each variant the limit cut, and how many there are, in the plan's order. Answers of versions that did not say are left out.
pub fn cut<'a>(plan: &Plan, records: impl IntoIterator<Item = &'a Record>) -> Vec<(String, usize, usize)> {
    let mut counts: HashMap<&str, (usize, usize)> = HashMap::new();
    for record in records {
        if let Some(cut) = record.cut {
            let (cut_ones, all) = counts.entry(&record.acceleration).or_default();
            *cut_ones += usize::from(cut);
            *all += 1;
        }
    }
    let counted = |variant: &str| counts.get(variant).map(|&(cut, all)| (variant.to_owned(), cut, all));
    plan.variants().into_iter().filter_map(counted).collect()
}

/// What a plan asks, in the order of a report's rows: perturbation by perturbation.
fn posed<'a>(plan: &'a Plan, questions: &'a [Question]) -> Result<Vec<(&'a str, Posed<'a>)>, RecordsError> {
    let mut posed = Vec::with_capacity(plan.perturbations.len() * questions.len());
    for text in &plan.perturbations {
        let spec = perturbation(text)?;
        posed.extend(questions.iter().map(|question| (text.as_str(), Posed::of(question, &spec, &plan.post_prompts))));
    }
    Ok(posed)
}

/// An answer and what it is worth.
struct Judged<'a> {
    posed: &'a Posed<'a>,
    record: &'a Record,
    verdict: Verdict,
}

impl Judged<'_> {
    /// The answer with what became of the question since `before`.
    fn beside(&self, before: &Self) -> Result<AnswerRow, RecordsError> {
        let Record { acceleration, perturbation, answer, .. } = self.record;
        // Where there is no answer there is nothing to compare: none equals none, and nothing else.
        let same = match (&before.record.not_finite, &self.record.not_finite) {
            (None, None) => self.posed.same_answer(answer, before.posed, &before.record.answer),
            (before, after) => before.is_some() == after.is_some(),
        };
        let outcome = Outcome::of(same, before.verdict.correct, self.verdict.correct).map_err(|e| {
            let pair = format!("question {}, acceleration {acceleration}, perturbation {perturbation}", self.posed.question().id);
            RecordsError::Report(format!("{pair}: {e} ({:?} -> {answer:?})", before.record.answer))
        })?;
        Ok(AnswerRow { outcome: Some(outcome), ..self.row() })
    }

    fn row(&self) -> AnswerRow {
        let Self { record, verdict, .. } = self;
        AnswerRow {
            text: record.answer.clone(),
            parsed: verdict.parsed.clone(),
            correct: verdict.correct,
            score: verdict.score,
            margin: record.margin.filter(|margin| record.not_finite.is_none() && margin.is_finite()),
            kl: record.kl.filter(|kl| kl.is_finite()),
            outcome: None,
            visual_tokens: record.decoder_visual_tokens,
            top: record
                .top_tokens
                .iter()
                .zip(&record.top_logits)
                .filter(|(_, logit)| logit.is_finite())
                .take(SHOWN)
                .map(|(token, &logit)| TokenLogit { token: token.clone(), logit })
                .collect(),
        }
    }

    fn flag(&self) -> Option<Flag> {
        let Self { record, verdict, .. } = self;
        let finite = record.not_finite.is_none()
            && record.margin.is_none_or(f32::is_finite)
            && record.kl.is_none_or(f64::is_finite)
            && record.top_logits.iter().all(|logit| logit.is_finite());
        match (finite, record.correct == verdict.correct) {
            (false, _) => Some(Flag::NotFinite),
            (true, false) => Some(Flag::Rescored),
            (true, true) => None,
        }
    }
}

/// What is odd about a variant's answers, by its name in the records.
fn flags<'a>(variant: &'a str, answers: &'a [Judged<'a>]) -> impl Iterator<Item = Flagged> + 'a {
    let odd = answers.iter().enumerate().filter_map(|(row, answer)| Some((row, answer.flag()?)));
    odd.map(move |(row, flag)| Flagged { row, spec: variant.to_owned(), flag })
}

fn cost(answers: &[Judged<'_>], stored_bytes: Option<u64>) -> CostRow {
    let mean = |of: &dyn Fn(&Record) -> f64| answers.iter().map(|answer| of(answer.record)).sum::<f64>() / answers.len() as f64;
    CostRow {
        weight_bytes: answers.first().map_or(0, |answer| answer.record.weight_bytes),
        stored_bytes,
        kv_bytes: mean(&|record| record.kv_bytes as f64),
        visual_tokens: mean(&|record| f64::from(record.decoder_visual_tokens)),
        prompt_tokens: mean(&|record| f64::from(record.prompt_tokens)),
        flops: mean(&|record| record.flops as f64),
        seconds: None,
    }
}

fn summary(plan: &Plan) -> Result<PlanSummary, RecordsError> {
    let versions = [("steady", &plan.versions.steady), ("burn", &plan.versions.burn)];
    Ok(PlanSummary {
        model: plan.model.name.clone(),
        checkpoint_sha256: plan.model.sha256.clone(),
        benchmark: plan.benchmark.name.clone(),
        benchmark_fingerprint: plan.benchmark.fingerprint.clone(),
        plan_sha256: plan.sha256()?,
        questions: plan.benchmark.questions,
        perturbations: plan.perturbations.iter().filter(|perturbation| *perturbation != CLEAN).cloned().collect(),
        specs: plan.accelerations.iter().map(|acceleration| acceleration.spec.clone()).filter(|spec| spec != BASELINE).collect(),
        left_out: plan.left_out.iter().map(|left| (left.spec.clone(), left.reason.clone())).collect(),
        prompt_template: plan.prompt.clone(),
        post_prompts: plan.post_prompts.iter().map(|(form, text)| (form.to_owned(), text.to_owned())).collect(),
        processor: plan.processor.clone(),
        decoding: plan.decoding.clone(),
        precision: plan.precision.clone(),
        device: plan.device.clone(),
        versions: versions.map(|(name, version)| (name.to_owned(), version.clone())).into(),
        seeds: BTreeMap::new(),
        command_line: plan.command.clone(),
    })
}
