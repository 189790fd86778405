//! Writes a run folder of made-up answers, to see what a large one takes without a model:
//! `cargo run --release -p steady-study --example synthetic_run -- DIR 100000`, then `/usr/bin/time -v steady report DIR`.
//!
//! So many questions, two about each image, are answered by the baseline, by eight accelerations and by one control: ten records a question. The answers
//! go through the same door as a model's ([`run`]), so their files are those of a real run; only that every group is on disk before the next is asked takes
//! long, and a folder in memory (`/dev/shm`) does not.

#![expect(clippy::expect_used, reason = "an example that cannot go on says why and stops")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use image::RgbImage;
use pollster::FutureExt;
use steady_bench::{AnswerKind, BenchError, Benchmark, Posed, PostPrompts, Question};
use steady_records::plan::{AccelerationPlan, BenchmarkPlan, ControlPlan, FORMAT, GROUPS_PER_PART, ModelPlan, Versions, questions_sha256};
use steady_records::{BASELINE, CLEAN, Plan};
use steady_study::{Distribution, Folder, Reply, StudyError, Subject, run};
use steady_vlm::{Left, Site};

const ACCELERATIONS: [&str; 8] = [
    "w4:rtn,g=128",
    "w4:gptq,g=128",
    "int8:threshold=6",
    "divprune:keep=0.33",
    "fastv:k=2,keep=0.5",
    "visionzip:keep=0.33",
    "cdpruner:keep=0.33",
    "vtw",
];
const FAMILIES: [&str; 10] = ["existence", "pairs", "compose", "reading", "counting", "choice", "chart", "diagram", "unanswerable", "scan"];
/// Words that are answers, at the head of a vocabulary of tokens.
const WORDS: [&str; 4] = ["red", "blue", "green", "yellow"];
const VOCABULARY: usize = 64;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, path, questions] = &arguments[..] else { panic!("usage: synthetic_run DIR QUESTIONS") };
    let made_up = MadeUp::new(questions.parse().expect("a number of questions"));
    let plan = made_up.plan();
    let folder = Folder::create(Path::new(path), &plan, made_up.questions()).expect("a folder");
    let subject = Speaker { variants: plan.variants().len() };
    run(&folder, &made_up, &subject, &AtomicBool::new(false), &mut |_| ()).block_on().expect("answers");
}

/// A benchmark of questions about nothing.
struct MadeUp {
    questions: Vec<Question>,
}

impl MadeUp {
    fn new(count: usize) -> Self {
        let question = |n: usize| Question {
            id: format!("question-{n:06}"),
            benchmark: "made-up".into(),
            family: FAMILIES[n / 2 % FAMILIES.len()].into(),
            image: format!("image-{:06}", n / 2),
            text: format!("What colour is the thing with the number {n} on it?"),
            gold: vec![WORDS[chance(n, 0) as usize % WORDS.len()].into()],
            kind: AnswerKind::Short,
            weight: 1.0,
        };
        Self { questions: (0..count).map(question).collect() }
    }

    fn plan(&self) -> Plan {
        let questions = self.questions.len();
        let acceleration = |spec: &str| AccelerationPlan {
            spec: spec.into(),
            describe: format!("{spec}, made up"),
            stored_bytes: Some(if spec == BASELINE { 4_000_000 } else { 2_000_000 }),
        };
        Plan {
            format: FORMAT,
            command: "synthetic_run".into(),
            versions: Versions { steady: "0".into(), burn: "0".into() },
            model: ModelPlan { name: "made-up".into(), architecture: "none".into(), sha256: "1".repeat(64) },
            accelerations: std::iter::once(BASELINE).chain(ACCELERATIONS).map(acceleration).collect(),
            elsewhere: None,
            left_out: Vec::new(),
            controls: vec![ControlPlan { spec: "order".into(), describe: "reversed order".into() }],
            benchmark: BenchmarkPlan {
                name: self.name().into(),
                fingerprint: self.fingerprint(),
                size: questions,
                questions,
                questions_sha256: questions_sha256(&self.questions).expect("questions"),
                opened_by: None,
            },
            perturbations: vec![CLEAN.into()],
            prompt: "USER: <image>\n{question} ASSISTANT:".into(),
            post_prompts: PostPrompts::default(),
            processor: BTreeMap::new(),
            decoding: BTreeMap::from([("max_new_tokens".into(), "16".into())]),
            calibration: None,
            precision: "f32".into(),
            device: "paper".into(),
            groups_per_part: GROUPS_PER_PART,
        }
    }
}

impl Benchmark for MadeUp {
    fn name(&self) -> &'static str {
        "made-up"
    }

    fn questions(&self) -> &[Question] {
        &self.questions
    }

    fn image(&self, _id: &str) -> Result<RgbImage, BenchError> {
        Ok(RgbImage::new(1, 1))
    }

    fn fingerprint(&self) -> String {
        "0".repeat(64)
    }
}

/// Answers three of four questions right; an acceleration answers one of twelve otherwise, the control one of a thousand.
struct Speaker {
    variants: usize,
}

impl Subject for Speaker {
    fn weight_bytes(&self) -> Vec<usize> {
        (0..self.variants).map(|variant| if variant == 0 { 8_000_000 } else { 4_000_000 }).collect()
    }

    fn token(&self, id: u32) -> String {
        WORDS.get(id as usize).map_or_else(|| format!("\u{2581}token{id}"), |word| (*word).to_owned())
    }

    async fn group(&self, _images: &[RgbImage], questions: &[Posed<'_>]) -> Result<Vec<Vec<Reply>>, StudyError> {
        Ok((0..self.variants).map(|variant| questions.iter().map(|posed| self.reply(variant, posed.question())).collect()).collect())
    }
}

impl Speaker {
    fn reply(&self, variant: usize, question: &Question) -> Reply {
        let number: usize = question.id.rsplit('-').next().and_then(|digits| digits.parse().ok()).expect("a number");
        let gold = chance(number, 0) as usize % WORDS.len();
        let said = if chance(number, 1).is_multiple_of(4) { gold + 1 } else { gold };
        let odds = if variant + 1 == self.variants { 1000 } else { 12 };
        let turned = variant > 0 && chance(number, 1 + variant).is_multiple_of(odds);
        let word = (said + usize::from(turned) * (1 + variant % 3)) % WORDS.len();
        let logit = |token: usize| if token == word { 12.5 } else { -(((token * 7 + number) % VOCABULARY) as f32) / 8.0 };
        Reply {
            output_ids: vec![word as u32, VOCABULARY as u32 - 1],
            text: WORDS[word].to_owned(),
            cut: false,
            no_answer: None,
            first_token: Distribution::Logits((0..VOCABULARY).map(logit).collect()),
            visual_tokens: 576,
            left: if (4..9).contains(&variant) {
                vec![Left { site: Site::AfterProjector, kept: (0..192).map(|token| token * 3).collect(), gathered: Vec::new() }]
            } else {
                Vec::new()
            },
            prompt_tokens: 620,
            decoder_visual_tokens: if (4..9).contains(&variant) { 192.0 } else { 576.0 },
            kv_bytes: 325_058_560,
            flops: 8_000_000_000_000,
            wall: Duration::from_millis(120),
        }
    }
}

/// A number that looks random, of two.
fn chance(n: usize, of: usize) -> u64 {
    let mut x = (n as u64) << 8 | of as u64;
    // the finaliser of SplitMix64
    x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}
