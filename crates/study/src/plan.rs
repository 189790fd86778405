//! The plan: everything that must be equal for two runs to be the same experiment.

use std::collections::{BTreeMap, HashSet};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use steady_bench::perturb::PerturbationSpec;
use steady_bench::world::{EmbeddedSuite, TaskFamily};
use steady_bench::{Benchmark, Question};

/// The perturbation that leaves the image as it is.
pub use steady_bench::perturb::CLEAN;

use crate::StudyError;

/// The spec of the model as it was before any acceleration.
pub const BASELINE: &str = "none";
/// The name under which the baseline's second pass (other order, nothing shared) is recorded.
pub const NOISE_FLOOR: &str = "noise-floor";
/// Version of `plan.json` and of the records' columns.
pub const FORMAT: u32 = 1;
/// Groups per part file. By count and never by time, so that a rerun cuts its files at the same places.
pub const GROUPS_PER_PART: usize = 8;

/// Everything needed to run a study again, as written to `plan.json`.
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
    /// Whether the baseline also answers a second time, in another order and with nothing shared.
    pub noise_floor: bool,
    /// What was asked.
    pub benchmark: BenchmarkPlan,
    /// What was done to the images: specs in their canonical texts. The first is [`CLEAN`].
    pub perturbations: Vec<String>,
    /// The prompt around a question, with `{question}` in its place.
    pub prompt: String,
    /// The image processor's settings, as read from the checkpoint.
    pub processor: BTreeMap<String, String>,
    /// Decoding settings, as read from the checkpoint's generation config.
    pub decoding: BTreeMap<String, String>,
    /// Seeds, by what they seed.
    pub seeds: BTreeMap<String, u64>,
    /// Floating-point type of weights and activations: `f32` or `f16`.
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
    /// Architecture as named in `config.json`.
    pub architecture: String,
    /// SHA-256 over all files of the checkpoint.
    pub sha256: String,
}

/// One thing done to the model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccelerationPlan {
    /// Canonical spec; [`BASELINE`] for none.
    pub spec: String,
    /// The spec in words, with the parameters that were left to their defaults.
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
}

impl Plan {
    /// The names under which answers are recorded, in order: the baseline, the accelerations, the noise floor.
    pub fn variants(&self) -> Vec<&str> {
        let floor = self.noise_floor.then_some(NOISE_FLOOR);
        self.accelerations.iter().map(|a| a.spec.as_str()).chain(floor).collect()
    }

    /// SHA-256 of the plan's JSON but for the command: two ways of naming one model are one experiment. Every part file carries it.
    ///
    /// # Errors
    /// [`StudyError::Plan`] when the plan cannot be written as JSON.
    pub fn sha256(&self) -> Result<String, StudyError> {
        let nameless = Self { command: String::new(), ..self.clone() };
        let json = serde_json::to_vec(&nameless).map_err(|e| StudyError::Plan(e.to_string()))?;
        Ok(HEXLOWER.encode(&Sha256::digest(json)))
    }

