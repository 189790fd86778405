//! What is put behind a question, so that a model answers in the form that is scored.
//!
//! A model that was trained on a suite knows the form. Any other answers in a sentence unless it is asked not to, and a sentence is not
//! what the scorers read. The texts are those that LLaVA was trained with and that lmms-eval puts behind the questions of POPE, GQA, ChartQA
//! and VizWiz (`post_prompt` in its task files).

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{AnswerKind, Question};

/// POPE, MME, GQA, TextVQA, VQAv2.
const SHORT: &str = "Answer the question using a single word or phrase.";
/// VizWiz, OK-VQA.
const SHORT_OR_UNANSWERABLE: &str =
    "When the provided information is insufficient, respond with 'Unanswerable'.\nAnswer the question using a single word or phrase.";
/// ChartQA.
const NUMBER_WITHIN: &str = "Answer the question with a single word.";

/// What is put behind questions, by the form of their answers ([`AnswerKind::name`]); nothing behind a form that is not among them.
///
/// ```
/// use steady_bench::PostPrompts;
/// use steady_bench::world::EMBEDDED;
///
/// let (_, questions) = EMBEDDED.draw(1, &["existence".to_owned()])?;
/// assert_eq!(PostPrompts::default().behind(&questions[0]), questions[0].text);
/// assert!(PostPrompts::standard().behind(&questions[0]).ends_with("\nAnswer the question using a single word or phrase."));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PostPrompts(BTreeMap<String, String>);

impl PostPrompts {
    /// What the field puts behind its questions. Lettered options ask for their letter themselves.
    pub fn standard() -> Self {
        let of = |kind: &AnswerKind, text: &str| (kind.name().to_owned(), text.to_owned());
        Self(BTreeMap::from([
            of(&AnswerKind::YesNo, SHORT),
            of(&AnswerKind::Short, SHORT),
            of(&AnswerKind::ShortOrUnanswerable, SHORT_OR_UNANSWERABLE),
            of(&AnswerKind::Number, SHORT),
            of(&AnswerKind::NumberWithin { tolerance: 0.0 }, NUMBER_WITHIN),
        ]))
    }

    /// Nothing for a model that was trained on the questions (`knows_form`), else [`Self::standard`].
    pub fn for_model(knows_form: bool) -> Self {
        if knows_form { Self::default() } else { Self::standard() }
    }

    /// Whether nothing is put behind any question.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The form of answer and what is put behind its questions, in the order of the forms' names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(kind, text)| (kind.as_str(), text.as_str()))
    }

    /// What is put behind a question.
    pub fn of(&self, question: &Question) -> Option<&str> {
        self.0.get(question.kind.name()).map(String::as_str)
    }

    /// The question as it is asked: its text and, on a line of its own, what is put behind it.
    pub fn behind<'q>(&self, question: &'q Question) -> Cow<'q, str> {
        match self.of(question) {
            Some(text) => Cow::Owned(format!("{}\n{text}", question.text)),
            None => Cow::Borrowed(&question.text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::EMBEDDED;

    #[test]
    fn every_question_of_the_suite_says_which_form_it_wants() {
        let (_, questions) = EMBEDDED.draw(100, &[]).unwrap();
        let standard = PostPrompts::standard();
        for question in &questions {
            let asked = standard.behind(question);
            assert!(asked.starts_with(&question.text));
            let form = match &question.kind {
                AnswerKind::Choice { .. } => "letter.",
                AnswerKind::NumberWithin { .. } => "a single word.",
                _ => "a single word or phrase.",
            };
            assert!(asked.ends_with(form), "{asked}");
            assert_eq!(asked.contains("'Unanswerable'"), question.kind == AnswerKind::ShortOrUnanswerable, "{asked}");
        }
    }

    #[test]
    fn a_plan_that_has_none_reads_as_none() {
        assert_eq!(serde_json::from_str::<PostPrompts>("{}").unwrap(), PostPrompts::default());
        let standard = PostPrompts::standard();
        assert_eq!(serde_json::from_value::<PostPrompts>(serde_json::to_value(&standard).unwrap()).unwrap(), standard);
    }
}
