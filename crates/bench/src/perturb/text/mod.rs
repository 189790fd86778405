//! What can be done to the words of a question: options in another order, the instruction in other words, typos, capitals, punctuation.
//!
//! Each has five levels, and is a pure function of the text, the level and a seed that derives from (question id, perturbation's name). A higher level
//! does more of the same: words with a typo at level 1 have that typo at level 5. What a scorer reads stays: nothing but [`shuffle`] touches options, whose
//! right answer moves with its text, and a paraphrased instruction asks for the same form.

mod case;
mod paraphrase;
mod punctuation;
mod shuffle;
mod typos;

use std::fmt;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

/// One way to change the words of a question.
#[derive(Debug)]
pub struct TextPerturbation {
    /// Identifier, part of every seed.
    pub name: &'static str,
    /// For people.
    pub label: &'static str,
    /// What a level is.
    pub level: &'static str,
    /// Changes a question's words by a level, with what chance there is drawn from the generator.
    apply: fn(&mut Wording, u32, ChaCha8Rng),
}

/// The highest level; the lowest that does something is 1.
pub const LEVELS: u32 = 5;

/// All perturbations of words, in the order in which they are applied when there are several.
pub const TEXT_PERTURBATIONS: [TextPerturbation; 5] = [
    TextPerturbation {
        name: "shuffle",
        label: "Option order",
        level: "pairs of options that stand the other way round, all of them if there are fewer",
        apply: shuffle::options,
    },
    TextPerturbation {
        name: "paraphrase",
        label: "Paraphrased instruction",
        level: "how far the instruction is from the usual one; where a question has none, words before it",
        apply: |wording, level, _| paraphrase::instruction(wording, level),
    },
    TextPerturbation { name: "typos", label: "Typos", level: "words of four letters and more with a slip", apply: typos::slips },
    TextPerturbation { name: "case", label: "Capitals", level: "fifths of the words in capitals", apply: case::capitals },
    TextPerturbation {
        name: "punctuation",
        label: "Punctuation",
        level: "without the mark at the end, without any, with an ellipsis, with commas, with commas behind each word",
        apply: |wording, level, _| punctuation::marks(wording, level),
    },
];

impl TextPerturbation {
    /// Changes the words of the question called `id` by a level, which is brought into the range.
    pub(crate) fn apply(&self, wording: &mut Wording, level: u32, id: &str) {
        if level > 0 {
            (self.apply)(wording, level.min(LEVELS), super::seed(self.name, id));
        }
    }

    /// A spec of a level to begin with.
    pub fn example(&self) -> String {
        format!("{}=2", self.name)
    }
}

/// A question's words in their parts; printed they are the text again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wording {
    /// What is asked.
    body: String,
    /// Texts of the options, which stand on lines of their own as `A. `, `B. `, ..
    options: Vec<String>,
    /// What stands behind: mostly the form of the answer.
    behind: Option<String>,
    /// Which option stands where, by its number in the question as it was.
    order: Vec<usize>,
}

impl Wording {
    pub(crate) fn of(text: &str) -> Self {
        let lines: Vec<&str> = text.split('\n').collect();
        let lettered = |at: usize, letter: u8| lines.get(at).is_some_and(|line| line.starts_with(&format!("{}. ", char::from(letter))));
        let first = (1..lines.len()).find(|at| lettered(*at, b'A') && lettered(*at + 1, b'B'));
        let count = first.map_or(0, |first| (b'A'..=b'Z').zip(first..).take_while(|(letter, at)| lettered(*at, *letter)).count());
        // Without options the instruction begins where nothing but instructions follows.
        let body = first.or_else(|| (1..lines.len()).find(|at| paraphrase::is_instruction(&lines[*at..]))).unwrap_or(lines.len());
        let options: Vec<String> = lines[body..body + count].iter().map(|line| line[3..].to_owned()).collect();
        let behind = &lines[body + count..];
        Self {
            body: lines[..body].join("\n"),
            order: (0..options.len()).collect(),
            options,
            behind: (!behind.is_empty()).then(|| behind.join("\n")),
        }
    }

    /// Which option stands where, by its number in the question as it was.
    pub(crate) fn into_order(self) -> Vec<usize> {
        self.order
    }
}

impl fmt::Display for Wording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.body)?;
        self.options.iter().zip('A'..).try_for_each(|(option, letter)| write!(f, "\n{letter}. {option}"))?;
        self.behind.iter().try_for_each(|behind| write!(f, "\n{behind}"))
    }
}

/// A number below `n`.
fn below(random: &mut ChaCha8Rng, n: usize) -> usize {
    ((u64::from(random.next_u32()) * n as u64) >> 32) as usize
}

