//! Asking the questions of a group.

use steady_bench::perturb::PerturbationSpec;
use steady_bench::{BenchError, Benchmark, Posed};
use steady_records::{Answers, Group, Timing, Work};

use crate::record::Circumstances;
use crate::{StudyError, Subject};

/// Checks that `subject` is the one that the plan speaks of, as far as one can see: [`Subject::weight_bytes`], one for each variant.
pub(crate) fn check(work: &Work, subject: &impl Subject) -> Result<Vec<usize>, StudyError> {
    let (variants, weight_bytes) = (work.plan().variants(), subject.weight_bytes());
    if weight_bytes.len() == variants.len() {
        return Ok(weight_bytes);
    }
    let found = weight_bytes.len();
    Err(StudyError::Plan(format!("the model has {found} variants, the plan {}: {}", variants.len(), variants.join(", "))))
}

/// Asks the questions of `group`.
#[tracing::instrument(skip_all, name = "group", fields(image = group.image, questions = group.questions.len()))]
pub(crate) async fn answer(work: &Work, group: &Group, benchmark: &dyn Benchmark, subject: &impl Subject) -> Result<Answers, StudyError> {
    let (variants, weight_bytes) = (work.plan().variants(), check(work, subject)?);
    let perturbation: PerturbationSpec = group.perturbation.parse().map_err(BenchError::from)?;
    let posed = |&question: &usize| Posed::of(&work.questions()[question], &perturbation, &work.plan().post_prompts);
    let questions: Vec<Posed<'_>> = group.questions.iter().map(posed).collect();
    let shown = benchmark.images(&group.image)?;
    let images: Vec<_> = shown.iter().map(|(id, image)| perturbation.apply(image, id)).collect();
    let replies = subject.group(&images, &questions).await?;
    if replies.len() != variants.len() || replies.iter().any(|of_variant| of_variant.len() != questions.len()) {
        return Err(StudyError::Plan(format!("image {}: the model did not answer every question under every acceleration", group.image)));
    }
    let token = |id| subject.token(id);
    let mut answers = Answers::default();
    for (index, posed) in questions.iter().enumerate() {
        for (variant, acceleration) in variants.iter().enumerate() {
            let reply = &replies[variant][index];
            let circumstances = Circumstances {
                posed,
                perturbation: &group.perturbation,
                acceleration,
                weight_bytes: weight_bytes[variant],
                token: &token,
                baseline: (variant > 0).then(|| &replies[0][index]),
            };
            answers.records.push(circumstances.record(reply)?);
            answers.timings.push(Timing {
                question: posed.question().id.clone(),
                perturbation: group.perturbation.clone(),
                acceleration: (*acceleration).to_owned(),
                wall_ms: reply.wall.as_secs_f64() * 1e3,
            });
        }
    }
    Ok(answers)
}
