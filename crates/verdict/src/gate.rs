//! The gate: every limit of a policy on every acceleration of some runs, and one verdict.

use serde::Serialize;
use steady_report::statistics::holm;
use steady_report::statistics::pooling::{Pooled, pool};
use steady_report::{AnswerRow, Benchmarks, Clustered, OfBenchmark, Report, Summary, Tally};

use crate::criterion::{Criterion, Finding, Measure, Verdict, differences};
use crate::error::{VerdictError, there_are};
use crate::policy::{EACH, Policy, Rule, Tier};

/// A run that is judged.
#[derive(Clone, Debug)]
pub struct Run {
    /// What to call it in messages: where it was read from.
    pub name: String,
    /// Its report.
    pub report: Report,
    /// Address of its `report.html`, seen from the page that is written of the verdict; `None` where there is none.
    pub page: Option<String>,
}

/// What a policy says of some runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Gate {
    /// The worst verdict on any acceleration.
    pub verdict: Verdict,
    /// One-sided confidence of the verdicts.
    pub confidence: f64,
    /// SHA-256 of the policy's file; empty where limits came as flags.
    pub policy_sha256: String,
    /// SHA-256 of the plans that were run, in the order of the runs; empty texts where they are not known.
    pub plans_sha256: Vec<String>,
    /// What was judged, an acceleration each.
    pub accelerations: Vec<Judged>,
}

/// What a policy says of one acceleration.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judged {
    /// The model.
    pub model: String,
    /// The acceleration's spec.
    pub spec: String,
    /// The verdict.
    pub verdict: Verdict,
    /// The limits, in the policy's order.
    pub findings: Vec<Finding>,
    /// Whether accuracy fell in all benchmarks taken together, where there are several. It is told and decides nothing: that accuracy was not seen to fall
    /// does not show that it did not.
    pub accuracy_fell: Option<Pooled>,
}

impl Gate {
    /// Judges the accelerations called `specs`, or all that the runs have, each by itself over all runs.
    ///
    /// # Errors
    /// [`VerdictError::Runs`] where runs are of several models or twice of one benchmark, [`VerdictError::Unknown`] where a rule or a spec names what no
    /// run has.
    pub fn judge(policy: &Policy, runs: &[Run], specs: &[String]) -> Result<Self, VerdictError> {
        let mut found: Vec<&str> = side_by_side(runs)?.specs().to_vec();
        if let Some(unknown) = specs.iter().find(|spec| !found.contains(&spec.as_str())) {
            let run = runs.iter().map(|run| run.name.as_str()).collect::<Vec<_>>().join(", ");
            let are = there_are(found);
            return Err(VerdictError::Unknown { rule: "--accel".to_owned(), what: "acceleration", found: unknown.clone(), run, are });
        }
        if found.is_empty() {
            return Err(VerdictError::Runs("there is nothing to judge: no acceleration was run".to_owned()));
        }
        found.retain(|spec| specs.is_empty() || specs.iter().any(|wanted| wanted == spec));
        let accelerations = found.into_iter().map(|spec| Judged::of(policy, runs, spec)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            verdict: accelerations.iter().map(|judged| judged.verdict).max().unwrap_or(Verdict::Inconclusive),
            confidence: policy.confidence,
            policy_sha256: policy.sha256.clone(),
            plans_sha256: runs.iter().map(|run| run.report.plan().plan_sha256.clone()).collect(),
            accelerations,
        })
    }
}

/// Several runs are several benchmarks of one model.
pub(crate) fn side_by_side<'a>(runs: &'a [Run]) -> Result<Benchmarks<'a>, VerdictError> {
    let of = |Run { name, report, page }: &'a Run| OfBenchmark { name, report, page: page.as_deref() };
    Benchmarks::of(runs.iter().map(of).collect()).map_err(|apart| VerdictError::Runs(apart.to_string()))
}

impl Judged {
    fn of(policy: &Policy, runs: &[Run], spec: &str) -> Result<Self, VerdictError> {
        let answers = |run: &Run| {
            let place = run.report.summaries().iter().position(|summary: &Summary| summary.spec == spec)?;
            Some(run.report.accelerations()[place].answers.clone())
        };
        let columns: Vec<Option<Vec<AnswerRow>>> = runs.iter().map(answers).collect();
        let columns: Vec<Option<&[AnswerRow]>> = columns.iter().map(Option::as_deref).collect();
        let mut findings = Vec::new();
        for asked in asked(policy, runs, &columns)? {
            findings.push(asked.finding(policy));
        }
        decide(policy, &mut findings);
        let mut moved = Vec::new();
        for (run, column) in runs.iter().zip(&columns) {
            if let Some(column) = column {
                let images = run.report.tallies(column, |i| run.report.condition(i) == 0)?;
                moved.push(differences(&images.into_values().collect::<Vec<_>>()));
            }
        }
        Ok(Self {
            model: runs.first().map(|run| run.report.plan().model.clone()).unwrap_or_default(),
            spec: spec.to_owned(),
            verdict: Verdict::all(findings.iter().map(|finding| (finding.criterion.tier, finding.verdict))),
            accuracy_fell: (moved.len() > 1).then(|| pool(&moved)),
            findings,
        })
    }
}

/// A criterion with the tallies of the images that it is about; those of a run come in the same order. No images where the benchmark was not run.
pub(crate) struct Asked {
    pub(crate) criterion: Criterion,
    /// Which run.
    pub(crate) run: Option<usize>,
    /// By image of the run; without questions where an image has none of the group.
    pub(crate) images: Vec<Tally>,
}

