//! VLMEvalKit: `<model>_<dataset>.xlsx` or `.tsv` with the predictions, or the `_result` file with `hit` that scoring makes of it.
//!
//! Copies of a question with its options turned round (CircularEval) have an index of their own, and the first one's modulo a million.

use super::{gold_of, score_of};
use crate::LogError;
use crate::defects::{Corrected, VLMEVALKIT_GUESS};
use crate::format::{LogFormat, Run, alone, nothing_beside, rows_have};
use crate::log::{Answer, Log, Read, letter, letter_at};
use crate::source::Content;

/// The row of the table.
pub(crate) const FORMAT: LogFormat = LogFormat {
    name: "vlmevalkit",
    title: "predictions of VLMEvalKit",
    expects: "a sheet or table with index, question, prediction",
    recognises: |content| rows_have(content, &["index", "question", "prediction"]),
    accompanies: alone,
    beside: nothing_beside,
    read,
};

/// Copies of a question are so far apart.
const CIRCLE: u64 = 1_000_000;

/// Most options of a question.
const LETTERS: usize = 26;

fn read(run: &Run<'_>) -> Result<Log, LogError> {
    let mut log = run.empty();
    let scores = run.choices.metric.as_deref().map_or(vec!["hit", "score"], |metric| vec![metric]);
    for file in &run.answers {
        let Content::Rows(rows) = &file.content else { continue };
        for row in rows {
            let id = row.need("index", "the question's number")?;
            let options: Vec<String> = (0..LETTERS).map_while(|i| row.text(&letter_at(i))).collect();
            let gold = gold_of(row.get("answer"));
            let gold = if options.is_empty() { gold } else { gold.iter().map(|gold| letter(gold, &options)).collect() };
            let of_index = id.parse::<u64>().map_or_else(|_| id.clone(), |index| (index % CIRCLE).to_string());
            let mut answer = Answer {
                place: row.place(),
                image: row.text("image_path").unwrap_or(of_index),
                id,
                family: ["category", "l2-category", "split"].iter().find_map(|name| row.text(name)).unwrap_or_else(|| "all".to_owned()),
                question: row.text("question"),
                gold,
                options,
                reply: row.text("prediction").unwrap_or_default(),
                read: row.text("extracted").map_or(Read::Unsaid, Read::As),
                ..Answer::default()
            };
            for name in &scores {
                if let (None, Some(value)) = (answer.score, row.get(name)) {
                    answer.score = score_of(row, name, value)?;
                }
            }
            if row.text("log").is_some_and(|log| log.to_lowercase().contains("randomly generate")) {
                answer.corrected = Some(Corrected { read: Read::Nothing, ..Corrected::by_our_scorer(&answer, VLMEVALKIT_GUESS) });
            }
            log.answers.push(answer);
        }
    }
    Ok(log)
}
