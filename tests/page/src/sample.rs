//! A report over the embedded suite whose numbers are known from paper.

use std::collections::BTreeMap;

use steady_bench::world::EmbeddedSuite;
use steady_bench::{asked, suite_of};
use steady_report::share::SuiteQuestion;
use steady_report::{AccelerationReport, AnswerRow, ControlReport, CostRow, Measurements, Outcome, PlanSummary, Report};

/// Questions of [`report`].
pub const QUESTIONS: usize = 40;

/// Of 40 questions the baseline gets 32 right. `w4:rtn,g=128` breaks 6 of them, repairs 5 others and changes 1 more, so 12 answers differ, 30.0 %
/// (Wilson, by hand: 18.1 to 45.4), and 31 are right: 80.0 -> 77.5. The exact McNemar p of 6 against 5 is 1. `int8` and the noise floor change nothing.
/// All changes are about four images, which is too few to stand out from the floor: two signs of sixteen are as far, p = 1/8.
///
/// `wrong` is what every wrong answer says.
pub fn measurements(suite: &EmbeddedSuite, wrong: &str) -> Measurements {
    let asked = asked(suite);
    assert_eq!(asked.len(), QUESTIONS);
    let right_before = |i: usize| i >= 8;
    let outcome = |i: usize| match i {
        0..5 => Outcome::Repaired,
        5 => Outcome::Changed,
        8..14 => Outcome::Broken,
        _ => Outcome::Same,
    };
    let said = |asked: &SuiteQuestion, correct: bool, again: bool, outcome: Option<Outcome>| AnswerRow {
        text: if correct { asked.gold[0].clone() } else { format!("{wrong}{}", if again { " again" } else { "" }) },
        parsed: Some("read".to_owned()),
        correct,
        score: f32::from(u8::from(correct)),
        margin: Some(1.5),
        kl: outcome.map(|outcome| if outcome == Outcome::Same { 0.0 } else { 0.5 }),
        outcome,
        visual_tokens: 144.0,
        top: Vec::new(),
    };
    let questions =
        asked.iter().enumerate().map(|(i, question)| question.clone().answered(said(question, right_before(i), false, None))).collect();
    let same = |_: usize| Outcome::Same;
    let answers = |outcome: &dyn Fn(usize) -> Outcome| -> Vec<AnswerRow> {
        let of = |(i, question): (usize, &SuiteQuestion)| {
            let outcome = outcome(i);
            let correct = match outcome {
                Outcome::Same | Outcome::Changed => right_before(i),
                Outcome::Broken => false,
                Outcome::Repaired => true,
            };
            said(question, correct, outcome == Outcome::Changed, Some(outcome))
        };
        asked.iter().enumerate().map(of).collect()
    };
    let cost = |weight_bytes| CostRow {
        weight_bytes,
        stored_bytes: None,
        kv_bytes: 5e5,
        visual_tokens: 144.0,
        prompt_tokens: 160.0,
        flops: 6e8,
        seconds: None,
    };
    let acceleration = |spec: &str, answers, weight_bytes| AccelerationReport {
        spec: spec.to_owned(),
        what_it_is: format!("{spec}, in words"),
        answers,
        first_token: None,
        cost: cost(weight_bytes),
    };
    Measurements {
        plan: PlanSummary {
            model: "steady-llava".to_owned(),
            checkpoint_sha256: "ab".repeat(32),
            benchmark: "steady-world".to_owned(),
            benchmark_fingerprint: suite_of(suite).fingerprint,
            plan_sha256: String::new(),
            questions: QUESTIONS,
            perturbations: Vec::new(),
            specs: vec!["w4:rtn,g=128".to_owned(), "int8".to_owned()],
            left_out: BTreeMap::new(),
            prompt_template: "USER: <image>\n{question} ASSISTANT:".to_owned(),
            post_prompts: BTreeMap::new(),
            processor: BTreeMap::from([("resample".to_owned(), "bicubic".to_owned())]),
            decoding: BTreeMap::from([("strategy".to_owned(), "greedy".to_owned())]),
            precision: "f32".to_owned(),
            device: "flex".to_owned(),
            versions: BTreeMap::from([("steady".to_owned(), "0.1.0".to_owned())]),
            seeds: BTreeMap::new(),
            command_line: "steady run".to_owned(),
        },
        baseline_cost: cost(8_000_000),
        accelerations: vec![acceleration("w4:rtn,g=128", answers(&outcome), 2_000_000), acceleration("int8", answers(&same), 4_000_000)],
        controls: vec![ControlReport {
            spec: "none".to_owned(),
            what_it_is: "batch order".to_owned(),
            answers: answers(&same),
            first_token: None,
        }],
        flagged: Vec::new(),
        questions,
    }
}

/// The suite of [`QUESTIONS`] questions.
pub fn suite() -> EmbeddedSuite {
    EmbeddedSuite::test(QUESTIONS / 10)
}

/// [`measurements`] with an innocent wrong answer.
pub fn report() -> Report {
    Report::new(measurements(&suite(), "mauve")).expect("a report")
}

/// A report's link over the suite.
pub fn payload(report: &Report) -> String {
    let suite = suite();
    report.share(Some((&suite_of(&suite), &asked(&suite)))).expect("a link").payload
}
