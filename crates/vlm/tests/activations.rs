//! What a question takes beside the weights, known from shapes, against what is allocated while it is answered on Flex.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::{Path, PathBuf};

use ::image::RgbImage;
use peak_alloc::PeakAlloc;
use pollster::FutureExt;
use steady_vlm::Device;
use steady_vlm::{Checkpoint, Decoding, Precision, Vlm};
use tempfile::TempDir;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A copy of a checkpoint of one of the Qwen families that takes images of up to `pixels` pixels and prompts as long as they become.
fn roomy(folder: &Path, pixels: usize) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let to = copy.path().join(path.file_name().unwrap());
        let Ok(text) = std::fs::read_to_string(&path) else {
            std::fs::copy(&path, to).unwrap();
            continue;
        };
        let Ok(mut json) = serde_json::from_str::<serde_json::Value>(&text) else {
            std::fs::write(to, text).unwrap();
            continue;
        };
        if path.ends_with("config.json") {
            let text = if json["text_config"].is_object() { &mut json["text_config"] } else { &mut json };
            text["max_position_embeddings"] = 100_000.into();
        }
        if path.ends_with("processor_config.json") {
            json["image_processor"]["size"]["longest_edge"] = pixels.into();
        }
        if path.ends_with("preprocessor_config.json") {
            json["size"]["longest_edge"] = pixels.into();
            json["max_pixels"] = pixels.into();
        }
        std::fs::write(to, json.to_string()).unwrap();
    }
    copy
}

/// What is predicted for one question about an image of this size, and what is taken.
fn compare(folder: &Path, precision: Precision, (width, height): (u32, u32)) -> (f64, f64) {
    let checkpoint = Checkpoint::open(folder).unwrap();
    let footprint = checkpoint.footprint().unwrap();
    let model = Vlm::load(&checkpoint, &Device::Cpu, precision).unwrap();
    let decoding = Decoding { max_new_tokens: 4, ignore_eos: true, ..Decoding::default() };
    let image = RgbImage::from_fn(width, height, |x, y| ::image::Rgb([(x * 7 + y) as u8, (y * 3) as u8, (x ^ y) as u8]));
    let prompt = model.prompt("What is in the picture?").unwrap();
    let extent = model.processor().extent(width, height, None).unwrap();
    // Threads keep the buffers that they pack matrices into.
    model.ask(&model.prepare(&image, &prompt).unwrap(), None, &decoding).block_on().unwrap();

    let measured = || {
        let before = MEMORY.current_usage();
        let prepared = model.prepare(&image, &prompt).unwrap();
        MEMORY.reset_peak_usage();
        let answer = model.ask(&prepared, None, &decoding).block_on().unwrap();
        (MEMORY.peak_usage() - before, prepared, answer)
    };
    let (mut taken, prepared, answer) = measured();
    let tokens = model.processor().text_tokens(&prompt).unwrap() + extent.tokens;
    assert_eq!((extent.tokens, extent.values), (answer.visual_tokens, prepared.pixels.data.len()), "{}", folder.display());
    assert_eq!(tokens, prepared.input_ids.len());
    let predicted = footprint.activation_bytes(precision, &extent, tokens, 1) + footprint.cache_bytes(precision, tokens + 4);
    // On a busy machine a thread may have its first product here, and makes itself a workspace that stays.
    for _ in 0..3 {
        if taken as u64 <= predicted {
            break;
        }
        taken = taken.min(measured().0);
    }
    (predicted as f64, taken as f64)
}

const ALL: [Precision; 3] = [Precision::F32, Precision::F16, Precision::Bf16];

/// A folder, sizes of images, precisions.
type Case = (PathBuf, &'static [(u32, u32)], &'static [Precision]);

/// One test, so that nothing else allocates meanwhile.
#[test]
fn what_is_predicted_is_a_bound_and_not_far_from_the_truth() {
    let reference = |name: &str| root().join("tests/reference").join(name);
    let embedded = |name: &str| root().join("models").join(name);
    let mut cases: Vec<Case> = Vec::new();
    for name in ["steady-llava", "steady-llava-next", "steady-qwen2-vl", "steady-qwen2.5-vl"] {
        cases.push((embedded(name), &[(144, 144)], &ALL));
    }
    for name in ["tiny-llava/checkpoint", "tiny-llava-med/checkpoint"] {
        cases.push((reference(name), &[(90, 70)], &ALL));
    }
    for name in ["tiny-llava-next-vicuna/checkpoint", "tiny-llava-next-mistral/checkpoint"] {
        cases.push((reference(name), &[(90, 70), (300, 60), (400, 400)], &[Precision::F32]));
    }
    let mut folders = Vec::new();
    for folder in [
        reference("tiny-qwen2-vl/resaved"),
        reference("tiny-qwen2_5-vl/published"),
        embedded("steady-qwen2-vl"),
        embedded("steady-qwen2.5-vl"),
    ] {
        let roomy = roomy(&folder, 1_000_000);
        cases.push((roomy.path().to_owned(), &[(100, 80), (300, 200)], &[Precision::F32, Precision::F16]));
        // So many patches that queries take turns; with the embedded models that takes a minute.
        if folder.starts_with(reference("")) {
            cases.push((roomy.path().to_owned(), &[(500, 700)], &[Precision::F32]));
        }
        folders.push(roomy);
    }
    let mut wrong = Vec::new();
    for (folder, sizes, precisions) in cases {
        let family = Checkpoint::open(&folder).unwrap().family();
        for size in sizes {
            for &precision in precisions {
                let (predicted, taken) = compare(&folder, precision, *size);
                let (width, height) = size;
                let (factor, predicted, taken) = (predicted / taken, predicted / 1e3, taken / 1e3);
                let line = format!(
                    "{family:<11} {width:>4}x{height:<4} {precision:<4} predicted {predicted:>9.0} kB, taken {taken:>9.0} kB, {factor:.2}"
                );
                eprintln!("{line}");
                if !(1.0..2.0).contains(&factor) {
                    wrong.push(line);
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
