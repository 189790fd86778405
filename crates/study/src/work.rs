//! The unit of work: all questions of one image under all accelerations, so that both sides of every pair come from the same pass.

use serde::{Deserialize, Serialize};
use steady_bench::{Benchmark, Question};

use crate::plan::perturbation;
use crate::record::Circumstances;
use crate::{Plan, Record, StudyError, Subject, Timing};

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

/// The groups of a plan: images in order of appearance, for each its perturbations.
pub fn groups(plan: &Plan, questions: &[Question]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (index, question) in questions.iter().enumerate() {
        match groups.iter().position(|group| group.image == question.image) {
            Some(first) => groups[first..].iter_mut().take(plan.perturbations.len()).for_each(|group| group.questions.push(index)),
            None => groups.extend(plan.perturbations.iter().map(|perturbation| Group {
                image: question.image.clone(),
                perturbation: perturbation.clone(),
                questions: vec![index],
            })),
        }
    }
    groups
}

/// What is answered: a plan with its questions.
pub(crate) struct Work<'a> {
    pub(crate) plan: &'a Plan,
    /// All questions of the plan.
    pub(crate) questions: &'a [Question],
}

impl Work<'_> {
    /// Answers of `groups`.
    pub(crate) fn count(&self, groups: &[Group]) -> usize {
        groups.iter().map(|group| group.questions.len()).sum::<usize>() * self.plan.variants().len()
    }

    /// Checks that `subject` is the one that the plan speaks of, as far as one can see: [`Subject::weight_bytes`], one for each variant.
    pub(crate) fn check(&self, subject: &impl Subject) -> Result<Vec<usize>, StudyError> {
        let (variants, weight_bytes) = (self.plan.variants(), subject.weight_bytes());
        if weight_bytes.len() == variants.len() {
            return Ok(weight_bytes);
        }
        let found = weight_bytes.len();
        Err(StudyError::Plan(format!("the model has {found} variants, the plan {}: {}", variants.len(), variants.join(", "))))
    }

    /// Whether `records` are those of `groups`.
    pub(crate) fn holds(&self, groups: &[Group], records: &[Record]) -> bool {
        let variants = self.plan.variants();
        let expected = groups.iter().flat_map(|group| {
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

    /// Asks the questions of `group`.
    pub(crate) async fn answer(&self, group: &Group, benchmark: &dyn Benchmark, subject: &impl Subject) -> Result<Answers, StudyError> {
        let (variants, weight_bytes) = (self.plan.variants(), self.check(subject)?);
        let questions: Vec<&Question> = group.questions.iter().map(|&question| &self.questions[question]).collect();
        let image = perturbation(&group.perturbation)?.apply(&benchmark.image(&group.image)?, &group.image);
        let replies = subject.group(&image, &questions).await?;
        if replies.len() != variants.len() || replies.iter().any(|of_variant| of_variant.len() != questions.len()) {
            return Err(StudyError::Plan(format!(
                "image {}: the model did not answer every question under every acceleration",
                group.image
            )));
        }
        let token = |id| subject.token(id);
        let mut answers = Answers::default();
        for (index, question) in questions.iter().enumerate() {
            for (variant, acceleration) in variants.iter().enumerate() {
                let reply = &replies[variant][index];
                let asked = Circumstances {
                    question,
                    perturbation: &group.perturbation,
                    acceleration,
                    weight_bytes: weight_bytes[variant],
                    token: &token,
                    baseline: (variant > 0).then(|| replies[0][index].first_logits.as_slice()),
                };
                answers.records.push(Record::new(&asked, reply)?);
                answers.timings.push(Timing {
                    question: question.id.clone(),
                    perturbation: group.perturbation.clone(),
                    acceleration: (*acceleration).to_owned(),
                    wall_ms: reply.wall.as_secs_f64() * 1e3,
                });
            }
        }
        Ok(answers)
    }
}
