//! What a study asks of a GPU, counted: kernels compiled, launches, submissions, reads. And its answers, which are the CPU's.
//!
//! The counts are the same on every adapter, so a software rasterizer tells. The table of docs/speed.md is printed by
//! `cargo test --release -p steady-tests --test gpu -- --nocapture counts`.

#![cfg(feature = "gpu")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use pollster::FutureExt;
use steady_accel::Acceleration;
use steady_bench::{Question, world::EMBEDDED};
use steady_vlm::{Answer, Checkpoint, Decoding, Device, DeviceChoice, EncodedImage, Needs, Precision, Vlm};

const ACCELERATIONS: [&str; 5] = ["w4:rtn", "int8", "divprune:keep=0.33", "fastv:k=2,keep=0.5", "random:keep=0.33"];

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models")
}

fn embedded() -> Vec<String> {
    let folders = std::fs::read_dir(models()).unwrap().map(|entry| entry.unwrap());
    let mut names: Vec<String> =
        folders.filter(|entry| entry.path().join("config.json").exists()).map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names.len(), 4, "{names:?}");
    names
}

/// A model as it is and under each acceleration.
fn variants(name: &str, device: &Device, precision: Precision) -> Vec<(Acceleration, Vlm)> {
    let model = Vlm::load(&Checkpoint::open(&models().join(name)).unwrap(), device, precision).unwrap();
    let mut variants = vec![(Acceleration::none(), model.clone())];
    for spec in ACCELERATIONS {
        let acceleration = Acceleration::parse(spec).unwrap();
        let packed = acceleration.quantize(&model).block_on().unwrap().unwrap_or_else(|| model.clone());
        variants.push((acceleration, packed));
    }
    variants
}

/// Every question of every variant, as a study asks: an image seen once by each set of weights, a prompt's beginning shared.
/// `seen` hears of each image and beginning, `answered` of each answer.
fn ask(variants: &[(Acceleration, Vlm)], count: usize, mut seen: impl FnMut(), mut answered: impl FnMut(&Question, usize, &Answer)) {
    let (suite, questions) = EMBEDDED.draw(count, &[]).unwrap();
    let needs = Needs::of(variants.iter().filter_map(|(acceleration, _)| acceleration.reducer()));
    for of_image in questions.chunk_by(|a, b| a.image == b.image) {
        let picture = suite.image(&of_image[0].image).unwrap();
        let mut encoded: Vec<EncodedImage> = Vec::new();
        for (index, (acceleration, model)) in variants.iter().enumerate() {
            let prompt = |question: &Question| model.prepare(&picture, &model.prompt(&question.text).unwrap()).unwrap();
            let first = prompt(&of_image[0]);
            let image = encoded.iter().find(|image| model.takes(image, acceleration.reducer())).cloned();
            let image = image.unwrap_or_else(|| {
                encoded.push(model.encode_for(&first.pixels, &needs).block_on().unwrap());
                encoded[encoded.len() - 1].clone()
            });
            let end = first.layout.end();
            let prefix = model.prefix(&first.input_ids[..end], &first.layout, &image, acceleration.reducer()).block_on().unwrap();
            seen();
            for question in of_image {
                let prepared = prompt(question);
                let answer = model.answer(&prefix, &prepared.input_ids[end..], &Decoding::default()).block_on().unwrap();
                answered(question, index, &answer);
            }
        }
    }
}

/// Counts are of the whole device, so tests take turns.
static TURN: Mutex<()> = Mutex::new(());

/// Most of what one forward pass of the decoder, be it a question's or a token's, may ask of the GPU.
const DISPATCHES: u64 = 75;
const SUBMISSIONS: u64 = 2;

