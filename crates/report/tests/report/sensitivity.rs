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

/// What a size is spent on: KL gone by the byte, and of one layer either form.
#[test]
fn layers_are_chosen_by_what_they_bring_back_for_their_bytes() {
    let mut measurements = fixture::measurements();
    let whole = measurements.accelerations[0].clone();
    let mut with = |back: &str, factor: f64, bytes: u64| {
        let mut acceleration = whole.clone();
        acceleration.spec = format!("w4:rtn,g=64{back}");
        acceleration.cost.stored_bytes = Some(1_000_000 + bytes);
        for answer in &mut acceleration.answers {
            answer.kl = answer.kl.map(|kl| kl * factor);
        }
        measurements.accelerations.push(acceleration);
    };
    with(",w8=q_proj", 0.6, 100);
    with(",float=q_proj", 0.5, 300);
    with(",w8=v_proj", 0.9, 100);
    with(",float=v_proj", 0.7, 200);
    with(",w8=k_proj", 1.1, 100);
    measurements.accelerations[0].cost.stored_bytes = Some(1_000_000);
    measurements.accelerations[1].cost.stored_bytes = Some(2_000_000);
    measurements.baseline_cost.stored_bytes = Some(4_000_000);
    measurements.plan.specs = measurements.accelerations.iter().map(|acceleration| acceleration.spec.clone()).collect();
    let report = Report::new(measurements).unwrap();
    let [sensitivity] = &report.sensitivities()[..] else { panic!("one acceleration was taken apart") };
    let chosen = |bytes| sensitivity.within(bytes).iter().map(|part| part.name()).collect::<Vec<_>>();
    assert!(chosen(99).is_empty());
    assert_eq!(chosen(100), ["q_proj in 8 bits"]);
    assert_eq!(chosen(200), ["q_proj in 8 bits", "v_proj in 8 bits"]);
    // 0.3 for 200 bytes are more for a byte than 0.1 for 100, once they fit; 0.1 for the next 200 bytes are the last that are worth something
    assert_eq!(chosen(300), ["q_proj in 8 bits", "v_proj"]);
    assert_eq!(chosen(499), ["q_proj in 8 bits", "v_proj"]);
    assert_eq!(chosen(5000), ["q_proj", "v_proj"]);
    let section = report.section(Section::Sensitivity);
    assert!(section.contains("v_proj in 8 bits") && section.contains("they are in 8 bits instead"), "{section}");
    assert!(report.table().contains("v_proj in 8 bits"), "{}", report.table());
}

#[test]
fn what_was_taken_apart_is_shown_as_such() {
    let report = located();
    let section = report.section(Section::Sensitivity);
    assert!(report.html(&BTreeMap::new()).contains(&section));
    assert!(fixture::report().section(Section::Sensitivity).is_empty());
    insta::assert_snapshot!(format!("{}\n{}\n\n{}", report.table(), report.findings().join("\n"), section.replace("<tr>", "\n<tr>")));
}
