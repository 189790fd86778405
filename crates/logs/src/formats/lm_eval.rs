//! lm-evaluation-harness: `samples_<task>_<date>.jsonl`, with `results_<date>.json` beside them. Read as 0.4.13 writes them.
//!
//! A line is one question under one filter; several filters make several lines of a question. A choice is logged as the log-likelihoods of its options: the
//! answer is the most likely one, ties by index, and how far it is ahead is the margin. What a filter could not extract is written as `[invalid]`,
//! which makes unlike replies alike: they are told apart here by what was said.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{gold_of, score_of, task_settings};
use crate::LogError;
use crate::format::{LogFormat, Run, document_has, rows_have};
use crate::log::{Answer, Log, Read, letter, letter_at};
use crate::source::{Content, Row, text_of};

/// The row of the table.
pub(crate) const FORMAT: LogFormat = LogFormat {
    name: "lm-eval",
    title: "lm-evaluation-harness samples",
    expects: "JSON lines with doc_id, target, arguments, filtered_resps, prompt_hash",
    recognises: |content| rows_have(content, &["doc_id", "target", "arguments", "filtered_resps", "prompt_hash"]),
    accompanies: |content| document_has(content, &["results", "configs"]),
    beside: |answers, other| {
        let date = answers.rsplit_once('_').map_or(answers, |(_, date)| date).trim_end_matches(".jsonl");
        other == format!("results_{date}.json")
    },
    read,
};

/// What a filter writes where it finds nothing.
const INVALID: &str = "[invalid]";

/// The task in the name of a file, `samples_<task>_<date>.jsonl`.
fn task_in(name: &str) -> Option<&str> {
    name.rsplit('/').next()?.strip_prefix("samples_")?.rsplit_once('_').map(|(task, _)| task)
}

fn read(run: &Run<'_>) -> Result<Log, LogError> {
    let mut log = run.empty();
    let mut filters: Vec<String> = Vec::new();
    for row in run.answers.iter().flat_map(|file| rows(&file.content)) {
        let filter = row.text("filter").unwrap_or_default();
        if !filters.contains(&filter) {
            filters.push(filter);
        }
    }
    if let Some(wanted) = run.choices.filter.as_ref().filter(|wanted| !filters.contains(wanted)) {
        let known = filters.join(", ");
        return Err(LogError::Absent { run: run.name.to_owned(), what: "filter", name: wanted.clone(), known });
    }
    let (mut tasks, mut metrics) = (Vec::new(), BTreeSet::new());
    for file in &run.answers {
        let task = task_in(&file.name).unwrap_or_default();
        let mut of_file: Vec<String> = rows(&file.content).iter().map(|row| row.text("filter").unwrap_or_default()).collect();
        of_file.dedup();
        let wanted = run.choices.filter.as_ref().filter(|wanted| of_file.contains(wanted));
        let filter = wanted.or(of_file.first()).cloned().unwrap_or_default();
        let distinct: BTreeSet<&String> = of_file.iter().collect();
        if distinct.len() > 1 {
            let names = distinct.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
            log.notes.push(format!("{task}: of the filters {names} the answers of {filter} are compared (--filter takes another)"));
        }
        log.settings.insert(under(task, "filter"), filter.clone());
        for row in rows(&file.content).iter().filter(|row| row.text("filter").unwrap_or_default() == filter) {
            let mut answer = answer(run, row, &mut metrics)?;
            answer.family = if task.is_empty() { "all".to_owned() } else { task.to_owned() };
            answer.id = if run.answers.len() > 1 { format!("{task}/{}", answer.id) } else { answer.id };
            answer.image.clone_from(&answer.id);
            if let Some(generation) = generation(row) {
                log.settings.entry(under(task, "generation")).or_insert(generation);
            }
            log.answers.push(answer);
        }
        tasks.push(task);
    }
    log.benchmark = tasks.join(", ");
    for metric in metrics {
        log.notes.push(metric);
    }
    for file in &run.others {
        if let Content::Document(results) = &file.content {
            task_settings(&mut log, results, &tasks, "lm_eval_version");
        }
    }
    Ok(log)
}

fn under(task: &str, name: &str) -> String {
    if task.is_empty() { name.to_owned() } else { format!("{task}.{name}") }
}

fn rows(content: &Content) -> &[Row] {
    match content {
        Content::Rows(rows) => rows,
        Content::Document(_) => &[],
    }
}

