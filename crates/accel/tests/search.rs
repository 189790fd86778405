//! The search for VTW's layer, against transformers' layers and the authors' measure (`reference/make_search_cases.py`), on the embedded LLaVA.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::{Path, PathBuf};

use pollster::FutureExt;
use serde_json::Value;
use steady_accel::{AccelError, Acceleration, Samples};
use steady_vlm::image::{ImageOptions, PixelBackend};
use steady_vlm::{Checkpoint, Decoding, Device, Precision, Prepared, Vlm};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn model() -> Vlm {
    let images = ImageOptions { backend: PixelBackend::Pil, ..ImageOptions::default() };
    let checkpoint = Checkpoint::open(&root().join("models/steady-llava")).unwrap().with_images(images);
    Vlm::load(&checkpoint, &Device::Cpu, Precision::F32).unwrap()
}

/// The pictures of the reference cases, with its prompts.
struct Pictures<'a> {
    vlm: &'a Vlm,
    names: Vec<String>,
}

impl Samples for Pictures<'_> {
    fn count(&self) -> usize {
        self.names.len()
    }

    fn sample(&self, index: usize) -> Result<Prepared, AccelError> {
        let folder = root().join("tests/reference/steady-llava");
        let cases: Value = serde_json::from_str(&std::fs::read_to_string(folder.join("cases.json")).unwrap()).unwrap();
        let case = cases["cases"].as_array().unwrap().iter().find(|case| case["id"] == self.names[index].as_str()).unwrap();
        let image = steady_vlm::image::load(&folder.join("images").join(case["image"].as_str().unwrap())).unwrap();
        Ok(self.vlm.prepare(&image, case["prompt"].as_str().unwrap()).unwrap())
    }
}

fn reference() -> Vec<(String, [f64; 3])> {
    let cases: Value = serde_json::from_str(include_str!("reference/search_cases.json")).unwrap();
    let of = |(name, by_layer): (&String, &Value)| (name.clone(), ["1", "2", "3"].map(|layer| by_layer[layer].as_f64().unwrap()));
    cases["divergences"].as_object().unwrap().iter().map(of).collect()
}

#[test]
fn the_layer_is_the_first_that_hardly_changes_the_next_token() {
    let (vlm, reference) = (model(), reference());
    assert_eq!(reference.len(), 3);
    let pictures = Pictures { vlm: &vlm, names: reference.iter().map(|(name, _)| name.clone()).collect() };
    let means = [0, 1, 2].map(|layer| reference.iter().map(|(_, by_layer)| by_layer[layer]).sum::<f64>() / 3.0);
    // Between the means lie what is asked for; where none is as little, it is the last layer.
    assert!(means[0] > 7.8 && means[1] < 7.8 && means[1] > 1.0 && means[2] < 1.0 && means[2] > 0.003, "{means:?}");
    for (eta, layer) in [("9", 1), ("7.8", 2), ("1", 3), ("0.003", 3)] {
        let spec = Acceleration::parse(&format!("vtw:search,eta={eta},n=3")).unwrap();
        let (found, told) = spec.searched(&vlm, &pictures).block_on().unwrap().unwrap();
        assert_eq!(found.reducer().unwrap().name(), format!("vtw:k={layer},positions=keep"), "{eta}");
        // It is still called what was asked for.
        assert_eq!((found.to_string(), found.searches_with()), (spec.to_string(), 0));
        let expected = means[layer - 1];
        assert!((told.divergence - expected).abs() < 2e-3 * expected, "{told} {expected}");
        assert!(told.to_string().contains(&format!(", at most {eta} asked")), "{told}");
        assert_eq!(told.to_string().contains("none of those tried"), eta == "0.003", "{told}");
    }
}

#[test]
fn a_search_stands_beside_other_methods() {
    let vlm = model();
    let pictures = Pictures { vlm: &vlm, names: vec!["world-0".to_owned()] };
    let spec = Acceleration::parse("divprune:keep=0.5+vtw:search,eta=100,n=1").unwrap();
    let (found, told) = spec.searched(&vlm, &pictures).block_on().unwrap().unwrap();
    assert_eq!(found.reducer().unwrap().name(), "divprune:keep=0.5+vtw:k=1,positions=keep");
    assert_eq!(told.reducer, found.reducer().unwrap().name());
    let prepared = pictures.sample(0).unwrap();
    let answer = vlm.ask(&prepared, found.reducer(), &Decoding::default()).block_on().unwrap();
    let text = answer.kv_lengths[3];
    assert_eq!(answer.kv_lengths, [text + 72, text, text, text]);
    // What nobody searches for finds nothing.
    assert!(Acceleration::parse("vtw").unwrap().searched(&vlm, &pictures).block_on().unwrap().is_none());
}

#[test]
fn nothing_is_answered_unsearched() {
    let vlm = model();
    let pictures = Pictures { vlm: &vlm, names: vec!["world-0".to_owned()] };
    let spec = Acceleration::parse("vtw:search").unwrap();
    assert_eq!(spec.calibrates_with(&vlm).unwrap(), 20);
    let error = vlm.ask(&pictures.sample(0).unwrap(), spec.reducer(), &Decoding::default()).block_on().unwrap_err().to_string();
    assert!(error.contains("vtw:search,eta=0.003,n=20,positions=keep") && error.contains("searched for"), "{error}");
    let error = spec.searched(&vlm, &pictures).block_on().err().unwrap();
    assert!(matches!(&error, AccelError::TooFew { samples: 20, found: 1, .. }), "{error}");
}
