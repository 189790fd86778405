//! With torchvision's pixels, which transformers shows its models by default, everything is as in transformers too: every family's
//! reference cases, and the processors' settings.

#![expect(clippy::unwrap_used, reason = "a case that cannot be read fails the test")]

use std::collections::BTreeMap;
use std::path::Path;

use image::RgbImage;
use pollster::FutureExt;
use serde::Deserialize;
use steady_tests::reference::{cases_of, root, sha256};
use steady_vlm::image::{ImageOptions, PixelBackend, load};
use steady_vlm::{Checkpoint, Decoding, DeviceChoice, PixelValues, Precision, Vlm};

/// Largest difference of a first-token logit, f32 against transformers' f32.
const LOGITS: f32 = 2e-3;

#[derive(Deserialize)]
struct Answers {
    new_tokens: usize,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    checkpoint: String,
    folder: String,
    images: Vec<String>,
    prompt: String,
    id: String,
    pixels: Pixels,
    output_ids: Vec<u32>,
    least_margin: f32,
    top: Vec<(usize, f32)>,
}

#[derive(Deserialize)]
struct Pixels {
    sha256: String,
}

#[derive(Deserialize)]
struct Settings {
    cases: Vec<Setting>,
}

#[derive(Deserialize)]
struct Setting {
    settings: String,
    config: serde_json::Value,
    image: String,
    shape: Vec<usize>,
    sha256: String,
}

fn read<T: for<'a> Deserialize<'a>>(file: &str) -> T {
    serde_json::from_str(&std::fs::read_to_string(cases_of("torchvision").join(file)).unwrap()).unwrap()
}

fn hash<'a>(images: impl IntoIterator<Item = &'a PixelValues>) -> String {
    sha256(&images.into_iter().flat_map(|pixels| &pixels.data).flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>())
}

#[test]
fn every_family_answers_as_in_transformers() {
    let Answers { new_tokens, cases } = read("answers.json");
    let options = Decoding { max_new_tokens: new_tokens, ..Decoding::default() };
    let mut of_checkpoint: BTreeMap<String, Vec<Case>> = BTreeMap::new();
    for case in cases {
        of_checkpoint.entry(case.checkpoint.clone()).or_default().push(case);
    }
    assert_eq!(of_checkpoint.len(), 13);
    for (checkpoint, cases) in of_checkpoint {
        assert!(cases.len() >= 12, "{checkpoint}");
        // nothing is said about pixels: torchvision's are the default
        let opened = Checkpoint::open(&root().join(&checkpoint)).unwrap();
        assert_eq!(opened.images().backend, PixelBackend::Torchvision);
        let vlm = Vlm::load(&opened, &DeviceChoice::Cpu.open().unwrap().device, Precision::F32).unwrap();
        for case in cases {
            let id = format!("{checkpoint} {}", case.id);
            let images: Vec<RgbImage> =
                case.images.iter().map(|image| load(&cases_of(&case.folder).join("images").join(image)).unwrap()).collect();
            let interleaved = vlm.processor().interleave(&images, &case.prompt).unwrap();
            assert_eq!(hash(interleaved.images.iter().map(|(_, pixels)| pixels)), case.pixels.sha256, "{id}: pixels");
            let answer = vlm.ask_interleaved(&interleaved, &options).block_on().unwrap();
            for (token, logit) in &case.top {
                let found = answer.first_logits[*token];
                assert!((found - logit).abs() <= LOGITS, "{id}: the logit of token {token} is {found}, not {logit}");
            }
            // a greedy step that rounding decides proves nothing
            if case.least_margin >= LOGITS {
                assert_eq!(answer.output_ids, case.output_ids, "{id}: greedy tokens");
            }
        }
    }
}

#[test]
fn settings_make_the_pixels_that_they_make_in_transformers() {
    let Settings { cases } = read("processor.json");
    assert!(cases.len() >= 30);
    let folder = tempfile::tempdir().unwrap();
    let tiny = cases_of("tiny-llava/checkpoint");
    for file in ["config.json", "generation_config.json"] {
        std::fs::copy(tiny.join(file), folder.path().join(file)).unwrap();
    }
    for case in cases {
        let id = format!("{} {}", case.settings, case.image);
        let image = load(&cases_of("pillow/processor").join(&case.image)).unwrap();
        let pixels = |backend| pixels(folder.path(), &case.config, backend, &image);
        let found = pixels(PixelBackend::Torchvision);
        assert_eq!((&found.shape, hash([&found])), (&case.shape, case.sha256), "{id}");
        if case.settings != "not-rescaled" {
            assert_ne!(hash([&pixels(PixelBackend::Pil)]), hash([&found]), "{id}: Pillow's are others");
        }
    }
}

fn pixels(folder: &Path, config: &serde_json::Value, backend: PixelBackend, image: &RgbImage) -> PixelValues {
    std::fs::write(folder.join("preprocessor_config.json"), config.to_string()).unwrap();
    let checkpoint = Checkpoint::open(folder).unwrap().with_images(ImageOptions { backend, ..ImageOptions::default() });
    checkpoint.image_processor().unwrap().process(image).unwrap()
}
