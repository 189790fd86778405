//! The real subject: one model, and what became of it under each acceleration.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use image::RgbImage;
use steady_accel::memory::stored_bytes;
use steady_accel::{Acceleration, Description, Samples};
use steady_bench::{Benchmark, Posed, PostPrompts, Question};
use steady_methods::{Change, Control};
use steady_records::plan::{AccelerationPlan, BenchmarkPlan, FORMAT, GROUPS_PER_PART, LeftOut, ModelPlan, Versions, command_line};
use steady_records::{BASELINE, Plan};
use steady_vlm::{
    Answer, Decoding, EncodedImage, Footprint, Interleaved, Needs, Prepared, TokenReducer, VisualLayout, Vlm, changes_the_image,
};
use tracing::Instrument;
use web_time::Instant;

use crate::calibration::{CalibrateWith, CalibrationQuestions, CalibrationSet};
use crate::controls::{self, Controlled};
use crate::fitting::{fitting, takes_several};
use crate::{Distribution, Published, Reply, StudyError, Subject};

/// The release of burn that is linked in; a test compares it with the lock file.
const BURN_VERSION: &str = "0.22.1";

/// Bytes of weights below which a group gains little by a second thread, and several groups at a time hardly need more memory than one.
const SMALL: usize = 256 << 20;

/// Which of a study's variants are in memory, beside the baseline, which always is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// All of them.
    All,
    /// Those of these names, as a plan has them.
    Only(BTreeSet<String>),
}

impl Held {
    /// Whether the variant of this name is.
    pub fn holds(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => name == BASELINE || names.contains(name),
        }
    }
}

/// A model with its accelerated variants, sharing the weights that no quantizer touched. Not all of them need to be in memory ([`Held`]): its plan
/// names all, and those that are held answer.
pub struct Variants {
    baseline: Vlm,
    /// The baseline first.
    all: Vec<Variant>,
    controls: Vec<Controlled>,
    /// What the model does not take.
    left_out: Vec<LeftOut>,
    /// What quantizers were calibrated with, if any was.
    calibration: Option<String>,
    /// What asks for that on a command line, where it is a benchmark.
    calibrate: Option<String>,
    /// What the reducers ask to see of the vision tower.
    needs: Needs,
    decoding: Decoding,
    post_prompts: PostPrompts,
}

/// The answers to questions about one image.
pub struct ImageReplies {
    /// Where the image's visual tokens are in a prompt, and what they show.
    pub layout: VisualLayout,
    /// One list per variant, holding one reply per question.
    pub replies: Vec<Vec<Reply>>,
}

struct Variant {
    acceleration: Acceleration,
    /// `None` where it is not held.
    model: Option<Vlm>,
    /// What was made of the model, if anything.
    form: Option<String>,
    plan: AccelerationPlan,
    /// What asks for it on a command line.
    argument: (&'static str, String),
}

impl Variants {
    /// Packs the weights once per quantizer, whatever reducers stand beside it. Quantizers that calibrate do so with questions of the embedded
    /// world that no study asks. The baseline is added in front and need not be among `accelerations`.
    ///
    /// # Errors
    /// [`StudyError::Accel`] when a quantizer does not fit the model, [`StudyError::Plan`] when two specs say the same.
    pub async fn build(model: Vlm, accelerations: &[Acceleration], decoding: Decoding) -> Result<Self, StudyError> {
        Self::build_asking(model, accelerations, decoding, &PostPrompts::default()).await
    }

    /// As [`Self::build`], with `post_prompts` behind every question, those of calibration included: for a model that was not trained on the benchmark.
    ///
    /// # Errors
    /// As [`Self::build`].
    pub async fn build_asking(
        model: Vlm,
        accelerations: &[Acceleration],
        decoding: Decoding,
        post_prompts: &PostPrompts,
    ) -> Result<Self, StudyError> {
        let with = CalibrateWith { post_prompts: Some(post_prompts), ..CalibrateWith::default() };
        Self::build_held(model, accelerations, decoding, (&Held::All, with)).await
    }

