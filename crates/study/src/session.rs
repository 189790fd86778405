//! A study without a folder: somebody else keeps the answers, group by group, and may hand them back.

use steady_bench::{Benchmark, Question};
use steady_records::{Plan, Work};

use crate::work::answer;
use crate::{StudyError, Subject};

/// A study in memory: what is still to be asked. The answers themselves are not held.
pub struct Session {
    work: Work,
    /// By index of the group.
    answered: Vec<bool>,
    /// No group before this one is still to be answered.
    next: usize,
    done: usize,
}

impl Session {
    /// A study of which nothing is answered yet.
    ///
    /// # Errors
    /// [`StudyError::Records`] if the plan cannot be run.
    pub fn new(plan: Plan, questions: Vec<Question>) -> Result<Self, StudyError> {
        let work = Work::new(plan, questions)?;
        Ok(Self { answered: vec![false; work.groups().len()], work, next: 0, done: 0 })
    }

    /// What is asked.
    pub fn work(&self) -> &Work {
        &self.work
    }

    /// Takes note of a group that an earlier session of the same plan answered.
    ///
    /// # Errors
    /// [`StudyError::Records`] if the bytes are none of [`Self::answer_next`], or of another plan.
    pub fn take_over(&mut self, group: &[u8]) -> Result<(), StudyError> {
        let (group, _) = self.work.open(group)?;
        self.note(group);
        Ok(())
    }

    /// Answers the next group that is not answered yet and gives it as bytes to keep ([`Work::seal`]); nothing when all are.
    ///
    /// # Errors
    /// What the subject or the benchmark say; nothing changes then.
    pub async fn answer_next(&mut self, benchmark: &dyn Benchmark, subject: &impl Subject) -> Result<Option<Vec<u8>>, StudyError> {
        while self.answered.get(self.next) == Some(&true) {
            self.next += 1;
        }
        let Some(group) = self.work.groups().get(self.next) else { return Ok(None) };
        let answers = answer(&self.work, group, benchmark, subject).await?;
        let bytes = self.work.seal(self.next, &answers)?;
        self.note(self.next);
        Ok(Some(bytes))
    }

    /// Answers there are.
    pub fn done(&self) -> usize {
        self.done
    }

    /// Answers planned.
    pub fn total(&self) -> usize {
        self.work.total()
    }

    fn note(&mut self, group: usize) {
        if !std::mem::replace(&mut self.answered[group], true) {
            self.done += self.work.count(&[group]);
        }
    }
}
