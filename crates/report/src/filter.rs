//! Which questions a reader asked to see, and in which order.

use std::cmp::Ordering;

use crate::measurements::AnswerRow;
use crate::outcome::Outcome;
use crate::report::Report;

/// What a question and its answers must be to be shown; everything left open fits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// Index of the one acceleration to look at.
    pub acceleration: Option<usize>,
    /// What became of the question.
    pub became: Became,
    /// What was done to the image, as [`Report::condition`] numbers it.
    pub condition: Option<usize>,
    /// Task family.
    pub family: Option<String>,
    /// The baseline led by no more than this, in logits.
    pub margin: Option<f32>,
    /// Words that question or answers contain, in any case.
    pub text: String,
}

/// What became of a question under some acceleration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Became {
    /// Another answer.
    #[default]
    Changed,
    /// Whatever it was, the same answer included.
    Anything,
    /// This.
    Only(Outcome),
}

impl Became {
    /// Every choice, in the order in which they are offered.
    pub const ALL: [Self; 6] = [
        Self::Anything,
        Self::Changed,
        Self::Only(Outcome::Broken),
        Self::Only(Outcome::Repaired),
        Self::Only(Outcome::Changed),
        Self::Only(Outcome::Same),
    ];

    /// In a word: `any`, `differs` for any change, or the outcome.
    pub fn name(self) -> &'static str {
        match self {
            Self::Changed => "differs",
            Self::Anything => "any",
            Self::Only(outcome) => outcome.name(),
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|became| became.name() == name)
    }

    fn fits(self, outcome: Option<Outcome>) -> bool {
        match self {
            Self::Changed => outcome.is_some_and(Outcome::diverged),
            Self::Anything => true,
            Self::Only(wanted) => outcome == Some(wanted),
        }
    }
}

/// By what questions are ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Column {
    /// Those that changed most first, see [`Report::worst_first`].
    #[default]
    Worst,
    /// As they were asked.
    Asked,
    /// By task family.
    Family,
    /// By how little the baseline led.
    Margin,
    /// What the baseline got wrong first.
    Baseline,
    /// By what became of them under this acceleration, what broke first.
    Acceleration(usize),
}

/// An order of questions. Among equals those that changed most come first, however it is reversed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// By what.
    pub by: Column,
    /// The last first.
    pub reversed: bool,
}

impl Filter {
    /// Everything that was asked.
    pub fn everything() -> Self {
        Self { became: Became::Anything, ..Self::default() }
    }

    /// Whether the answer under this acceleration is one to look at.
    pub fn fits(&self, acceleration: usize, answer: &AnswerRow) -> bool {
        let became = match self.became {
            Became::Only(wanted) => answer.outcome == Some(wanted),
            Became::Changed | Became::Anything => true,
        };
        self.acceleration.is_none_or(|wanted| wanted == acceleration) && became
    }

    fn shows(&self, report: &Report, question: usize) -> bool {
        let row = &report.questions()[question];
        let mut answers = report.accelerations().iter().map(|acceleration| &acceleration.answers[question]).enumerate();
        self.condition.is_none_or(|condition| condition == report.condition(question))
            && self.family.as_ref().is_none_or(|family| *family == row.family)
            && self.margin.is_none_or(|most| row.baseline.margin.is_some_and(|margin| margin <= most))
            && (self.became == Became::Anything
                || answers.any(|(a, answer)| self.acceleration.is_none_or(|wanted| wanted == a) && self.became.fits(answer.outcome)))
            && self.contains_text(report, question)
    }

    fn contains_text(&self, report: &Report, question: usize) -> bool {
        let wanted = self.text.trim().to_lowercase();
        if wanted.is_empty() {
            return true;
        }
        let row = &report.questions()[question];
        let answers = report.accelerations().iter().map(|acceleration| &acceleration.answers[question].text);
        let texts = [&row.id, &row.family, &row.text, &row.baseline.text];
        texts.into_iter().chain(&row.gold).chain(answers).any(|text| text.to_lowercase().contains(&wanted))
    }
}

impl Report {
    /// Task families, by name.
    pub fn families(&self) -> Vec<&str> {
        let mut families: Vec<&str> = self.questions().iter().map(|question| question.family.as_str()).collect();
        families.sort_unstable();
        families.dedup();
        families
    }

    /// Indices of the questions that fit, in this order.
    pub fn questions_for(&self, filter: &Filter, order: Order) -> Vec<usize> {
        let mut found = self.worst_first();
        let changed: std::collections::BTreeSet<usize> = found.iter().copied().collect();
        found.extend((0..self.questions().len()).filter(|i| !changed.contains(i)));
        found.retain(|&i| filter.shows(self, i));
        let before = |a: &usize, b: &usize| {
            let (a, b) = (*a, *b);
            let (one, other) = (&self.questions()[a], &self.questions()[b]);
            match order.by {
                Column::Worst => Ordering::Equal,
                Column::Asked => a.cmp(&b),
                Column::Family => one.family.cmp(&other.family),
                Column::Margin => margin(&one.baseline).total_cmp(&margin(&other.baseline)),
                Column::Baseline => one.baseline.correct.cmp(&other.baseline.correct),
                Column::Acceleration(i) => {
                    let place = |question: usize| self.accelerations().get(i).map(|acceleration| severity(&acceleration.answers[question]));
                    place(a).cmp(&place(b))
                }
            }
        };
        // stable, so that equals stay as they are
        found.sort_by(|a, b| if order.reversed { before(b, a) } else { before(a, b) });
        if order.by == Column::Worst && order.reversed {
            found.reverse();
        }
        found
    }
}

/// One that nobody knows comes last.
fn margin(answer: &AnswerRow) -> f32 {
    answer.margin.unwrap_or(f32::INFINITY)
}

/// Place of the answer's outcome among all, the one that costs most first.
fn severity(answer: &AnswerRow) -> usize {
    let outcome = answer.outcome.unwrap_or(Outcome::Same);
    Outcome::ALL.iter().position(|other| *other == outcome).unwrap_or_default()
}