    /// As [`Self::build_asking`], and of the accelerations only those are packed that are held. What they look at and are calibrated with is what all of them need, so
    /// that each answers as it does beside the others.
    async fn build_held(
        model: Vlm,
        accelerations: &[Acceleration],
        decoding: Decoding,
        (held, with): (&Held, CalibrateWith<'_>),
    ) -> Result<Self, StudyError> {
        let outside = |reducer: &&dyn TokenReducer| !changes_the_image(*reducer);
        let needs = Needs::of(accelerations.iter().filter_map(Acceleration::reducer).filter(outside));
        let baseline = AccelerationPlan { spec: BASELINE.to_owned(), describe: "the model as it is".to_owned(), stored_bytes: None };
        let mut wanted = 0;
        for acceleration in accelerations {
            wanted = wanted.max(acceleration.calibrates_with(&model)?);
        }
        let reader = model.clone();
        let set = (wanted > 0).then(|| CalibrationSet::of(with, wanted, &reader));
        let samples = set.as_ref().map(|set| set as &dyn Samples);
        let argument = ("--accel", BASELINE.to_owned());
        let base = &model;
        let first = Variant { acceleration: Acceleration::none(), model: Some(model.clone()), form: None, plan: baseline, argument };
        let mut variants = vec![first];
        // By the codes of their layers: what some put back into float, others share.
        let mut packed: BTreeMap<String, Vlm> = BTreeMap::new();
        for acceleration in accelerations.iter().filter(|acceleration| !acceleration.is_none()) {
            let description = acceleration.describe(base)?;
            let mut plan =
                AccelerationPlan { spec: acceleration.to_string(), describe: in_words(acceleration, &description), stored_bytes: None };
            if variants.iter().any(|other| other.plan.spec == plan.spec) {
                return Err(StudyError::Plan(format!("accelerations: `{}` is asked for twice", plan.spec)));
            }
            let form = description.form();
            let alike = variants.iter().find(|other| other.model.is_some() && other.form == form);
            // What a search finds is in the plan, whoever is held.
            let model = match (alike, description.codes()) {
                _ if !held.holds(&plan.spec) && acceleration.searches_with() == 0 => None,
                (Some(other), _) => other.model.clone(),
                (None, None) => Some(acceleration.finished(base, base).await?),
                (None, Some(codes)) => {
                    if !packed.contains_key(codes) {
                        let all = acceleration.pack_all(base, samples).await?.unwrap_or_else(|| base.clone());
                        packed.insert(codes.to_owned(), all);
                    }
                    Some(acceleration.finished(&packed[codes], base).await?)
                }
            };
            let searched = match (&model, samples) {
                (Some(model), Some(samples)) => acceleration.searched(model, samples).await?,
                _ => None,
            };
            let model = model.filter(|_| held.holds(&plan.spec));
            let acceleration = searched.map_or_else(
                || acceleration.clone(),
                |(acceleration, found)| {
                    let _ = write!(plan.describe, "; {found}");
                    acceleration
                },
            );
            let argument = ("--accel", plan.spec.clone());
            variants.push(Variant { acceleration, model, form, plan, argument });
        }
        let controls = vec![controls::order(&model)];
        let calibration = set.as_ref().map(CalibrationSet::describe);
        drop(set);
        let calibrate = match with.questions {
            CalibrationQuestions::Benchmark(benchmark) if calibration.is_some() => Some(benchmark.spec()),
            _ => None,
        };
        Ok(Self {
            baseline: model,
            all: variants,
            left_out: Vec::new(),
            controls,
            calibration,
            calibrate,
            needs,
            decoding,
            post_prompts: with.post_prompts.cloned().unwrap_or_default(),
        })
    }

    /// As [`Self::build`] with those of `accelerations` that the model takes where at most so many images are shown together, of which those are packed that
    /// are held, calibrated `with` other questions if somebody wants that; what that puts behind its questions is put behind the study's. The others are in the plan with the reason ([`Self::left_out`]).
    ///
    /// # Errors
    /// As [`Self::build`], and [`StudyError::Plan`] when the model takes none of them, [`StudyError::Vlm`] when it does not take so many images.
    pub async fn build_fitting(
        model: Vlm,
        accelerations: &[Acceleration],
        decoding: Decoding,
        images: usize,
        (held, with): (&Held, CalibrateWith<'_>),
    ) -> Result<Self, StudyError> {
        let (fitting, left_out) = Box::pin(fitting(&model, accelerations, images)).await?;
        if let ([LeftOut { spec, reason }, ..], []) = (left_out.as_slice(), fitting.as_slice()) {
            return Err(StudyError::Plan(format!("the model takes none of the accelerations; {spec}: {reason}")));
        }
        Ok(Self { left_out, ..Self::build_held(model, &fitting, decoding, (held, with)).await? })
    }

    /// What was asked for and the model does not take, with the reason.
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    /// These variants, and these checkpoints as if they were accelerations.
    ///
    /// # Errors
    /// [`StudyError::Plan`] when two are called the same.
    pub fn with_published(mut self, published: Vec<Published>) -> Result<Self, StudyError> {
        for other in published {
            let plan = AccelerationPlan { spec: other.spec(), describe: other.describe, stored_bytes: Some(other.stored_bytes) };
            if self.all.iter().any(|variant| variant.plan.spec == plan.spec) {
                return Err(StudyError::Plan(format!("accelerations: two are called `{}`", plan.spec)));
            }
            let argument = ("--against", other.argument);
            self.all.push(Variant { acceleration: Acceleration::none(), model: other.model, form: None, plan, argument });
        }
        Ok(self)
    }

    /// These variants, with these controls; without this call the baseline answers once more in another order.
    #[must_use]
    pub fn with_controls(self, controls: Vec<Controlled>) -> Self {
        Self { controls, ..self }
    }

    /// These variants, with what their weights would take as files: what an acceleration saves is judged against what is published, not
    /// against the precision that a study computes in. `footprint` is that of the model's checkpoint.
    ///
    /// # Errors
    /// [`StudyError::Accel`] when it is another model's.
    pub fn stored_as(mut self, footprint: &Footprint) -> Result<Self, StudyError> {
        // Another checkpoint says so itself.
        for variant in self.all.iter_mut().filter(|variant| variant.argument.0 == "--accel") {
            variant.plan.stored_bytes = Some(stored_bytes(footprint, &variant.acceleration)?);
        }
        Ok(self)
    }

    /// The plan of asking `questions` of `benchmark` on the device called `device`, under `perturbations` as
    /// [`steady_records::plan::perturbations`] gives them. `chosen_by` are the arguments that choose the checkpoint on a command line.
    ///
    /// # Errors
    /// [`StudyError::Vlm`] when the chat template fails.
    pub fn plan(
        &self,
        chosen_by: &[String],
        checkpoint_sha256: &str,
        device: &str,
        benchmark: &dyn Benchmark,
        questions: &[Question],
        perturbations: Vec<String>,
    ) -> Result<Plan, StudyError> {
        let model = self.baseline();
        let (info, generation) = (model.info(), model.generation_config());
        let penalty = self.decoding.repetition_penalty.unwrap_or(generation.repetition_penalty);
        let decoding = [
            ("strategy", "greedy".to_owned()),
            ("max_new_tokens", self.decoding.max_new_tokens.to_string()),
            ("repetition_penalty", penalty.to_string()),
            ("eos_token_ids", format!("{:?}", generation.eos_token_ids)),
        ];
        let accelerations: Vec<AccelerationPlan> = self.all.iter().map(|variant| variant.plan.clone()).collect();
        let controls: Vec<&str> = match self.controls.as_slice() {
            [] => vec!["none"],
            controls => controls.iter().map(|controlled| controlled.control.name).collect(),
        };
        let command = command_line(&[
            &["steady", "run"],
            &chosen_by.iter().map(String::as_str).collect::<Vec<_>>(),
            &["--bench", &benchmark.spec(), "--questions", &questions.len().to_string(), "--dtype", &info.precision.to_string()],
            &self.all[1..].iter().flat_map(|variant| [variant.argument.0, &variant.argument.1]).collect::<Vec<_>>(),
            &self.calibrate.iter().flat_map(|spec| ["--calibrate", spec]).collect::<Vec<_>>(),
            &controls.iter().flat_map(|control| ["--control", *control]).collect::<Vec<_>>(),
            &perturbations.iter().skip(1).flat_map(|perturbation| ["--perturb", perturbation]).collect::<Vec<_>>(),
        ]);
        Ok(Plan {
            format: FORMAT,
            command,
            versions: Versions { steady: env!("CARGO_PKG_VERSION").to_owned(), burn: BURN_VERSION.to_owned() },
            model: ModelPlan { name: info.name.clone(), architecture: info.architecture.clone(), sha256: checkpoint_sha256.to_owned() },
            accelerations,
            elsewhere: None,
            left_out: self.left_out.clone(),
            controls: self.controls.iter().map(Controlled::plan).collect(),
            benchmark: BenchmarkPlan::of(benchmark, questions)?,
            perturbations,
            prompt: model.prompt("{question}")?,
            post_prompts: self.post_prompts.clone(),
            processor: named(model.processor().image_processor().settings()),
            decoding: named(decoding),
            calibration: self.calibration.clone(),
            precision: info.precision.to_string(),
            device: device.to_owned(),
            groups_per_part: GROUPS_PER_PART,
        })
    }

    /// The model before any acceleration.
    pub fn baseline(&self) -> &Vlm {
        &self.baseline
    }

    /// Those that are in memory, in their order.
    fn held(&self) -> impl Iterator<Item = (&Variant, &Vlm)> {
        self.all.iter().filter_map(|variant| Some((variant, variant.model.as_ref()?)))
    }

    /// The controls that are in memory.
    fn held_controls(&self) -> impl Iterator<Item = (&Controlled, &Vlm)> {
        self.controls.iter().filter_map(|control| Some((control, control.model.as_ref()?)))
    }

    /// The specs of baseline and accelerations that are held, in the order of all answers.
    pub fn specs(&self) -> impl Iterator<Item = &str> {
        self.held().map(|(variant, _)| variant).map(|variant| variant.plan.spec.as_str())
    }

    /// Answers one question about one image, outside of any study.
    ///
    /// # Errors
    /// Whatever the model says.
    pub async fn ask(&self, image: &RgbImage, question: &str) -> Result<ImageReplies, StudyError> {
        self.shared(&prompts(self.baseline(), image, [question])?).await
    }

    /// Every variant's answers, given the prompts of one image's questions.
    async fn shared(&self, prompts: &[Prepared]) -> Result<ImageReplies, StudyError> {
        // Variants that see alike share an image: the same tower, and nothing done in it by a reducer that is not theirs.
        let mut encoded: Vec<(EncodedImage, Duration)> = Vec::new();
        let mut replies = Vec::with_capacity(self.all.len() + 1);
        for (variant, model) in self.held() {
            let reducer = variant.acceleration.reducer();
            let seen = if let Some(seen) = encoded.iter().position(|(image, _)| model.takes(image, reducer)) {
                seen
            } else {
                let (start, pixels) = (Instant::now(), &prompts[0].pixels);
                let image = match reducer.filter(|reducer| changes_the_image(*reducer)) {
                    Some(reducer) => Box::pin(model.encode_with(pixels, reducer)).await?,
                    None => Box::pin(model.encode_for(pixels, &self.needs)).await?,
                };
                encoded.push((image, start.elapsed()));
                encoded.len() - 1
            };
            let (image, looking) = &encoded[seen];
            let answers = self.answers(model, reducer, (image, *looking), prompts);
            let span = tracing::info_span!("variant", spec = variant.plan.spec);
            replies.push(Box::pin(answers.instrument(span)).await?);
        }
        Ok(ImageReplies { layout: prompts[0].layout.clone(), replies })
    }

    /// Answers to `prompts`, which share what they begin with.
    async fn answers(
        &self,
        model: &Vlm,
        reducer: Option<&dyn TokenReducer>,
        (image, looking): (&EncodedImage, Duration),
        prompts: &[Prepared],
    ) -> Result<Vec<Reply>, StudyError> {
        let mut shared = looking;
        let mut replies = Vec::with_capacity(prompts.len());
        for alike in prompts.chunk_by(|one, other| head(one) == head(other)) {
            let start = Instant::now();
            let prefix = model.prefix(&alike[0].input_ids, &alike[0].layout, image, reducer).await?;
            shared += start.elapsed();
            let tails: Vec<&[u32]> = alike.iter().map(|prompt| &prompt.input_ids[prompt.layout.end()..]).collect();
            let start = Instant::now();
            let answers = Box::pin(model.answers(&prefix, &tails, &self.decoding)).await?;
            // They went side by side, so nobody knows what each took.
            let wall = start.elapsed() / alike.len() as u32;
            replies.extend(answers.into_iter().map(|answer| reply(answer, wall)));
        }
        share(shared, &mut replies);
        Ok(replies)
    }

    /// The baseline's answers to `questions` under a control. Nothing is changed but what the control says: where it does not speak of
    /// sharing, as much is shared as for the baseline.
    async fn controlled(
        &self,
        (control, model): (&Control, &Vlm),
        image: &RgbImage,
        questions: &[&str],
        prompts: &[Prepared],
    ) -> Result<Vec<Reply>, StudyError> {
        let mut replies = Vec::with_capacity(prompts.len());
        match control.change {
            Change::Order => {
                for prompt in prompts.iter().rev() {
                    let start = Instant::now();
                    let answer = Box::pin(model.ask(prompt, None, &self.decoding)).await?;
                    replies.push(reply(answer, start.elapsed()));
                }
                replies.reverse();
            }
            Change::Split => {
                let (start, Some(first)) = (Instant::now(), prompts.first()) else { return Ok(replies) };
                let image = [model.encode(&first.pixels).await?];
                let looking = start.elapsed();
                for prompt in prompts {
                    let (prompt, start) = (prompt.clone().into(), Instant::now());
                    let answer = Box::pin(model.ask_in_two(&prompt, &image, &self.decoding)).await?;
                    replies.push(reply(answer, start.elapsed()));
                }
                share(looking, &mut replies);
            }
            Change::Precision(_) | Change::Device(_) => replies = self.seen_anew(model, prompts).await?,
            Change::Pixels(_) => replies = self.seen_anew(model, &self::prompts(model, image, questions)?).await?,
        }
        Ok(replies)
    }

    /// Every variant's and control's answers to questions that show several images. The images are shared, as far as variants see alike, and no
    /// part of the prompt: what a reducer does to several images no source says.
    async fn about_several(&self, images: &[RgbImage], questions: &[&str]) -> Result<Vec<Vec<Reply>>, StudyError> {
        let prompts = interleaved(self.baseline(), images, questions)?;
        let mut encoded: Vec<(&Vlm, Vec<EncodedImage>, Duration)> = Vec::new();
        let mut replies = Vec::with_capacity(self.all.len() + self.controls.len());
        for (Variant { acceleration, .. }, model) in self.held() {
            takes_several(acceleration)?;
            let seen = if let Some(seen) = encoded.iter().position(|(other, ..)| model.shares_encoder(other)) {
                seen
            } else {
                let (images, looking) = looked_at(model, &prompts).await?;
                encoded.push((model, images, looking));
                encoded.len() - 1
            };
            let (_, images, looking) = &encoded[seen];
            let mut answers = self.in_one_pass(model, images, &prompts).await?;
            share(*looking, &mut answers);
            replies.push(answers);
        }
        for (Controlled { control, .. }, model) in self.held_controls() {
            let own;
            let prompts = match control.change {
                Change::Pixels(_) => {
                    own = interleaved(model, images, questions)?;
                    &own
                }
                _ => &prompts,
            };
            let (images, looking) = looked_at(model, prompts).await?;
            let mut answers = Vec::with_capacity(prompts.len());
            match control.change {
                Change::Split => {
                    for prompt in prompts {
                        let start = Instant::now();
                        let answer = Box::pin(model.ask_in_two(prompt, &images, &self.decoding)).await?;
                        answers.push(reply(answer, start.elapsed()));
                    }
                }
                Change::Order => {
                    let backwards: Vec<Interleaved> = prompts.iter().rev().cloned().collect();
                    answers = self.in_one_pass(model, &images, &backwards).await?;
                    answers.reverse();
                }
                Change::Precision(_) | Change::Device(_) | Change::Pixels(_) => answers = self.in_one_pass(model, &images, prompts).await?,
            }
            share(looking, &mut answers);
            replies.push(answers);
        }
        Ok(replies)
    }

    /// Answers to `prompts` about the same images, one prompt after the other.
    async fn in_one_pass(&self, model: &Vlm, images: &[EncodedImage], prompts: &[Interleaved]) -> Result<Vec<Reply>, StudyError> {
        let mut replies = Vec::with_capacity(prompts.len());
        for prompt in prompts {
            let start = Instant::now();
            let answer = Box::pin(model.ask_about(prompt, images, &self.decoding)).await?;
            replies.push(reply(answer, start.elapsed()));
        }
        Ok(replies)
    }

    /// Answers of a model that shares no image with the variants.
    async fn seen_anew(&self, model: &Vlm, prompts: &[Prepared]) -> Result<Vec<Reply>, StudyError> {
        let start = Instant::now();
        let Some(first) = prompts.first() else { return Ok(Vec::new()) };
        let image = model.encode(&first.pixels).await?;
        Box::pin(self.answers(model, None, (&image, start.elapsed()), prompts)).await
    }
}

impl Subject for Variants {
    fn weight_bytes(&self) -> Vec<usize> {
        let models = self.held().map(|(_, model)| model).chain(self.held_controls().map(|(_, model)| model));
        models.map(Vlm::weight_bytes).collect()
    }

    fn token(&self, id: u32) -> String {
        self.baseline().processor().tokenizer().token(id).unwrap_or_default()
    }

    /// On a CPU; more than one where the model is small.
    fn lanes(&self, threads: usize) -> usize {
        match self.baseline() {
            model if !model.on_cpu() => 0,
            model if model.weight_bytes() < SMALL => threads,
            _ => 1,
        }
    }

    async fn group(&self, images: &[RgbImage], questions: &[Posed<'_>]) -> Result<Vec<Vec<Reply>>, StudyError> {
        let questions: Vec<&str> = questions.iter().map(Posed::text).collect();
        let [image] = images else {
            return Box::pin(self.about_several(images, &questions)).await;
        };
        let prompts = prompts(self.baseline(), image, &questions)?;
        let mut replies = self.shared(&prompts).await?.replies;
        for (Controlled { control, .. }, model) in self.held_controls() {
            replies.push(Box::pin(self.controlled((control, model), image, &questions, &prompts)).await?);
        }
        Ok(replies)
    }
}

/// A prompt up to the end of its image.
fn head(prompt: &Prepared) -> &[u32] {
    &prompt.input_ids[..prompt.layout.end()]
}

/// The questions about an image as `model` reads them.
fn prompts(model: &Vlm, image: &RgbImage, questions: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Vec<Prepared>, StudyError> {
    let pixels = model.processor().pixels(image)?;
    let prepare = |question: &str| {
        let (input_ids, layout) = model.processor().encode(&model.prompt(question)?, &pixels)?;
        Ok(Prepared { input_ids, layout, pixels: pixels.clone() })
    };
    questions.into_iter().map(|question| prepare(question.as_ref())).collect()
}

/// The same where several images are shown with each question.
fn interleaved(model: &Vlm, images: &[RgbImage], questions: &[&str]) -> Result<Vec<Interleaved>, StudyError> {
    let prepare = |question: &&str| Ok(model.processor().interleave(images, &model.prompt_about(question, images.len())?)?);
    questions.iter().map(prepare).collect()
}

/// The images of `prompts`, which all show the same, and how long it took to see them.
async fn looked_at(model: &Vlm, prompts: &[Interleaved]) -> Result<(Vec<EncodedImage>, Duration), StudyError> {
    let (start, mut images) = (Instant::now(), Vec::new());
    for (_, pixels) in prompts.first().map_or(&[][..], |prompt| &prompt.images) {
        images.push(model.encode(pixels).await?);
    }
    Ok((images, start.elapsed()))
}

/// What each part of the spec is, and what it comes to on the model.
fn in_words(acceleration: &Acceleration, settled: &Description) -> String {
    let summaries: Vec<&str> = acceleration.spec().parts().iter().map(|part| part.method().summary).collect();
    format!("{}. Here: {settled}", summaries.join("; "))
}

fn named<const N: usize>(settings: [(&str, String); N]) -> BTreeMap<String, String> {
    settings.map(|(name, value)| (name.to_owned(), value)).into()
}

/// Counts what was done once for all of `replies` in equal shares.
fn share(once: Duration, replies: &mut [Reply]) {
    let share = once / replies.len().max(1) as u32;
    for reply in replies {
        reply.wall += share;
    }
}

fn reply(answer: Answer, wall: Duration) -> Reply {
    Reply {
        output_ids: answer.output_ids,
        text: answer.text,
        cut: answer.cut,
        no_answer: answer.not_finite.map(|not_finite| not_finite.to_string()),
        first_token: Distribution::Logits(answer.first_logits),
        visual_tokens: answer.visual_tokens,
        left: answer.left,
        prompt_tokens: answer.cost.prompt_tokens,
        decoder_visual_tokens: answer.cost.visual_tokens,
        kv_bytes: answer.cost.kv_bytes,
        flops: answer.cost.flops,
        wall,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plan_names_the_burn_that_is_linked() {
        let lock = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock")).unwrap();
        assert!(lock.contains(&format!("name = \"burn\"\nversion = \"{BURN_VERSION}\"")));
    }
}
