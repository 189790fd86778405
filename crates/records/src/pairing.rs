//! Pairing: every answer beside the baseline's answer to the same question, as a [`Report`].

use std::collections::{BTreeMap, HashMap};

use steady_bench::{Question, same_answer};
use steady_report::share::SuiteQuestion;
use steady_report::{
    AccelerationReport, AnswerRow, CostRow, Measurements, NoiseFloor, Outcome, PlanSummary, QuestionRow, Report, TokenLogit,
};

use crate::RecordsError;
use crate::plan::{BASELINE, CLEAN, NOISE_FLOOR, Plan};
use crate::record::Record;

/// First-token candidates that a report keeps of the [`TOP`](crate::record::TOP) recorded.
const SHOWN: usize = 5;

/// The report of `records`, which are those of `plan`: all questions about the clean images, then all again under each perturbation. Their order does
/// not matter. Wall times stay out of it, so that the same plan gives the same report.
///
/// # Errors
/// [`RecordsError::Report`] if answers are missing, or if the scorer and the equality test of a question contradict each other.
pub fn report<'a>(plan: &Plan, questions: &[Question], records: impl IntoIterator<Item = &'a Record>) -> Result<Report, RecordsError> {
    let answers: HashMap<(&str, &str, &str), &Record> = records
        .into_iter()
        .map(|record| ((record.acceleration.as_str(), record.perturbation.as_str(), record.question.as_str()), record))
        .collect();
    let of = |acceleration: &str| -> Result<Vec<&Record>, RecordsError> {
        let missing = |question: &Question, perturbation: &str| {
            RecordsError::Report(format!(
                "question {}, acceleration {acceleration}, perturbation {perturbation}: no record; the run is not finished, run it again to continue",
                question.id
            ))
        };
        asked(plan, questions)
            .map(|(perturbation, question)| {
                let found = answers.get(&(acceleration, perturbation, question.id.as_str()));
                found.copied().ok_or_else(|| missing(question, perturbation))
            })
            .collect()
    };
    let baseline = of(BASELINE)?;
    let pair = |acceleration: &str| -> Result<(Vec<&Record>, Vec<AnswerRow>), RecordsError> {
        let after = of(acceleration)?;
        let rows = asked(plan, questions)
            .zip(&baseline)
            .zip(&after)
            .map(|(((_, question), before), after)| paired(question, before, after))
            .collect::<Result<_, _>>()?;
        Ok((after, rows))
    };
    let rows = asked(plan, questions)
        .zip(&baseline)
        .enumerate()
        .map(|(i, ((perturbation, question), record))| {
            let row = SuiteQuestion::from(question);
            if perturbation == CLEAN {
                return Ok(row.answered(answer(record)));
            }
            // beside what the same model says about the clean image
            let answer = paired(question, baseline[i % questions.len()], record)?;
            Ok(QuestionRow { perturbation: Some(perturbation.to_owned()), ..row.answered(answer) })
        })
        .collect::<Result<_, RecordsError>>()?;
    let mut accelerations = Vec::new();
    for acceleration in plan.accelerations.iter().filter(|acceleration| acceleration.spec != BASELINE) {
        let (after, answers) = pair(&acceleration.spec)?;
        accelerations.push(AccelerationReport {
            spec: acceleration.spec.clone(),
            what_it_is: acceleration.describe.clone(),
            answers,
            first_token: None,
            cost: cost(&after[..questions.len()], acceleration.stored_bytes),
        });
    }
    let noise_floor = if plan.noise_floor {
        Some(NoiseFloor { varied: "reversed order, nothing shared".to_owned(), answers: pair(NOISE_FLOOR)?.1, first_token: None })
    } else {
        None
    };
    Report::new(Measurements {
        plan: summary(plan),
        baseline_cost: cost(&baseline[..questions.len()], plan.accelerations.first().and_then(|baseline| baseline.stored_bytes)),
        questions: rows,
        accelerations,
        noise_floor,
    })
    .map_err(|e| RecordsError::Report(e.to_string()))
}

/// What a plan asks, in the order of a report's rows: perturbation by perturbation.
fn asked<'a>(plan: &'a Plan, questions: &'a [Question]) -> impl Iterator<Item = (&'a str, &'a Question)> {
    plan.perturbations.iter().flat_map(move |perturbation| questions.iter().map(move |question| (perturbation.as_str(), question)))
}

fn paired(question: &Question, before: &Record, after: &Record) -> Result<AnswerRow, RecordsError> {
    // Where there is no answer there is nothing to compare: none equals none, and nothing else.
    let same = match (&before.not_finite, &after.not_finite) {
        (None, None) => same_answer(question, &before.answer, &after.answer),
        (before, after) => before.is_some() == after.is_some(),
    };
    let outcome = Outcome::of(same, before.correct, after.correct).map_err(|e| {
        RecordsError::Report(format!(
            "question {}, acceleration {}, perturbation {}: {e} ({:?} -> {:?})",
            question.id, after.acceleration, after.perturbation, before.answer, after.answer
        ))
    })?;
    Ok(AnswerRow { outcome: Some(outcome), ..answer(after) })
}

fn answer(record: &Record) -> AnswerRow {
    AnswerRow {
        text: record.answer.clone(),
        parsed: record.parsed.clone(),
        correct: record.correct,
        score: record.score,
        margin: record.not_finite.is_none().then_some(record.margin),
        kl: record.kl,
        outcome: None,
        visual_tokens: record.decoder_visual_tokens,
        top: record
            .top_tokens
            .iter()
            .zip(&record.top_logits)
            .take(SHOWN)
            .map(|(token, &logit)| TokenLogit { token: token.clone(), logit })
            .collect(),
    }
}

fn cost(records: &[&Record], stored_bytes: Option<u64>) -> CostRow {
    let mean = |of: &dyn Fn(&Record) -> f64| records.iter().map(|record| of(record)).sum::<f64>() / records.len() as f64;
    CostRow {
        weight_bytes: records.first().map_or(0, |record| record.weight_bytes),
        stored_bytes,
        kv_bytes: mean(&|record| record.kv_bytes as f64),
        visual_tokens: mean(&|record| f64::from(record.decoder_visual_tokens)),
        prompt_tokens: mean(&|record| f64::from(record.prompt_tokens)),
        flops: mean(&|record| record.flops as f64),
        seconds: None,
    }
}

fn summary(plan: &Plan) -> PlanSummary {
    let versions = [("steady", &plan.versions.steady), ("burn", &plan.versions.burn)];
    PlanSummary {
        model: plan.model.name.clone(),
        checkpoint_sha256: plan.model.sha256.clone(),
        benchmark: plan.benchmark.name.clone(),
        benchmark_fingerprint: plan.benchmark.fingerprint.clone(),
        questions: plan.benchmark.questions,
        perturbations: plan.perturbations.iter().filter(|perturbation| *perturbation != CLEAN).cloned().collect(),
        specs: plan.accelerations.iter().map(|acceleration| acceleration.spec.clone()).filter(|spec| spec != BASELINE).collect(),
        prompt_template: plan.prompt.clone(),
        processor: plan.processor.clone(),
        decoding: plan.decoding.clone(),
        precision: plan.precision.clone(),
        device: plan.device.clone(),
        versions: versions.map(|(name, version)| (name.to_owned(), version.clone())).into(),
        seeds: BTreeMap::new(),
        command_line: plan.command.clone(),
    }
}
