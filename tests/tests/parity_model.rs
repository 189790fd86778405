//! First-token logits and greedy answers are those of transformers with Pillow's image processors, for every reference case; the same code on
//! every device.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use pollster::FutureExt;
use steady_bench::Benchmark;
use steady_bench::world::EmbeddedSuite;
use steady_tests::reference::{ReferenceCase, SuiteAnswer, cases_of, checkpoint_of, embedded};
use steady_vlm::Device;
use steady_vlm::image::{ImageOptions, PixelBackend};
use steady_vlm::{Answer, Checkpoint, Decoding, DeviceChoice, Precision, Vlm};

/// Largest difference of a first-token logit, f32 against transformers' f32.
const LOGITS: f32 = 1e-3;

fn options() -> Decoding {
    Decoding { max_new_tokens: ReferenceCase::NEW_TOKENS, ..Decoding::default() }
}

/// Compares an answer with first-token logits, greedy tokens and text.
fn same(id: &str, answer: &Answer, first_logits: &[f32], output_ids: &[u32], text: &str) {
    assert_eq!(answer.first_logits.len(), first_logits.len(), "{id}");
    let furthest = answer.first_logits.iter().zip(first_logits).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(furthest <= LOGITS, "{id}: a first-token logit differs by {furthest}");
    assert_eq!(answer.output_ids, output_ids, "{id}: greedy tokens");
    assert_eq!(answer.text, text, "{id}: text");
}

/// Compares the first `limit` cases of a checkpoint and returns how many that were.
fn compare(name: &str, device: &Device, limit: usize) -> usize {
    let folder = cases_of(name);
    let checkpoint = Checkpoint::open(&checkpoint_of(&folder))
        .unwrap()
        .with_images(ImageOptions { backend: PixelBackend::Pil, ..ImageOptions::default() });
    let vlm = Vlm::load(&checkpoint, device, Precision::F32).unwrap();
    let cases = ReferenceCase::load_all(&folder).unwrap();
    let mut compared = 0;
    for case in cases.iter().take(limit) {
        let image = steady_vlm::image::load(&case.image).unwrap();
        let prepared = vlm.prepare(&image, &case.prompt).unwrap();
        let answer = vlm.ask(&prepared, None, &options()).block_on().unwrap();
        same(&format!("{name}/{}", case.id), &answer, &case.first_logits, &case.output_ids, &case.text);
        compared += 1;
    }
    compared
}

/// As [`compare`] for the cases `ids` of one of the Qwen2-VL families.
#[cfg(feature = "gpu")]
fn compare_qwen(name: &str, device: &Device, ids: &[&str]) {
    const CHECKPOINT: &str = "resaved";
    let folder = cases_of(name);
    let checkpoint = Checkpoint::open(&folder.join(CHECKPOINT))
        .unwrap()
        .with_images(ImageOptions { backend: PixelBackend::Pil, ..ImageOptions::default() });
    let vlm = Vlm::load(&checkpoint, device, Precision::F32).unwrap();
    let cases = steady_tests::reference::QwenCase::load_all(&folder, CHECKPOINT).unwrap();
    for id in ids {
        let case = cases.iter().find(|case| case.id == *id).unwrap();
        let images: Vec<_> = case.images.iter().map(|image| steady_vlm::image::load(image).unwrap()).collect();
        let interleaved = vlm.processor().interleave(&images, &case.prompt).unwrap();
        let answer = vlm.ask_interleaved(&interleaved, &options()).block_on().unwrap();
        same(&format!("{name}/{id}"), &answer, &case.first_logits, &case.output_ids, &case.text);
    }
}

fn flex() -> Device {
    DeviceChoice::Cpu.open().unwrap().device
}

#[test]
fn the_tiny_checkpoint_answers_as_in_transformers() {
    assert!(compare("tiny-llava", &flex(), usize::MAX) >= 12);
}

#[test]
fn the_embedded_checkpoints_answer_as_in_transformers() {
    for name in embedded().unwrap() {
        assert!(compare(&name, &flex(), usize::MAX) >= 12);
    }
}

#[test]
fn the_embedded_checkpoints_answer_the_suite_as_in_transformers() {
    for name in embedded().unwrap() {
        answer_suite(&name);
    }
}

/// Every question as a study puts it. A token that leads by less than rounding reaches may turn out otherwise.
fn answer_suite(name: &str) {
    const MARGIN: f32 = 1e-3;
    let folder = cases_of(name);
    let vlm = Vlm::load(&Checkpoint::open(&checkpoint_of(&folder)).unwrap(), &flex(), Precision::F32).unwrap();
    let (per_family, answers) = SuiteAnswer::load_all(&folder).unwrap();
    let suite = EmbeddedSuite::test(per_family);
    assert!(answers.len() >= 100 && answers.len() == suite.questions().len());
    let mut compared = 0;
    for expected in &answers {
        let question = suite.questions().iter().find(|question| question.id == expected.id);
        let question = question.filter(|question| question.text == expected.question).expect("run tests/reference/make_cases.py again");
        let image = suite.image(&question.image).unwrap();
        let prepared = vlm.prepare(&image, &vlm.prompt(&question.text).unwrap()).unwrap();
        let answer = vlm.ask(&prepared, None, &options()).block_on().unwrap();
        if expected.least_margin > MARGIN {
            let found = (answer.output_ids, answer.text);
            assert_eq!(found, (expected.output_ids.clone(), expected.text.clone()), "{name}/{}", question.id);
            compared += 1;
        }
    }
    assert!(compared >= 100, "{name}: {compared}");
}

/// On whatever wgpu finds, software rasterizers included. A few cases of each checkpoint: a driver such as lavapipe compiles each
/// kernel for many seconds on first use, so it is one test in one process.
#[cfg(feature = "gpu")]
#[test]
fn wgpu_answers_as_in_transformers() {
    let open = DeviceChoice::Gpu.open().expect("a wgpu adapter; on a machine without a GPU install Mesa's lavapipe");
    println!("{}", open.identity);
    let tiny =
        ["tiny-llava", "tiny-llava-published", "tiny-llava-next-vicuna", "tiny-llava-next-mistral", "tiny-llava-med"].map(str::to_owned);
    for name in tiny.into_iter().chain(embedded().unwrap()) {
        assert_eq!(compare(&name, &open.device, 3), 3);
    }
    for name in ["tiny-qwen2-vl", "tiny-qwen2_5-vl"] {
        compare_qwen(name, &open.device, &["tall-question", "two-images"]);
    }
}
