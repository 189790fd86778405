//! A report as a `report.json`, and back.

use std::collections::BTreeMap;
use std::io::Write;

use serde::Serialize;
use serde_json::Value;

use crate::against_random::AgainstRandom;
use crate::error::ReportError;
use crate::measurements::{FORMAT, FORMAT_1, Measurements};
use crate::report::{Perturbed, Report};
use crate::summary::{Condition, Summary};
use crate::together::{Overlap, Together};

impl Report {
    /// The content of a `report.json`: the measurements, and beside them the summaries for people who read it with jq.
    pub fn to_json(&self) -> Result<String, ReportError> {
        let mut text = Vec::new();
        self.write_json(&mut text)?;
        String::from_utf8(text).map_err(|error| ReportError::Json(serde::ser::Error::custom(error)))
    }

    /// The same, written as it comes about: that of a large report need not be held.
    pub fn write_json(&self, mut out: impl Write) -> Result<(), ReportError> {
        let mut summary = serde_json::to_value(self.derived()).map_err(ReportError::Json)?;
        if !self.judged() {
            without_verdicts(&mut summary);
        }
        let written = Written { format: FORMAT, summary, measurements: self.measurements() };
        serde_json::to_writer(&mut out, &written).map_err(ReportError::Json)?;
        out.write_all(b"\n").map_err(|error| ReportError::Json(serde_json::Error::io(error)))
    }

    /// Reads a `report.json` that may come from anywhere. The summaries are derived anew; where the file has them too, they must agree.
    pub fn from_json(text: &str) -> Result<Self, ReportError> {
        let document: Value = serde_json::from_str(text).map_err(ReportError::Json)?;
        match document.get("format") {
            Some(Value::String(format)) if [FORMAT, FORMAT_1].contains(&format.as_str()) => {}
            Some(found) => return Err(ReportError::Format { found: brief(found) }),
            None => return Err(ReportError::Format { found: "missing".to_owned() }),
        }
        let measurements = serde_path_to_error::deserialize(&document)
            .map_err(|error| ReportError::Field { field: error.path().to_string(), reason: error.into_inner() })?;
        let report = Self::new(measurements)?;
        if let Some(found) = document.get("summary") {
            let expected = serde_json::to_value(report.derived()).map_err(ReportError::Json)?;
            compare("summary", found, &expected)?;
        }
        Ok(report)
    }

    fn derived(&self) -> Derived<'_> {
        let perturbations = self.perturbed().iter().map(|Perturbed { perturbation, baseline, condition }| {
            (perturbation.as_str(), DerivedUnder { baseline, condition: DerivedCondition::of(condition) })
        });
        Derived {
            condition: DerivedCondition::of(self.condition_of_clean()),
            together: self.together().map(DerivedTogether::of),
            perturbations: perturbations.collect(),
        }
    }
}

/// A `report.json` as written.
#[derive(Serialize)]
struct Written<'a> {
    format: &'static str,
    summary: Value,
    #[serde(flatten)]
    measurements: &'a Measurements,
}

/// The part of a `report.json` that follows from the rest.
#[derive(Serialize)]
struct Derived<'a> {
    #[serde(flatten)]
    condition: DerivedCondition<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    together: Option<DerivedTogether>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    perturbations: BTreeMap<&'a str, DerivedUnder<'a>>,
}

#[derive(Serialize)]
struct DerivedTogether {
    #[serde(flatten)]
    together: Together,
    /// By one spec and the other.
    common: BTreeMap<String, BTreeMap<String, Overlap>>,
    /// By the method's spec and that of the random tokens.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    against_random: BTreeMap<String, BTreeMap<String, AgainstRandom>>,
}

impl DerivedTogether {
    fn of(together: Together) -> Self {
        let specs = &together.specs;
        let row = |overlaps: &Vec<Overlap>| specs.iter().cloned().zip(overlaps.iter().copied()).collect();
        let mut against_random: BTreeMap<String, BTreeMap<String, AgainstRandom>> = BTreeMap::new();
        for pair in &together.against_random {
            against_random.entry(specs[pair.method].clone()).or_default().insert(specs[pair.random].clone(), *pair);
        }
        Self { against_random, common: specs.iter().cloned().zip(together.overlaps.iter().map(row)).collect(), together }
    }
}

#[derive(Serialize)]
struct DerivedUnder<'a> {
    baseline: &'a Summary,
    #[serde(flatten)]
    condition: DerivedCondition<'a>,
}

#[derive(Serialize)]
struct DerivedCondition<'a> {
    accelerations: BTreeMap<&'a str, &'a Summary>,
    controls: BTreeMap<&'a str, &'a Summary>,
    noise_floor: Option<&'a Summary>,
}

impl<'a> DerivedCondition<'a> {
    fn of(condition: &'a Condition) -> Self {
        let named = |summaries: &'a [Summary]| summaries.iter().map(|summary| (summary.spec.as_str(), summary)).collect();
        let Condition { accelerations, controls } = condition;
        Self { accelerations: named(accelerations), controls: named(controls), noise_floor: condition.noise_floor() }
    }
}

/// What follows from verdicts alone, which is absent, and not 0, where nothing was judged.
const OF_VERDICTS: [&str; 22] = [
    "accuracy_before",
    "accuracy_after",
    "accuracy_change",
    "score_change",
    "ndr",
    "pdr",
    "neutral",
    "flips",
    "ndr_given_correct",
    "ndr_given_change",
    "mcnemar",
    "correct_before",
    "correct_after",
    "broken",
    "repaired",
    "drop_at_most",
    "drop",
    "ndr_at_most",
    "least_drop",
    "unparsed",
    "agreement",
    "calibration",
];

fn without_verdicts(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| !OF_VERDICTS.contains(&name.as_str()));
            fields.values_mut().for_each(without_verdicts);
        }
        Value::Array(values) => values.iter_mut().for_each(without_verdicts),
        _ => {}
    }
}

/// Every derived value that the file holds must be the one that follows; what it does not hold, or holds beyond ours, is of another release.
fn compare(field: &str, found: &Value, expected: &Value) -> Result<(), ReportError> {
    let agree = match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => {
            for (name, expected) in expected {
                if let Some(found) = found.get(name) {
                    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
                    let inner = if plain { format!("{field}.{name}") } else { format!("{field}[{name:?}]") };
                    compare(&inner, found, expected)?;
                }
            }
            true
        }
        // logarithms and exponentials differ in their last digits between platforms
        (Value::Number(found), Value::Number(expected)) => match (found.as_f64(), expected.as_f64()) {
            (Some(found), Some(expected)) => (found - expected).abs() <= 1e-9 + 1e-9 * expected.abs(),
            _ => false,
        },
        _ => found == expected,
    };
    if agree { Ok(()) } else { Err(ReportError::Summary { field: field.to_owned(), found: brief(found), expected: brief(expected) }) }
}

/// A JSON value short enough for an error message.
fn brief(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}
