//! Questions that show several images, against what transformers answers (`tests/reference/tiny_qwen.py`).
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;

use pollster::FutureExt;
use serde_json::{Value, json};
use steady_accel::Acceleration;
use steady_bench::{AnswerKind, Posed, PostPrompts, Question, perturb::PerturbationSpec};
use steady_study::{CalibrateWith, Held, Subject, Variants};
use steady_vlm::image::{ImageOptions, PixelBackend, load};
use steady_vlm::{Checkpoint, Decoding, Device, Precision, Vlm};

#[test]
fn several_images_are_asked_about_as_transformers_asks() {
    for family in ["tiny-qwen2-vl", "tiny-qwen2_5-vl"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference").join(family);
        let cases: Value = serde_json::from_slice(&std::fs::read(folder.join("published.json")).unwrap()).unwrap();
        let case = cases["cases"].as_array().unwrap().iter().find(|case| case["id"] == "two-images").unwrap();
        let options = ImageOptions { backend: PixelBackend::Pil, ..ImageOptions::default() };
        let checkpoint = Checkpoint::open(&folder.join("published")).unwrap().with_images(options);
        let model = Vlm::load(&checkpoint, &Device::Cpu, Precision::F32).unwrap();
        let names = case["images"].as_array().unwrap();
        let images: Vec<_> = names.iter().map(|name| load(&folder.join("images").join(name.as_str().unwrap())).unwrap()).collect();
        let question = Question {
            id: "q".into(),
            benchmark: "b".into(),
            family: "f".into(),
            image: "both".into(),
            text: "which is taller?".into(),
            gold: Vec::new(),
            kind: AnswerKind::Short,
            weight: 1.0,
        };
        let posed = Posed::of(&question, &PerturbationSpec::clean(), &PostPrompts::default());
        let decoding = Decoding { max_new_tokens: 12, ..Decoding::default() };
        let fits = |specs: &[&str]| {
            let specs: Vec<Acceleration> = specs.iter().map(|spec| Acceleration::parse(spec).unwrap()).collect();
            Variants::build_fitting(model.clone(), &specs, decoding, 2, (&Held::All, CalibrateWith::default())).block_on().unwrap()
        };
        let variants = fits(&["int8", "divprune:keep=0.5"]);
        assert_eq!(variants.left_out().len(), 1);
        let replies = variants.group(&images, &[posed.clone(), posed]).block_on().unwrap();
        // baseline, int8 and the usual control
        assert_eq!(replies.len(), 3);
        for of_variant in [&replies[0], &replies[2]] {
            for reply in of_variant {
                assert_eq!(json!(reply.output_ids), case["output_ids"], "{family}");
                assert_eq!(json!(reply.prompt_tokens), json!(case["input_ids"].as_array().unwrap().len()));
            }
        }
    }
}
