//! lmms-eval: `<date>_samples_<task>.jsonl`, with `<date>_results.json` beside them. Read as 0.6.1 and 0.7.3 write them.
//!
//! The two differ in what they call an answer (`filtered_resps` is a list in the first and a text in the second) and in how they score open questions of
//! MMMU, so logs of both are never mixed. `doc_hash` has the same value in every line of either, and then says nothing.

use serde_json::Value;
use steady_bench::{AnswerKind, python_list};

use super::{gold_of, score_of, task_settings};
use crate::LogError;
use crate::defects::{self, Corrected};
use crate::format::{LogFormat, Run, document_has, rows_have};
use crate::log::{Answer, Log, Read, letter_at, options_in};
use crate::source::{Content, Row, text_of};

/// The row of the table.
pub(crate) const FORMAT: LogFormat = LogFormat {
    name: "lmms-eval",
    title: "lmms-eval samples",
    expects: "JSON lines with doc_id, target, filtered_resps, doc_hash, input",
    recognises: |content| rows_have(content, &["doc_id", "target", "filtered_resps", "doc_hash", "input"]),
    accompanies: |content| document_has(content, &["results", "configs"]),
    beside: |answers, other| answers.split_once("_samples_").is_some_and(|(date, _)| other == format!("{date}_results.json")),
    read,
};

/// Fields of a line that are no scores.
const NO_SCORES: &[&str] =
    &["doc_id", "target", "filtered_resps", "resps", "doc_hash", "input", "token_counts", "input_media", "submission"];

fn read(run: &Run<'_>) -> Result<Log, LogError> {
    let mut log = run.empty();
    let mut tasks = Vec::new();
    for file in &run.answers {
        let Content::Rows(rows) = &file.content else { continue };
        let task = file.name.split_once("_samples_").map_or("", |(_, task)| task.trim_end_matches(".jsonl"));
        let as_list = rows.iter().any(|row| row.fields.get("filtered_resps").is_some_and(is_list_of_texts));
        log.settings.insert("layout".to_owned(), if as_list { "answers as lists (0.6)" } else { "answers as texts (0.7)" }.to_owned());
        let hash = rows.first().and_then(|row| row.text("doc_hash"));
        let telling = rows.len() > 1 && rows.iter().any(|row| row.text("doc_hash") != hash);
        for row in rows {
            let mut answer = answer(run, row, task)?;
            answer.family = if task.is_empty() { "all".to_owned() } else { task.to_owned() };
            answer.id = if run.answers.len() > 1 { format!("{task}/{}", answer.id) } else { answer.id };
            if answer.image.is_empty() {
                answer.image.clone_from(&answer.id);
            }
            if telling {
                answer.hashes.extend(row.text("doc_hash").map(|hash| ("doc_hash", hash)));
            }
            log.answers.push(answer);
        }
        tasks.push(task);
    }
    log.benchmark = tasks.join(", ");
    for file in &run.others {
        if let Content::Document(results) = &file.content {
            task_settings(&mut log, results, &tasks, "lmms_eval_version");
        }
    }
    Ok(log)
}

fn is_list_of_texts(value: &Value) -> bool {
    value.as_array().is_some_and(|values| values.first().is_some_and(Value::is_string))
}

fn answer(run: &Run<'_>, row: &Row, task: &str) -> Result<Answer, LogError> {
    let prompt = row.text("input").unwrap_or_default();
    let mut answer = Answer {
        place: row.place(),
        id: row.need("doc_id", "the question's number")?,
        options: options_in(&prompt),
        question: Some(prompt),
        ..Answer::default()
    };
    reply(row, &mut answer)?;
    let target = row.text("target").unwrap_or_default();
    answer.gold = python_list(&target).unwrap_or_else(|| gold_of(row.get("target")));
    let of_metric = |name: &str| row.fields.get(name);
    let metric = match &run.choices.metric {
        Some(name) if of_metric(name).is_none() => {
            let known = row.fields.keys().filter(|name| !NO_SCORES.contains(&name.as_str())).cloned().collect::<Vec<_>>().join(", ");
            return Err(LogError::Absent { run: row.place(), what: "metric", name: name.clone(), known });
        }
        Some(name) => Some(name.clone()),
        None => row.fields.keys().find(|name| !NO_SCORES.contains(&name.as_str())).cloned(),
    };
    if let Some(metric) = metric {
        let value = of_metric(&metric).unwrap_or(&Value::Null);
        if let Some(kind) = value.get("question_type").zip(value.get("parsed_pred")).map(|(kind, _)| text_of(kind)) {
            exam(&mut answer, value, kind != "open");
        } else if let Some(score) = value.get("score").or(Some(value)).filter(|score| !score.is_object() && !score.is_array()) {
            // what is no share, such as a judge's marks, is no verdict
            answer.score = score_of(row, &metric, score).unwrap_or(None);
        }
    }
    if task.starts_with("pope") && matches!(answer.kind(), AnswerKind::YesNo) {
        answer.corrected = Some(Corrected::by_our_scorer(&answer, defects::POPE));
    }
    if !answer.options.is_empty() && answer.gold.iter().any(|gold| gold.trim().len() != 1) {
        // lines that begin with letters, and an answer that is none of them
        answer.options.clear();
    }
    Ok(answer)
}

/// One text, as itself or in lists of one; or the log-likelihoods of options.
fn reply(row: &Row, answer: &mut Answer) -> Result<(), LogError> {
    let mut value = row.fields.get("filtered_resps").unwrap_or(&Value::Null);
    while let Some([only]) = value.as_array().map(Vec::as_slice) {
        value = only;
    }
    match value {
        Value::String(said) => answer.reply.clone_from(said),
        Value::Array(values) => {
            let likely: Option<Vec<f64>> = values.iter().map(|value| value.as_array()?.first()?.as_f64()).collect();
            let likely =
                likely.ok_or_else(|| row.wrong("filtered_resps", "one answer (one of several repeats cannot be told from the others)"))?;
            let best = (0..likely.len()).reduce(|best, i| if likely[i] > likely[best] { i } else { best }).unwrap_or_default();
            answer.reply = letter_at(best);
            answer.read = Read::As(letter_at(best));
        }
        other => answer.reply = text_of(other),
    }
    Ok(())
}

/// A question of MMMU. The log holds what was parsed, and no score.
fn exam(answer: &mut Answer, value: &Value, choice: bool) {
    let gold = value.get("answer").map(text_of).unwrap_or_default();
    answer.gold = python_list(&gold).unwrap_or_else(|| gold_of(value.get("answer")));
    let parsed = value.get("parsed_pred").and_then(Value::as_array).and_then(|parsed| parsed.first()).cloned().unwrap_or(Value::Null);
    if choice {
        answer.correct = Some(answer.gold.iter().any(|gold| *gold == text_of(&parsed)));
        answer.corrected = Some(Corrected::by_our_scorer(answer, defects::MMMU_GUESS));
        return;
    }
    answer.options.clear();
    if let Value::Array(candidates) = &parsed {
        answer.correct = Some(defects::mmmu_open_right(&candidates.iter().map(text_of).collect::<Vec<_>>(), &answer.gold));
    } else {
        // 0.6 keeps the first candidate, and no gold answer is a single character of it, as which it is compared
        answer.correct = Some(false);
        let correct = defects::mmmu_open_right(&defects::mmmu_open_candidates(&answer.reply), &answer.gold);
        answer.corrected = Some(Corrected { reason: defects::MMMU_OPEN, correct, read: Read::Unsaid });
    }
}
