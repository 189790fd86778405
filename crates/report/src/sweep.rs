//! How changes grow with an amount: accelerations that differ in how many visual tokens they keep and in nothing else, perturbations that differ in how strong
//! they are.

use crate::report::{Perturbed, Report};
use crate::summary::Summary;

/// The parameter that is a budget.
const BUDGET: &str = "keep=";
/// Fewer are no curve.
const LEAST: usize = 3;
/// Fewer amounts of a perturbation are none. There is what was asked without it too.
const LEAST_AMOUNTS: usize = 2;

/// One method at several budgets.
#[derive(Clone, Debug, PartialEq)]
pub struct Sweep<'a> {
    /// The spec, with `keep=..` for what differs.
    pub spec: String,
    /// From the smallest budget to the largest.
    pub points: Vec<Point<'a>>,
}

/// A method at one budget.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point<'a> {
    /// The budget as the spec has it.
    pub keep: f64,
    /// Visual tokens that the decoder saw, mean over its layers and the questions; 0 where nobody knows.
    pub visual_tokens: f64,
    /// What became of the answers.
    pub summary: &'a Summary,
}

/// One perturbation at several amounts.
#[derive(Clone, Debug, PartialEq)]
pub struct Amounts<'a> {
    /// The spec, with `=..` for what differs.
    pub spec: String,
    /// The amounts as the specs have them, ascending, and what became of the answers.
    pub points: Vec<(f64, &'a Perturbed)>,
}

impl Report {
    /// Every perturbation that was tried at two amounts or more, in the order of the plan.
    pub fn amounts(&self) -> Vec<Amounts<'_>> {
        let mut all: Vec<Amounts<'_>> = Vec::new();
        for perturbed in self.perturbed() {
            let Some((spec, amount)) = without_last(&perturbed.perturbation, "=") else { continue };
            match all.iter_mut().find(|amounts| amounts.spec == spec) {
                Some(amounts) => amounts.points.push((amount, perturbed)),
                None => all.push(Amounts { spec, points: vec![(amount, perturbed)] }),
            }
        }
        all.retain(|amounts| amounts.points.len() >= LEAST_AMOUNTS);
        for amounts in &mut all {
            amounts.points.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        }
        all
    }

    /// Every method that was tried at three budgets or more, in the order of the accelerations.
    pub fn sweeps(&self) -> Vec<Sweep<'_>> {
        let mut sweeps: Vec<Sweep<'_>> = Vec::new();
        for (summary, acceleration) in self.summaries().iter().zip(self.accelerations()) {
            let Some((spec, keep)) = without_budget(&summary.spec) else { continue };
            let point = Point { keep, visual_tokens: acceleration.cost.visual_tokens, summary };
            match sweeps.iter_mut().find(|sweep| sweep.spec == spec) {
                Some(sweep) => sweep.points.push(point),
                None => sweeps.push(Sweep { spec, points: vec![point] }),
            }
        }
        sweeps.retain(|sweep| sweep.points.len() >= LEAST);
        for sweep in &mut sweeps {
            sweep.points.sort_by(|a, b| a.keep.total_cmp(&b.keep));
        }
        sweeps
    }
}

/// The spec without the last budget in it, and that budget. `None` where it has none.
pub(crate) fn without_budget(spec: &str) -> Option<(String, f64)> {
    without_last(spec, BUDGET)
}

/// The spec without the number behind the last `parameter` in it, and that number. `None` where it has none.
fn without_last(spec: &str, parameter: &str) -> Option<(String, f64)> {
    let (before, behind) = spec.rsplit_once(parameter)?;
    let end = behind.find(['+', ',']).unwrap_or(behind.len());
    let (keep, rest) = behind.split_at(end);
    Some((format!("{before}{parameter}..{rest}"), keep.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_the_last_budget() {
        let of = |spec| without_last(spec, BUDGET).map(|(spec, keep)| format!("{spec} {keep}"));
        assert_eq!(of("divprune:keep=0.33").unwrap(), "divprune:keep=.. 0.33");
        assert_eq!(of("w4:rtn,g=64+random:keep=64,seed=7").unwrap(), "w4:rtn,g=64+random:keep=..,seed=7 64");
        assert_eq!(of("tome:keep=0.5+fastv:k=2,keep=0.25").unwrap(), "tome:keep=0.5+fastv:k=2,keep=.. 0.25");
        assert_eq!((of("int8"), of("divprune:keep=all")), (None, None));
        assert_eq!(without_last("blur=1+jpeg=30", "="), Some(("blur=1+jpeg=..".to_owned(), 30.0)));
    }
}