impl Asked {
    fn finding(self, policy: &Policy) -> Finding {
        let Self { criterion, images, .. } = self;
        let images = asked_about(images.into_iter());
        let evidence =
            Clustered::of(&images).map(|clustered| criterion.measure.evidence(&images, &clustered, criterion.limit, policy.confidence));
        Finding { criterion, verdict: Verdict::Inconclusive, evidence }
    }
}

/// The images that have a question.
pub(crate) fn asked_about(images: impl Iterator<Item = Tally>) -> Vec<Tally> {
    images.filter(|tally| tally.questions() > 0).collect()
}

/// Fills in the verdicts: tests that can fail the acceleration are one family, those that only advise another.
fn decide(policy: &Policy, findings: &mut [Finding]) {
    for advisory in [false, true] {
        let mut family: Vec<&mut Finding> = findings
            .iter_mut()
            .filter(|finding| (finding.criterion.tier == Tier::Advisory) == advisory && finding.evidence.is_some())
            .collect();
        let kept: Vec<f64> = family.iter().filter_map(|finding| Some(finding.evidence?.p_kept)).collect();
        for (finding, adjusted) in family.iter_mut().zip(holm(&kept)) {
            if let Some(evidence) = &mut finding.evidence {
                evidence.p_kept_adjusted = adjusted;
                finding.verdict = Verdict::of(evidence.p_violated, adjusted, policy.level());
                if finding.verdict != Verdict::Inconclusive {
                    evidence.needed = None;
                }
            }
        }
    }
}

/// Every criterion that the policy has on these runs. `columns` are the answers that are judged, by run.
pub(crate) fn asked(policy: &Policy, runs: &[Run], columns: &[Option<&[AnswerRow]>]) -> Result<Vec<Asked>, VerdictError> {
    let mut all = Vec::new();
    for rule in &policy.rules {
        let of_benchmark = |run: &Run| rule.benchmark.as_ref().is_none_or(|benchmark| *benchmark == run.report.plan().benchmark);
        let mut answered = false;
        for (place, (run, column)) in runs.iter().zip(columns).enumerate().filter(|(_, (run, _))| of_benchmark(run)) {
            let Some(column) = column else { continue };
            answered = true;
            judged(run, rule.limits.iter().any(|(measure, _)| *measure != Measure::Dr), "max-dr is the one limit that can be judged")?;
            for (perturbation, condition) in conditions(rule, run)? {
                for group in groups(rule, run)? {
                    let keep = |i: usize| {
                        run.report.condition(i) == condition && group.is_none_or(|group| run.report.questions()[i].family == group)
                    };
                    let every = run.report.tallies(column, |i| run.report.condition(i) == condition)?;
                    let some = run.report.tallies(column, keep)?;
                    let images: Vec<Tally> = every.keys().map(|image| some.get(image).copied().unwrap_or_default()).collect();
                    for &(measure, limit) in &rule.limits {
                        let benchmark = run.report.plan().benchmark.clone();
                        let (group, perturbation) = (group.map(str::to_owned), perturbation.map(str::to_owned));
                        let criterion = Criterion { tier: rule.tier, benchmark, group, perturbation, measure, limit };
                        all.push(Asked { criterion, run: Some(place), images: images.clone() });
                    }
                }
            }
        }
        if !answered {
            let Rule { tier, benchmark, group, perturbation, limits, .. } = rule.clone();
            let benchmark = benchmark.unwrap_or_else(|| "any".to_owned());
            all.extend(limits.into_iter().map(|(measure, limit)| {
                let criterion = Criterion {
                    tier,
                    benchmark: benchmark.clone(),
                    group: group.clone(),
                    perturbation: perturbation.clone(),
                    measure,
                    limit,
                };
                Asked { criterion, run: None, images: Vec::new() }
            }));
        }
    }
    Ok(all)
}

/// Refuses what takes right answers of a run that has none.
pub(crate) fn judged(run: &Run, wanted: bool, instead: &str) -> Result<(), VerdictError> {
    if !wanted || run.report.judged() {
        return Ok(());
    }
    Err(VerdictError::Runs(format!("{} has no right answers, so nothing is known to break; {instead}", run.name)))
}

fn groups<'a>(rule: &Rule, run: &'a Run) -> Result<Vec<Option<&'a str>>, VerdictError> {
    let mut families: Vec<&str> = run.report.questions().iter().map(|question| question.family.as_str()).collect();
    families.sort_unstable();
    families.dedup();
    named(rule, run, "group", rule.group.as_deref(), families)
}

/// What was done to the images, and how the report numbers it.
fn conditions<'a>(rule: &Rule, run: &'a Run) -> Result<Vec<(Option<&'a str>, usize)>, VerdictError> {
    let perturbations: Vec<&str> = run.report.plan().perturbations.iter().map(String::as_str).collect();
    let number = |name: Option<&'a str>| name.map_or(0, |name| 1 + perturbations.iter().position(|other| *other == name).unwrap_or(0));
    let found = named(rule, run, "perturbation", rule.perturbation.as_deref(), perturbations.clone())?;
    Ok(found.into_iter().map(|name| (name, number(name))).collect())
}

/// The one that is wanted, each, or no choice at all.
fn named<'a>(
    rule: &Rule,
    run: &Run,
    what: &'static str,
    wanted: Option<&str>,
    there: Vec<&'a str>,
) -> Result<Vec<Option<&'a str>>, VerdictError> {
    match wanted {
        None => Ok(vec![None]),
        Some(EACH) if !there.is_empty() => Ok(there.into_iter().map(Some).collect()),
        Some(wanted) => {
            let found = there.iter().find(|name| **name == wanted).map(|name| vec![Some(*name)]);
            found.ok_or_else(|| {
                let (rule, found, run) = (rule.place.clone(), wanted.to_owned(), run.name.clone());
                VerdictError::Unknown { rule, what, found, run, are: there_are(there) }
            })
        }
    }
}
