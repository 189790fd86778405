//! Any table or JSON lines: columns by their well-known names, or as they are given.

use std::collections::HashSet;

use super::{gold_of, score_of};
use crate::LogError;
use crate::format::{LogFormat, Run, alone, nothing_beside};
use crate::log::{Answer, Log, identity, letter, letter_at};
use crate::source::{Content, File, Row};

/// The row of the table.
pub(crate) const FORMAT: LogFormat = LogFormat {
    name: "table",
    title: "a table or JSON lines of any kind",
    expects: "a column of answers (prediction, response, model_answer, ..) and one of ids or questions; --column ROLE=NAME says which is which",
    recognises: |content| match content {
        Content::Rows(rows) => rows.first().is_some_and(|row| {
            let has =
                |role: &str| ROLES.iter().any(|(name, known)| *name == role && known.iter().any(|column| column_of(row, column).is_some()));
            (has("answer") || column_of(row, "answer").is_some()) && (has("id") || has("question"))
        }),
        Content::Document(_) => false,
    },
    accompanies: alone,
    beside: nothing_beside,
    read,
};

/// Roles and the names by which columns are known to have them. `answer` is the gold one where another column holds what the model said.
pub const ROLES: &[(&str, &[&str])] = &[
    ("id", &["id", "question_id", "questionid", "qid", "sample_id", "doc_id", "index", "idx", "uid"]),
    ("question", &["question", "prompt", "query", "input", "instruction"]),
    (
        "answer",
        &[
            "prediction",
            "response",
            "model_answer",
            "model_response",
            "model_output",
            "output",
            "generated",
            "generated_text",
            "completion",
            "reply",
            "pred",
        ],
    ),
    (
        "gold",
        &[
            "gold",
            "gold_answer",
            "ground_truth",
            "groundtruth",
            "reference",
            "target",
            "label",
            "expected",
            "expected_answer",
            "correct_answer",
        ],
    ),
    ("score", &["score", "correct", "is_correct", "hit", "acc", "accuracy", "reward", "exact_match", "passed"]),
    ("image", &["image", "image_id", "image_path", "image_file", "img", "picture"]),
    ("family", &["family", "category", "task", "subject", "group"]),
    ("options", &["options", "choices"]),
];

/// A column by its name, however it is capitalised and spaced.
fn column_of<'a>(row: &'a Row, name: &str) -> Option<&'a str> {
    let plain = |text: &str| text.trim().to_lowercase().replace([' ', '-'], "_");
    row.fields.keys().find(|column| plain(column) == name).map(String::as_str)
}

