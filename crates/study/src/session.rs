//! A study without a folder: somebody else keeps the answers, group by group, and may hand them back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use steady_bench::{Benchmark, Question};
use steady_report::Report;

use crate::work::{Answers, Group, Work, groups};
use crate::{Plan, Record, StudyError, Subject, compare};

/// A study in memory.
pub struct Session {
    plan: Plan,
    plan_sha256: String,
    questions: Vec<Question>,
    groups: Vec<Group>,
    /// By index of the group.
    answered: BTreeMap<usize, Answers>,
}

/// A group as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    plan_sha256: String,
    group: usize,
    answers: Answers,
}

impl Session {
    /// A study of which nothing is answered yet.
    ///
    /// # Errors
    /// [`StudyError::Plan`] if the plan cannot be run.
    pub fn new(plan: Plan, questions: Vec<Question>) -> Result<Self, StudyError> {
        plan.check()?;
        let groups = groups(&plan, &questions);
        Ok(Self { plan_sha256: plan.sha256()?, plan, questions, groups, answered: BTreeMap::new() })
    }

    /// Takes over a group that an earlier session of the same plan answered.
    ///
    /// # Errors
    /// [`StudyError::Plan`] if the bytes are none of [`Self::answer_next`], or of another plan.
    pub fn take_over(&mut self, kept: &[u8]) -> Result<(), StudyError> {
        let fail = |reason: &str| StudyError::Plan(format!("answers of an earlier run: {reason}; start anew"));
        let Kept { plan_sha256, group, answers } =
            postcard::from_bytes(kept).map_err(|_| fail("they are damaged, or of another version of this program"))?;
        if plan_sha256 != self.plan_sha256 {
            return Err(fail("they were given by another model, on another device or under other settings"));
        }
        let part = self.groups.get(group..=group).ok_or_else(|| fail("there are more than the plan has groups"))?;
        if !self.work().holds(part, &answers.records) {
            return Err(fail("they are not those of the questions in their place"));
        }
        self.answered.insert(group, answers);
        Ok(())
    }

    /// Answers the next group that is not answered yet and gives it as bytes to keep; nothing when all are.
    ///
    /// # Errors
    /// What the subject or the benchmark say; nothing changes then.
    pub async fn answer_next(&mut self, benchmark: &dyn Benchmark, subject: &impl Subject) -> Result<Option<Vec<u8>>, StudyError> {
        let Some(index) = (0..self.groups.len()).find(|index| !self.answered.contains_key(index)) else { return Ok(None) };
        let answers = self.work().answer(&self.groups[index], benchmark, subject).await?;
        let kept = Kept { plan_sha256: self.plan_sha256.clone(), group: index, answers };
        let bytes = postcard::to_allocvec(&kept).map_err(|e| StudyError::Plan(format!("answers cannot be kept: {e}")))?;
        self.answered.insert(index, kept.answers);
        Ok(Some(bytes))
    }

    /// Answers there are.
    pub fn done(&self) -> usize {
        self.answered.values().map(|answers| answers.records.len()).sum()
    }

    /// Answers planned.
    pub fn total(&self) -> usize {
        self.work().count(&self.groups)
    }

    /// The report of what is answered, which is that of a study of these questions alone; nothing before the first group. Questions
    /// about an image come with the last of its perturbations, those about the first one as it is before that. The whole study's is
    /// that of the same plan run into a folder.
    ///
    /// # Errors
    /// [`StudyError::Report`] if scorer and equality test of a question contradict each other.
    pub fn report(&self) -> Result<Option<Report>, StudyError> {
        let mut plan = self.plan.clone();
        let mut asked = self.answered_under(plan.perturbations.len());
        if asked.is_empty() {
            // the first image, as it is
            plan.perturbations.truncate(1);
            asked = self.answered_under(1);
        }
        if asked.is_empty() {
            return Ok(None);
        }
        asked.sort_unstable();
        let questions: Vec<Question> = asked.into_iter().map(|question| self.questions[question].clone()).collect();
        plan.benchmark.questions = questions.len();
        let records: Vec<Record> = self.answered.values().flat_map(|answers| answers.records.iter().cloned()).collect();
        compare::report(&plan, &questions, &records).map(Some)
    }

    /// Indices of the questions that are answered under the first `perturbations` of the plan.
    fn answered_under(&self, perturbations: usize) -> Vec<usize> {
        let images = self.groups.chunks(self.plan.perturbations.len()).enumerate();
        let answered = |image: usize| (0..perturbations).all(|i| self.answered.contains_key(&(image * self.plan.perturbations.len() + i)));
        images.filter(|(image, _)| answered(*image)).flat_map(|(_, groups)| groups[0].questions.iter().copied()).collect()
    }

    fn work(&self) -> Work<'_> {
        Work { plan: &self.plan, questions: &self.questions }
    }
}
