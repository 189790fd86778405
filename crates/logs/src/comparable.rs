//! Whether two runs were asked the same things in the same way.

use std::collections::{BTreeSet, HashMap};

use steady_bench::AnswerKind;

use crate::log::{Answer, Log};
use crate::source::shortened;

/// Something that differs between two runs and must not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What differs: `questions`, `prompt`, `gold`, `settings.temperature`, ...
    pub field: String,
    /// How, with the first places where it does.
    pub what: String,
}

/// What a look at two runs finds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// What forbids a comparison, unless it is let through.
    pub refused: Vec<Difference>,
    /// What a reader should know.
    pub remarks: Vec<String>,
}

/// Places that are named of many.
const NAMED: usize = 3;

/// Looks at two runs, the first of them the one to compare with.
pub fn look(a: &Log, b: &Log) -> Look {
    let mut look = Look::default();
    let mut refuse = |field: &str, what: String| look.refused.push(Difference { field: field.to_owned(), what });
    let by_id: HashMap<&str, &Answer> = b.answers.iter().map(|answer| (answer.id.as_str(), answer)).collect();
    let pairs: Vec<(&Answer, &Answer)> = a.answers.iter().filter_map(|answer| Some((answer, *by_id.get(answer.id.as_str())?))).collect();
    if !a.benchmark.is_empty() && !b.benchmark.is_empty() && a.benchmark != b.benchmark {
        refuse("benchmark", format!("{} in {}, {} in {}", a.benchmark, a.name, b.benchmark, b.name));
    }
    if let Some(what) = missing(a, b, pairs.len()) {
        refuse("questions", what);
    }
    let mut compared = |field: &str, of: &dyn Fn(&Answer) -> Option<String>| {
        let unlike: Vec<(String, String, &Answer, &Answer)> =
            pairs.iter().filter_map(|(a, b)| Some((of(a)?, of(b)?, *a, *b))).filter(|(of_a, of_b, ..)| of_a != of_b).collect();
        if !unlike.is_empty() {
            let first: Vec<String> = unlike
                .iter()
                .take(NAMED)
                .map(|(of_a, of_b, a, b)| {
                    let (of_a, of_b) = parted(of_a, of_b);
                    format!("\n    {}: {of_a:?} ({}), {of_b:?} ({})", a.id, a.place, b.place)
                })
                .collect();
            refuse(field, format!("differs in {} of {} questions{}", unlike.len(), pairs.len(), first.concat()));
        }
    };
    compared("prompt", &|answer| answer.question.as_ref().map(|question| question.trim().to_owned()));
    compared("gold", &|answer| (!answer.gold.is_empty()).then(|| answer.gold.join(" | ")));
    compared("options", &|answer| match answer.kind() {
        AnswerKind::Choice { options } => Some(options.join(" | ")),
        _ => None,
    });
    compared("image", &|answer| Some(answer.image.rsplit(['/', '\\']).next().unwrap_or_default().to_owned()));
    let hashes: BTreeSet<&'static str> = a.answers.iter().flat_map(|answer| answer.hashes.iter().map(|(name, _)| *name)).collect();
    for name in hashes {
        compared(name, &|answer| answer.hashes.iter().find(|(known, _)| *known == name).map(|(_, hash)| hash.clone()));
    }
    for (name, of_a) in &a.settings {
        if let Some(of_b) = b.settings.get(name).filter(|of_b| *of_b != of_a) {
            let (of_a, of_b) = parted(of_a, of_b);
            refuse(&format!("settings.{name}"), format!("{of_a} in {}, {of_b} in {}", a.name, b.name));
        }
    }
    look.remarks.extend(remarks(a, b, &pairs));
    look
}

/// What may differ, and is said.
fn remarks(a: &Log, b: &Log, pairs: &[(&Answer, &Answer)]) -> Vec<String> {
    let mut remarks = Vec::new();
    if a.format.name != b.format.name {
        remarks.push(format!(
            "{} is {}, {} is {}: where there is gold, both are scored by this program",
            a.name, a.format.title, b.name, b.format.title
        ));
    }
    for (one, other) in [(a, b), (b, a)] {
        let alone: Vec<&str> = one.settings.keys().filter(|name| !other.settings.contains_key(*name)).map(String::as_str).collect();
        if !alone.is_empty() && a.format.name == b.format.name {
            remarks.push(format!("only {} says: {}", one.name, some(&alone)));
        }
    }
    for (name, of_a) in &a.circumstances {
        if let Some(of_b) = b.circumstances.get(name).filter(|of_b| *of_b != of_a) {
            remarks.push(format!("{name} is {of_a} in {} and {of_b} in {}", a.name, b.name));
        }
    }
    let places: HashMap<&str, usize> = b.answers.iter().enumerate().map(|(i, answer)| (answer.id.as_str(), i)).collect();
    let order: Vec<usize> = pairs.iter().filter_map(|(answer, _)| places.get(answer.id.as_str()).copied()).collect();
    if let Some(at) = order.windows(2).position(|pair| pair[0] > pair[1]) {
        remarks.push(format!("the questions are in another order from {} on; answers are paired by their identity", pairs[at + 1].0.id));
    }
    remarks
}

/// Questions of one that the other does not have.
fn missing(a: &Log, b: &Log, shared: usize) -> Option<String> {
    let lacking = |one: &Log, other: &Log| {
        let there: BTreeSet<&str> = other.answers.iter().map(|answer| answer.id.as_str()).collect();
        let ids: Vec<&str> = one.answers.iter().map(|answer| answer.id.as_str()).filter(|id| !there.contains(id)).collect();
        (!ids.is_empty())
            .then(|| format!("{} of the {} in {} are not in {}: {}", ids.len(), one.answers.len(), one.name, other.name, some(&ids)))
    };
    let parts: Vec<String> = [lacking(a, b), lacking(b, a)].into_iter().flatten().collect();
    let none = if shared == 0 { "no question is in both; " } else { "" };
    (!parts.is_empty()).then(|| format!("{none}{}", parts.join("; ")))
}

fn some(names: &[&str]) -> String {
    let rest = names.len().saturating_sub(NAMED);
    let named = names[..names.len().min(NAMED)].join(", ");
    if rest > 0 { format!("{named} and {rest} more") } else { named }
}

/// Two texts from shortly before they part.
fn parted(a: &str, b: &str) -> (String, String) {
    const BEFORE: usize = 12;
    const MOST: usize = 60;
    let same = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count();
    let from = if a.chars().count().max(b.chars().count()) <= MOST { 0 } else { same.saturating_sub(BEFORE) };
    let part = |text: &str| {
        let rest: String = text.chars().skip(from).collect();
        format!("{}{}", if from > 0 { "..." } else { "" }, shortened(&rest, MOST))
    };
    (part(a), part(b))
}

impl Difference {
    /// Whether it is let through: by its name, or by what stands before the first dot in it.
    pub fn is_allowed(&self, allowed: &[String]) -> bool {
        let whole = self.field.split('.').next();
        allowed.iter().any(|name| *name == self.field || Some(name.as_str()) == whole)
    }
}
