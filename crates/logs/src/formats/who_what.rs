//! OpenVINO's who-what benchmark: the CSV of answers that `wwb --gt-data` writes of the base model and `--output` of the other one. No gold: what the base model
//! said is all that there is to compare with.

use crate::LogError;
use crate::format::{LogFormat, Run, alone, nothing_beside, rows_have};
use crate::formats::generic::identified;
use crate::log::{Answer, Log};
use crate::source::Content;

/// The row of the table.
pub(crate) const FORMAT: LogFormat = LogFormat {
    name: "who-what",
    title: "answers of OpenVINO's who-what benchmark",
    expects: "CSV with prompts, answers",
    recognises: |content| rows_have(content, &["prompts", "answers"]),
    accompanies: alone,
    beside: nothing_beside,
    read,
};

fn read(run: &Run<'_>) -> Result<Log, LogError> {
    let mut log = run.empty();
    for file in &run.answers {
        let Content::Rows(rows) = &file.content else { continue };
        for row in rows {
            log.answers.push(Answer {
                place: row.place(),
                image: row.text("images").unwrap_or_default(),
                family: row.text("language").unwrap_or_else(|| "all".to_owned()),
                question: Some(row.need("prompts", "a prompt")?),
                reply: row.text("answers").unwrap_or_default(),
                ..Answer::default()
            });
        }
    }
    identified(&mut log);
    Ok(log)
}
