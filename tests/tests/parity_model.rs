//! First-token logits and greedy answers are those of transformers, for every reference case; the same code on every device.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use burn::tensor::Device;
use pollster::FutureExt;
use steady_tests::reference::{ReferenceCase, cases_of, checkpoint_of};
use steady_vlm::{Checkpoint, Decoding, DeviceChoice, Precision, Vlm};

/// Largest difference of a first-token logit, f32 against transformers' f32.
const LOGITS: f32 = 1e-3;

/// Compares the first `limit` cases of a checkpoint and returns how many that were.
fn compare(name: &str, device: &Device, limit: usize) -> usize {
    let folder = cases_of(name);
    let checkpoint = Checkpoint::open(&checkpoint_of(&folder)).unwrap();
    let vlm = Vlm::load(&checkpoint, device, Precision::F32).unwrap();
    let cases = ReferenceCase::load_all(&folder).unwrap();
    let mut compared = 0;
    for case in cases.iter().take(limit) {
        let image = steady_vlm::image::load(&case.image).unwrap();
        let prepared = vlm.prepare(&image, &case.prompt).unwrap();
        let options = Decoding { max_new_tokens: ReferenceCase::NEW_TOKENS, ..Decoding::default() };
        let answer = vlm.ask(&prepared, None, &options).block_on().unwrap();

        let id = format!("{name}/{}", case.id);
        assert_eq!(answer.first_logits.len(), case.first_logits.len(), "{id}");
        let furthest = answer.first_logits.iter().zip(&case.first_logits).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(furthest <= LOGITS, "{id}: a first-token logit differs by {furthest}");
        assert_eq!(answer.output_ids, case.output_ids, "{id}: greedy tokens");
        assert_eq!(answer.text, case.text, "{id}: text");
        compared += 1;
    }
    compared
}

fn flex() -> Device {
    DeviceChoice::Cpu.open().unwrap().device
}

#[test]
fn the_tiny_checkpoint_answers_as_in_transformers() {
    assert!(compare("tiny-llava", &flex(), usize::MAX) >= 12);
}

#[test]
fn the_embedded_checkpoint_answers_as_in_transformers() {
    assert!(compare("steady-llava", &flex(), usize::MAX) >= 12);
}

/// On whatever wgpu finds, software rasterizers included. Three cases of each checkpoint: a driver such as lavapipe compiles each
/// kernel for many seconds on first use, so it is one test in one process.
#[cfg(feature = "gpu")]
#[test]
fn wgpu_answers_as_in_transformers() {
    let open = DeviceChoice::Gpu.open().expect("a wgpu adapter; on a machine without a GPU install Mesa's lavapipe");
    println!("{}", open.identity);
    for name in ["tiny-llava", "steady-llava", "tiny-llava-next-vicuna", "tiny-llava-next-mistral", "tiny-llava-med"] {
        assert_eq!(compare(name, &open.device, 3), 3);
    }
}
