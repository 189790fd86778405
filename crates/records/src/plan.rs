//! The plan: everything that must be equal for two runs to be the same experiment.

use std::collections::{BTreeMap, HashSet};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use steady_bench::perturb::PerturbationSpec;
use steady_bench::{Benchmark, PostPrompts, Question};

/// The perturbation that leaves the image as it is.
pub use steady_bench::perturb::CLEAN;

use crate::RecordsError;

/// The spec of the model as it was before any acceleration.
pub const BASELINE: &str = "none";
/// Version of `plan.json` and of the records' columns. The first had one control, the baseline again.
pub const FORMAT: u32 = 2;
/// Groups per part file. By count and never by time, so that a rerun cuts its files at the same places.
pub const GROUPS_PER_PART: usize = 8;

/// Everything needed to run a study again. There are no seeds in it: whatever is drawn derives its seed from what is asked, or from a spec.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// [`FORMAT`] at the time of writing.
    pub format: u32,
    /// The command that runs this plan.
    pub command: String,
    /// Whose code answered.
    pub versions: Versions,
    /// Who answered.
    pub model: ModelPlan,
    /// What was done to the model; the baseline comes first.
    pub accelerations: Vec<AccelerationPlan>,
    /// Where the baseline's answers come from, if they were given elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elsewhere: Option<Elsewhere>,
    /// What was asked for and is not done, because the model does not take it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOut>,
    /// Changes that should not matter, under each of which the baseline answers once more.
    pub controls: Vec<ControlPlan>,
    /// What was asked.
    pub benchmark: BenchmarkPlan,
    /// What was done to images and questions: specs in their canonical texts. The first is [`CLEAN`].
    pub perturbations: Vec<String>,
    /// The prompt around a question, with `{question}` in its place.
    pub prompt: String,
    /// What stands behind a question in the prompt, by the form of its answer.
    #[serde(default, skip_serializing_if = "PostPrompts::is_empty")]
    pub post_prompts: PostPrompts,
    /// The image processor's settings, as read from the checkpoint.
    pub processor: BTreeMap<String, String>,
    /// Decoding settings, as read from the checkpoint's generation config.
    pub decoding: BTreeMap<String, String>,
    /// Fingerprint of the calibration set, where an acceleration was fitted to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<String>,
    /// What weights are kept as and computed in: `f32`, `f16` or `bf16`.
    pub precision: String,
    /// What computed: adapter, interface and driver, or instruction sets. Different devices round differently.
    pub device: String,
    /// Groups per part file.
    pub groups_per_part: usize,
}

/// Versions of what computes the answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// This program.
    pub steady: String,
    /// The tensor library.
    pub burn: String,
}

/// Identity of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelPlan {
    /// Folder or embedded name.
    pub name: String,
    /// Name of its family.
    pub architecture: String,
    /// SHA-256 over those of its files that decide what it answers.
    pub sha256: String,
}

/// A run elsewhere, from which the answers of the baseline and its controls were taken over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Elsewhere {
    /// [`Plan::sha256`] of that run.
    pub plan_sha256: String,
    /// What computed there.
    pub device: String,
    /// What weights were kept as and computed in there.
    pub precision: String,
    /// Whose code answered there.
    pub versions: Versions,
    /// SHA-256 of the checkpoint that answered here, of which the baseline is another form.
    pub accelerated_sha256: String,
}

/// One thing done to the model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccelerationPlan {
    /// Canonical spec; [`BASELINE`] for none.
    pub spec: String,
    /// The spec in words, with the parameters that were left to their defaults.
    pub describe: String,
    /// Bytes of the weights as somebody would publish them: what is packed as packed, all else as the checkpoint has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored_bytes: Option<u64>,
}

/// An acceleration that the model does not take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftOut {
    /// Canonical spec.
    pub spec: String,
    /// What the model says.
    pub reason: String,
}

/// A change that should not matter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ControlPlan {
    /// Its name.
    pub spec: String,
    /// What it is, in words.
    pub describe: String,
}

/// Identity of the questions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BenchmarkPlan {
    /// Name of the benchmark.
    pub name: String,
    /// The benchmark's own fingerprint.
    pub fingerprint: String,
    /// Questions the benchmark holds.
    pub size: usize,
    /// Questions asked.
    pub questions: usize,
    /// SHA-256 over the questions asked, in order, with their gold answers.
    pub questions_sha256: String,
    /// What opens it again where its files were, if it lies in files. They may have moved: like the command it is no part of what is the same
    /// experiment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opened_by: Option<String>,
}

