//! Records of any kind make a report: what is odd about one of them is said of its row.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use steady_bench::{AnswerKind, PostPrompts, Question, score};
use steady_records::plan::{AccelerationPlan, BenchmarkPlan, FORMAT, ModelPlan, Versions, questions_sha256};
use steady_records::{CLEAN, Plan, Record, report};
use steady_report::{Flag, Outcome};

fn questions() -> Vec<Question> {
    let question = |(i, (kind, gold)): (usize, (AnswerKind, &str))| Question {
        id: format!("q{i}"),
        benchmark: "by hand".into(),
        family: "any".into(),
        image: format!("i{}", i / 2),
        text: "?".into(),
        gold: vec![gold.into()],
        kind,
        weight: 1.0,
    };
    let choice = AnswerKind::Choice { options: vec!["red".into(), "blue".into()] };
    [(choice, "b"), (AnswerKind::Number, "3"), (AnswerKind::Number, "3"), (AnswerKind::Short, "red")]
        .into_iter()
        .enumerate()
        .map(question)
        .collect()
}

fn plan(questions: &[Question]) -> Plan {
    Plan {
        format: FORMAT,
        command: "steady".into(),
        versions: Versions { steady: "0".into(), burn: "0".into() },
        model: ModelPlan { name: "mine".into(), architecture: "llava".into(), sha256: "1".repeat(64) },
        accelerations: [("none", "as it is"), ("int8", "eight bits")]
            .map(|(spec, describe)| AccelerationPlan { spec: spec.into(), describe: describe.into(), stored_bytes: None })
            .into(),
        elsewhere: None,
        left_out: Vec::new(),
        controls: Vec::new(),
        benchmark: BenchmarkPlan {
            name: "by hand".into(),
            fingerprint: "2".into(),
            size: questions.len(),
            questions: questions.len(),
            questions_sha256: questions_sha256(questions).unwrap(),
            opened_by: None,
        },
        perturbations: vec![CLEAN.into()],
        prompt: "{question}".into(),
        post_prompts: PostPrompts::default(),
        processor: [].into(),
        decoding: [].into(),
        calibration: None,
        precision: "f32".into(),
        device: "flex".into(),
        groups_per_part: 8,
    }
}

fn record(question: &Question, acceleration: &str, answer: &str) -> Record {
    let verdict = score(question, answer);
    Record {
        question: question.id.clone(),
        family: question.family.clone(),
        image: question.image.clone(),
        perturbation: CLEAN.into(),
        acceleration: acceleration.into(),
        answer: answer.into(),
        output_ids: vec![1],
        cut: Some(false),
        no_answer: None,
        parsed: verdict.parsed,
        correct: verdict.correct,
        score: verdict.score,
        top_ids: vec![1],
        top_tokens: vec!["a".into()],
        top_logits: vec![2.0],
        margin: Some(1.0),
        kl: (acceleration != "none").then_some(0.5),
        visual_tokens: 1,
        kept: None,
        kept_by_step: None,
        prompt_tokens: 1,
        decoder_visual_tokens: 1.0,
        kv_bytes: 1,
        weight_bytes: 1,
        flops: 1,
    }
}

/// The replies that once were the same answer with another verdict, and a row whose logits are no numbers.
#[test]
fn no_row_costs_the_report() {
    let questions = questions();
    let said = [["B", "B。"], ["three", "three．"], ["3 3", "3/3"], ["red", "“red”"]];
    let mut records: Vec<Record> = Vec::new();
    for (question, said) in questions.iter().zip(said) {
        records.extend(["none", "int8"].iter().zip(said).map(|(acceleration, answer)| record(question, acceleration, answer)));
    }
    // as an earlier release scored it
    records[1].correct = false;
    records[1].score = 0.0;
    records[1].parsed = None;
    records[7].margin = Some(f32::NAN);
    records[7].kl = Some(f64::INFINITY);
    records[7].top_logits = vec![f32::NEG_INFINITY];
    let report = report(&plan(&questions), &questions, &records).unwrap();
    let outcomes: Vec<Option<Outcome>> = report.accelerations()[0].answers.iter().map(|answer| answer.outcome).collect();
    assert_eq!(outcomes, [Outcome::Same, Outcome::Same, Outcome::Broken, Outcome::Same].map(Some));
    assert!(report.accelerations()[0].answers[0].correct);
    assert_eq!(report.flag(0, "int8"), Some(Flag::Rescored));
    assert_eq!(report.flag(3, "int8"), Some(Flag::NoAnswer));
    assert_eq!(report.measurements().flagged.len(), 2);
    let last = &report.accelerations()[0].answers[3];
    assert_eq!((last.margin, last.kl, last.top.len()), (None, None, 0));
    assert_eq!(steady_report::Report::from_json(&report.to_json().unwrap()).unwrap(), report);
}

/// Nothing that stands before the logits ran out counts, were it the right word.
#[test]
fn an_answer_whose_logits_ran_out_is_none() {
    let questions = questions();
    let mut records: Vec<Record> = Vec::new();
    for question in &questions {
        records.extend(["none", "int8"].map(|acceleration| record(question, acceleration, &question.gold[0])));
    }
    // of the second question the accelerated answer, of the third both
    for lost in [3, 4, 5] {
        records[lost].no_answer = Some("the logits of token 1 are not finite".into());
    }
    let report = report(&plan(&questions), &questions, &records).unwrap();
    let answers = &report.accelerations()[0].answers;
    let outcomes: Vec<Option<Outcome>> = answers.iter().map(|answer| answer.outcome).collect();
    assert_eq!(outcomes, [Outcome::Same, Outcome::Broken, Outcome::Same, Outcome::Same].map(Some));
    assert_eq!((answers[1].correct, &answers[1].parsed, answers[1].margin), (false, &None, None));
    for row in 0..4 {
        assert_eq!(report.flag(row, "int8"), [None, Some(Flag::NoAnswer), Some(Flag::NoAnswer), None][row]);
    }
    assert_eq!(report.flag(2, "none"), Some(Flag::NoAnswer));
}
