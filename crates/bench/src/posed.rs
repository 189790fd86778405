//! A question as it is put: with what stands behind it, and its words perturbed.

use std::borrow::Cow;

use crate::perturb::PerturbationSpec;
use crate::score::{Reading, verdict};
use crate::{AnswerKind, OfficialScorer, PostPrompts, Question, Verdict};

/// A question as a model is asked it under a perturbation. Its replies are read as answers to the question as it is: where options stand in another order, the
/// letter that is read is that of the option's place in the question.
///
/// ```
/// use steady_bench::{AnswerKind, Posed, PostPrompts, Question};
///
/// let options = ["red", "blue"].map(str::to_owned).to_vec();
/// let question = Question {
///     id: "q".into(),
///     benchmark: "by hand".into(),
///     family: "colour".into(),
///     image: "a".into(),
///     text: "Which?\nA. red\nB. blue".into(),
///     gold: vec!["A".into()],
///     kind: AnswerKind::Choice { options },
///     weight: 1.0,
/// };
/// let spec = "shuffle=1".parse()?;
/// let posed = Posed::of(&question, &spec, &PostPrompts::default());
/// assert_eq!(posed.text(), "Which?\nA. blue\nB. red");
/// assert!(posed.score("B").correct && posed.score("red").correct && !posed.score("A").correct);
/// # Ok::<(), steady_bench::perturb::SpecError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Posed<'a> {
    question: &'a Question,
    text: String,
    /// What its replies are read by: the question with its options in the order in which they are asked.
    asked: Cow<'a, Question>,
    /// Which option stands where; empty where all stand in their place.
    order: Vec<usize>,
}

impl<'a> Posed<'a> {
    /// `question` under `perturbation`, with `post_prompts` behind it.
    pub fn of(question: &'a Question, perturbation: &PerturbationSpec, post_prompts: &PostPrompts) -> Self {
        let text = post_prompts.behind(question).into_owned();
        let (text, order) = perturbation.reword(text, &question.id);
        let asked = match options(&question.kind) {
            Some(options) if order.len() == options.len() => {
                let options = order.iter().map(|was| options[*was].clone()).collect();
                Cow::Owned(Question { kind: with_options(&question.kind, options), ..question.clone() })
            }
            _ => Cow::Borrowed(question),
        };
        Self { question, text, asked, order }
    }

    /// The question as it is.
    pub fn question(&self) -> &'a Question {
        self.question
    }

    /// What is asked.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// As [`crate::score()`], of the question as it is.
    pub fn score(&self, reply: &str) -> Verdict {
        verdict(self.question, self.read(reply))
    }

    /// As [`crate::same_answer`], where `other` is the same question, maybe under another perturbation.
    pub fn same_answer(&self, reply: &str, other: &Self, other_reply: &str) -> bool {
        self.read(reply) == other.read(other_reply)
    }

    fn read(&self, reply: &str) -> Reading {
        match Reading::of(&self.asked, reply) {
            Reading::As(answer) => Reading::As(self.in_place(&answer).unwrap_or(answer)),
            unread @ Reading::Unread(_) => unread,
        }
    }

    /// The letter of an option in the question as it is, where the answer is a letter of those asked.
    fn in_place(&self, answer: &str) -> Option<String> {
        let [letter] = answer.as_bytes() else { return None };
        let first = if letter.is_ascii_lowercase() { b'a' } else { b'A' };
        let was = self.order.get(usize::from(letter.checked_sub(first)?))?;
        Some(char::from(first + *was as u8).to_string())
    }
}

/// Texts of the options that a scorer reads by.
fn options(kind: &AnswerKind) -> Option<&[String]> {
    match kind {
        AnswerKind::Choice { options } | AnswerKind::Official(OfficialScorer::MmBench { options } | OfficialScorer::Mmmu { options }) => {
            Some(options)
        }
        _ => None,
    }
}

fn with_options(kind: &AnswerKind, options: Vec<String>) -> AnswerKind {
    match kind {
        AnswerKind::Official(OfficialScorer::MmBench { .. }) => AnswerKind::Official(OfficialScorer::MmBench { options }),
        AnswerKind::Official(OfficialScorer::Mmmu { .. }) => AnswerKind::Official(OfficialScorer::Mmmu { options }),
        _ => AnswerKind::Choice { options },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::same_answer;

    fn lettered(kind: fn(Vec<String>) -> AnswerKind) -> Question {
        let options = ["dog", "cat", "cow", "hen"].map(str::to_owned).to_vec();
        Question {
            id: "q".into(),
            benchmark: "b".into(),
            family: "f".into(),
            image: "i".into(),
            text: "What is it?\nA. dog\nB. cat\nC. cow\nD. hen".into(),
            gold: vec!["C".into()],
            kind: kind(options),
            weight: 1.0,
        }
    }

    #[test]
    fn a_shuffled_option_keeps_its_gold_whoever_scores() {
        let kinds: [fn(Vec<String>) -> AnswerKind; 6] = [
            |options| AnswerKind::Choice { options },
            |options| AnswerKind::Official(OfficialScorer::MmBench { options }),
            |options| AnswerKind::Official(OfficialScorer::Mmmu { options }),
            |_| AnswerKind::Official(OfficialScorer::MmStar),
            |_| AnswerKind::Official(OfficialScorer::ScienceQa),
            |_| AnswerKind::Official(OfficialScorer::Ai2d),
        ];
        for question in kinds.map(lettered) {
            let clean = Posed::of(&question, &PerturbationSpec::clean(), &PostPrompts::standard());
            for level in 1..=5 {
                let spec = format!("shuffle={level}+typos=1").parse().unwrap();
                let posed = Posed::of(&question, &spec, &PostPrompts::standard());
                assert_ne!(posed.text(), clean.text());
                for (stands, was) in posed.order.iter().enumerate() {
                    let letters = |at: usize| char::from(b'A' + at as u8).to_string();
                    // The option's line says so.
                    let option = question.text.lines().nth(1 + was).unwrap()[3..].to_owned();
                    assert!(posed.text().contains(&format!("\n{}. {option}", letters(stands))), "{}", posed.text());
                    let (said, before) = (letters(stands), letters(*was));
                    assert_eq!(posed.score(&said).correct, *was == 2, "{:?} {said}", question.kind);
                    assert_eq!(posed.score(&said).parsed, clean.score(&before).parsed);
                    assert!(posed.same_answer(&said, &clean, &before) && clean.same_answer(&before, &posed, &said));
                    assert!(*was == stands || !posed.same_answer(&said, &clean, &said));
                }
                // What is no letter is read as ever.
                assert!(posed.same_answer("no idea", &clean, "no idea"));
            }
            assert!(clean.same_answer("C", &clean, "C") == same_answer(&question, "C", "C") && clean.score("C").correct);
        }
    }

    #[test]
    fn an_option_s_text_needs_no_letter() {
        let question = lettered(|options| AnswerKind::Choice { options });
        for level in 1..=5 {
            let posed = Posed::of(&question, &format!("shuffle={level}").parse().unwrap(), &PostPrompts::default());
            assert!(posed.score("It is a cow.").correct && !posed.score("hen").correct);
        }
    }
}
