//! Turning what is asked into words.

use super::{
    family::TaskFamily,
    palette::{Color, Shape},
    seed::Dice,
};
use crate::AnswerKind;

/// The words of a question, and what it asks whatever the wording: questions with equal keys are the same question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Words {
    pub(crate) text: String,
    pub(crate) key: String,
}

impl Words {
    /// The same question with another sentence after it.
    pub(crate) fn then(mut self, more: &str) -> Self {
        self.text.push_str(more);
        self
    }
}

/// A question before it has an image id and a number.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Draft {
    pub(crate) family: TaskFamily,
    pub(crate) words: Words,
    pub(crate) answer: String,
    pub(crate) kind: AnswerKind,
}

impl Draft {
    pub(crate) fn short(family: TaskFamily, words: Words, answer: &str) -> Self {
        Self { family, words, answer: answer.into(), kind: AnswerKind::Short }
    }

    pub(crate) fn number(family: TaskFamily, words: Words, answer: usize) -> Self {
        Self { family, words, answer: answer.to_string(), kind: AnswerKind::Number }
    }

    pub(crate) fn yes_no(family: TaskFamily, words: Words, yes: bool) -> Self {
        Self { family, words, answer: if yes { "yes" } else { "no" }.into(), kind: AnswerKind::YesNo }
    }

    /// Adds lettered options to a question: the answer's letter is uniform, the wrong options are drawn from `others`,
    /// `tempting` ones (seen in the image) first in half of the cases.
    pub(crate) fn choice(
        family: TaskFamily,
        dice: &mut Dice,
        question: Words,
        right: &str,
        tempting: &[&'static str],
        others: &[&'static str],
    ) -> Self {
        let mut wrong: Vec<&str> = if dice.chance(50) { dice.shuffled(tempting) } else { Vec::new() };
        for other in dice.shuffled(others) {
            if !wrong.contains(&other) {
                wrong.push(other);
            }
        }
        wrong.retain(|&w| w != right);
        wrong.truncate(LETTERS.len() - 1);
        let mut options = dice.shuffled(&wrong);
        let place = dice.below(options.len() + 1);
        options.insert(place, right);
        let lines: Vec<String> =
            options.iter().zip(LETTERS).map(|(text, letter)| format!("{}. {text}", letter.to_ascii_uppercase())).collect();
        let words = question.then(&format!("\n{}\n{}", lines.join("\n"), say(dice, &ANSWER_BY_LETTER, &[]).text));
        let options = options.into_iter().map(String::from).collect();
        Self { family, words, answer: LETTERS[place].to_string(), kind: AnswerKind::Choice { options } }
    }
}

/// The reply to a question that has no answer.
pub(crate) const UNANSWERABLE: &str = "unanswerable";

const LETTERS: [char; 4] = ['a', 'b', 'c', 'd'];
const ANSWER_BY_LETTER: [&str; 2] = ["Answer with the letter.", "Give the letter."];

/// One of the phrasings, with every `{name}` replaced. The first phrasing gives the key.
pub(crate) fn say<const N: usize>(dice: &mut Dice, phrasings: &[&'static str; N], fillers: &[(&str, &str)]) -> Words {
    let fill =
        |phrasing: &str| fillers.iter().fold(phrasing.to_owned(), |text, (name, filler)| text.replace(&format!("{{{name}}}"), filler));
    Words { text: fill(dice.one(phrasings)), key: fill(phrasings[0]) }
}

/// The noun with its indefinite article.
pub(crate) fn a(noun: &str) -> String {
    let article = if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {noun}")
}

pub(crate) fn color_names() -> [&'static str; 7] {
    Color::ALL.map(Color::name)
}

pub(crate) fn shape_names() -> [&'static str; 6] {
    Shape::ALL.map(Shape::name)
}