/// The column of each role that has one.
struct Columns(Vec<(&'static str, String)>);

impl Columns {
    fn of(run: &Run<'_>, file: &File, row: &Row) -> Result<Self, LogError> {
        let all = || row.fields.keys().cloned().collect::<Vec<_>>().join(", ");
        let mut columns = Vec::new();
        for (role, name) in &run.choices.columns {
            let roles = || ROLES.iter().map(|(role, _)| *role).collect::<Vec<_>>().join(", ");
            let known = ROLES.iter().find(|(known, _)| known == role);
            let (role, _) = known.ok_or_else(|| LogError::Absent {
                run: "steady".to_owned(),
                what: "role of a column",
                name: role.clone(),
                known: roles(),
            })?;
            if !row.fields.contains_key(name) {
                return Err(LogError::Absent { run: file.name.clone(), what: "column", name: name.clone(), known: all() });
            }
            columns.push((*role, name.clone()));
        }
        let taken = |columns: &[(&str, String)], column: &str| columns.iter().any(|(_, taken)| taken == column);
        for (role, names) in ROLES {
            if columns.iter().any(|(known, _)| known == role) {
                continue;
            }
            let found: Vec<&str> = names.iter().filter_map(|name| column_of(row, name)).filter(|column| !taken(&columns, column)).collect();
            match found[..] {
                [] => {}
                [one] => columns.push((role, one.to_owned())),
                // of several ids the first known name is as good as any; elsewhere a wrong column would go unseen
                [first, ..] if *role == "id" || *role == "family" || *role == "image" => columns.push((role, first.to_owned())),
                [first, second, ..] => {
                    let reason =
                        format!("the columns {first} and {second} could both be the {role}: say which with --column {role}={first}");
                    return Err(run.wrong(file, reason));
                }
            }
        }
        if let Some(column) = column_of(row, "answer").filter(|column| !taken(&columns, column)) {
            let has = |role: &str| columns.iter().any(|(known, _)| *known == role);
            match (has("answer"), has("gold")) {
                (false, _) => columns.push(("answer", column.to_owned())),
                (true, false) => columns.push(("gold", column.to_owned())),
                (true, true) => {}
            }
        }
        let found = Self(columns);
        if found.column("answer").is_none() {
            return Err(run.wrong(file, format!("no column of answers: say which with --column answer=NAME; there are {}", all())));
        }
        Ok(found)
    }

    fn column(&self, role: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == role).map(|(_, column)| column.as_str())
    }

    fn text(&self, row: &Row, role: &str) -> Option<String> {
        row.text(self.column(role)?)
    }
}

fn read(run: &Run<'_>) -> Result<Log, LogError> {
    let mut log = run.empty();
    for file in &run.answers {
        let Content::Rows(rows) = &file.content else { continue };
        let Some(first) = rows.first() else { continue };
        let columns = Columns::of(run, file, first)?;
        let understood =
            columns.0.iter().map(|(role, column)| if role == column { (*role).to_owned() } else { format!("{column} as {role}") });
        let understood = format!("read {}", understood.collect::<Vec<_>>().join(", "));
        if !log.notes.contains(&understood) {
            log.notes.push(understood);
        }
        let score = run.choices.metric.as_deref().or(columns.column("score"));
        for row in rows {
            let listed = columns.column("options").map_or(Vec::new(), |column| gold_of(row.get(column)));
            let lettered: Vec<String> = (0..26).map_while(|i| row.text(&letter_at(i))).collect();
            let options = if listed.len() > 1 {
                listed
            } else if lettered.len() > 1 {
                lettered
            } else {
                Vec::new()
            };
            let gold = columns.column("gold").map_or(Vec::new(), |column| gold_of(row.get(column)));
            log.answers.push(Answer {
                place: row.place(),
                id: match columns.column("id") {
                    Some(column) => row.need(column, "an identity")?,
                    None => String::new(),
                },
                image: columns.text(row, "image").unwrap_or_default(),
                family: columns.text(row, "family").unwrap_or_else(|| "all".to_owned()),
                question: columns.text(row, "question"),
                gold: if options.is_empty() { gold } else { gold.iter().map(|gold| letter(gold, &options)).collect() },
                options,
                reply: columns.text(row, "answer").unwrap_or_default(),
                score: match score.and_then(|column| Some((column, row.get(column)?))) {
                    Some((column, value)) => score_of(row, column, value)?,
                    None => None,
                },
                ..Answer::default()
            });
        }
    }
    identified(&mut log);
    Ok(log)
}

/// Gives questions without an identity one: their words and picture where these are unlike in all rows, else their place in the log. A question without a
/// picture is a picture of its own.
pub(crate) fn identified(log: &mut Log) {
    if log.answers.iter().any(|answer| answer.id.is_empty()) {
        let ids: Vec<String> =
            log.answers.iter().map(|answer| identity(answer.question.as_deref().unwrap_or_default(), &answer.image)).collect();
        let unlike = ids.iter().collect::<HashSet<_>>().len() == ids.len();
        for (i, (answer, id)) in log.answers.iter_mut().zip(ids).enumerate() {
            answer.id = if unlike { id } else { format!("row {}", i + 1) };
        }
    }
    for answer in &mut log.answers {
        if answer.image.is_empty() {
            answer.image.clone_from(&answer.id);
        }
    }
}
