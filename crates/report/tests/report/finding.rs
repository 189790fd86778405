//! The summaries, the findings in words and the table for terminals, against numbers worked out by hand.

use insta::assert_snapshot;
use steady_report::{AnswerRow, Flag, Flagged, Outcome, QuestionRow, Report, Ties};

use crate::fixture;

#[test]
fn summary_of_six_questions_by_hand() {
    let report = fixture::report();
    let summary = report.summary("w4:rtn,g=64").unwrap();
    let counts = |rate: steady_report::Rate| (rate.count, rate.of);
    assert_eq!(counts(summary.accuracy_before), (4, 6));
    assert_eq!(counts(summary.accuracy_after), (4, 6));
    assert_eq!(counts(summary.dr), (3, 6));
    assert_eq!(counts(summary.ndr), (1, 6));
    assert_eq!(counts(summary.pdr), (1, 6));
    assert_eq!(counts(summary.neutral), (1, 6));
    assert_eq!(counts(summary.flips), (2, 6));
    assert_eq!(summary.ndr_given_correct.map(counts), Some((1, 4)));
    assert_eq!(summary.ndr_given_change.map(counts), Some((1, 3)));
    assert_eq!((summary.accuracy_change.value, summary.score_change), (0.0, 0.0));
    // one broken and one repaired, both about image a: together nothing, by image and by question
    let mcnemar = summary.mcnemar;
    assert_eq!((mcnemar.up, mcnemar.down, mcnemar.p_by_question, mcnemar.p_by_image), (1, 1, 1.0, 1.0));
    assert_eq!((mcnemar.p_adjusted, mcnemar.tests), (1.0, 2));
    // (0.5 + 0.25 + 0.75) / 6, and half of the six are 0
    assert_eq!((summary.kl_mean, summary.kl_median), (Some(0.25), Some(0.125)));
    // baseline margins: 4, 3, 5 of those that stayed; 0.25, 0.5, 0.125 of those that did not
    assert_eq!((summary.margin_same, summary.margin_diverged), (Some(4.0), Some(0.25)));
    assert_eq!(summary.noise_floor.map(counts), Some((0, 6)));
    // three changed where the control changed none: 2 / 2^3 by question; by image two differences, 2 and 1, all of one sign: 2 / 2^2
    let excess = summary.excess.unwrap();
    assert_eq!((excess.up, excess.down, excess.p_by_image), (3, 0, 0.5));
    assert!((excess.p_by_question - 0.25).abs() < 1e-12, "{excess:?}");
    assert_eq!((excess.p_adjusted, excess.tests, summary.above_noise_floor()), (1.0, 2, Some(false)));
    // the control moves no lead, and no changed answer was without one
    assert_eq!(summary.ties, Some(Ties { margin: 0.0, count: 0 }));
    assert_eq!((summary.images, summary.by_image()), (3, true));
    let [existence, reading] = ["existence", "reading"].map(|family| &summary.per_family[family]);
    assert_eq!([existence, reading].map(|family| counts(family.dr)), [(2, 3), (1, 3)]);
    assert_eq!([existence, reading].map(|family| family.tally.count(Outcome::Repaired)), [1, 0]);
}

/// Image c never changes and image a always changes twice of three, so resampling images can give any DR from 0 (c, c, c) to 2/3 (a, a, a).
#[test]
fn interval_by_image_stays_within_what_images_allow() {
    let report = fixture::report();
    let by_image = report.summaries()[0].dr.interval.unwrap();
    assert!(by_image.low.abs() < 1e-12);
    assert!((by_image.high - 2.0 / 3.0).abs() < 1e-12);
}

#[test]
fn findings_in_words() {
    let report = fixture::report();
    assert_snapshot!(report.findings().join("\n"));
    assert_eq!(report.headline().unwrap().spec, "w4:rtn,g=64");
}

/// What the baseline does to itself is not held against the acceleration.
#[test]
fn a_change_below_the_noise_floor_is_not_called_hidden() {
    let mut measurements = fixture::measurements();
    let answers = measurements.accelerations[0].answers.clone();
    measurements.controls[0].answers = answers;
    let report = Report::new(measurements).unwrap();
    assert_snapshot!(report.summaries()[0].finding());
}

#[test]
fn tables_for_terminals() {
    assert_snapshot!(fixture::report().table());
}

#[test]
fn a_spec_cannot_drive_the_terminal() {
    let mut measurements = fixture::measurements();
    measurements.accelerations[0].spec = "\x1b[2Jw4\r\n".to_owned();
    let table = Report::new(measurements).unwrap().table();
    assert!(table.contains("␛[2Jw4␍␊") && !table.contains('\x1b'), "{table}");
}

