//! What a release board asks, against numbers worked out by hand.

use steady_report::{AnswerRow, Collapse, Measurements, Outcome, Proportion, QuestionKind, QuestionRow, Report, Unparsed};

use crate::fixture;

/// Yes/no questions about an image each: gold, what the baseline said, what the accelerated model said. `?` is nothing that can be read.
fn yes_no(asked: &[(&str, &str, &str)]) -> Measurements {
    let mut measurements = fixture::measurements();
    let question = measurements.questions[0].clone();
    let answer = |said: &str, gold: &str| AnswerRow {
        text: said.to_owned(),
        parsed: (said != "?").then(|| said.to_owned()),
        correct: said == gold,
        score: f32::from(u8::from(said == gold)),
        ..question.baseline.clone()
    };
    measurements.plan.questions = asked.len();
    measurements.controls.clear();
    measurements.accelerations.truncate(1);
    measurements.questions = asked
        .iter()
        .enumerate()
        .map(|(i, (gold, before, _))| QuestionRow {
            id: format!("q{i}"),
            image: format!("i{i}"),
            gold: vec![(*gold).to_owned()],
            baseline: answer(before, gold),
            ..question.clone()
        })
        .collect();
    measurements.accelerations[0].answers = asked
        .iter()
        .map(|(gold, before, after)| AnswerRow {
            outcome: Some(Outcome::of(before == after, before == gold, after == gold).unwrap()),
            ..answer(after, gold)
        })
        .collect();
    measurements
}

/// The 2x2 tables of ten questions, one of which nobody can read under acceleration.
#[test]
fn agreement_sensitivity_and_what_cannot_be_read() {
    let report = Report::new(yes_no(&[
        ("yes", "yes", "yes"),
        ("yes", "yes", "no"),
        ("yes", "yes", "?"),
        ("yes", "no", "yes"),
        ("yes", "yes", "yes"),
        ("no", "no", "no"),
        ("no", "no", "no"),
        ("no", "yes", "yes"),
        ("no", "no", "yes"),
        ("no", "no", "no"),
    ]))
    .unwrap();
    let assurance = &report.summaries()[0].assurance;
    let counts = |rate: Option<steady_report::Rate>| rate.map(|rate| (rate.count, rate.of));
    let agreement = assurance.agreement.unwrap();
    assert_eq!((counts(agreement.positive), counts(agreement.negative)), (Some((3, 5)), Some((3, 5))));
    assert_eq!((counts(agreement.before.sensitivity), counts(agreement.before.specificity)), (Some((4, 5)), Some((4, 5))));
    assert_eq!((counts(agreement.after.sensitivity), counts(agreement.after.specificity)), (Some((3, 5)), Some((3, 5))));
    // 8 right before; 6 after, or 7 if the one that cannot be read were right: then it did not break, and two others did
    assert_eq!(assurance.unparsed, Some(Unparsed { before: 0, after: 1, accuracy_change_if_right: -0.1, ndr_if_right: 0.2 }));
    assert_eq!((report.summaries()[0].accuracy_change.value, report.summaries()[0].ndr.count), (-0.2, 3));
    assert_eq!(agreement.positive.map(|rate| rate.interval), Proportion { count: 3, of: 5 }.rate().map(|rate| rate.interval));
}

#[test]
fn one_answer_for_all_is_said_in_the_report() {
    let asked: Vec<(&str, &str, &str)> = (0..30).map(|i| if i % 2 == 0 { ("yes", "yes", "no") } else { ("no", "no", "no") }).collect();
    let report = Report::new(yes_no(&asked)).unwrap();
    let collapse = Collapse { family: "existence".into(), answer: "no".into(), before: 15, after: 30, of: 30 };
    assert_eq!(report.summaries()[0].assurance.collapsed, Some(vec![collapse]));
    let told = "w4:rtn,g=64: in existence one answer took over: \"no\" to 30 of 30 questions, 15 before";
    assert!(report.table().contains(told), "{}", report.table());
    assert!(report.html(&std::collections::BTreeMap::new()).contains("in existence one answer took over"));
}

/// 0 of 300 means at most 1 %, and a drop of no more: nothing changed about 300 images.
#[test]
fn nothing_that_broke_has_a_bound_all_the_same() {
    let report = Report::new(yes_no(&[("yes", "yes", "yes"); 300])).unwrap();
    let assurance = &report.summaries()[0].assurance;
    assert!(assurance.ndr_at_most < 0.01 && assurance.ndr_at_most > 0.0099, "{}", assurance.ndr_at_most);
    assert!(assurance.drop_at_most < 0.01 && assurance.drop.low < 0.0, "{assurance:?}");
    assert_eq!((assurance.least_drop, assurance.collapsed.as_deref()), (None, Some(&[][..])));
    // three images to a question each, asked a hundred times, are worth three
    let mut measurements = yes_no(&[("yes", "yes", "yes"); 300]);
    for (i, question) in measurements.questions.iter_mut().enumerate() {
        question.image = format!("i{}", i % 3);
    }
    let bound = Report::new(measurements).unwrap().summaries()[0].assurance.ndr_at_most;
    assert!((bound - (1.0 - 0.05_f64.powf(1.0 / 3.0))).abs() < 1e-9, "{bound}");
}

/// Questions of another form are no diagnostic test, and without margins nothing is said of confidence.
#[test]
fn what_is_not_recorded_is_not_told() {
    let mut measurements = yes_no(&[("yes", "yes", "yes"), ("no", "no", "yes")]);
    for question in &mut measurements.questions {
        (question.kind, question.baseline.margin) = (QuestionKind::Short, None);
    }
    let report = Report::new(measurements).unwrap();
    let assurance = &report.summaries()[0].assurance;
    assert_eq!((assurance.agreement, assurance.calibration), (None, None));
    assert!(!report.table().contains("ECE"));
}
