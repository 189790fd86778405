//! From scripted answers to a report whose numbers are known beforehand.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod scripted;

use std::sync::atomic::AtomicBool;

use pollster::FutureExt;
use scripted::{Quiz, Scripted, plan, under};
use steady_bench::{Benchmark, Question, select};
use steady_records::{Plan, Record, report as report_of};
use steady_report::Outcome::{self, Broken, Changed, Repaired, Same};
use steady_report::{Proportion, Summary};
use steady_study::{Folder, run};

#[test]
fn outcomes_are_those_of_the_script() {
    let quiz = Quiz::new(5);
    let plan = plan(quiz.questions(), &["half"]);
    // the right answer is "red", and "red" is what is said where nothing else is written
    let subject = Scripted::new(&plan)
        .says("half", "q0-0", "blue") // right -> wrong
        .says("half", "q0-1", "green") // right -> wrong
        .says("none", "q1-0", "blue") // wrong -> right
        .says("order", "q1-0", "blue")
        .says("none", "q1-1", "blue") // wrong -> wrong, another answer
        .says("half", "q1-1", "green")
        .says("order", "q1-1", "blue")
        .says("none", "q2-0", "blue") // wrong and the same
        .says("half", "q2-0", "blue")
        .says("order", "q2-0", "green"); // noise: another wrong answer
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::create(dir.path(), &plan, quiz.questions()).unwrap();
    run(&folder, &quiz, &subject, &AtomicBool::new(false), &mut |_| ()).block_on().unwrap();
    let report = folder.report().unwrap();
    let outcomes: Vec<Outcome> = report.accelerations()[0].answers.iter().map(|answer| answer.outcome.unwrap()).collect();
    assert_eq!(outcomes, [Broken, Broken, Repaired, Changed, Same, Same, Same, Same, Same, Same]);
    let tally = report.summaries()[0].tally;
    assert_eq!(tally.dr(), Proportion { count: 4, of: 10 });
    assert_eq!(tally.accuracy_before(), Proportion { count: 7, of: 10 });
    assert_eq!(tally.accuracy_after(), Proportion { count: 6, of: 10 });
    assert_eq!(report.noise_floor().unwrap().tally.dr(), Proportion { count: 1, of: 10 });
    assert_eq!(report.plan().specs, ["half"]);
    // softmax of (2, 0, 0) against (0, 2, 0): KL = 2 (p_max - p_min), p_max = e²/(e²+2), p_min = 1/(e²+2)
    let e2 = 2.0_f64.exp();
    let kl = report.accelerations()[0].answers[0].kl.unwrap();
    assert!((kl - 2.0 * (e2 - 1.0) / (e2 + 2.0)).abs() < 1e-6, "{kl}");
    assert_eq!(report.questions()[0].baseline.margin, Some(2.0));
    let cost = &report.accelerations()[0].cost;
    assert_eq!((cost.weight_bytes, cost.visual_tokens), (999, 8.0));
}

/// Counts of one column against another, read off the records themselves.
#[derive(Debug, PartialEq)]
struct Counted {
    right_before: u64,
    right_after: u64,
    differs: u64,
    broken: u64,
    repaired: u64,
}

impl Counted {
    fn by_hand(records: &[Record], before: (&str, &str), after: (&str, &str)) -> Self {
        let mut counted = Self { right_before: 0, right_after: 0, differs: 0, broken: 0, repaired: 0 };
        for one in records.iter().filter(|record| (record.perturbation.as_str(), record.acceleration.as_str()) == before) {
            for other in records {
                if (other.perturbation.as_str(), other.acceleration.as_str()) == after && other.question == one.question {
                    let (was, is) = (one.answer == "red", other.answer == "red");
                    counted.right_before += u64::from(was);
                    counted.right_after += u64::from(is);
                    counted.differs += u64::from(one.answer != other.answer);
                    counted.broken += u64::from(was && !is);
                    counted.repaired += u64::from(!was && is);
                }
            }
        }
        counted
    }

    fn of(summary: &Summary) -> Self {
        Self {
            right_before: summary.accuracy_before.count,
            right_after: summary.accuracy_after.count,
            differs: summary.dr.count,
            broken: summary.ndr.count,
            repaired: summary.pdr.count,
        }
    }
}

