#![allow(unreachable_pub, dead_code, reason = "shared by several test programs, each of which uses a part of it")]
//! A model that answers from a script and counts what it is asked, and a benchmark to ask it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::time::Duration;

use image::RgbImage;
use steady_bench::{AnswerKind, BenchError, Benchmark, Posed, PostPrompts, Question};
use steady_records::plan::{AccelerationPlan, BenchmarkPlan, ControlPlan, FORMAT, ModelPlan, Versions, questions_sha256};
use steady_records::{BASELINE, CLEAN, Plan};
use steady_study::{Distribution, Reply, StudyError, Subject};
use steady_vlm::{Left, Site};

/// `images` images with two questions each, "q<image>-0" and "q<image>-1"; the right answer is always "red".
pub struct Quiz {
    questions: Vec<Question>,
}

impl Quiz {
    pub fn new(images: usize) -> Self {
        let question = |image: usize, n: usize| Question {
            id: format!("q{image}-{n}"),
            benchmark: "quiz".into(),
            family: if n == 0 { "first" } else { "second" }.into(),
            image: format!("image{image}"),
            text: format!("What colour is thing {n}?"),
            gold: vec!["red".into()],
            kind: AnswerKind::Short,
            weight: 1.0,
        };
        Self { questions: (0..images).flat_map(|image| (0..2).map(move |n| question(image, n))).collect() }
    }
}

impl Benchmark for Quiz {
    fn name(&self) -> &'static str {
        "quiz"
    }

    fn questions(&self) -> &[Question] {
        &self.questions
    }

    fn image(&self, _id: &str) -> Result<RgbImage, BenchError> {
        Ok(RgbImage::new(4, 4))
    }

    fn fingerprint(&self) -> String {
        "0".repeat(64)
    }
}

/// Says "red" unless the script says otherwise for (variant, question id).
#[derive(Default)]
pub struct Scripted {
    pub variants: Vec<String>,
    pub script: HashMap<(String, String), &'static str>,
    /// Times each question was asked.
    pub asked: Mutex<BTreeMap<String, usize>>,
    /// Groups to answer before failing; `None` never fails.
    pub fails_after: Mutex<Option<usize>>,
    /// Variants that run out of numbers.
    pub not_finite: Vec<&'static str>,
    /// Every image it was shown.
    pub seen: Mutex<Vec<RgbImage>>,
    /// Groups that are answered side by side.
    pub lanes: usize,
}

impl Scripted {
    pub fn new(plan: &Plan) -> Self {
        Self { variants: plan.variants().into_iter().map(str::to_owned).collect(), ..Self::default() }
    }

    pub fn says(mut self, variant: &str, question: &str, answer: &'static str) -> Self {
        self.script.insert((variant.into(), question.into()), answer);
        self
    }
}

const WORDS: [&str; 3] = ["red", "blue", "green"];

impl Subject for Scripted {
    fn weight_bytes(&self) -> Vec<usize> {
        (0..self.variants.len()).map(|variant| 1000 - variant).collect()
    }

    fn token(&self, id: u32) -> String {
        WORDS[id as usize].to_owned()
    }

    fn lanes(&self, _: usize) -> usize {
        self.lanes
    }

    async fn group(&self, images: &[RgbImage], questions: &[Posed<'_>]) -> Result<Vec<Vec<Reply>>, StudyError> {
        if let Some(left) = &mut *self.fails_after.lock().unwrap() {
            if *left == 0 {
                return Err(StudyError::Plan("the power is out".into()));
            }
            *left -= 1;
        }
        self.seen.lock().unwrap().extend_from_slice(images);
        for question in questions.iter().map(Posed::question) {
            *self.asked.lock().unwrap().entry(question.id.clone()).or_default() += 1;
        }
        let reply = |variant: &String, question: &Posed<'_>| {
            let question = question.question();
            let text = self.script.get(&(variant.clone(), question.id.clone())).copied().unwrap_or("red");
            let id = WORDS.iter().position(|word| *word == text).unwrap_or(0) as u32;
            let mut first_logits: Vec<f32> = (0..3).map(|word| if word == id { 2.0 } else { 0.0 }).collect();
            let not_finite = self.not_finite.contains(&variant.as_str());
            if not_finite {
                first_logits[1] = f32::NAN;
            }
            Reply {
                output_ids: vec![id],
                text: text.to_owned(),
                cut: variant == "half",
                no_answer: not_finite.then(|| "the logits of the first token are not finite".to_owned()),
                first_token: Distribution::Logits(first_logits),
                visual_tokens: 16,
                // In two steps, the second of which is the one that counts.
                left: if variant == "half" {
                    [(1, 12), (2, 8)]
                        .map(|(layer, kept)| Left { site: Site::BeforeLayer(layer), kept: (0..kept).collect(), gathered: Vec::new() })
                        .into()
                } else {
                    Vec::new()
                },
                prompt_tokens: 20,
                decoder_visual_tokens: if variant == "half" { 8.0 } else { 16.0 },
                kv_bytes: 640,
                flops: 1_000_000,
                wall: Duration::from_millis(3),
            }
        };
        Ok(self.variants.iter().map(|variant| questions.iter().map(|question| reply(variant, question)).collect()).collect())
    }
}

pub fn plan(questions: &[Question], accelerations: &[&str]) -> Plan {
    let acceleration = |spec: &&str| AccelerationPlan { spec: (*spec).into(), describe: format!("{spec} in words"), stored_bytes: None };
    Plan {
        format: FORMAT,
        command: "steady".into(),
        versions: Versions { steady: "0".into(), burn: "0".into() },
        model: ModelPlan { name: "scripted".into(), architecture: "Script".into(), sha256: "1".repeat(64) },
        accelerations: [BASELINE].iter().chain(accelerations).map(acceleration).collect(),
        elsewhere: None,
        left_out: Vec::new(),
        controls: vec![ControlPlan { spec: "order".into(), describe: "reversed order".into() }],
        benchmark: BenchmarkPlan {
            name: "quiz".into(),
            fingerprint: "0".repeat(64),
            size: questions.len(),
            questions: questions.len(),
            questions_sha256: questions_sha256(questions).unwrap(),
            opened_by: None,
        },
        perturbations: vec![CLEAN.into()],
        prompt: "USER: <image>\n{question} ASSISTANT:".into(),
        post_prompts: PostPrompts::default(),
        processor: BTreeMap::from([("image_size".into(), "4".into())]),
        decoding: BTreeMap::from([("max_new_tokens".into(), "4".into())]),
        calibration: None,
        precision: "f32".into(),
        device: "paper".into(),
        groups_per_part: 3,
    }
}

/// The plan, with its questions asked under these perturbations too.
pub fn under(perturbations: &[&str], mut plan: Plan) -> Plan {
    plan.perturbations.extend(perturbations.iter().map(|&perturbation| perturbation.to_owned()));
    plan
}
