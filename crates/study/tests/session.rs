//! A study without a folder gives what one with a folder gives, and goes on where an earlier one stopped.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod scripted;

use std::sync::atomic::AtomicBool;

use pollster::FutureExt;
use scripted::{Quiz, Scripted, plan, under};
use steady_bench::Benchmark;
use steady_bench::world::{EMBEDDED, TaskFamily};
use steady_records::{Growing, Plan, Work};
use steady_report::Report;
use steady_study::{Folder, Session, run};

/// Answers groups until there are none left or `most` are answered; what is to be kept of each.
fn answer(session: &mut Session, quiz: &Quiz, subject: &Scripted, most: usize) -> Vec<Vec<u8>> {
    let next = || session.answer_next(quiz, subject).block_on().unwrap();
    std::iter::from_fn(next).take(most).collect()
}

/// The report of groups as whoever keeps them derives it.
fn report(plan: &Plan, quiz: &Quiz, groups: &[Vec<u8>]) -> Option<Report> {
    let mut growing = Growing::new(Work::new(plan.clone(), quiz.questions().to_vec()).unwrap());
    for group in groups {
        growing.take(group).unwrap();
    }
    growing.report().unwrap()
}

fn script(plan: &Plan) -> Scripted {
    Scripted::new(plan).says("half", "q0-0", "blue").says("none", "q3-1", "green").says("order", "q3-1", "green")
}

#[test]
fn the_report_is_that_of_a_folder() {
    let quiz = Quiz::new(5);
    let plan = plan(quiz.questions(), &["half"]);
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::create(dir.path(), &plan, quiz.questions()).unwrap();
    run(&folder, &quiz, &script(&plan), &AtomicBool::new(false), &mut |_| ()).block_on().unwrap();

    let mut session = Session::new(plan.clone(), quiz.questions().to_vec()).unwrap();
    assert_eq!((session.done(), session.total()), (0, 30));
    let groups = answer(&mut session, &quiz, &script(&plan), usize::MAX);
    assert_eq!(groups.len(), 5);
    assert_eq!((session.done(), session.total()), (30, 30));
    let report = report(&plan, &quiz, &groups).unwrap();
    assert_eq!(report.to_json().unwrap(), folder.report().unwrap().to_json().unwrap());
}

#[test]
fn what_is_handed_back_is_not_asked_again() {
    let quiz = Quiz::new(5);
    let plan = plan(quiz.questions(), &["half"]);
    let mut first = Session::new(plan.clone(), quiz.questions().to_vec()).unwrap();
    assert!(report(&plan, &quiz, &[]).is_none());
    let mut kept = answer(&mut first, &quiz, &script(&plan), 2);
    let so_far = report(&plan, &quiz, &kept).unwrap();
    assert_eq!(so_far.questions().iter().map(|question| question.id.as_str()).collect::<Vec<_>>(), ["q0-0", "q0-1", "q1-0", "q1-1"]);
    assert_eq!(so_far.plan().questions, 4);

    let mut second = Session::new(plan.clone(), quiz.questions().to_vec()).unwrap();
    for group in &kept {
        second.take_over(group).unwrap();
    }
    assert_eq!(second.done(), 12);
    let subject = script(&plan);
    kept.extend(answer(&mut second, &quiz, &subject, usize::MAX));
    assert_eq!(
        subject.asked.lock().unwrap().keys().map(String::as_str).collect::<Vec<_>>(),
        ["q2-0", "q2-1", "q3-0", "q3-1", "q4-0", "q4-1"]
    );
    assert_eq!(second.done(), 30);
    assert_eq!(report(&plan, &quiz, &kept).unwrap().questions().len(), 10);
}

#[test]
fn a_growing_report_holds_whole_images() {
    let quiz = Quiz::new(3);
    let plan = under(&["noise=20", "blur=1.5"], plan(quiz.questions(), &["half"]));
    let mut session = Session::new(plan.clone(), quiz.questions().to_vec()).unwrap();
    assert_eq!(session.total(), 6 * 3 * 3);
    let mut seen = Vec::new();
    let mut kept = Vec::new();
    while let Some(group) = session.answer_next(&quiz, &script(&plan)).block_on().unwrap() {
        kept.push(group);
        let report = report(&plan, &quiz, &kept).unwrap();
        seen.push((report.plan().questions, report.perturbed().len(), report.questions().len()));
    }
    // the first image as it is before it is through
    let expected = [(2, 0, 2), (2, 0, 2), (2, 2, 6), (2, 2, 6), (2, 2, 6), (4, 2, 12), (4, 2, 12), (4, 2, 12), (6, 2, 18)];
    assert_eq!(seen, expected);
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::create(dir.path(), &plan, quiz.questions()).unwrap();
    run(&folder, &quiz, &script(&plan), &AtomicBool::new(false), &mut |_| ()).block_on().unwrap();
    let whole = folder.report().unwrap();
    assert_eq!(report(&plan, &quiz, &kept).unwrap(), whole);

    // in any order
    let again: Vec<Vec<u8>> = kept.iter().rev().cloned().collect();
    assert_eq!(report(&plan, &quiz, &again).unwrap(), whole);
    // without the clean image there is nothing to report yet
    assert!(report(&plan, &quiz, &kept[1..2]).is_none());
}

#[test]
fn answers_of_another_study_are_refused() {
    let quiz = Quiz::new(3);
    let plan = plan(quiz.questions(), &["half"]);
    let mut session = Session::new(plan.clone(), quiz.questions().to_vec()).unwrap();
    let kept = answer(&mut session, &quiz, &Scripted::new(&plan), 1).remove(0);
    let refused = |plan: Plan, kept: &[u8]| {
        let shown = Growing::new(Work::new(plan.clone(), quiz.questions().to_vec()).unwrap()).take(kept).unwrap_err().to_string();
        let error = Session::new(plan, quiz.questions().to_vec()).unwrap().take_over(kept).unwrap_err().to_string();
        assert_eq!(shown, error);
        assert!(error.contains("earlier run") && error.contains("start anew"), "{error}");
        error
    };
    assert!(refused(plan.clone(), &kept[..kept.len() / 2]).contains("damaged"));
    assert!(refused(Plan { device: "another".into(), ..plan.clone() }, &kept).contains("another device"));
}

/// The questions of the command line's default and of the page's are drawn in one place.
#[test]
fn families_share_the_questions_evenly() {
    let (suite, questions) = EMBEDDED.draw(25, &[]).unwrap();
    assert_eq!((suite.questions().len(), questions.len()), (30, 25));
    let (suite, questions) = EMBEDDED.draw(4, &["scan".into(), "counting".into()]).unwrap();
    assert_eq!(suite.questions().len(), 2 * TaskFamily::ALL.len());
    let families: Vec<&str> = questions.iter().map(|question| question.family.as_str()).collect();
    // the benchmark goes round its families
    assert_eq!(families, ["counting", "scan", "counting", "scan"]);
    let error = EMBEDDED.draw(4, &["scans".into()]).err().unwrap().to_string();
    assert!(error.contains("scans") && error.contains("unanswerable"), "{error}");
}
