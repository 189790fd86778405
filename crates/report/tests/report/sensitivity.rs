//! Layers put back into float: what that brings back, worked out by hand.

use std::collections::BTreeMap;

use steady_report::{Measurements, Report, Section};

use crate::fixture;

/// The fixture's `w4:rtn,g=64`, whose six KL sum to 1.5, and it again: with `q_proj` in float they are half as large, with `v_proj` twice, with
/// `k_proj` they and all answers are the baseline's. `int8` stands between them.
fn located() -> Report {
    let Measurements { mut accelerations, plan, questions, .. } = fixture::measurements();
    let w4 = accelerations[0].clone();
    let with = |layers: &str, factor: f64| {
        let mut acceleration = w4.clone();
        acceleration.spec = format!("w4:rtn,g=64,float={layers}");
        acceleration.cost.stored_bytes = Some(1_250_000);
        for (answer, question) in acceleration.answers.iter_mut().zip(&questions) {
            if factor == 0.0 {
                *answer =
                    steady_report::AnswerRow { outcome: Some(steady_report::Outcome::Same), kl: Some(0.0), ..question.baseline.clone() };
            }
            answer.kl = answer.kl.map(|kl| kl * factor);
        }
        acceleration
    };
    accelerations[0].cost.stored_bytes = Some(1_000_000);
    accelerations.extend([with("v_proj", 2.0), with("q_proj", 0.5), with("k_proj", 0.0)]);
    let specs = accelerations.iter().map(|acceleration| acceleration.spec.clone()).collect();
    let mut measurements = fixture::measurements();
    measurements.plan = steady_report::PlanSummary { specs, ..plan };
    for acceleration in &mut accelerations {
        acceleration.cost.stored_bytes.get_or_insert(2_000_000);
    }
    measurements.baseline_cost.stored_bytes = Some(4_000_000);
    measurements.accelerations = accelerations;
    Report::new(measurements).unwrap()
}

#[test]
fn the_layers_that_matter_come_first() {
    let report = located();
    let [sensitivity] = &report.sensitivities()[..] else { panic!("one acceleration was taken apart") };
    assert_eq!(sensitivity.whole.spec, "w4:rtn,g=64");
    let found: Vec<_> = sensitivity.parts.iter().map(|part| (part.layers, sensitivity.gone(part).unwrap(), part.more_bytes)).collect();
    let expected = [("k_proj", 1.0), ("q_proj", 0.5), ("v_proj", -1.0)].map(|(layers, gone)| (layers, gone, Some(250_000)));
    assert_eq!(found, expected);
    assert_eq!(sensitivity.parts[0].summary.dr.count, 0);
    assert!(fixture::report().sensitivities().is_empty());
}

#[test]
fn what_was_taken_apart_is_shown_as_such() {
    let report = located();
    let section = report.section(Section::Sensitivity);
    assert!(report.html(&BTreeMap::new()).contains(&section));
    assert!(fixture::report().section(Section::Sensitivity).is_empty());
    insta::assert_snapshot!(format!("{}\n{}\n\n{}", report.table(), report.findings().join("\n"), section.replace("<tr>", "\n<tr>")));
}
