//! A report small enough to check by hand.

use std::collections::BTreeMap;

use steady_report::{
    AccelerationReport, AnswerRow, ControlReport, CostRow, Measurements, Outcome, PlanSummary, QuestionKind, QuestionRow, Report,
    TokenLogit,
};

/// Six questions about three images in two families. The baseline answers four of them correctly. Under `w4:rtn,g=64` one breaks, one is repaired and
/// one changes from wrong to wrong; `int8` and the noise floor change nothing.
pub(crate) fn measurements() -> Measurements {
    let questions = vec![
        question("existence/0", "existence", "a", QuestionKind::YesNo, "Is there a red circle?", "yes", "yes", 0.25),
        question("existence/1", "existence", "a", QuestionKind::YesNo, "Is there a green square?", "no", "no", 4.0),
        question("existence/2", "existence", "a", QuestionKind::YesNo, "Is there a blue star?", "no", "yes", 0.5),
        question("reading/0", "reading", "b", QuestionKind::Short, "Which word is printed?", "lamp", "lamp", 3.0),
        question("reading/1", "reading", "b", QuestionKind::Number, "Which number is printed?", "7", "1", 0.125),
        question("reading/2", "reading", "c", QuestionKind::Short, "Which word is printed?", "door", "door", 5.0),
    ];
    let (same, broken, repaired, changed) = (Outcome::Same, Outcome::Broken, Outcome::Repaired, Outcome::Changed);
    let w4 = vec![
        answer("no", false, 0.125, broken, 0.5),
        answer("no", true, 3.5, same, 0.0),
        answer("no", true, 0.75, repaired, 0.25),
        answer("lamp", true, 3.0, same, 0.0),
        answer("4", false, 0.25, changed, 0.75),
        answer("door", true, 5.0, same, 0.0),
    ];
    let unchanged = || {
        questions.iter().map(|question| AnswerRow { outcome: Some(same), kl: Some(0.0), ..question.baseline.clone() }).collect::<Vec<_>>()
    };
    let (int8, repeated) = (unchanged(), unchanged());
    Measurements {
        plan: PlanSummary {
            model: "tiny".to_owned(),
            checkpoint_sha256: "ab".repeat(32),
            benchmark: "steady-world".to_owned(),
            benchmark_fingerprint: "f00d".to_owned(),
            plan_sha256: String::new(),
            questions: questions.len(),
            perturbations: Vec::new(),
            specs: vec!["w4:rtn,g=64".to_owned(), "int8".to_owned()],
            left_out: BTreeMap::new(),
            prompt_template: "USER: <image>\n{question} ASSISTANT:".to_owned(),
            post_prompts: BTreeMap::new(),
            processor: named("resample", "bicubic"),
            decoding: named("max_new_tokens", "16"),
            precision: "f32".to_owned(),
            device: "cpu".to_owned(),
            versions: named("steady", "0.1.0"),
            seeds: BTreeMap::from([("suite".to_owned(), 7)]),
            command_line: "steady run".to_owned(),
        },
        baseline_cost: cost(8_000_000, Some(2.0)),
        accelerations: vec![
            AccelerationReport {
                spec: "w4:rtn,g=64".to_owned(),
                what_it_is: "four-bit weights".to_owned(),
                answers: w4,
                first_token: None,
                cost: cost(1_500_000, Some(1.5)),
            },
            AccelerationReport {
                spec: "int8".to_owned(),
                what_it_is: "eight-bit weights and activations".to_owned(),
                answers: int8,
                first_token: None,
                cost: cost(2_250_000, None),
            },
        ],
        controls: vec![control("none", "batch order", repeated)],
        flagged: Vec::new(),
        questions,
    }
}

pub(crate) fn control(spec: &str, what_it_is: &str, answers: Vec<AnswerRow>) -> ControlReport {
    ControlReport { spec: spec.to_owned(), what_it_is: what_it_is.to_owned(), answers, first_token: None }
}

pub(crate) fn report() -> Report {
    Report::new(measurements()).unwrap()
}

/// [`measurements`], and the same questions about worse images. `noise=20` breaks the baseline's first answer; from there `w4:rtn,g=64` breaks two and
/// repairs one. `blur=1.5` changes nothing, and nothing changes under it.
pub(crate) fn perturbed_measurements() -> Measurements {
    let mut all = measurements();
    let clean = all.questions.clone();
    let (same, broken, repaired) = (Outcome::Same, Outcome::Broken, Outcome::Repaired);
    for perturbation in ["noise=20", "blur=1.5"] {
        let of_baseline = |question: &QuestionRow| AnswerRow { outcome: Some(same), ..question.baseline.clone() };
        let mut rows: Vec<QuestionRow> = clean
            .iter()
            .map(|row| QuestionRow { perturbation: Some(perturbation.to_owned()), baseline: of_baseline(row), ..row.clone() })
            .collect();
        if perturbation == "noise=20" {
            rows[0].baseline = AnswerRow { kl: None, ..answer("no", false, 0.5, broken, 0.0) };
        }
        let unchanged = |row: &QuestionRow| AnswerRow { outcome: Some(same), kl: Some(0.0), ..row.baseline.clone() };
        for answers in all.accelerations.iter_mut().map(|a| &mut a.answers).chain(all.controls.iter_mut().map(|c| &mut c.answers)) {
            answers.extend(rows.iter().map(unchanged));
        }
        if perturbation == "noise=20" {
            let w4 = &mut all.accelerations[0].answers[clean.len()..];
            w4[0] = answer("yes", true, 0.25, repaired, 0.5);
            w4[1] = answer("yes", false, 0.25, broken, 0.5);
            w4[3] = answer("ramp", false, 0.25, broken, 0.5);
        }
        all.questions.extend(rows);
        all.plan.perturbations.push(perturbation.to_owned());
    }
    all
}

pub(crate) fn perturbed_report() -> Report {
    Report::new(perturbed_measurements()).unwrap()
}

#[expect(clippy::too_many_arguments, reason = "a row of a table, a column an argument")]
fn question(id: &str, family: &str, image: &str, kind: QuestionKind, text: &str, gold: &str, said: &str, margin: f32) -> QuestionRow {
    QuestionRow {
        id: id.to_owned(),
        family: family.to_owned(),
        image: image.to_owned(),
        perturbation: None,
        text: text.to_owned(),
        gold: vec![gold.to_owned()],
        kind,
        weight: 1.0,
        baseline: AnswerRow { outcome: None, kl: None, ..answer(said, said == gold, margin, Outcome::Same, 0.0) },
    }
}

pub(crate) fn answer(said: &str, correct: bool, margin: f32, outcome: Outcome, kl: f64) -> AnswerRow {
    AnswerRow {
        text: said.to_owned(),
        parsed: Some(said.to_owned()),
        correct,
        score: if correct { 1.0 } else { 0.0 },
        margin: Some(margin),
        kl: Some(kl),
        outcome: Some(outcome),
        visual_tokens: 144.0,
        top: vec![TokenLogit { token: said.to_owned(), logit: 9.5 }, TokenLogit { token: "other".to_owned(), logit: 9.5 - margin }],
    }
}

fn cost(weight_bytes: u64, seconds: Option<f64>) -> CostRow {
    CostRow { weight_bytes, stored_bytes: None, kv_bytes: 512_000.0, visual_tokens: 144.0, prompt_tokens: 165.5, flops: 1.25e9, seconds }
}

fn named(name: &str, value: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(name.to_owned(), value.to_owned())])
}
