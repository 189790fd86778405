//! Inspect: a log as JSON, or as `.eval`, a zip of the same parts. As 0.3.285 writes them.
//!
//! An epoch is one more answer to the same question. Settings of generation are in `plan.config`.

use data_encoding::HEXLOWER;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::sync::Arc;

use super::{gold_of, score_of};
use crate::LogError;
use crate::format::{LogFormat, Run, alone, document_has, nothing_beside};
use crate::log::{Answer, Log, Read};
use crate::source::{Content, Row, text_of};

/// The row of the table.
pub(crate) const FORMAT: LogFormat = LogFormat {
    name: "inspect",
    title: "a log of Inspect",
    expects: "a .eval file, or a JSON object of version, eval, plan, samples",
    recognises: |content| document_has(content, &["version", "eval", "plan"]),
    accompanies: alone,
    beside: nothing_beside,
    read,
};

/// Settings of generation that say how fast it goes, not what comes out.
const HOW_FAST: &[&str] = &["max_connections", "max_retries", "timeout", "attempt_timeout", "cache", "batch"];

fn read(run: &Run<'_>) -> Result<Log, LogError> {
    let mut log = run.empty();
    let mut tasks = Vec::new();
    for file in &run.answers {
        let Content::Document(document) = &file.content else { continue };
        let eval = &document["eval"];
        let task = text_of(&eval["task"]);
        log.model = eval.get("model").map(text_of);
        let mut put = |name: &str, value: &Value| {
            if !value.is_null() {
                log.settings.insert(format!("{task}.{name}"), text_of(value));
            }
        };
        for (name, value) in document["plan"]["config"].as_object().into_iter().flatten() {
            if HOW_FAST.contains(&name.as_str()) {
                log.circumstances.insert(name.clone(), text_of(value));
            } else {
                put(name, value);
            }
        }
        put("plan", &document["plan"]["steps"]);
        put("task_version", &eval["task_version"]);
        put("task_args", &eval["task_args"]);
        put("epochs", &eval["config"]["epochs"]);
        put("inspect_ai", &eval["packages"]["inspect_ai"]);
        if document["status"].as_str() != Some("success") {
            log.notes.push(format!("{}: the run ended as {}", file.name, document["status"]));
        }
        let samples = document.get("samples").and_then(Value::as_array);
        let samples = samples.ok_or_else(|| run.wrong(file, "a header without samples; give the whole log"))?;
        let name: Arc<str> = file.name.as_str().into();
        let repeated = samples.iter().any(|sample| sample["epoch"].as_u64().is_some_and(|epoch| epoch > 1));
        let mut failed = Vec::new();
        for (i, sample) in samples.iter().enumerate() {
            let Some(fields) = sample.as_object() else { return Err(run.wrong(file, format!("sample {} is no object", i + 1))) };
            let row = Row::new(&name, "sample", i + 1, fields.clone());
            let id = row.need("id", "the sample's identity")?;
            if row.get("error").is_some() {
                failed.push(id);
                continue;
            }
            let id = if run.answers.len() > 1 { format!("{task}/{id}") } else { id };
            log.answers.push(answer(run, &row, id, repeated, &task)?);
        }
        if !failed.is_empty() {
            log.notes.push(format!("{}: {} samples ended in an error and hold no answer: {}", file.name, failed.len(), failed.join(", ")));
        }
        tasks.push(task);
    }
    log.benchmark = tasks.join(", ");
    Ok(log)
}

fn answer(run: &Run<'_>, row: &Row, id: String, repeated: bool, task: &str) -> Result<Answer, LogError> {
    let (question, pictures) = prompt(row.fields.get("input").unwrap_or(&Value::Null));
    let output = row.fields.get("output").and_then(|output| output.get("completion"));
    let scores = row.fields.get("scores").and_then(Value::as_object);
    let known = || scores.map(Map::keys).into_iter().flatten().cloned().collect::<Vec<_>>().join(", ");
    let score = match (&run.choices.metric, scores) {
        (Some(wanted), scores) => Some(scores.and_then(|scores| scores.get(wanted)).ok_or_else(|| LogError::Absent {
            run: row.place(),
            what: "score",
            name: wanted.clone(),
            known: known(),
        })?),
        (None, scores) => scores.and_then(|scores| scores.values().next()),
    };
    let read = match score.and_then(|score| score.get("answer")) {
        Some(Value::String(read)) if read.trim().is_empty() => Read::Nothing,
        Some(Value::String(read)) => Read::As(read.clone()),
        _ => Read::Unsaid,
    };
    let epoch = row.text("epoch").unwrap_or_default();
    Ok(Answer {
        place: row.place(),
        image: pictures.unwrap_or_else(|| id.clone()),
        id: if repeated { format!("{id}#{epoch}") } else { id },
        family: task.to_owned(),
        question: Some(question),
        gold: gold_of(row.get("target")),
        options: row.get("choices").and_then(Value::as_array).into_iter().flatten().map(text_of).collect(),
        reply: output.map(text_of).unwrap_or_default(),
        read,
        score: match score.and_then(|score| score.get("value")) {
            Some(value) if !value.is_object() && !value.is_array() => score_of(row, "scores.value", value)?,
            _ => None,
        },
        ..Answer::default()
    })
}

/// The words of an input, which is a text or a list of messages, and what tells its pictures from others.
fn prompt(input: &Value) -> (String, Option<String>) {
    let Some(messages) = input.as_array() else { return (text_of(input), None) };
    let (mut words, mut pictures) = (Vec::new(), Vec::new());
    for message in messages {
        match &message["content"] {
            Value::Array(parts) => {
                for part in parts {
                    words.extend(part.get("text").map(text_of));
                    pictures.extend(part.get("image").map(text_of));
                }
            }
            content => words.push(text_of(content)),
        }
    }
    let picture = (!pictures.is_empty()).then(|| format!("image-{}", HEXLOWER.encode(&Sha256::digest(pictures.join("\0"))[..5])));
    (words.join("\n"), picture)
}
