//! One file per format.

pub(crate) mod generic;
pub(crate) mod inspect;
pub(crate) mod llava;
pub(crate) mod lm_eval;
pub(crate) mod lmms_eval;
pub(crate) mod nemo;
pub(crate) mod steady;
pub(crate) mod vlmevalkit;
pub(crate) mod who_what;

use serde_json::Value;

use crate::LogError;
use crate::log::Log;
use crate::source::{Row, text_of};

/// A score in whatever form a tool writes it: a number from 0 to 1, true or false, `C` or `I`; nothing where there is none.
fn score_of(row: &Row, field: &str, value: &Value) -> Result<Option<f64>, LogError> {
    let score = match value {
        Value::Null => return Ok(None),
        Value::Bool(right) => f64::from(u8::from(*right)),
        Value::Number(number) => number.as_f64().unwrap_or(f64::NAN),
        other => {
            let text = text_of(other);
            match text.trim().to_ascii_lowercase().as_str() {
                "" | "n" | "nan" | "none" => return Ok(None),
                "true" | "c" | "correct" | "right" | "yes" => 1.0,
                "false" | "i" | "incorrect" | "wrong" | "no" => 0.0,
                "p" | "partial" => 0.5,
                number => number.parse().unwrap_or(f64::NAN),
            }
        }
    };
    if (0.0..=1.0).contains(&score) { Ok(Some(score)) } else { Err(row.wrong(field, "a score from 0 to 1, or true or false")) }
}

/// The accepted answers that a field holds: one text, a list of texts, or a list written as text.
fn gold_of(value: Option<&Value>) -> Vec<String> {
    match value {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(values)) => values.iter().map(text_of).collect(),
        Some(other) => {
            let text = text_of(other);
            match serde_json::from_str::<Vec<Value>>(&text) {
                Ok(values) if !values.is_empty() => values.iter().map(text_of).collect(),
                _ => vec![text],
            }
        }
    }
}

/// What the results of lm-evaluation-harness and of lmms-eval, which has it from there, say of how `tasks` were run.
fn task_settings(log: &mut Log, results: &Value, tasks: &[&str], version: &str) {
    let mut put = |name: String, value: Option<&Value>| {
        if let Some(value) = value.filter(|value| !value.is_null()) {
            log.settings.insert(name, text_of(value));
        }
    };
    for task in tasks.iter().filter(|task| !task.is_empty()) {
        put(format!("{task}.num_fewshot"), results.get("n-shot").and_then(|shots| shots.get(task)));
        put(format!("{task}.task_version"), results.get("versions").and_then(|versions| versions.get(task)));
        let config = results.get("configs").and_then(|configs| configs.get(task));
        for name in [
            "generation_kwargs",
            "doc_to_text",
            "doc_to_target",
            "doc_to_choice",
            "description",
            "filter_list",
            "lmms_eval_specific_kwargs",
        ] {
            // a function is written with its address
            let value = config.and_then(|config| config.get(name)).filter(|value| !value.to_string().contains(" at 0x"));
            put(format!("{task}.{name}"), value);
        }
    }
    let config = results.get("config");
    put("gen_kwargs".to_owned(), config.and_then(|config| config.get("gen_kwargs")));
    for name in [version, "system_instruction_sha", "chat_template_sha", "fewshot_as_multiturn"] {
        put(name.to_owned(), results.get(name).filter(|value| value.as_str() != Some("unknown@unknown")));
    }
    for name in ["batch_size", "device", "random_seed", "numpy_seed", "torch_seed", "fewshot_seed", "use_cache"] {
        if let Some(value) = config.and_then(|config| config.get(name)).filter(|value| !value.is_null()) {
            log.circumstances.insert(name.to_owned(), text_of(value));
        }
    }
    if let Some(value) = results.get("transformers_version") {
        log.circumstances.insert("transformers_version".to_owned(), text_of(value));
    }
    let text = |name: &str| config.and_then(|config| config.get(name)).filter(|value| value.as_str() != Some("")).map(text_of);
    log.model =
        match (text("model").filter(|model| !model.is_empty()), text("model_args").filter(|args| !args.is_empty() && args != "null")) {
            (Some(model), Some(args)) => Some(format!("{model} ({args})")),
            (model, _) => model,
        };
}
