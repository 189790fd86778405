//! The summaries, the findings in words and the table for terminals, against numbers worked out by hand.

use insta::assert_snapshot;
use steady_report::{Outcome, Report};

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
    assert_eq!((summary.mcnemar_p, summary.mcnemar_p_holm), (1.0, 1.0));
    // (0.5 + 0.25 + 0.75) / 6, and half of the six are 0
    assert_eq!((summary.kl_mean, summary.kl_median), (Some(0.25), Some(0.125)));
    // baseline margins: 4, 3, 5 of those that stayed; 0.25, 0.5, 0.125 of those that did not
    assert_eq!((summary.margin_same, summary.margin_diverged), (Some(4.0), Some(0.25)));
    assert_eq!(summary.noise_floor.map(counts), Some((0, 6)));
    assert_eq!(summary.above_noise_floor, Some(true));
    let [existence, reading] = ["existence", "reading"].map(|family| &summary.per_family[family]);
    assert_eq!([existence, reading].map(|family| counts(family.dr)), [(2, 3), (1, 3)]);
    assert_eq!([existence, reading].map(|family| family.tally.count(Outcome::Repaired)), [1, 0]);
}

/// Image c never changes and image a always changes twice of three, so resampling images can give any DR from 0 (c, c, c) to 2/3 (a, a, a).
#[test]
fn interval_by_image_stays_within_what_images_allow() {
    let report = fixture::report();
    let by_image = report.summaries()[0].dr_by_image;
    assert!(by_image.low.abs() < 1e-12);
    assert!((by_image.high - 2.0 / 3.0).abs() < 1e-12);
}

#[test]
fn findings_in_words() {
    let report = fixture::report();
    let findings: Vec<String> = report.summaries().iter().map(steady_report::Summary::finding).collect();
    assert_snapshot!(findings.join("\n"));
    assert_eq!(report.headline().unwrap().spec, "w4:rtn,g=64");
}

/// What the baseline does to itself is not held against the acceleration.
#[test]
fn a_change_below_the_noise_floor_is_not_called_hidden() {
    let mut measurements = fixture::measurements();
    let answers = measurements.accelerations[0].answers.clone();
    measurements.noise_floor.as_mut().unwrap().answers = answers;
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