impl BenchmarkPlan {
    /// `questions` of `benchmark`.
    ///
    /// # Errors
    /// [`RecordsError::Plan`] when a question cannot be written as JSON.
    pub fn of(benchmark: &dyn Benchmark, questions: &[Question]) -> Result<Self, RecordsError> {
        Ok(Self {
            name: benchmark.name().to_owned(),
            fingerprint: benchmark.fingerprint(),
            size: benchmark.questions().len(),
            questions: questions.len(),
            questions_sha256: questions_sha256(questions)?,
            opened_by: benchmark.understood().map(|_| benchmark.spec()),
        })
    }
}

impl Plan {
    /// The names under which answers are recorded, in order: the baseline, the accelerations, the controls.
    pub fn variants(&self) -> Vec<&str> {
        let accelerations = self.accelerations.iter().map(|acceleration| acceleration.spec.as_str());
        accelerations.chain(self.controls.iter().map(|control| control.spec.as_str())).collect()
    }

    /// SHA-256 of the plan's JSON but for the command and where the benchmark's files were: two ways of naming one model are one experiment. Every part file carries it.
    ///
    /// # Errors
    /// [`RecordsError::Plan`] when the plan cannot be written as JSON.
    pub fn sha256(&self) -> Result<String, RecordsError> {
        let benchmark = BenchmarkPlan { opened_by: None, ..self.benchmark.clone() };
        let nameless = Self { command: String::new(), benchmark, ..self.clone() };
        Ok(HEXLOWER.encode(&Sha256::digest(nameless.to_json()?.to_string())))
    }

    /// As `plan.json` has it.
    ///
    /// # Errors
    /// [`RecordsError::Plan`] when the plan cannot be written as JSON.
    pub fn to_json(&self) -> Result<Value, RecordsError> {
        serde_json::to_value(self).map_err(|e| RecordsError::Plan(e.to_string()))
    }

    /// Reads a `plan.json`, which may come from anywhere.
    ///
    /// # Errors
    /// What is wrong with its fields; whether they make sense together is for [`Plan::check`] to say.
    pub fn from_json(json: &[u8]) -> Result<Self, serde_json::Error> {
        // The format first: of another one the fields are others, and "unknown field" would be no help.
        let json: Value = serde_json::from_slice(json)?;
        match json.get("format").and_then(Value::as_u64) {
            Some(format) if format != u64::from(FORMAT) => Err(serde::de::Error::custom(other_format(format))),
            _ => serde_json::from_value(json),
        }
    }

    /// Checks that the plan can be run and its records told apart.
    ///
    /// # Errors
    /// [`RecordsError::Plan`] naming the field.
    pub fn check(&self) -> Result<(), RecordsError> {
        let fail = |reason: String| Err(RecordsError::Plan(reason));
        if self.format != FORMAT {
            return fail(other_format(self.format.into()));
        }
        if self.accelerations.first().is_none_or(|a| a.spec != BASELINE) {
            return fail(format!("accelerations: the first must be `{BASELINE}`, the baseline"));
        }
        if let Some(twice) = repeated(self.variants()) {
            return fail(format!("accelerations and controls: `{twice}` is asked for twice"));
        }
        if self.perturbations.first().is_none_or(|perturbation| perturbation != CLEAN) {
            return fail(format!("perturbations: the first must be `{CLEAN}`, the clean images"));
        }
        if let Some(twice) = repeated(self.perturbations.iter().map(String::as_str)) {
            return fail(format!("perturbations: `{twice}` is asked for twice"));
        }
        for text in &self.perturbations {
            let canonical = perturbation(text)?.to_string();
            if canonical != *text {
                return fail(format!("perturbations: `{text}` must be written `{canonical}`"));
            }
        }
        if self.benchmark.questions == 0 {
            return fail("benchmark.questions: there is nothing to ask".into());
        }
        if self.groups_per_part == 0 {
            return fail("groups_per_part: must be at least 1".into());
        }
        Ok(())
    }

    /// The plan of asking the baseline and those of the variants that are `kept`, which are told by their names.
    #[must_use]
    pub fn only(&self, kept: impl Fn(&str) -> bool) -> Self {
        let mut plan = self.clone();
        plan.accelerations.retain(|acceleration| acceleration.spec == BASELINE || kept(&acceleration.spec));
        plan.controls.retain(|control| kept(&control.spec));
        plan
    }

    /// The fields in which `asked` differs from this plan, one line each; empty when both are the same experiment, whatever the command
    /// that named it.
    pub fn differences(&self, asked: &Self) -> Vec<String> {
        self.differing(asked).into_iter().map(|(name, how)| format!("{name}: {how}")).collect()
    }

