//! Two reports of the same questions, side by side: last week's model, or another group size. Each report compares with a baseline of its own; here the
//! accelerations of both are compared with each other, question by question.

use std::collections::{BTreeMap, HashMap};

use crate::measurements::{AnswerRow, BASELINE};
use crate::rates::Proportion;
use crate::report::Report;
use crate::statistics::PairedTest;

/// Two reports, aligned by question and perturbation.
#[derive(Clone, Debug, PartialEq)]
pub struct Beside {
    /// Questions that both have, once for each perturbation that both have.
    pub questions: usize,
    /// Questions that only the first has, and only the second.
    pub alone: [usize; 2],
    /// Questions that both have by the same name and with other words or gold answers; they are left out of all that follows.
    pub unlike: usize,
    /// The baselines first, then each acceleration of the first with each of the second.
    pub pairs: Vec<Pair>,
}

/// A form of the model in the first report, and one in the second.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// Specs; `none` for the baselines.
    pub specs: [String; 2],
    /// Questions to which both gave another answer.
    pub differ: Proportion,
    /// Right answers of both, of the first alone, of the second alone, of neither.
    pub right: [u64; 4],
    /// Is one right more often? Upwards the second, downwards the first; by image, adjusted for all pairs.
    pub test: PairedTest,
}

impl Report {
    /// This report beside another one; `None` where they have no question in common.
    pub fn beside(&self, other: &Self) -> Option<Beside> {
        let key = |report: &Self, i: usize| {
            let question = &report.questions()[i];
            (question.id.clone(), question.perturbation.clone())
        };
        let theirs: HashMap<_, usize> = (0..other.questions().len()).map(|i| (key(other, i), i)).collect();
        let shared: Vec<(usize, usize)> = (0..self.questions().len()).filter_map(|i| Some((i, *theirs.get(&key(self, i))?))).collect();
        // a link may have left the words out
        let like = |&(a, b): &(usize, usize)| {
            let (a, b) = (&self.questions()[a], &other.questions()[b]);
            a.gold == b.gold && (a.text == b.text || a.text.is_empty() || b.text.is_empty())
        };
        let rows: Vec<(usize, usize)> = shared.iter().copied().filter(like).collect();
        if rows.is_empty() {
            return None;
        }
        let mut pairs: Vec<Pair> = Vec::new();
        for (i, ours) in forms(self).iter().enumerate() {
            // baselines with each other alone
            let others = forms(other).into_iter().enumerate().filter(|(j, _)| (i == 0) == (*j == 0));
            pairs.extend(others.map(|(_, theirs)| pair(self, &rows, ours, &theirs)));
        }
        PairedTest::adjust(pairs.iter_mut().map(|pair| &mut pair.test).collect());
        let alone = [self, other].map(|report| report.questions().len() - shared.len());
        Some(Beside { questions: rows.len(), alone, unlike: shared.len() - rows.len(), pairs })
    }
}

/// A form of the model: its spec, and its answers by row.
type Form<'a> = (&'a str, Box<dyn Fn(usize) -> &'a AnswerRow + 'a>);

fn forms(report: &Report) -> Vec<Form<'_>> {
    let baseline: Form<'_> = (BASELINE, Box::new(|i| &report.questions()[i].baseline));
    let accelerations =
        report.accelerations().iter().map(|acceleration| -> Form<'_> { (&acceleration.spec, Box::new(|i| &acceleration.answers[i])) });
    std::iter::once(baseline).chain(accelerations).collect()
}

fn pair(report: &Report, rows: &[(usize, usize)], (ours, our): &Form<'_>, (theirs, their): &Form<'_>) -> Pair {
    let (mut differ, mut right) = (0, [0; 4]);
    let mut images: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for &(a, b) in rows {
        let (one, other) = (our(a), their(b));
        differ += u64::from(!same(one, other));
        let (up, down) = images.entry(&report.questions()[a].image).or_default();
        match (one.correct, other.correct) {
            (true, true) => right[0] += 1,
            (true, false) => {
                right[1] += 1;
                *down += 1;
            }
            (false, true) => {
                right[2] += 1;
                *up += 1;
            }
            (false, false) => right[3] += 1,
        }
    }
    Pair {
        specs: [*ours, *theirs].map(str::to_owned),
        differ: Proportion { count: differ, of: rows.len() as u64 },
        right,
        test: PairedTest::of(images.into_values()),
    }
}

/// As the benchmark's parser read both, or where it could not, as texts. Answers that are not equally right are not the same.
fn same(one: &AnswerRow, other: &AnswerRow) -> bool {
    let texts = || one.text.trim().to_lowercase() == other.text.trim().to_lowercase();
    let read = one.parsed.as_ref().zip(other.parsed.as_ref()).is_some_and(|(one, other)| one == other);
    one.correct == other.correct && (read || texts())
}
