//! Running a plan: groups in order, parts as they fill, nothing asked twice.

use std::sync::atomic::{AtomicBool, Ordering};

use steady_bench::{Benchmark, Question};

use crate::record::Asked;
use crate::{Folder, Plan, Record, Reply, StudyError, Subject, Timing};

/// The unit of work: all questions of one image under one perturbation, answered by every variant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Image id.
    pub image: String,
    /// What is done to the image.
    pub perturbation: String,
    /// Indices into the questions asked.
    pub questions: Vec<usize>,
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

/// What a listener is told after each group.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// Answers recorded or about to be, earlier runs included.
    pub done: usize,
    /// Answers planned.
    pub total: usize,
    /// Answers taken over from earlier runs.
    pub resumed: usize,
    /// The records of the group just answered; empty for the first call, which comes before any work.
    pub fresh: &'a [Record],
}

/// Answers everything in the folder's plan that is not recorded in it yet.
///
/// A part file holds the same groups however often the run was interrupted, so its bytes do not depend on that.
/// Returns the number of answers that were asked for in this call.
///
/// # Errors
/// [`StudyError::Cancelled`] once `cancel` is raised, [`StudyError::Broken`] naming a damaged part, or what the subject, the benchmark
/// or the disk say. Parts already written stay.
pub fn run(
    folder: &Folder,
    benchmark: &dyn Benchmark,
    subject: &dyn Subject,
    cancel: &AtomicBool,
    listener: &mut dyn FnMut(&Progress<'_>),
) -> Result<usize, StudyError> {
    let (plan, questions) = (folder.plan(), folder.questions());
    let variants = plan.variants();
    let weight_bytes = subject.weight_bytes();
    if weight_bytes.len() != variants.len() {
        return Err(StudyError::Plan(format!(
            "the model has {} variants, the plan {}: {}",
            weight_bytes.len(),
            variants.len(),
            variants.join(", ")
        )));
    }
    let groups = groups(plan, questions);
    let answers = |groups: &[Group]| groups.iter().map(|group| group.questions.len() * variants.len()).sum::<usize>();
    let total = answers(&groups);
    let recorded = folder.part_indices()?;
    let parts: Vec<&[Group]> = groups.chunks(plan.groups_per_part).collect();
    let mut done = 0;
    for &index in &recorded {
        let Some(part) = parts.get(index) else {
            return Err(StudyError::broken(&folder.part_path(index), format!("the plan has only {} parts", parts.len())));
        };
        check_rows(folder, index, part, &variants)?;
        done += answers(part);
    }
    let resumed = done;
    listener(&Progress { done, total, resumed, fresh: &[] });
    for (index, part) in parts.iter().enumerate().filter(|(index, _)| recorded.binary_search(index).is_err()) {
        let (mut records, mut timings) = (Vec::new(), Vec::new());
        let committed = done;
        for group in *part {
            if cancel.load(Ordering::Relaxed) {
                return Err(StudyError::Cancelled { done: committed, total });
            }
            let asked: Vec<&Question> = group.questions.iter().map(|&question| &questions[question]).collect();
            let replies = subject.group(&benchmark.image(&group.image)?, &asked)?;
            let start = records.len();
            let answered = Answered { group, questions: &asked, variants: &variants, weight_bytes: &weight_bytes, replies: &replies };
            answered.record(&|id| subject.token(id), &mut records, &mut timings)?;
            done += records.len() - start;
            listener(&Progress { done, total, resumed, fresh: &records[start..] });
        }
        folder.write_part(index, &records, &timings)?;
    }
    Ok(total - resumed)
}

/// A group with its replies.
struct Answered<'a> {
    group: &'a Group,
    questions: &'a [&'a Question],
    variants: &'a [&'a str],
    weight_bytes: &'a [usize],
    replies: &'a [Vec<Reply>],
}

impl Answered<'_> {
    /// Question by question, each with all its variants: the rows a reader wants to compare stand together.
    fn record(&self, token: &dyn Fn(u32) -> String, records: &mut Vec<Record>, timings: &mut Vec<Timing>) -> Result<(), StudyError> {
        let Self { group, questions, variants, weight_bytes, replies } = self;
        if replies.len() != variants.len() || replies.iter().any(|of_variant| of_variant.len() != questions.len()) {
            return Err(StudyError::Plan(format!(
                "image {}: the model did not answer every question under every acceleration",
                group.image
            )));
        }
        for (index, question) in questions.iter().enumerate() {
            for (variant, acceleration) in variants.iter().enumerate() {
                let reply = &replies[variant][index];
                let baseline = (variant > 0).then(|| replies[0][index].first_logits.as_slice());
                let asked = Asked {
                    question,
                    perturbation: &group.perturbation,
                    acceleration,
                    weight_bytes: weight_bytes[variant],
                    token,
                    baseline,
                };
                records.push(Record::new(&asked, reply)?);
                timings.push(Timing {
                    question: question.id.clone(),
                    perturbation: group.perturbation.clone(),
                    acceleration: (*acceleration).to_owned(),
                    wall_ms: reply.wall.as_secs_f64() * 1e3,
                });
            }
        }
        Ok(())
    }
}

fn check_rows(folder: &Folder, index: usize, part: &[Group], variants: &[&str]) -> Result<(), StudyError> {
    let expected = part.iter().flat_map(|group| {
        group.questions.iter().flat_map(move |&question| {
            variants.iter().map(move |variant| (folder.questions()[question].id.as_str(), group.perturbation.as_str(), *variant))
        })
    });
    let records = folder.read_part(index)?;
    let found = records.iter().map(|record| (record.question.as_str(), record.perturbation.as_str(), record.acceleration.as_str()));
    if found.eq(expected) {
        Ok(())
    } else {
        Err(StudyError::broken(&folder.part_path(index), "does not hold the questions and accelerations that the plan puts there"))
    }
}