/// Forty questions about twenty images under two perturbations, answered by chance.
#[test]
fn answers_are_paired_under_one_and_the_same_perturbation() {
    let quiz = Quiz::new(20);
    let plan = under(&["noise=20", "jpeg=30"], plan(quiz.questions(), &["half", "third"]));
    let mut chance = 1_u64;
    let mut word = || {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ["red", "red", "blue", "green"][(chance >> 62) as usize]
    };
    let mut records = Vec::new();
    for (question, perturbation) in quiz.questions().iter().flat_map(|q| plan.perturbations.iter().map(move |p| (q, p))) {
        for acceleration in plan.variants() {
            records.push(said(question, perturbation, acceleration, word()));
        }
    }
    // their order does not matter
    records.reverse();
    let report = report_of(&plan, quiz.questions(), &records).unwrap();
    let count = |before: (&str, &str), after: (&str, &str)| Counted::by_hand(&records, before, after);
    assert_eq!(report.perturbed().len(), 2);
    for (perturbed, name) in report.perturbed().iter().zip(["noise=20", "jpeg=30"]) {
        assert_eq!(perturbed.perturbation, name);
        assert_eq!(Counted::of(&perturbed.baseline), count(("none", "none"), (name, "none")));
        assert_eq!(perturbed.condition.accelerations.len(), 2);
        for (summary, spec) in perturbed.condition.accelerations.iter().zip(["half", "third"]) {
            assert_eq!((summary.spec.as_str(), Counted::of(summary)), (spec, count((name, "none"), (name, spec))));
        }
        let noise_floor = perturbed.condition.noise_floor().unwrap();
        assert_eq!(Counted::of(noise_floor), count((name, "none"), (name, "order")));
    }
    assert_eq!(report.summaries().len(), 2);
    for (summary, spec) in report.summaries().iter().zip(["half", "third"]) {
        assert_eq!((summary.spec.as_str(), Counted::of(summary)), (spec, count(("none", "none"), ("none", spec))));
    }
    // what is said of the clean images is what a study of them alone says
    let alone = Plan { perturbations: vec!["none".into()], ..plan.clone() };
    let clean: Vec<Record> = records.iter().filter(|record| record.perturbation == "none").cloned().collect();
    let alone = report_of(&alone, quiz.questions(), &clean).unwrap();
    // but for what tests are adjusted by: there are more of them where there are more conditions
    let unadjusted = |summary: &Summary| {
        let mut summary = summary.clone();
        for test in std::iter::once(&mut summary.mcnemar).chain(&mut summary.excess) {
            (test.p_adjusted, test.tests) = (test.p_by_image, 1);
        }
        summary
    };
    for (summary, alone) in report.summaries().iter().zip(alone.summaries()) {
        assert_eq!((summary.mcnemar.tests, alone.mcnemar.tests), (6, 2));
        assert_eq!(unadjusted(summary), unadjusted(alone));
    }
    assert_eq!(report.noise_floor().map(unadjusted), alone.noise_floor().map(unadjusted));
    assert_eq!(report.measurements().baseline_cost, alone.measurements().baseline_cost);
    assert_eq!(report.questions()[..40], *alone.questions());

    let missing = records.iter().position(|record| record.perturbation == "jpeg=30" && record.question == "q7-1").unwrap();
    let gone = records.remove(missing).acceleration;
    let error = report_of(&plan, quiz.questions(), &records).unwrap_err().to_string();
    assert!(error.contains(&format!("question q7-1, acceleration {gone}, perturbation jpeg=30")), "{error}");
}

fn said(question: &Question, perturbation: &str, acceleration: &str, answer: &str) -> Record {
    Record {
        question: question.id.clone(),
        family: question.family.clone(),
        image: question.image.clone(),
        perturbation: perturbation.into(),
        acceleration: acceleration.into(),
        answer: answer.into(),
        output_ids: vec![1],
        cut: Some(false),
        parsed: Some(answer.into()),
        no_answer: None,
        correct: answer == "red",
        score: f32::from(u8::from(answer == "red")),
        top_ids: vec![1],
        top_tokens: vec![answer.into()],
        top_logits: vec![2.0],
        margin: Some(1.0),
        kl: (acceleration != "none").then_some(0.5),
        visual_tokens: 16,
        kept: None,
        kept_by_step: None,
        prompt_tokens: 20,
        decoder_visual_tokens: 16.0,
        // the costs are those of clean images
        kv_bytes: if perturbation == "none" { 640 } else { 0 },
        weight_bytes: 1000,
        flops: 1_000_000,
    }
}

#[test]
fn an_unfinished_run_has_no_report() {
    let quiz = Quiz::new(8);
    let plan = plan(quiz.questions(), &[]);
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::create(dir.path(), &plan, quiz.questions()).unwrap();
    let subject = Scripted::new(&plan);
    *subject.fails_after.lock().unwrap() = Some(4);
    run(&folder, &quiz, &subject, &AtomicBool::new(false), &mut |_| ()).block_on().unwrap_err();
    // four groups are answered and kept, the last of them in no part yet
    let error = folder.report().unwrap_err().to_string();
    assert!(error.contains("question q4-0") && error.contains("not finished"), "{error}");
}

#[test]
fn selection_gives_every_family_its_share() {
    let question = |family: &str, n: usize| Question {
        id: format!("{family}{n}"),
        family: family.into(),
        image: format!("{family}{n}"),
        ..Quiz::new(1).questions()[0].clone()
    };
    let questions: Vec<Question> =
        (0..4).map(|n| question("a", n)).chain((0..4).map(|n| question("b", n))).chain([question("c", 0)]).collect();
    let ids = |count: usize| select(&questions, count).into_iter().map(|question| question.id).collect::<Vec<_>>();
    assert_eq!(ids(3), ["a0", "b0", "c0"]);
    assert_eq!(ids(6), ["a0", "a1", "a2", "b0", "b1", "c0"]);
    assert_eq!(ids(100).len(), 9);
    assert!(ids(0).is_empty());
}
