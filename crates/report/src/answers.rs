//! All answers as a table for other tools: its columns, from which files of any kind are written.

use serde::{Deserialize, Serialize};

use crate::filter::{Filter, Order};
use crate::measurements::{AnswerRow, BASELINE, QuestionRow};
use crate::outcome::Outcome;
use crate::report::Report;

/// Every answer in a row of its own, the baseline's first, the questions that changed most before the others ([`Report::worst_first`]).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answers<'a> {
    /// SHA-256 of the plan that was answered, hexadecimal; empty where it is not known.
    pub plan_sha256: &'a str,
    /// Names and cells, all of the same length.
    #[serde(borrow)]
    pub columns: Vec<(&'a str, Cells<'a>)>,
}

/// The cells of a column, from the first row to the last; `None` where nothing is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Cells<'a> {
    /// Words.
    #[serde(borrow)]
    Texts(Vec<Option<&'a str>>),
    /// Several words in each.
    #[serde(borrow)]
    Lists(Vec<Vec<&'a str>>),
    /// Yes or no.
    Flags(Vec<bool>),
    /// Numbers in single precision.
    Floats(Vec<Option<f32>>),
    /// Numbers in double precision.
    Doubles(Vec<Option<f64>>),
}

impl Cells<'_> {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Texts(cells) => cells.len(),
            Self::Lists(cells) => cells.len(),
            Self::Flags(cells) => cells.len(),
            Self::Floats(cells) => cells.len(),
            Self::Doubles(cells) => cells.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// An answer, whose it is, and the question.
struct Row<'a>(&'a QuestionRow, &'a str, &'a AnswerRow);

/// A cell of each row.
fn all<'a, T>(rows: &[Row<'a>], cell: impl Fn(&Row<'a>) -> T) -> Vec<T> {
    rows.iter().map(cell).collect()
}

impl Report {
    /// Every answer with its question.
    pub fn answers(&self) -> Answers<'_> {
        let rows: Vec<Row<'_>> = self
            .questions_for(&Filter::everything(), Order::default())
            .into_iter()
            .flat_map(|i| {
                let question = &self.questions()[i];
                let accelerated =
                    self.accelerations().iter().map(move |acceleration| (acceleration.spec.as_str(), &acceleration.answers[i]));
                let answers = std::iter::once((BASELINE, &question.baseline)).chain(accelerated);
                answers.map(|(spec, answer)| Row(question, spec, answer))
            })
            .collect();
        let columns = vec![
            ("question", Cells::Texts(all(&rows, |Row(question, ..)| Some(question.id.as_str())))),
            ("family", Cells::Texts(all(&rows, |Row(question, ..)| Some(question.family.as_str())))),
            ("image", Cells::Texts(all(&rows, |Row(question, ..)| Some(question.image.as_str())))),
            ("perturbation", Cells::Texts(all(&rows, |Row(question, ..)| question.perturbation.as_deref()))),
            ("text", Cells::Texts(all(&rows, |Row(question, ..)| Some(question.text.as_str())))),
            ("gold", Cells::Lists(all(&rows, |Row(question, ..)| question.gold.iter().map(String::as_str).collect()))),
            ("acceleration", Cells::Texts(all(&rows, |Row(_, spec, _)| Some(*spec)))),
            ("answer", Cells::Texts(all(&rows, |Row(.., answer)| Some(answer.text.as_str())))),
            ("correct", Cells::Flags(all(&rows, |Row(.., answer)| answer.correct))),
            ("outcome", Cells::Texts(all(&rows, |Row(.., answer)| answer.outcome.map(Outcome::name)))),
            ("margin", Cells::Floats(all(&rows, |Row(.., answer)| answer.margin))),
            ("kl", Cells::Doubles(all(&rows, |Row(.., answer)| answer.kl))),
            ("visual_tokens", Cells::Floats(all(&rows, |Row(.., answer)| Some(answer.visual_tokens)))),
        ];
        Answers { plan_sha256: &self.plan().plan_sha256, columns }
    }
}
