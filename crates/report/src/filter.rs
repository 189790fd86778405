//! Which questions a reader asked to see.

use crate::measurements::AnswerRow;
use crate::outcome::Outcome;
use crate::report::Report;

/// What a question and its answers must be to be shown; everything left open fits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Index of the one acceleration to look at.
    pub acceleration: Option<usize>,
    /// What became of the question.
    pub outcome: Option<Outcome>,
    /// What was done to the image, as [`Report::condition`] numbers it.
    pub condition: Option<usize>,
    /// Task family.
    pub family: Option<String>,
    /// Words that question or answers contain, in any case.
    pub text: String,
}

impl Filter {
    /// Whether the answer under this acceleration is one to look at.
    pub fn fits(&self, acceleration: usize, answer: &AnswerRow) -> bool {
        self.acceleration.is_none_or(|wanted| wanted == acceleration) && self.outcome.is_none_or(|wanted| Some(wanted) == answer.outcome)
    }

    fn contains_text(&self, report: &Report, question: usize) -> bool {
        let wanted = self.text.trim().to_lowercase();
        let row = &report.questions()[question];
        let answers = report.accelerations().iter().map(|acceleration| &acceleration.answers[question].text);
        let texts = [&row.id, &row.family, &row.text, &row.baseline.text];
        texts.into_iter().chain(&row.gold).chain(answers).any(|text| text.to_lowercase().contains(&wanted))
    }
}

impl Report {
    /// Indices of the questions with a changed answer that fits, in the order of [`Report::worst_first`].
    pub fn questions_for(&self, filter: &Filter) -> Vec<usize> {
        let mut order = self.worst_first();
        order.retain(|&i| {
            let row = &self.questions()[i];
            let mut answers = self.accelerations().iter().map(|acceleration| &acceleration.answers[i]).enumerate();
            filter.condition.is_none_or(|condition| condition == self.condition(i))
                && filter.family.as_ref().is_none_or(|family| *family == row.family)
                && answers.any(|(a, answer)| answer.outcome.is_some_and(Outcome::diverged) && filter.fits(a, answer))
                && filter.contains_text(self, i)
        });
        order
    }
}