/// The requests of a question: the prompt, and the option or the settings of generation.
fn arguments(row: &Row) -> Vec<(&Value, &Value)> {
    fn pair(value: &Value) -> Option<(&Value, &Value)> {
        match value {
            Value::Object(named) => Some((named.get("arg_0")?, named.get("arg_1").unwrap_or(&Value::Null))),
            Value::Array(listed) => Some((listed.first()?, listed.get(1).unwrap_or(&Value::Null))),
            _ => None,
        }
    }
    match row.fields.get("arguments") {
        Some(Value::Object(requests)) => requests.values().filter_map(pair).collect(),
        Some(Value::Array(requests)) => requests.iter().filter_map(pair).collect(),
        _ => Vec::new(),
    }
}

fn generation(row: &Row) -> Option<String> {
    arguments(row).first().map(|(_, settings)| *settings).filter(|settings| settings.is_object()).map(text_of)
}

fn answer(run: &Run<'_>, row: &Row, notes: &mut BTreeSet<String>) -> Result<Answer, LogError> {
    let requests = arguments(row);
    let mut answer = Answer {
        place: row.place(),
        id: row.need("doc_id", "the question's number")?,
        question: requests.first().map(|(prompt, _)| text_of(prompt)),
        hashes: ["doc_hash", "prompt_hash", "target_hash"].into_iter().filter_map(|name| Some((name, row.text(name)?))).collect(),
        ..Answer::default()
    };
    let filtered = row.get("filtered_resps").and_then(Value::as_array).ok_or_else(|| row.wrong("filtered_resps", "a list"))?;
    let options: Vec<String> = requests.iter().filter_map(|(_, option)| option.as_str()).map(|option| option.trim().to_owned()).collect();
    if !requests.is_empty() && options.len() == requests.len() {
        let likely: Option<Vec<f64>> = filtered.iter().map(likelihood).collect();
        let likely = likely.filter(|likely| likely.len() == options.len() && likely.len() > 1);
        let likely = likely.ok_or_else(|| row.wrong("filtered_resps", "the log-likelihoods of at least two options, one for each"))?;
        let best = (0..likely.len()).reduce(|best, i| if likely[i] > likely[best] { i } else { best }).unwrap_or_default();
        let second = likely.iter().enumerate().filter(|(i, _)| *i != best).map(|(_, value)| *value).fold(f64::NEG_INFINITY, f64::max);
        answer.margin = Some((likely[best] - second) as f32).filter(|margin| margin.is_finite());
        answer.read = Read::As(letter_at(best));
        answer.reply.clone_from(&options[best]);
        answer.gold = gold_of(row.get("target")).iter().map(|gold| of_options(gold, &options)).collect();
        answer.options = options;
    } else {
        let first = |value: Option<&Value>| match value {
            Some(Value::Array(values)) => values.first().map(text_of),
            other => other.map(text_of),
        };
        let said = row.get("resps").and_then(Value::as_array).and_then(|requests| first(requests.first()));
        let extracted = first(filtered.first());
        answer.reply = said.or_else(|| extracted.clone()).ok_or_else(|| row.wrong("resps", "what the model said"))?;
        answer.read = match extracted {
            Some(extracted) if extracted == INVALID => Read::Nothing,
            Some(extracted) if extracted != answer.reply => Read::As(extracted),
            _ => Read::Unsaid,
        };
        answer.gold = gold_of(row.get("target"));
    }
    let named = row.get("metrics").and_then(Value::as_array).and_then(|metrics| metrics.first()).map(text_of);
    if let Some(metric) = run.choices.metric.clone().or(named) {
        let value = row.fields.get(&metric);
        if value.is_none() && run.choices.metric.is_some() {
            let known = row.get("metrics").map(text_of).unwrap_or_default();
            return Err(LogError::Absent { run: row.place(), what: "metric", name: metric, known });
        }
        match value {
            Some(value) if !value.is_array() && !value.is_object() => match score_of(row, &metric, value) {
                Ok(score) => answer.score = score,
                Err(_) => drop(notes.insert(format!("{metric} is no score from 0 to 1: answers are scored here"))),
            },
            _ => {}
        }
    }
    Ok(answer)
}

/// The log-likelihood out of `[-1.5, false]`, whose parts may be written as texts.
fn likelihood(response: &Value) -> Option<f64> {
    let value = response.as_array()?.first()?;
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

/// The letter of a gold option, which is given by its index, its letter or its text.
fn of_options(gold: &str, options: &[String]) -> String {
    match gold.parse::<usize>() {
        Ok(index) if index < options.len() => letter_at(index),
        _ => letter(gold, options),
    }
}
