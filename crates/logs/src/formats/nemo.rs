//! NeMo Evaluator (`nel`): `results.jsonl`, with the bundle `eval-<time>-<benchmark>.json` beside it. As 0.3.0 writes them.
//!
//! A question asked several times is several answers about one thing. (Its own `compare` averages them and takes any mean above 0 for right.)

use serde_json::Value;

use super::{gold_of, score_of};
use crate::LogError;
use crate::format::{LogFormat, Run, document_has, rows_have};
use crate::log::{Answer, Log, Read};
use crate::source::{Content, text_of};

/// The row of the table.
pub(crate) const FORMAT: LogFormat = LogFormat {
    name: "nemo",
    title: "results of NeMo Evaluator",
    expects: "JSON lines with problem_idx, repeat, reward, model_response",
    recognises: |content| rows_have(content, &["problem_idx", "repeat", "reward", "model_response"]),
    accompanies: |content| document_has(content, &["run_id", "config", "benchmark"]),
    beside: |_, other| other.strip_suffix(".json").is_some_and(|name| name.starts_with("eval-")),
    read,
};

/// What of a bundle's configuration decides what is asked and how.
const SETTINGS: &[&str] = &["temperature", "max_tokens", "top_p", "seed", "system_prompt", "benchmark", "repeats", "shuffle_seed"];

/// The folder in a name.
fn folder(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn read(run: &Run<'_>) -> Result<Log, LogError> {
    let mut log = run.empty();
    let mut benchmarks = Vec::new();
    for file in &run.answers {
        let Content::Rows(rows) = &file.content else { continue };
        let bundle = run.others.iter().find(|other| folder(&other.name) == folder(&file.name));
        let bundle = bundle.and_then(|bundle| if let Content::Document(bundle) = &bundle.content { Some(bundle) } else { None });
        let benchmark = bundle.and_then(|bundle| bundle["benchmark"].get("name")).map_or_else(|| folder(&file.name).to_owned(), text_of);
        if let Some(bundle) = bundle {
            let config = &bundle["config"];
            log.settings.insert("sdk_version".to_owned(), text_of(&bundle["sdk_version"]));
            for name in SETTINGS {
                if let Some(value) = config.get(name).filter(|value| !value.is_null()) {
                    log.settings.insert(format!("{benchmark}.{name}").trim_start_matches('.').to_owned(), text_of(value));
                }
            }
            log.model = config.get("model").filter(|model| !model.is_null()).map(text_of);
        }
        // a scorer that extracts, and found nothing in some replies
        let extracts = rows.iter().any(|row| row.get("extracted_answer").is_some());
        let repeated = rows.iter().any(|row| row.text("repeat").is_some_and(|repeat| repeat != "0"));
        for row in rows {
            let problem = row.need("problem_idx", "the problem's number")?;
            let problem = if run.answers.len() > 1 { format!("{benchmark}/{problem}") } else { problem };
            let repeat = row.text("repeat").unwrap_or_default();
            let category = row.get("metadata").and_then(|metadata| metadata.get("category")).filter(|category| category.is_string());
            let reward = row.fields.get("reward").unwrap_or(&Value::Null);
            log.answers.push(Answer {
                place: row.place(),
                id: if repeated { format!("{problem}#{repeat}") } else { problem.clone() },
                family: category.map_or_else(|| if benchmark.is_empty() { "all".to_owned() } else { benchmark.clone() }, text_of),
                image: problem,
                question: row.text("prompt"),
                gold: gold_of(row.get("expected_answer")),
                reply: row.text("model_response").unwrap_or_default(),
                read: row.text("extracted_answer").map_or(if extracts { Read::Nothing } else { Read::Unsaid }, Read::As),
                score: score_of(row, "reward", reward)?,
                ..Answer::default()
            });
        }
        benchmarks.push(benchmark);
    }
    log.benchmark = benchmarks.join(", ");
    Ok(log)
}
