//! LLaVA's answers: JSON lines as `llava/eval/model_vqa_loader.py` and its like write them. They hold neither gold nor score.

use crate::LogError;
use crate::format::{LogFormat, Run, alone, nothing_beside, rows_have};
use crate::log::{Answer, Log};
use crate::source::Content;

/// The row of the table.
pub(crate) const FORMAT: LogFormat = LogFormat {
    name: "llava",
    title: "answers of LLaVA",
    expects: "JSON lines with question_id, prompt, text, model_id",
    recognises: |content| rows_have(content, &["question_id", "prompt", "text", "model_id"]),
    accompanies: alone,
    beside: nothing_beside,
    read,
};

fn read(run: &Run<'_>) -> Result<Log, LogError> {
    let mut log = run.empty();
    for file in &run.answers {
        let Content::Rows(rows) = &file.content else { continue };
        for row in rows {
            let id = row.need("question_id", "the question's identity")?;
            log.answers.push(Answer {
                place: row.place(),
                image: row.text("image").unwrap_or_else(|| id.clone()),
                id,
                family: row.text("category").unwrap_or_else(|| "all".to_owned()),
                question: row.text("prompt"),
                reply: row.text("text").unwrap_or_default(),
                ..Answer::default()
            });
        }
        log.model = rows.first().and_then(|row| row.text("model_id"));
    }
    Ok(log)
}
