//! From scripted answers to a report whose numbers are known beforehand.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod scripted;

use std::sync::atomic::AtomicBool;

use pollster::FutureExt;
use scripted::{Quiz, Scripted, plan};
use steady_bench::{Benchmark, Question};
use steady_report::Outcome::{self, Broken, Changed, Repaired, Same};
use steady_report::Proportion;
use steady_study::plan::select;
use steady_study::{Folder, compare, run};

#[test]
fn outcomes_are_those_of_the_script() {
    let quiz = Quiz::new(5);
    let plan = plan(quiz.questions(), &["half"]);
    // the right answer is "red", and "red" is what is said where nothing else is written
    let subject = Scripted::new(&plan)
        .says("half", "q0-0", "blue") // right -> wrong
        .says("half", "q0-1", "green") // right -> wrong
        .says("none", "q1-0", "blue") // wrong -> right
        .says("noise-floor", "q1-0", "blue")
        .says("none", "q1-1", "blue") // wrong -> wrong, another answer
        .says("half", "q1-1", "green")
        .says("noise-floor", "q1-1", "blue")
        .says("none", "q2-0", "blue") // wrong and the same
        .says("half", "q2-0", "blue")
        .says("noise-floor", "q2-0", "green"); // noise: another wrong answer
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::create(dir.path(), &plan, quiz.questions()).unwrap();
    run(&folder, &quiz, &subject, &AtomicBool::new(false), &mut |_| ()).block_on().unwrap();
    let report = compare::compare(&folder).unwrap();
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

#[test]
fn an_unfinished_run_has_no_report() {
    let quiz = Quiz::new(8);
    let plan = plan(quiz.questions(), &[]);
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::create(dir.path(), &plan, quiz.questions()).unwrap();
    let subject = Scripted::new(&plan);
    subject.fails_after.set(Some(4));
    run(&folder, &quiz, &subject, &AtomicBool::new(false), &mut |_| ()).block_on().unwrap_err();
    let error = compare::compare(&folder).unwrap_err().to_string();
    assert!(error.contains("question q3-0") && error.contains("not finished"), "{error}");
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
