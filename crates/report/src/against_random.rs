//! Whether a method that chooses visual tokens does better than chance: each beside `random` at the same budget, question by question.

use serde::Serialize;

use crate::number::{p_value, percent};
use crate::outcome::Outcome;
use crate::report::Report;
use crate::statistics::PairedTest;
use crate::summary::in_one_alone;
use crate::sweep::without_budget;

/// The method that keeps visual tokens by chance.
const RANDOM: &str = "random";
/// Two numbers of visual tokens are the same budget up to so many times one another.
const ALIKE: f64 = 1.1;
/// A difference is told from chance at this level, adjusted for all tests.
const LEVEL: f64 = 0.05;

/// A method beside random tokens at the same budget.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct AgainstRandom {
    /// Place of the method in [`Report::accelerations`].
    #[serde(skip)]
    pub method: usize,
    /// Place of the random tokens.
    #[serde(skip)]
    pub random: usize,
    /// Upwards are questions that break under the method alone, downwards those that break under random tokens alone; where nothing is judged, that change.
    /// Adjusted for all such comparisons of a report.
    #[serde(flatten)]
    pub test: PairedTest,
}

/// How a method stands beside chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Chance {
    /// Fewer answers break than under random tokens.
    Better,
    /// As far as these questions tell, as many.
    NotTold,
    /// More of them.
    Worse,
}

impl Chance {
    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Better => "better than chance",
            Self::NotTold => "not told from chance",
            Self::Worse => "worse than chance",
        }
    }
}

impl AgainstRandom {
    /// What the test says, adjusted, at 5 %.
    pub fn reading(&self) -> Chance {
        let PairedTest { up, down, p_adjusted, .. } = self.test;
        match p_adjusted < LEVEL {
            true if up < down => Chance::Better,
            true if up > down => Chance::Worse,
            _ => Chance::NotTold,
        }
    }
}

impl Report {
    /// Each acceleration that drops visual tokens beside each `random` of its budget: with the same `keep` and nothing else that differs, or with as many visual
    /// tokens in the mean over the decoder's layers, give or take a tenth, and the same weights. Of those that answer alike, as `random` and `random:placed` do
    /// where positions are kept in any case, the first.
    pub fn against_random(&self) -> Vec<AgainstRandom> {
        let (questions, harm) = (self.plan().questions, self.harm());
        let answers = |place: usize| &self.accelerations()[place].answers[..questions];
        let places = || 0..self.accelerations().len();
        let mut pairs: Vec<AgainstRandom> = places()
            .flat_map(|method| places().map(move |random| (method, random)))
            .filter(|&(method, random)| self.same_budget(method, random))
            .filter(|&(method, random)| !(0..random).any(|other| self.same_budget(method, other) && answers(other) == answers(random)))
            .map(|(method, random)| {
                let test = in_one_alone(&self.questions()[..questions], answers(method), answers(random), harm);
                AgainstRandom { method, random, test }
            })
            .collect();
        PairedTest::adjust(pairs.iter_mut().map(|pair| &mut pair.test).collect());
        pairs
    }

    /// What must not happen to an answer: that it breaks, or where nothing is judged, that it changes.
    pub(crate) fn harm(&self) -> fn(Outcome) -> bool {
        if self.judged() { |outcome| outcome == Outcome::Broken } else { Outcome::diverged }
    }

    /// What tables say of a pair: of the method and of the random tokens how many visual tokens there are and what share is harmed, then the test and its reading.
    pub(crate) fn told(&self, pair: &AgainstRandom) -> ([[String; 2]; 2], [String; 4]) {
        let judged = self.judged();
        let both = [pair.method, pair.random].map(|place| {
            let summary = &self.summaries()[place];
            let harmed = summary.harmed(judged);
            [format!("{:.1}", self.accelerations()[place].cost.visual_tokens), percent(harmed.value)]
        });
        let PairedTest { up, down, p_adjusted, .. } = pair.test;
        (both, [up.to_string(), down.to_string(), p_value(p_adjusted), pair.reading().words().to_owned()])
    }

    fn same_budget(&self, method: usize, random: usize) -> bool {
        let [method, random] = [method, random].map(|place| &self.accelerations()[place]);
        let parts = |spec: &'_ str| spec.split('+').map(str::to_owned).collect::<Vec<_>>();
        let (parts_of_method, mut others) = (parts(&method.spec), parts(&random.spec));
        let Some(by_chance) = others.iter().position(|part| is_random(part)).map(|place| others.remove(place)) else { return false };
        let seen = |visual_tokens: f64| visual_tokens > 0.0 && visual_tokens < self.measurements().baseline_cost.visual_tokens;
        let comparable = !parts_of_method.iter().any(|part| is_random(part))
            && others.iter().all(|part| parts_of_method.contains(part))
            && method.cost.weight_bytes == random.cost.weight_bytes
            && seen(method.cost.visual_tokens);
        let own: Vec<&String> = parts_of_method.iter().filter(|part| !others.contains(part)).collect();
        let keep = |part: &str| without_budget(part).map(|(_, keep)| keep);
        let as_told = matches!(own.as_slice(), [own] if keep(own).is_some() && keep(own) == keep(&by_chance));
        let (fewer, more) =
            (method.cost.visual_tokens.min(random.cost.visual_tokens), method.cost.visual_tokens.max(random.cost.visual_tokens));
        comparable && !own.is_empty() && (as_told || more <= ALIKE * fewer)
    }
}

fn is_random(part: &str) -> bool {
    part.split([':', ',']).next() == Some(RANDOM)
}
