//! A plan with its questions, cut into groups: the unit of work, in memory and as bytes.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use steady_bench::Question;

use crate::plan::{Plan, questions_sha256};
use crate::record::{Record, Timing};
use crate::{RecordsError, Shard};

/// All questions of one image under one perturbation, answered by every variant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Image id.
    pub image: String,
    /// What is done to the image.
    pub perturbation: String,
    /// Indices into the questions asked.
    pub questions: Vec<usize>,
}

/// What became of a group, question by question, each with all its variants: the rows a reader wants to compare stand together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Answers {
    /// The answers.
    pub records: Vec<Record>,
    /// How long each took.
    pub timings: Vec<Timing>,
}

/// A plan that can be run, with its questions and the groups that they make.
#[derive(Clone, Debug, PartialEq)]
pub struct Work {
    plan: Plan,
    sha256: String,
    questions: Vec<Question>,
    groups: Vec<Group>,
}

/// A group's answers as bytes.
#[derive(Serialize, Deserialize)]
struct Sealed<A> {
    plan_sha256: String,
    group: usize,
    answers: A,
}

/// Most groups of a plan that comes as bytes. A study of as many would take years.
const MOST_GROUPS: usize = 10_000_000;

impl Work {
    /// Cuts a plan into groups: images in order of appearance, for each its perturbations.
    ///
    /// # Errors
    /// [`RecordsError::Plan`] if the plan cannot be run.
    pub fn new(plan: Plan, questions: Vec<Question>) -> Result<Self, RecordsError> {
        plan.check()?;
        let sha256 = plan.sha256()?;
        let groups = groups(&plan, &questions);
        Ok(Self { plan, sha256, questions, groups })
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// [`Plan::sha256`].
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// All questions of the plan, in order.
    pub fn questions(&self) -> &[Question] {
        &self.questions
    }

    /// The groups, in the order in which they are answered.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// Answers of the groups with these numbers, which count from 0.
    pub fn count(&self, groups: &[usize]) -> usize {
        groups.iter().map(|&group| self.groups[group].questions.len()).sum::<usize>() * self.plan.variants().len()
    }

    /// Answers planned.
    pub fn total(&self) -> usize {
        self.groups.iter().map(|group| group.questions.len()).sum::<usize>() * self.plan.variants().len()
    }

    /// The numbers of the groups of a shard, ascending.
    pub fn groups_of(&self, shard: Shard) -> Vec<usize> {
        self.groups.iter().enumerate().filter(|(_, group)| shard.holds(group)).map(|(number, _)| number).collect()
    }

    /// Whether `records` are those of the groups with these numbers.
    pub fn holds(&self, groups: &[usize], records: &[Record]) -> bool {
        let variants = self.plan.variants();
        let expected = groups.iter().map(|&group| &self.groups[group]).flat_map(|group| {
            let asked = |&question: &usize| (self.questions[question].id.as_str(), group.perturbation.as_str());
            group
                .questions
                .iter()
                .map(asked)
                .flat_map(|(question, perturbation)| variants.iter().map(move |v| (question, perturbation, *v)))
        });
        let found = records.iter().map(|record| (record.question.as_str(), record.perturbation.as_str(), record.acceleration.as_str()));
        found.eq(expected)
    }

    /// A group's answers as bytes, for [`Work::open`]. They carry the plan's hash, so that answers of another device are never mixed in.
    ///
    /// # Errors
    /// [`RecordsError::Plan`] if they cannot be written, which no answers cause.
    pub fn seal(&self, group: usize, answers: &Answers) -> Result<Vec<u8>, RecordsError> {
        let sealed = Sealed { plan_sha256: self.sha256.clone(), group, answers };
        postcard::to_allocvec(&sealed).map_err(|e| RecordsError::Plan(format!("answers cannot be kept: {e}")))
    }

    /// The group that bytes hold, by its index, and its answers. The bytes may come from anywhere.
    ///
    /// # Errors
    /// [`RecordsError::Plan`] if they are none of [`Work::seal`], or of another plan.
    pub fn open(&self, sealed: &[u8]) -> Result<(usize, Answers), RecordsError> {
        let fail = |reason: &str| RecordsError::Plan(format!("answers of an earlier run: {reason}; start anew"));
        let Sealed::<Answers> { plan_sha256, group, answers } =
            postcard::from_bytes(sealed).map_err(|_| fail("they are damaged, or of another version of this program"))?;
        if plan_sha256 != self.sha256 {
            return Err(fail("they were given by another model, on another device or under other settings"));
        }
        if group >= self.groups.len() {
            return Err(fail("there are more than the plan has groups"));
        }
        if !self.holds(&[group], &answers.records) {
            return Err(fail("they are not those of the questions in their place"));
        }
        Ok((group, answers))
    }

    /// Plan and questions as bytes, for [`Work::from_bytes`]. They are JSON: a plan leaves fields out that say nothing, which takes a format
    /// that names them.
    ///
    /// # Errors
    /// [`RecordsError::Plan`] if they cannot be written, which none cause.
    pub fn to_bytes(&self) -> Result<Vec<u8>, RecordsError> {
        serde_json::to_vec(&(&self.plan, &self.questions)).map_err(|e| RecordsError::Plan(format!("cannot be kept: {e}")))
    }

    /// Plan and questions out of bytes that may come from anywhere.
    ///
    /// # Errors
    /// [`RecordsError::Plan`] if they are none of [`Work::to_bytes`], or make no sense.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordsError> {
        let (plan, questions): (Plan, Vec<Question>) =
            serde_json::from_slice(bytes).map_err(|_| RecordsError::Plan("damaged, or of another version of this program".to_owned()))?;
        if questions_sha256(&questions)? != plan.benchmark.questions_sha256 {
            return Err(RecordsError::Plan("these are not its questions".to_owned()));
        }
        if questions.len().saturating_mul(plan.perturbations.len()) > MOST_GROUPS {
            return Err(RecordsError::Plan(format!("more than {MOST_GROUPS} groups")));
        }
        Self::new(plan, questions)
    }
}

fn groups(plan: &Plan, questions: &[Question]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    // the first group of each image
    let mut first: HashMap<&str, usize> = HashMap::new();
    for (index, question) in questions.iter().enumerate() {
        let at = *first.entry(&question.image).or_insert(groups.len());
        if at == groups.len() {
            groups.extend(plan.perturbations.iter().map(|perturbation| Group {
                image: question.image.clone(),
                perturbation: perturbation.clone(),
                questions: Vec::new(),
            }));
        }
        groups[at..].iter_mut().take(plan.perturbations.len()).for_each(|group| group.questions.push(index));
    }
    groups
}