    /// [`Plan::differences`] as names of fields and how they differ.
    pub fn differing(&self, asked: &Self) -> Vec<(String, String)> {
        let (there, asked) = (flatten(self), flatten(asked));
        let mut names: Vec<_> = there.keys().chain(asked.keys()).collect();
        names.sort();
        names.dedup();
        names
            .into_iter()
            .filter(|name| !["command", "benchmark.opened_by"].contains(&name.as_str()) && there.get(*name) != asked.get(*name))
            .map(|name| (name.clone(), format!("there {}, asked {}", shown(there.get(name)), shown(asked.get(name)))))
            .collect()
    }
}

/// The words as one line that a POSIX shell takes apart again.
pub fn command_line(words: &[&[&str]]) -> String {
    let quoted = |word: &&str| {
        let plain = |c: char| c.is_alphanumeric() || "-_./:=,+@%".contains(c);
        if !word.is_empty() && word.chars().all(plain) { (*word).to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
    };
    words.concat().iter().map(quoted).collect::<Vec<_>>().join(" ")
}

/// SHA-256 over questions in order, gold answers included.
///
/// # Errors
/// [`RecordsError::Plan`] when a question cannot be written as JSON.
pub fn questions_sha256(questions: &[Question]) -> Result<String, RecordsError> {
    let json = serde_json::to_vec(questions).map_err(|e| RecordsError::Plan(e.to_string()))?;
    Ok(HEXLOWER.encode(&Sha256::digest(json)))
}

/// [`Plan::perturbations`] of a study that asks about the clean images and about those under each of `specs`.
///
/// # Errors
/// [`RecordsError::Plan`] when one of them is asked for twice, or is the clean image.
pub fn perturbations(specs: &[PerturbationSpec]) -> Result<Vec<String>, RecordsError> {
    if specs.contains(&PerturbationSpec::clean()) {
        return Err(RecordsError::Plan(format!("perturbations: `{CLEAN}`, the clean image, is always asked about; leave it out")));
    }
    let texts: Vec<String> = std::iter::once(CLEAN.to_owned()).chain(specs.iter().map(ToString::to_string)).collect();
    match repeated(texts.iter().map(String::as_str)) {
        Some(twice) => Err(RecordsError::Plan(format!("perturbations: `{twice}` is asked for twice"))),
        None => Ok(texts),
    }
}

/// What a plan's text says is done to images and questions.
///
/// # Errors
/// [`RecordsError::Plan`] when it says nothing that can be done.
pub(crate) fn perturbation(text: &str) -> Result<PerturbationSpec, RecordsError> {
    text.parse().map_err(|e| RecordsError::Plan(format!("perturbations: `{text}`: {e}")))
}

fn other_format(format: u64) -> String {
    format!("format: {format} is not {FORMAT}, the one this version reads; what stands in report.json and report.html stays readable")
}

fn repeated<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let mut seen = HashSet::new();
    names.into_iter().find(|name| !seen.insert(*name))
}

fn flatten(plan: &Plan) -> BTreeMap<String, Value> {
    fn walk(path: &str, value: Value, leaves: &mut BTreeMap<String, Value>) {
        let child = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        match value {
            Value::Object(fields) => fields.into_iter().for_each(|(name, value)| walk(&child(&name), value, leaves)),
            // A list is compared as a whole, except of things with specs: "one is missing" reads better than twelve shifted lines.
            Value::Array(items) if ["accelerations", "controls"].contains(&path) => {
                let specs = items.iter().map(|item| item["spec"].clone()).collect();
                leaves.insert(path.to_owned(), Value::Array(specs));
                for item in items {
                    let name = format!("{path}[{}].describe", item["spec"].as_str().unwrap_or_default());
                    leaves.insert(name, item["describe"].clone());
                }
            }
            leaf => {
                leaves.insert(path.to_owned(), leaf);
            }
        }
    }
    let mut leaves = BTreeMap::new();
    walk("", serde_json::to_value(plan).unwrap_or_default(), &mut leaves);
    leaves
}

fn shown(value: Option<&Value>) -> String {
    const LONGEST: usize = 120;
    let text = value.map_or_else(|| "nothing".to_owned(), Value::to_string);
    match text.char_indices().nth(LONGEST) {
        Some((cut, _)) => format!("{}...", &text[..cut]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_survives_the_shell() {
        let words = ["--model", "/data/my models/a'b", "--accel", "fastv:k=2,keep=0.5", "org/name@main", "$HOME", ""];
        let line = command_line(&[&["printf", "%s\\n"], &words]);
        assert!(line.contains(" --accel fastv:k=2,keep=0.5 org/name@main "), "{line}");
        let shell = std::process::Command::new("sh").args(["-c", &line]).output().unwrap();
        assert_eq!(String::from_utf8(shell.stdout).unwrap(), words.map(|word| format!("{word}\n")).concat());
    }
}
