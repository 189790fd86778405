//! All answers as a table for other tools.

use std::borrow::Cow;

use crate::filter::{Filter, Order};
use crate::measurements::{AnswerRow, BASELINE, QuestionRow};
use crate::outcome::Outcome;
use crate::report::Report;

/// Names of the columns.
const HEAD: [&str; 13] = [
    "question",
    "family",
    "image",
    "perturbation",
    "text",
    "gold",
    "acceleration",
    "answer",
    "correct",
    "outcome",
    "margin",
    "kl",
    "visual_tokens",
];

impl Report {
    /// Every answer in a row of its own, the baseline's first, the questions that changed most before the others ([`Report::worst_first`]), as CSV by RFC 4180: comma, CRLF, quotes doubled. What is not known is empty; accepted answers
    /// are joined by `;`.
    pub fn csv(&self) -> String {
        let mut text = line(&HEAD.map(Cow::Borrowed));
        for i in self.questions_for(&Filter::everything(), Order::default()) {
            let question = &self.questions()[i];
            text.push_str(&line(&row(question, BASELINE, &question.baseline)));
            for acceleration in self.accelerations() {
                text.push_str(&line(&row(question, &acceleration.spec, &acceleration.answers[i])));
            }
        }
        text
    }
}

/// A line of RFC 4180.
pub(crate) fn line(cells: &[Cow<'_, str>]) -> String {
    let mut line = cells.iter().map(|cell| quoted(cell)).collect::<Vec<_>>().join(",");
    line.push_str("\r\n");
    line
}

fn row<'a>(question: &'a QuestionRow, spec: &'a str, answer: &'a AnswerRow) -> [Cow<'a, str>; 13] {
    let number = |number: Option<f64>| Cow::Owned(number.map(|number| number.to_string()).unwrap_or_default());
    [
        question.id.as_str().into(),
        question.family.as_str().into(),
        question.image.as_str().into(),
        question.perturbation.as_deref().unwrap_or_default().into(),
        question.text.as_str().into(),
        question.gold.join(";").into(),
        spec.into(),
        answer.text.as_str().into(),
        answer.correct.to_string().into(),
        answer.outcome.map_or("", Outcome::name).into(),
        answer.margin.map(|margin| margin.to_string()).unwrap_or_default().into(),
        number(answer.kl),
        answer.visual_tokens.to_string().into(),
    ]
}

/// In quotes where the cell needs them.
fn quoted(cell: &str) -> Cow<'_, str> {
    if cell.contains(['"', ',', '\r', '\n']) { format!("\"{}\"", cell.replace('"', "\"\"")).into() } else { cell.into() }
}
