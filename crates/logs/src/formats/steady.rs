//! Our own: a `report.json`, or a run folder, which the command line hands over as one.

use steady_report::Measurements;

use crate::LogError;
use crate::format::{LogFormat, Run, alone, document_has, nothing_beside};
use crate::log::{Answer, Log, Read};
use crate::source::Content;

/// The row of the table.
pub(crate) const FORMAT: LogFormat = LogFormat {
    name: "steady",
    title: "a run of steady",
    expects: "a run folder or its report.json",
    recognises: |content| document_has(content, &["format", "questions", "accelerations", "plan"]),
    accompanies: alone,
    beside: nothing_beside,
    read,
};

fn read(run: &Run<'_>) -> Result<Log, LogError> {
    let [file] = run.answers[..] else {
        return Err(run.wrong(run.answers[0], "several reports; name one"));
    };
    let Content::Document(document) = &file.content else { return Err(run.wrong(file, "not one object")) };
    let report = steady_report::Report::from_json(&document.to_string()).map_err(|error| run.wrong(file, error.to_string()))?;
    let Measurements { plan, baseline_cost, questions, accelerations, .. } = report.measurements();
    let wanted = run.choices.variant.as_deref().unwrap_or("none");
    let variant = accelerations.iter().find(|acceleration| acceleration.spec == wanted);
    if variant.is_none() && wanted != "none" {
        let known = std::iter::once("none").chain(plan.specs.iter().map(String::as_str)).collect::<Vec<_>>().join(", ");
        return Err(LogError::Absent { run: run.name.to_owned(), what: "acceleration", name: wanted.to_owned(), known });
    }
    let mut log = run.empty();
    log.model = Some(match variant {
        None => plan.model.clone(),
        Some(variant) => format!("{} under {}", plan.model, variant.spec),
    });
    log.benchmark.clone_from(&plan.benchmark);
    log.fingerprint.clone_from(&plan.benchmark_fingerprint);
    log.cost = Some(variant.map_or(baseline_cost, |variant| &variant.cost).clone());
    log.settings = plan.decoding.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    log.settings.insert("prompt".to_owned(), plan.prompt_template.clone());
    log.settings.insert("benchmark_fingerprint".to_owned(), plan.benchmark_fingerprint.clone());
    log.settings.extend(plan.post_prompts.iter().map(|(form, text)| (format!("post_prompt.{form}"), text.clone())));
    log.circumstances = plan.versions.iter().map(|(name, value)| (format!("version.{name}"), value.clone())).collect();
    log.circumstances.extend(plan.processor.iter().map(|(name, value)| (format!("processor.{name}"), value.clone())));
    log.circumstances.insert("device".to_owned(), plan.device.clone());
    log.circumstances.insert("precision".to_owned(), plan.precision.clone());
    for (i, question) in questions.iter().enumerate().take(plan.questions) {
        let answer = variant.map_or(&question.baseline, |variant| &variant.answers[i]);
        log.answers.push(Answer {
            place: format!("{} questions[{i}]", file.name),
            id: question.id.clone(),
            family: question.family.clone(),
            image: question.image.clone(),
            question: Some(question.text.clone()),
            gold: question.gold.clone(),
            reply: answer.text.clone(),
            read: answer.parsed.clone().map_or(Read::Nothing, Read::As),
            score: report.judged().then_some(f64::from(answer.score)),
            correct: report.judged().then_some(answer.correct),
            margin: answer.margin,
            visual_tokens: answer.visual_tokens,
            top: answer.top.clone(),
            ..Answer::default()
        });
    }
    if !plan.perturbations.is_empty() {
        log.notes.push("answers about perturbed images are not compared".to_owned());
    }
    Ok(log)
}
