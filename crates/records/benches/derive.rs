//! How long it takes to derive a report: once, as the command line does, and again and again while it grows, as the page does.
//!
//! `cargo bench -p steady-records`. Questions, two about each image, are answered by the baseline, by eight accelerations and by the baseline once more.

#![allow(missing_docs, reason = "a bench is no library")]
#![expect(clippy::expect_used, reason = "a benchmark that cannot run says why and stops")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use steady_bench::{AnswerKind, PostPrompts, Question};
use steady_records::plan::{AccelerationPlan, BenchmarkPlan, ControlPlan, FORMAT, GROUPS_PER_PART, ModelPlan, Versions, questions_sha256};
use steady_records::{Answers, BASELINE, CLEAN, Growing, Plan, Record, Work, pause, report};

fn main() {
    divan::main();
}

const QUESTIONS: [usize; 2] = [1_000, 10_000];
const ACCELERATIONS: usize = 8;
const FAMILIES: [&str; 4] = ["counting", "reading", "scan", "existence"];
const WORDS: [&str; 3] = ["red", "blue", "green"];

/// Time from one group to the next: a thousand answers a second, faster than any model of the page.
const PACE: Duration = Duration::from_millis(20);

#[divan::bench(args = QUESTIONS, sample_count = 5, sample_size = 1)]
fn once(bencher: Bencher<'_, '_>, questions: usize) {
    let (work, answers) = study(questions);
    let records: Vec<Record> = answers.into_iter().flat_map(|answers| answers.records).collect();
    bencher.counter(ItemsCount::new(records.len())).bench(|| report(work.plan(), work.questions(), black_box(&records)).expect("a report"));
}

/// Groups come at their pace; whenever a report has stood for long enough, those that came are taken and the next one is derived. The waiting itself is
/// not done, so that what is measured is the work.
#[divan::bench(args = QUESTIONS, sample_count = 3, sample_size = 1)]
fn growing(bencher: Bencher<'_, '_>, questions: usize) {
    let (work, answers) = study(questions);
    let groups: Vec<Vec<u8>> = answers.iter().enumerate().map(|(group, answers)| work.seal(group, answers).expect("bytes")).collect();
    let records: usize = answers.iter().map(|answers| answers.records.len()).sum();
    bencher.counter(ItemsCount::new(records)).bench(|| {
        let mut growing = Growing::new(work.clone());
        let (mut now, mut taken) = (PACE, 0);
        while taken < groups.len() {
            let begun = Instant::now();
            let came = ((now.as_nanos() / PACE.as_nanos()) as usize).min(groups.len());
            groups[taken..came].iter().for_each(|group| growing.take(group).expect("a group"));
            taken = came;
            black_box(growing.report().expect("a report"));
            let took = begun.elapsed();
            now += took + pause(took);
        }
    });
}

/// A study, and the answers to its groups. One answer in eight differs from the baseline's.
fn study(count: usize) -> (Work, Vec<Answers>) {
    let question = |n: usize| Question {
        id: format!("question-{n:05}"),
        benchmark: "scripted".into(),
        family: FAMILIES[n / 2 % FAMILIES.len()].into(),
        image: format!("image-{:05}", n / 2),
        text: format!("What colour is thing {n}?"),
        gold: vec!["red".into()],
        kind: AnswerKind::Short,
        weight: 1.0,
    };
    let questions: Vec<Question> = (0..count).map(question).collect();
    let acceleration = |spec: String| AccelerationPlan { describe: format!("{spec} in words"), spec, stored_bytes: None };
    let specs = std::iter::once(BASELINE.to_owned()).chain((0..ACCELERATIONS).map(|n| format!("acceleration-{n}")));
    let plan = Plan {
        format: FORMAT,
        command: "steady run".into(),
        versions: Versions { steady: "0".into(), burn: "0".into() },
        model: ModelPlan { name: "scripted".into(), architecture: "none".into(), sha256: "1".repeat(64) },
        accelerations: specs.map(acceleration).collect(),
        elsewhere: None,
        left_out: Vec::new(),
        controls: vec![ControlPlan { spec: "order".into(), describe: "reversed order".into() }],
        benchmark: BenchmarkPlan {
            name: "scripted".into(),
            fingerprint: "0".repeat(64),
            size: count,
            questions: count,
            questions_sha256: questions_sha256(&questions).expect("a hash"),
            opened_by: None,
        },
        perturbations: vec![CLEAN.into()],
        prompt: "{question}".into(),
        post_prompts: PostPrompts::default(),
        processor: BTreeMap::new(),
        decoding: BTreeMap::new(),
        calibration: None,
        precision: "f32".into(),
        device: "paper".into(),
        groups_per_part: GROUPS_PER_PART,
    };
    let work = Work::new(plan, questions).expect("a plan");
    let mut chance = 1_u64;
    let mut answers = Vec::new();
    for group in work.groups() {
        let mut of_group = Answers::default();
        for &question in &group.questions {
            for variant in work.plan().variants() {
                chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let word = WORDS[if chance >> 61 == 0 { (chance >> 60 & 1) as usize + 1 } else { 0 }];
                of_group.records.push(record(&work.questions()[question], variant, word));
            }
        }
        answers.push(of_group);
    }
    (work, answers)
}

fn record(question: &Question, acceleration: &str, answer: &str) -> Record {
    let correct = question.gold[0] == answer;
    Record {
        question: question.id.clone(),
        family: question.family.clone(),
        image: question.image.clone(),
        perturbation: CLEAN.into(),
        acceleration: acceleration.into(),
        answer: answer.into(),
        output_ids: vec![1, 2],
        cut: Some(false),
        parsed: Some(answer.into()),
        no_answer: None,
        correct,
        score: f32::from(u8::from(correct)),
        top_ids: (0..20).collect(),
        top_tokens: (0..20).map(|n| format!("token{n}")).collect(),
        top_logits: (0..20).map(|n| 20.0 - n as f32).collect(),
        margin: Some(1.0),
        kl: (acceleration != BASELINE).then_some(0.25),
        visual_tokens: 144,
        kept: None,
        kept_by_step: None,
        prompt_tokens: 160,
        decoder_visual_tokens: 144.0,
        kv_bytes: 640_000,
        weight_bytes: 8_000_000,
        flops: 600_000_000,
    }
}
