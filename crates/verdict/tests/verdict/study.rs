//! Studies that are made up question by question, for the tests of what is decided over them.

use steady_report::{
    AccelerationReport, AnswerRow, ControlReport, CostRow, Measurements, Outcome, PlanSummary, QuestionKind, QuestionRow, Report,
};
use steady_verdict::Run;

/// What became of some questions: broken, repaired, changed.
#[derive(Clone, Copy)]
pub(crate) struct Moved(pub(crate) usize, pub(crate) usize, pub(crate) usize);

/// A run of `questions` questions, `by_image` about each image, half in the family `existence` and half in `reading`: what each acceleration and each
/// control did, the first questions first.
pub(crate) fn run(benchmark: &str, questions: usize, by_image: usize, accelerations: &[(&str, Moved)], controls: &[(&str, Moved)]) -> Run {
    let answer = |correct: bool, outcome: Option<Outcome>, margin: f32| AnswerRow {
        text: if correct { "yes" } else { "no" }.to_owned(),
        parsed: Some(if correct { "yes" } else { "no" }.to_owned()),
        correct,
        score: f32::from(u8::from(correct)),
        margin: Some(margin),
        kl: None,
        outcome,
        visual_tokens: 144.0,
        top: Vec::new(),
    };
    // the baseline is right but in the questions that the first acceleration repairs or changes
    let wrong = |i: usize| {
        accelerations
            .iter()
            .chain(controls)
            .any(|(_, Moved(broken, repaired, changed))| (*broken..broken + repaired + changed).contains(&i))
    };
    let rows = |Moved(broken, repaired, _): Moved| -> Vec<AnswerRow> {
        (0..questions)
            .map(|i| {
                let before = !wrong(i);
                let outcome = if i < broken {
                    Outcome::Broken
                } else if i < broken + repaired {
                    Outcome::Repaired
                } else {
                    Outcome::Same
                };
                let outcome = if outcome.check(before, before != outcome.diverged()).is_ok() { outcome } else { Outcome::Changed };
                let after = if matches!(outcome, Outcome::Broken | Outcome::Repaired) { !before } else { before };
                answer(after, Some(outcome), if outcome.diverged() { 0.25 + i as f32 / 100.0 } else { 3.0 + (i % 7) as f32 })
            })
            .collect()
    };
    let cost = |flops| CostRow {
        weight_bytes: 1000,
        stored_bytes: None,
        kv_bytes: 10.0,
        visual_tokens: 144.0,
        prompt_tokens: 160.0,
        flops,
        seconds: None,
    };
    let report = Report::new(Measurements {
        plan: PlanSummary {
            model: "tiny".to_owned(),
            checkpoint_sha256: "ab".repeat(32),
            benchmark: benchmark.to_owned(),
            plan_sha256: "cd".repeat(32),
            questions,
            specs: accelerations.iter().map(|(spec, _)| (*spec).to_owned()).collect(),
            ..PlanSummary::default()
        },
        baseline_cost: cost(100.0),
        questions: (0..questions)
            .map(|i| QuestionRow {
                id: format!("q{i}"),
                family: if i % 2 == 0 { "existence" } else { "reading" }.to_owned(),
                image: format!("i{:05}", i / by_image),
                perturbation: None,
                text: "Is it?".to_owned(),
                gold: vec!["yes".to_owned()],
                kind: QuestionKind::YesNo,
                baseline: answer(!wrong(i), None, 4.0),
                weight: 1.0,
            })
            .collect(),
        accelerations: accelerations
            .iter()
            .map(|&(spec, moved)| AccelerationReport {
                spec: spec.to_owned(),
                what_it_is: spec.to_owned(),
                answers: rows(moved),
                first_token: None,
                cost: cost(40.0),
            })
            .collect(),
        controls: controls
            .iter()
            .map(|&(spec, moved)| ControlReport {
                spec: spec.to_owned(),
                what_it_is: spec.to_owned(),
                answers: rows(moved),
                first_token: None,
            })
            .collect(),
        flagged: Vec::new(),
    })
    .unwrap();
    Run { name: format!("runs/{benchmark}"), report, page: None }
}
