//! Rates by weight, against numbers worked out by hand.

use std::collections::BTreeMap;

use steady_report::{Report, Weighted};

use crate::fixture;

/// Six questions about three images; `w4` breaks the first, repairs the third and changes the fifth.
fn weighted(weights: [f64; 6]) -> Report {
    let mut measurements = fixture::measurements();
    for (question, weight) in measurements.questions.iter_mut().zip(weights) {
        question.weight = weight;
    }
    Report::new(measurements).unwrap()
}

fn of(report: &Report) -> Weighted {
    report.summaries()[0].weighted.unwrap()
}

#[test]
fn shares_are_of_the_sum_of_weights() {
    let report = weighted([3.0, 1.0, 2.0, 1.0, 2.0, 1.0]);
    let found = of(&report);
    // right before: all but the third and the fifth; after: all but the first and the fifth
    let close = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-8, "{found} {expected}");
    close(found.accuracy_before.value, 6.0 / 10.0);
    close(found.accuracy_after.value, 5.0 / 10.0);
    close(found.accuracy_change.value, -0.1);
    close(found.dr.value, 0.7);
    close(found.ndr.value, 0.3);
    close(found.pdr.value, 0.2);
    close(found.effective_questions, 100.0 / 20.0);
    // How large weights are plays no part, only how they compare.
    let scaled = of(&weighted([3e-9, 1e-9, 2e-9, 1e-9, 2e-9, 1e-9]));
    close(scaled.dr.value, 0.7);
    assert_eq!(scaled.dr.interval, found.dr.interval);
}

#[test]
fn equal_weights_say_nothing_new() {
    let mut report = weighted([1.0; 6]);
    assert_eq!(report.summaries()[0].weighted, None);
    assert!(!report.html(&BTreeMap::new()).contains("By weight") && !report.table().contains("by weight"));
    report = weighted([2.0; 6]);
    assert_eq!(report.summaries()[0].weighted, None);
}

#[test]
fn weights_are_shown_and_kept() {
    let report = weighted([3.0, 1.0, 2.0, 1.0, 2.0, 1.0]);
    let html = report.html(&BTreeMap::new());
    assert!(html.contains("By weight") && html.contains("as much as 5 questions of equal weight, of 6"));
    assert!(report.table().contains("by weight") && report.markdown_document().contains("### By weight"));
    assert!(report.table().contains("60.0 -> 50.0"));
    let again = Report::from_json(&report.to_json().unwrap()).unwrap();
    assert_eq!(again, report);
    let mut measurements = report.measurements().clone();
    measurements.questions[1].weight = 0.0;
    let error = Report::new(measurements).unwrap_err().to_string();
    assert!(error.contains("questions[1].weight") && error.contains("a finite number above 0"), "{error}");
}
