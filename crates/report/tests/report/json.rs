//! `report.json`: written, read back, and refused with the name of the field that is wrong.

use insta::assert_snapshot;
use proptest::prelude::*;
use serde_json::{Value, json};
use steady_report::Report;

use crate::fixture;

#[test]
fn reads_back_what_it_wrote() {
    let report = fixture::report();
    let text = report.to_json().unwrap();
    assert_eq!(Report::from_json(&text).unwrap(), report);
}

/// The names that people's jq programs rely on.
#[test]
fn fields_of_the_summary() {
    let document: Value = serde_json::from_str(&fixture::report().to_json().unwrap()).unwrap();
    assert_eq!(document["format"], "steady-report/2");
    let summary = &document["summary"]["accelerations"]["w4:rtn,g=64"];
    assert_eq!(summary["dr"]["count"], 3);
    assert_eq!(summary["dr"]["value"], 0.5);
    assert_eq!(
        summary["tally"],
        json!({"questions": 6, "same": 3, "broken": 1, "repaired": 1, "changed": 1, "correct_before": 4, "correct_after": 4})
    );
    assert_eq!(summary["per_family"]["reading"]["dr"]["count"], 1);
    assert_eq!(document["questions"][0]["baseline"]["outcome"], Value::Null);
    assert_eq!(document["accelerations"][0]["answers"][0]["outcome"], "broken");
}

/// The fixture as JSON with one value replaced, and what reading it says.
fn refusal(pointer: &str, value: Value) -> String {
    let mut document: Value = serde_json::from_str(&fixture::report().to_json().unwrap()).unwrap();
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    match document.pointer_mut(parent).unwrap() {
        Value::Array(items) => items[field.parse::<usize>().unwrap()] = value,
        object => object[field] = value,
    }
    Report::from_json(&document.to_string()).unwrap_err().to_string()
}

fn without(pointer: &str, field: &str) -> Result<Report, String> {
    let mut document: Value = serde_json::to_value(fixture::measurements()).unwrap();
    document["format"] = json!("steady-report/2");
    document.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(field).unwrap();
    Report::from_json(&document.to_string()).map_err(|error| error.to_string())
}

#[test]
fn refusals_name_the_field() {
    let mut answers: Value = serde_json::to_value(&fixture::measurements().accelerations[0].answers).unwrap();
    answers.as_array_mut().unwrap().pop();
    let refusals = [
        Report::from_json("{\"format\":").unwrap_err().to_string(),
        Report::from_json("[]").unwrap_err().to_string(),
        refusal("/format", json!("steady-report/9")),
        refusal("/accelerations/0/answers/2/score", json!("high")),
        refusal("/accelerations/0/answers/2/score", json!(1e300)),
        refusal("/accelerations/0/answers/2/kl", json!(-1)),
        refusal("/accelerations/0/answers/2/outcome", json!("worse")),
        refusal("/accelerations/0/answers/2/outcome", Value::Null),
        refusal("/accelerations/0/answers/2/outcome", json!("broken")),
        refusal("/questions/4/baseline/outcome", json!("same")),
        refusal("/accelerations/0/answers", answers),
        refusal("/accelerations/1/spec", json!("w4:rtn,g=64")),
        refusal("/questions/1/id", json!("existence/0")),
        refusal("/questions", json!([])),
        refusal("/plan/questions", json!(7)),
        refusal("/accelerations/1/cost/flops", json!(-5)),
        refusal("/summary/accelerations/w4:rtn,g=64/dr/value", json!(0.25)),
        refusal("/summary/accelerations/w4:rtn,g=64/per_family/reading/tally/broken", json!("none")),
        refusal("/summary/noise_floor", Value::Null),
        without("/questions/3", "gold").unwrap_err(),
        without("", "format").unwrap_err(),
    ];
    assert_snapshot!(refusals.join("\n"));
}

/// As the release before wrote it: one control, which it called the noise floor, and summaries by other rules.
#[test]
fn files_of_the_format_before_are_read() {
    let expected = fixture::report();
    let mut document: Value = serde_json::from_str(&expected.to_json().unwrap()).unwrap();
    document["format"] = json!("steady-report/1");
    let mut controls = document.as_object_mut().unwrap().remove("controls").unwrap();
    let mut floor = controls[0].take();
    let floor_fields = floor.as_object_mut().unwrap();
    assert_eq!(floor_fields.remove("spec").unwrap(), "none");
    let what_it_is = floor_fields.remove("what_it_is").unwrap();
    floor_fields.insert("varied".to_owned(), what_it_is);
    document["noise_floor"] = floor;
    for summary in document["summary"]["accelerations"].as_object_mut().unwrap().values_mut() {
        summary["above_noise_floor"] = json!(true);
        summary["dr"]["low"] = json!(0.0);
    }
    assert_eq!(Report::from_json(&document.to_string()).unwrap(), expected);
    document["noise_floor"] = Value::Null;
    assert!(Report::from_json(&document.to_string()).unwrap_err().to_string().starts_with("`summary.accelerations"));
    document.as_object_mut().unwrap().remove("summary");
    assert!(Report::from_json(&document.to_string()).unwrap().controls().is_empty());
}

/// Other tools may leave out what follows from the rest.
#[test]
fn derived_and_optional_fields_may_be_absent() {
    assert_eq!(without("/accelerations/0/answers/0", "top").unwrap().summaries(), fixture::report().summaries());
    assert!(without("", "controls").unwrap().noise_floor().is_none());
    assert!(without("/accelerations/0/answers/0", "margin").is_ok());
}

/// All places in a document, as pointers.
fn places(value: &Value, at: &str, into: &mut Vec<String>) {
    into.push(at.to_owned());
    match value {
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                places(item, &format!("{at}/{i}"), into);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                places(field, &format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), into);
            }
        }
        _ => {}
    }
}

/// What is read is complete: everything that can be asked of it answers.
fn read(text: &str) {
    if let Ok(report) = Report::from_json(text) {
        assert!(report.table().contains("acceleration"));
        assert!(report.html(&std::collections::BTreeMap::new()).ends_with("</html>"));
        Report::from_json(&report.to_json().unwrap()).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_value_out_of_place_never_panics(
        place in any::<prop::sample::Index>(),
        value in prop::sample::select(vec![
            json!(null), json!(true), json!(-1), json!(0), json!(1), json!(0.5), json!(1e308), json!(u64::MAX), json!(""), json!("same"), json!([]), json!({}), json!([[]]),
        ]),
    ) {
        let mut document: Value = serde_json::from_str(&fixture::perturbed_report().to_json().unwrap()).unwrap();
        let mut all = Vec::new();
        places(&document, "", &mut all);
        let place: &String = place.get(&all);
        *document.pointer_mut(place).unwrap() = value;
        read(&document.to_string());
    }

    #[test]
    fn damaged_text_never_panics(at in any::<prop::sample::Index>(), length in 0usize..40, put in ".{0,8}") {
        let text = fixture::report().to_json().unwrap();
        let starts: Vec<usize> = text.char_indices().map(|(i, _)| i).collect();
        let from = *at.get(&starts);
        let to = text.char_indices().map(|(i, _)| i).find(|&i| i >= from + length).unwrap_or(text.len());
        read(&format!("{}{put}{}", &text[..from], &text[to..]));
    }
}
