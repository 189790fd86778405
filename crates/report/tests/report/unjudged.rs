//! Reports of logs: without gold nothing is right or wrong, and nobody knows what it cost. What is not known is absent, and not 0.

use std::collections::BTreeMap;

use steady_report::{AnswerRow, CostRow, Measurements, Outcome, Report, share};

use crate::fixture;

/// The fixture as it would be known from the answers alone: three of six changed under `w4:rtn,g=64`.
fn report() -> Report {
    let mut measurements: Measurements = fixture::measurements();
    let bare = |answer: &mut AnswerRow| {
        (answer.correct, answer.score, answer.margin, answer.kl, answer.visual_tokens) = (false, 0.0, None, None, 0.0);
        answer.top.clear();
        answer.outcome = answer.outcome.map(|outcome| if outcome.diverged() { Outcome::Changed } else { Outcome::Same });
    };
    let nothing =
        CostRow { weight_bytes: 0, stored_bytes: None, kv_bytes: 0.0, visual_tokens: 0.0, prompt_tokens: 0.0, flops: 0.0, seconds: None };
    for question in &mut measurements.questions {
        question.gold.clear();
        bare(&mut question.baseline);
    }
    for acceleration in &mut measurements.accelerations {
        acceleration.answers.iter_mut().for_each(bare);
        acceleration.cost = nothing.clone();
    }
    measurements.controls.clear();
    measurements.baseline_cost = nothing;
    Report::new(measurements).unwrap()
}

#[test]
fn in_a_terminal() {
    let report = report();
    insta::assert_snapshot!(format!("{}\n{}", report.table(), report.findings().join("\n")));
}

#[test]
fn nothing_is_said_of_what_nobody_knows() {
    let page = report().html(&BTreeMap::new());
    for absent in ["accuracy", "NDR", "PDR", "McNemar", "id=\"costs\"", "href=\"#costs\"", "KL, nats", "baseline margin", "chip\">wrong"] {
        // the notes at the end say what the names mean, wherever they occur
        let page = page.split("id=\"notes\"").next().unwrap();
        assert!(!page.contains(&format!(">{absent}")) && !page.contains(&format!(" {absent}")), "{absent}");
    }
    assert!(page.contains("50.0\u{a0}% of the answers changed."));
    // where answers are judged, all of that is there
    let judged = fixture::report().html(&BTreeMap::new());
    for present in [">accuracy", "NDR", "McNemar", " id=\"costs\"", ">KL, nats", ">baseline margin"] {
        assert!(judged.contains(present), "{present}");
    }
}

#[test]
fn rates_of_verdicts_are_absent_from_its_json() {
    let report = report();
    let text = report.to_json().unwrap();
    let summary = &serde_json::from_str::<serde_json::Value>(&text).unwrap()["summary"]["accelerations"]["w4:rtn,g=64"];
    assert_eq!(summary["dr"]["count"], 3);
    for absent in ["ndr", "pdr", "accuracy_before", "mcnemar"] {
        assert_eq!(summary.get(absent), None, "{absent}");
    }
    assert_eq!(Report::from_json(&text).unwrap(), report);
}

#[test]
fn a_link_keeps_it_so() {
    let opened = share::open(&report().share(None).unwrap().payload, |_| None).unwrap();
    assert!(!opened.report.judged());
    assert_eq!(opened.report.summaries()[0].dr.count, 3);
}
