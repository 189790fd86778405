//! A first look at a benchmark: how it is read, before anything is asked.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use steady_report::{QuestionKind, counted};

use crate::{BenchError, Benchmark, Question};

/// How many questions are shown.
const SHOWN: usize = 3;

/// How many groups are counted apart; the rest are counted together.
const GROUPS: usize = 20;

/// What was understood of a benchmark.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstLook {
    /// What opens it, as it is typed.
    pub bench: String,
    /// How many questions there are.
    pub questions: usize,
    /// About how many pictures; several that are shown together are one.
    pub pictures: usize,
    /// What a column was taken for, and its name.
    pub columns: Vec<(String, String)>,
    /// Columns that play no part.
    pub unused: Vec<String>,
    /// How many questions want an answer of each form.
    pub kinds: BTreeMap<String, usize>,
    /// How many questions each group has.
    pub groups: BTreeMap<String, usize>,
    /// Width and height of the picture with the fewest pixels.
    pub smallest_picture: (u32, u32),
    /// Of the one with the most.
    pub largest_picture: (u32, u32),
    /// The first questions.
    pub first: Vec<ShownQuestion>,
    /// What a reader of the questions would stumble over.
    pub odd: Vec<String>,
    /// [`Benchmark::fingerprint`].
    pub fingerprint: String,
}

/// A question as it is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownQuestion {
    /// Its id.
    pub id: String,
    /// Its group.
    pub group: String,
    /// Id of its picture.
    pub picture: String,
    /// Width and height of each of its pictures.
    pub sizes: Vec<(u32, u32)>,
    /// Its text, options included.
    pub question: String,
    /// Its right answers.
    pub gold: Vec<String>,
}

impl FirstLook {
    /// Looks at a benchmark.
    ///
    /// # Errors
    /// What it says of its pictures.
    pub fn at(benchmark: &dyn Benchmark) -> Result<Self, BenchError> {
        let questions = benchmark.questions();
        let understood = benchmark.understood().cloned().unwrap_or_default();
        let pictures: BTreeSet<&str> = questions.iter().map(|question| question.image.as_str()).collect();
        let sizes = pictures.iter().map(|image| benchmark.sizes(image)).collect::<Result<Vec<_>, _>>()?.concat();
        let area = |size: &&(u32, u32)| u64::from(size.0) * u64::from(size.1);
        let (mut kinds, mut groups) = (BTreeMap::new(), BTreeMap::new());
        for question in questions {
            *kinds.entry(QuestionKind::from(&question.kind).label().to_owned()).or_default() += 1;
            *groups.entry(question.family.clone()).or_default() += 1;
        }
        let shown = |question: &Question| {
            let Question { id, family, image, text, gold, .. } = question.clone();
            Ok(ShownQuestion { id, group: family, sizes: benchmark.sizes(&image)?, picture: image, question: text, gold })
        };
        let mut odd = understood.odd;
        odd.extend(oddities(questions));
        Ok(Self {
            bench: benchmark.spec(),
            questions: questions.len(),
            pictures: pictures.len(),
            columns: understood.columns,
            unused: understood.unused,
            kinds,
            groups,
            smallest_picture: sizes.iter().min_by_key(area).copied().unwrap_or_default(),
            largest_picture: sizes.iter().max_by_key(area).copied().unwrap_or_default(),
            first: questions.iter().take(SHOWN).map(shown).collect::<Result<_, BenchError>>()?,
            odd,
            fingerprint: benchmark.fingerprint(),
        })
    }

    /// How many questions there are, about how many pictures of which size.
    pub fn counts(&self) -> String {
        let sizes = if self.smallest_picture == self.largest_picture {
            by(self.largest_picture)
        } else {
            format!("{} to {}", by(self.smallest_picture), by(self.largest_picture))
        };
        format!("{} about {} of {sizes} pixels", counted(self.questions as u64, "question"), counted(self.pictures as u64, "picture"))
    }

    /// How many questions want an answer of each form.
    pub fn forms(&self) -> String {
        self.kinds.iter().map(|(kind, count)| format!("{kind} {count}")).collect::<Vec<_>>().join(", ")
    }

    /// How many questions each group has, the largest first.
    pub fn sizes_of_groups(&self) -> String {
        let mut groups: Vec<(&String, &usize)> = self.groups.iter().collect();
        groups.sort_by_key(|(name, count)| (Reverse(**count), *name));
        let rest: usize = groups.iter().skip(GROUPS).map(|(_, count)| **count).sum();
        let mut named: Vec<String> = groups.iter().take(GROUPS).map(|(name, count)| format!("{name} {count}")).collect();
        if rest > 0 {
            named.push(format!("{rest} in {} more", groups.len() - GROUPS));
        }
        named.join(", ")
    }
}

impl ShownQuestion {
    /// Its pictures, with their sizes.
    pub fn pictured(&self) -> String {
        format!("{} ({})", self.picture, self.sizes.iter().map(|size| by(*size)).collect::<Vec<_>>().join(", "))
    }

    /// Its right answers.
    pub fn golds(&self) -> String {
        if self.gold.is_empty() { "none".to_owned() } else { self.gold.join(" / ") }
    }
}

fn by((width, height): (u32, u32)) -> String {
    format!("{width}x{height}")
}

/// What a reader of the questions would stumble over.
fn oddities(questions: &[Question]) -> Vec<String> {
    let mut odd = Vec::new();
    if questions.iter().all(|question| question.gold.is_empty()) {
        odd.push("no question has a right answer: only which answers changed will be reported".to_owned());
    }
    let mut asked: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    let mut twice = Vec::new();
    for question in questions {
        if let Some(first) = asked.insert((&question.image, &question.text), &question.id) {
            twice.push(format!("{first} and {}", question.id));
        }
    }
    if let Some(first) = twice.first() {
        odd.push(format!("{} questions are asked twice about the same picture, the first: {first}", twice.len()));
    }
    let golds: BTreeSet<&[String]> = questions.iter().map(|question| question.gold.as_slice()).collect();
    if let (Some([gold]), true) = (golds.first(), golds.len() == 1 && questions.len() > 1) {
        odd.push(format!("the right answer is `{gold}` for every question"));
    }
    odd
}