/// Ten questions about ten images, of which the acceleration changes nine and the control one of those.
#[test]
fn what_exceeds_the_floor_is_told_by_a_paired_test() {
    let mut measurements = fixture::measurements();
    let question = measurements.questions[0].clone();
    let row = |i: usize| QuestionRow { id: format!("q{i}"), image: format!("i{i}"), ..question.clone() };
    measurements.questions = (0..10).map(row).collect();
    measurements.plan.questions = 10;
    let changed = |count: usize| -> Vec<AnswerRow> {
        let [broken, same] = [Outcome::Broken, Outcome::Same].map(Some);
        let answer =
            |i: usize| AnswerRow { outcome: if i < count { broken } else { same }, correct: i >= count, ..question.baseline.clone() };
        (0..10).map(answer).collect()
    };
    measurements.accelerations.truncate(1);
    measurements.accelerations[0].answers = changed(9);
    measurements.controls =
        vec![fixture::control("bf16", "another format", changed(0)), fixture::control("order", "another order", changed(1))];
    let report = Report::new(measurements).unwrap();
    let summary = &report.summaries()[0];
    assert_eq!((report.noise_floor().unwrap().spec.as_str(), summary.noise_floor.unwrap().count), ("order", 1));
    // eight against none: 2 / 2^8
    let excess = summary.excess.unwrap();
    assert_eq!((excess.up, excess.down, excess.p_by_image), (8, 0, 0.007_812_5));
    assert!((excess.p_by_question - 0.007_812_5).abs() < 1e-12, "{excess:?}");
    assert_eq!((excess.tests, summary.above_noise_floor()), (1, Some(true)));
    // no two questions are about one image: the interval is Wilson's
    assert_eq!((summary.by_image(), summary.dr.interval), (false, Some(summary.dr.wilson)));
}

/// The control moves the lead of one answer by half a logit, and of one by as much as both leads together, for another token leads there.
#[test]
fn ties_are_changes_of_what_a_control_might_have_changed() {
    let mut measurements = fixture::measurements();
    let answers = &mut measurements.controls[0].answers;
    answers[3].margin = answers[3].margin.map(|margin| margin + 0.125);
    let ties = |measurements: &steady_report::Measurements| {
        let report = Report::new(measurements.clone()).unwrap();
        (report.summaries()[0].ties.unwrap(), [0, 2, 4].map(|i| report.is_tie(i).unwrap()))
    };
    // the changed answers had leads of 0.25, 0.5 and 0.125
    assert_eq!(ties(&measurements), (Ties { margin: 0.125, count: 1 }, [false, false, true]));
    let answers = &mut measurements.controls[0].answers;
    answers[0].margin = Some(0.125);
    answers[0].top[0].token = "no".into();
    assert_eq!(ties(&measurements), (Ties { margin: 0.375, count: 2 }, [true, false, true]));
    // without leads nobody knows
    for question in &mut measurements.questions {
        question.baseline.margin = None;
    }
    assert_eq!(Report::new(measurements).unwrap().summaries()[0].ties, None);
}

/// An odd row is in the report like any other, and is named.
#[test]
fn odd_answers_are_flagged() {
    let mut measurements = fixture::measurements();
    measurements.flagged = [(0, "none", Flag::NoAnswer), (4, "w4:rtn,g=64", Flag::Rescored), (0, "w4:rtn,g=64", Flag::Rescored)]
        .map(|(row, spec, flag)| Flagged { row, spec: spec.into(), flag })
        .into();
    let report = Report::new(measurements.clone()).unwrap();
    assert_eq!(report.summaries(), fixture::report().summaries());
    assert_eq!(report.flag(4, "w4:rtn,g=64"), Some(Flag::Rescored));
    assert!(report.table().ends_with(
        "\n2 answers scored otherwise when given: flagged in report.json\n1 answer missing, or without finite first-token logits: flagged in report.json\n"
    ));
    assert!(report.html(&std::collections::BTreeMap::new()).contains("scored otherwise when given"));
    assert_eq!(Report::from_json(&report.to_json().unwrap()).unwrap(), report);
    measurements.flagged[1].row = 6;
    assert_eq!(Report::new(measurements).unwrap_err().to_string(), "`flagged[1].row` is 6, expected a row below 6");
}

/// One family of tests over all accelerations under all conditions.
#[test]
fn p_values_are_adjusted_over_accelerations_and_conditions() {
    let report = fixture::perturbed_report();
    let all =
        || report.perturbed().iter().map(|perturbed| perturbed.condition.accelerations.as_slice()).chain([report.summaries()]).flatten();
    assert_eq!(all().count(), 6);
    for summary in all() {
        assert_eq!((summary.mcnemar.tests, summary.excess.unwrap().tests), (6, 6));
        assert!(summary.mcnemar.p_adjusted >= summary.mcnemar.p_by_image);
    }
}