    /// Checks that the plan can be run and its records told apart.
    ///
    /// # Errors
    /// [`StudyError::Plan`] naming the field.
    pub fn check(&self) -> Result<(), StudyError> {
        let fail = |reason: String| Err(StudyError::Plan(reason));
        if self.format != FORMAT {
            return fail(format!("format: {} is not {FORMAT}, the one this version reads", self.format));
        }
        if self.accelerations.first().is_none_or(|a| a.spec != BASELINE) {
            return fail(format!("accelerations: the first must be `{BASELINE}`, the baseline"));
        }
        if let Some(twice) = repeated(self.variants()) {
            return fail(format!("accelerations: `{twice}` is asked for twice"));
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

    /// The fields in which `asked` differs from this plan, one line each; empty when both are the same experiment, whatever the command
    /// that named it.
    pub fn differences(&self, asked: &Self) -> Vec<String> {
        let (there, asked) = (flatten(self), flatten(asked));
        let mut names: Vec<_> = there.keys().chain(asked.keys()).collect();
        names.sort();
        names.dedup();
        names
            .into_iter()
            .filter(|name| *name != "command" && there.get(*name) != asked.get(*name))
            .map(|name| format!("{name}: there {}, asked {}", shown(there.get(name)), shown(asked.get(name))))
            .collect()
    }
}

/// The embedded suite as a study of `count` questions draws it, and those questions, of the families of these names alone unless there are none.
///
/// # Errors
/// [`StudyError::Bench`] when a family is not known.
pub fn embedded(count: usize, families: &[String]) -> Result<(EmbeddedSuite, Vec<Question>), StudyError> {
    let chosen = families.iter().map(|name| name.parse()).collect::<Result<HashSet<TaskFamily>, _>>()?;
    let kinds = if chosen.is_empty() { TaskFamily::ALL.len() } else { chosen.len() };
    let suite = EmbeddedSuite::test(count.div_ceil(kinds));
    let asked = |question: &&Question| chosen.is_empty() || chosen.iter().any(|family| family.name() == question.family);
    let questions: Vec<Question> = suite.questions().iter().filter(asked).cloned().collect();
    Ok((suite, select(&questions, count)))
}

/// The first `count` questions, families taking turns so that each has its share. Order within a family is kept, and so is the
/// benchmark's order in the result: questions on one image stay together.
pub fn select(questions: &[Question], count: usize) -> Vec<Question> {
    let mut families: Vec<(&str, Vec<usize>)> = Vec::new();
    for (index, question) in questions.iter().enumerate() {
        match families.iter_mut().find(|(family, _)| *family == question.family) {
            Some((_, members)) => members.push(index),
            None => families.push((&question.family, vec![index])),
        }
    }
    let longest = families.iter().map(|(_, members)| members.len()).max().unwrap_or(0);
    let turns = (0..longest).flat_map(|turn| families.iter().filter_map(move |(_, members)| members.get(turn).copied()));
    let mut chosen: Vec<usize> = turns.take(count).collect();
    chosen.sort_unstable();
    chosen.into_iter().map(|index| questions[index].clone()).collect()
}

/// SHA-256 over questions in order, gold answers included.
///
/// # Errors
/// [`StudyError::Plan`] when a question cannot be written as JSON.
pub fn questions_sha256(questions: &[Question]) -> Result<String, StudyError> {
    let json = serde_json::to_vec(questions).map_err(|e| StudyError::Plan(e.to_string()))?;
    Ok(HEXLOWER.encode(&Sha256::digest(json)))
}

/// [`Plan::perturbations`] of a study that asks about the clean images and about those under each of `specs`.
///
/// # Errors
/// [`StudyError::Plan`] when one of them is asked for twice, or is the clean image.
pub fn perturbations(specs: &[PerturbationSpec]) -> Result<Vec<String>, StudyError> {
    if specs.contains(&PerturbationSpec::clean()) {
        return Err(StudyError::Plan(format!("perturbations: `{CLEAN}`, the clean image, is always asked about; leave it out")));
    }
    let texts: Vec<String> = std::iter::once(CLEAN.to_owned()).chain(specs.iter().map(ToString::to_string)).collect();
    match repeated(texts.iter().map(String::as_str)) {
        Some(twice) => Err(StudyError::Plan(format!("perturbations: `{twice}` is asked for twice"))),
        None => Ok(texts),
    }
}

/// What a plan's text says is done to the images.
///
/// # Errors
/// [`StudyError::Plan`] when it says nothing that can be done.
pub(crate) fn perturbation(text: &str) -> Result<PerturbationSpec, StudyError> {
    text.parse().map_err(|e| StudyError::Plan(format!("perturbations: `{text}`: {e}")))
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
            // A list is compared as a whole, except the accelerations: "one is missing" reads better than twelve shifted lines.
            Value::Array(items) if path == "accelerations" => {
                let specs = items.iter().map(|item| item["spec"].clone()).collect();
                leaves.insert(path.to_owned(), Value::Array(specs));
                for item in items {
                    let name = format!("accelerations[{}].describe", item["spec"].as_str().unwrap_or_default());
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