/// The numbers below `n` in random order.
fn shuffled(random: &mut ChaCha8Rng, n: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    for end in (1..n).rev() {
        order.swap(end, below(random, end + 1));
    }
    order
}

/// Beginning and end of every run of letters.
fn words(text: &[char]) -> Vec<(usize, usize)> {
    let mut words = Vec::new();
    let mut start = None;
    for (at, c) in text.iter().chain([&' ']).enumerate() {
        match (c.is_alphabetic(), start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                words.push((from, at));
                start = None;
            }
            _ => {}
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CHOICE: &str =
        "What is it?\nA. a dog\nB. a cat\nC. a cow\nD. a hen\nAnswer with the option's letter from the given choices directly.";

    fn under(name: &str, level: u32, text: &str, id: &str) -> Wording {
        let mut wording = Wording::of(text);
        TEXT_PERTURBATIONS.iter().find(|perturbation| perturbation.name == name).unwrap().apply(&mut wording, level, id);
        wording
    }

    #[test]
    fn a_text_has_parts() {
        let wording = Wording::of(CHOICE);
        assert_eq!((wording.body.as_str(), wording.options.len(), wording.behind.is_some()), ("What is it?", 4, true));
        let wording = Wording::of("Where?\nA. is no option alone");
        assert_eq!((wording.options.len(), wording.behind), (0, None));
        let wording = Wording::of(
            "Where?\nWhen the provided information is insufficient, respond with 'Unanswerable'.\nAnswer the question using a single word or phrase.",
        );
        assert_eq!((wording.body.as_str(), wording.behind.unwrap().lines().count()), ("Where?", 2));
    }

    #[test]
    fn a_shuffled_option_keeps_its_text_and_as_many_pairs_are_turned_as_the_level_says() {
        for level in 1..=LEVELS {
            for id in ["a", "b", "c", "d", "e"] {
                let (before, after) = (Wording::of(CHOICE), under("shuffle", level, CHOICE, id));
                let turned = |order: &[usize]| {
                    (0..order.len()).flat_map(|i| (0..i).map(move |j| (j, i))).filter(|(j, i)| order[*j] > order[*i]).count()
                };
                assert_eq!(turned(&after.order), level as usize);
                assert!(after.order.iter().zip(&after.options).all(|(was, option)| before.options[*was] == *option));
                assert_eq!((&after.body, &after.behind), (&before.body, &before.behind));
            }
        }
        // Two options have one pair.
        assert_eq!(under("shuffle", 5, "Which?\nA. x\nB. y", "q").order, [1, 0]);
        assert_eq!(under("shuffle", 5, "Which?", "q").to_string(), "Which?");
    }

    #[test]
    fn a_higher_level_does_more_of_the_same() {
        let text = "Which animal stands beside the wooden fence behind the house?";
        for name in ["typos", "case"] {
            let changed = |level: u32| -> Vec<usize> {
                let after = under(name, level, text, "q").to_string();
                text.split(' ').zip(after.split(' ')).enumerate().filter(|(_, (a, b))| a != b).map(|(at, _)| at).collect()
            };
            let all: Vec<Vec<usize>> = (1..=LEVELS).map(changed).collect();
            assert!(all.windows(2).all(|pair| pair[0].iter().all(|at| pair[1].contains(at))), "{name}: {all:?}");
            let counts: Vec<usize> = all.iter().map(Vec::len).collect();
            assert_eq!(counts, if name == "typos" { [1, 2, 3, 4, 5] } else { [2, 4, 6, 8, 10] });
        }
        assert_eq!(under("case", 5, text, "q").to_string(), text.to_uppercase());
        assert_ne!(under("typos", 2, text, "q"), under("typos", 2, text, "another"));
    }

    proptest! {
        #[test]
        fn parts_are_the_text_again(text in "(\\PC{0,9}\n|A\\. x\n|B\\. y\n|C\\. \n|Answer the question with a single word\\.\n?){0,8}") {
            prop_assert_eq!(Wording::of(&text).to_string(), text);
        }

        #[test]
        fn any_text_stands_every_level(text in "\\PC{0,40}(\nA\\. \\PC{0,5}\nB\\. y)?(\n\\PC{0,9})?", level in 0..9_u32) {
            for perturbation in &TEXT_PERTURBATIONS {
                let mut wording = Wording::of(&text);
                perturbation.apply(&mut wording, level, "q");
                let mut order = wording.order.clone();
                order.sort_unstable();
                prop_assert_eq!(order, (0..wording.options.len()).collect::<Vec<_>>());
                if level == 0 {
                    prop_assert_eq!(wording.to_string(), text.clone());
                }
            }
        }
    }
}
