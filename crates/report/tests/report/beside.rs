//! Two reports side by side, and the answer to whether acceleration makes a model more brittle, against numbers worked out by hand.

use steady_report::{AnswerRow, Outcome, Report};

use crate::fixture;

/// The second report lacks the last question, asks another thing under the name of the fourth, and under `int8` has the first one wrong.
#[test]
fn two_reports_are_aligned_by_question() {
    let ours = fixture::report();
    let mut measurements = fixture::measurements();
    measurements.questions.pop();
    measurements.questions[3].gold = vec!["other".to_owned()];
    measurements.plan.questions = 5;
    for answers in
        measurements.accelerations.iter_mut().map(|a| &mut a.answers).chain(measurements.controls.iter_mut().map(|c| &mut c.answers))
    {
        answers.pop();
    }
    measurements.accelerations[1].answers[0] = AnswerRow {
        text: "no".into(),
        parsed: Some("no".into()),
        correct: false,
        score: 0.0,
        outcome: Some(Outcome::Broken),
        ..measurements.accelerations[1].answers[0].clone()
    };
    let theirs = Report::new(measurements).unwrap();
    let beside = ours.beside(&theirs).unwrap();
    assert_eq!((beside.questions, beside.alone, beside.unlike), (4, [1, 0], 1));
    let found: Vec<_> =
        beside.pairs.iter().map(|pair| (pair.specs[0].as_str(), pair.specs[1].as_str(), pair.differ.count, pair.right)).collect();
    let (w4, int8) = ("w4:rtn,g=64", "int8");
    // Of the first three questions and the fifth the baseline has the first two right; w4 the second and the third, and it answers the fifth otherwise.
    assert_eq!(
        found,
        [
            ("none", "none", 0, [2, 0, 0, 2]),
            (w4, w4, 0, [2, 0, 0, 2]),
            (w4, int8, 2, [1, 1, 0, 2]),
            (int8, w4, 3, [1, 1, 1, 1]),
            (int8, int8, 1, [1, 1, 0, 2]),
        ]
    );
    assert!(beside.pairs.iter().all(|pair| pair.test.tests == 5 && pair.differ.of == 4));
    assert_eq!((beside.pairs[3].test.up, beside.pairs[3].test.down), (1, 1));
    let page = ours.beside_section(&theirs, ["<ours>", "theirs"]).unwrap();
    assert!(page.contains("&lt;ours&gt;") && page.contains("1 have other words") && page.contains("id=\"beside\""));
}

#[test]
fn reports_without_a_common_question_are_not_compared() {
    let mut measurements = fixture::measurements();
    measurements.questions.iter_mut().for_each(|question| question.id.push_str(" of another"));
    assert_eq!(fixture::report().beside(&Report::new(measurements).unwrap()), None);
}

/// On clean images `w4` breaks the first question, under noise the second and the fourth; `int8` and blur break nothing.
#[test]
fn brittleness_is_counted_by_question_and_told_in_a_sentence() {
    let report = fixture::perturbed_report();
    let all = report.brittleness();
    let found: Vec<_> =
        all.iter().map(|one| (one.acceleration, one.perturbation, one.clean.count, one.under.count, one.test.up, one.test.down)).collect();
    assert_eq!(found, [(0, 0, 1, 2, 2, 1), (0, 1, 1, 0, 0, 1), (1, 0, 0, 0, 0, 0), (1, 1, 0, 0, 0, 0)]);
    assert_eq!((all[0].times(), all[2].times(), all[0].shown(), all[0].test.tests), (Some(2.0), None, false, 4));
    assert_eq!(
        report.brittleness_in_words().unwrap(),
        "No acceleration is shown to break more answers under perturbation than without. The nearest: w4:rtn,g=64 breaks 2.0 times as often under \
         noise=20 as without (33.3 % against 16.7 %; p=1.00, by image, adjusted for 4 tests)."
    );
    assert_eq!(fixture::report().brittleness_in_words(), None);
}

/// Ten questions about ten images: nothing breaks on clean ones, all under noise. 2 / 2^10 by image.
#[test]
fn what_stands_out_is_said_to() {
    let mut measurements = fixture::perturbed_measurements();
    let (clean, noisy) = (measurements.questions[1].clone(), measurements.questions[7].clone());
    let rows = |row: &steady_report::QuestionRow| {
        (0..10).map(|i| steady_report::QuestionRow { id: format!("q{i}"), image: format!("i{i}"), ..row.clone() }).collect::<Vec<_>>()
    };
    measurements.questions = [rows(&clean), rows(&noisy)].concat();
    (measurements.plan.questions, measurements.plan.perturbations) = (10, vec!["noise=20".to_owned()]);
    measurements.accelerations.truncate(1);
    measurements.controls.clear();
    let answer = |outcome: Outcome| AnswerRow { correct: outcome == Outcome::Same, outcome: Some(outcome), ..clean.baseline.clone() };
    measurements.accelerations[0].answers = [vec![answer(Outcome::Same); 10], vec![answer(Outcome::Broken); 10]].concat();
    let report = Report::new(measurements).unwrap();
    assert_eq!(
        report.brittleness_in_words().unwrap(),
        "w4:rtn,g=64 breaks answers under noise=20, and nothing without (100.0 % against 0.0 %; p=0.002, by image)."
    );
    let effects = &report.brittleness()[0].effects;
    assert_eq!((effects.acceleration, effects.perturbation, effects.together, effects.amplification()), (0.0, 0.0, -1.0, 1.0));
    assert_eq!((effects.test.up, effects.test.down, effects.test.p_by_image), (10, 0, 2.0 / 1024.0));
}