#[test]
fn counts() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let device = DeviceChoice::Gpu.open().expect("a wgpu adapter; on a machine without a GPU install Mesa's lavapipe").device;
    let Device::Gpu(gpu) = &device else { panic!("{device:?}") };
    println!("| model | kernels | WGSL kB | later | launches a pass | of an image's beginning | submissions a pass | reads a pass |");
    println!("|---|---|---|---|---|---|---|---|");
    for name in embedded() {
        let start = gpu.counts();
        let variants = variants(&name, &device, Precision::F16);
        device.prepare(&|_, _| ()).block_on();
        let (mut before, mut ready) = (gpu.counts(), None);
        let (mut passes, mut dispatches, mut submissions, mut reads, mut images, mut of_images) = (0, 0, 0, 0, 0, 0);
        let last = std::cell::Cell::new(before);
        ask(
            &variants,
            20,
            || {
                let now = gpu.counts();
                images += 1;
                of_images += now.dispatches - last.get().dispatches;
                last.set(now);
            },
            |question, index, answer| {
                before = last.get();
                let now = gpu.counts();
                last.set(now);
                let ready = *ready.get_or_insert(now.pipelines);
                // A pass for the question, and one for every token but the last.
                let count = answer.output_ids.len().max(1) as u64;
                // Whoever looks at an attention row reads it.
                let looks = u64::from(ACCELERATIONS.get(index.wrapping_sub(1)).is_some_and(|spec| spec.starts_with("fastv")));
                let [d, s, r] = [now.dispatches - before.dispatches, now.submissions - before.submissions, now.reads - before.reads];
                let what =
                    format!("{name}, {}, {}: {d} launches, {s} submissions, {r} reads in {count} passes", variants[index].0, question.id);
                assert!(d <= DISPATCHES * count && s <= SUBMISSIONS * count + looks && r <= count + looks, "{what}");
                assert_eq!(now.pipelines, ready, "a kernel was compiled after the first answer: {what}");
                (passes, dispatches, submissions, reads) = (passes + count, dispatches + d, submissions + s, reads + r);
            },
        );
        let now = gpu.counts();
        let per = |count: u64, of: u64| count as f64 / of as f64;
        println!(
            "| {name} | {} | {:.0} | {} | {:.0} | {:.0} | {:.2} | {:.2} |",
            now.pipelines - start.pipelines,
            (now.wgsl_bytes - start.wgsl_bytes) as f64 / 1e3,
            now.pipelines - ready.unwrap(),
            per(dispatches, passes),
            per(of_images, images),
            per(submissions, passes),
            per(reads, passes),
        );
    }
    let all = gpu.counts();
    assert!(all.pipelines <= 30 && all.wgsl_bytes <= 200_000, "{all:?}");
}

/// A long answer, in which each token is computed before the host knows the one before it: as it is cut at any length, also where nothing is
/// computed ahead, and as the CPU gives it.
#[test]
fn computed_ahead() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let [cpu, gpu] = [DeviceChoice::Cpu, DeviceChoice::Gpu].map(|choice| choice.open().unwrap().device);
    let (suite, questions) = EMBEDDED.draw(1, &[]).unwrap();
    let picture = suite.image(&questions[0].image).unwrap();
    let folder = models().join("steady-qwen2.5-vl");
    for repetition_penalty in [Some(1.0), Some(1.3)] {
        let answers = |device: &Device, longest: &[usize]| -> Vec<Vec<u32>> {
            let model = Vlm::load(&Checkpoint::open(&folder).unwrap(), device, Precision::F32).unwrap();
            let prepared = model.prepare(&picture, &model.prompt(&questions[0].text).unwrap()).unwrap();
            let answer = |&max_new_tokens: &usize| {
                let options = Decoding { max_new_tokens, repetition_penalty, ignore_eos: true };
                model.ask(&prepared, None, &options).block_on().unwrap().output_ids
            };
            longest.iter().map(answer).collect()
        };
        let on_cpu = answers(&cpu, &[24]).remove(0);
        assert_eq!(on_cpu.len(), 24);
        for answer in answers(&gpu, &[3, 8, 9, 10, 11, 24]) {
            assert_eq!(answer, on_cpu[..answer.len()], "{} tokens, penalty {repetition_penalty:?}", answer.len());
        }
    }
}
