//! How to add a format that runs are logged in.
//!
//! 1. Write how it is read in a file of its own, `crates/logs/src/formats/<name>.rs`: what tells a file of it, and what its fields mean.
//! 2. Give it a row in `FORMATS` in `crates/logs/src/format.rs`, before those that are told by less.
//! 3. Add logs that the tool itself wrote to `tests/reference/log_cases.py`, and a row to `TOOLS` in `crates/logs/tests/tools.rs`.
//!
//! Nothing else names it: the command line, the page and the message that says what is read go through the table.
//!
//! This file does so from outside, with a table of its own.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use steady_logs::format::{alone, nothing_beside, rows_have};
use steady_logs::source::Content;
use steady_logs::{Answer, Choices, Log, LogError, LogFormat, Run, Runs, Source, compare, read};

/// A tool that writes `{"nr": 1, "frage": "..", "antwort": "..", "soll": ".."}`. This would be `crates/logs/src/formats/pruefer.rs`.
const PRUEFER: LogFormat = LogFormat {
    name: "pruefer",
    title: "a log of Pruefer",
    expects: "JSON lines with nr, frage, antwort, soll",
    recognises: |content| rows_have(content, &["nr", "frage", "antwort", "soll"]),
    accompanies: alone,
    beside: nothing_beside,
    read: read_pruefer,
};

fn read_pruefer(run: &Run<'_>) -> Result<Log, LogError> {
    let mut log = run.empty();
    for file in &run.answers {
        let Content::Rows(rows) = &file.content else { continue };
        for row in rows {
            let id = row.need("nr", "the question's number")?;
            log.answers.push(Answer {
                place: row.place(),
                image: id.clone(),
                id,
                family: "all".to_owned(),
                question: row.text("frage"),
                gold: vec![row.need("soll", "the right answer")?],
                reply: row.text("antwort").unwrap_or_default(),
                ..Answer::default()
            });
        }
    }
    Ok(log)
}

/// This would be a row of `FORMATS`.
static TABLE: [LogFormat; 1] = [PRUEFER];

fn log(text: &str) -> Result<Log, LogError> {
    read("run", &[Source { name: "run.jsonl".into(), bytes: text.into() }], &Choices::default(), &TABLE)
}

#[test]
fn it_is_found_read_and_compared() {
    let line = |antwort: &str| format!("{{\"nr\": 1, \"frage\": \"Wie viele?\", \"antwort\": \"{antwort}\", \"soll\": \"4\"}}\n");
    let (before, after) = (log(&line("4")).unwrap(), log(&line("5")).unwrap());
    let compared = compare(Runs { baseline: &before, others: &[&after], controls: &[] }, &[], "").unwrap();
    assert_eq!(compared.report.summaries()[0].ndr.count, 1);
}

#[test]
fn what_is_wrong_is_said_in_its_own_words() {
    assert_eq!(
        log("{\"nr\": 1}\n").unwrap_err().to_string(),
        "run: run.jsonl holds an object of nr. What is read:\n  a log of Pruefer: JSON lines with nr, frage, antwort, soll"
    );
    let error = log("{\"nr\": 1, \"frage\": \"?\", \"antwort\": \"4\", \"soll\": null}\n").unwrap_err();
    assert_eq!(error.to_string(), "run.jsonl, line 1: `soll` is null, expected the right answer");
}
