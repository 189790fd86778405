//! First logits of a tiny random LLaVA whose decoder is the authors' own forward pass: FastV, PyramidDrop and VTW (`reference/make_patched_answers.py`).
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pollster::FutureExt;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use steady_accel::Acceleration;
use steady_vlm::image::{ImageOptions, PixelBackend};
use steady_vlm::{Checkpoint, Decoding, Device, Precision, Vlm};
use tempfile::TempDir;

/// How often the script repeats the two decoder layers.
const TIMES: usize = 4;
const CLOSE: f32 = 2e-3;

fn reference() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference/tiny-llava")
}

/// The tiny checkpoint with its decoder layers repeated.
fn deep() -> TempDir {
    let folder = TempDir::new().unwrap();
    let mut tensors: BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)> = BTreeMap::new();
    for entry in std::fs::read_dir(reference().join("checkpoint")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name.ends_with(".safetensors") {
            for (name, tensor) in SafeTensors::deserialize(&std::fs::read(&path).unwrap()).unwrap().tensors() {
                let stored = (tensor.dtype(), tensor.shape().to_vec(), tensor.data().to_vec());
                let place = name.split_once(".layers.").filter(|_| name.contains("language_model"));
                let Some((stack, (layer, rest))) = place.and_then(|(stack, rest)| Some((stack, rest.split_once('.')?))) else {
                    tensors.insert(name, stored);
                    continue;
                };
                let layer: usize = layer.parse().unwrap();
                for time in 0..TIMES {
                    tensors.insert(format!("{stack}.layers.{}.{rest}", layer + 2 * time), stored.clone());
                }
            }
        } else if !name.ends_with(".index.json") {
            std::fs::copy(&path, folder.path().join(name)).unwrap();
        }
    }
    let views = tensors.iter().map(|(name, (dtype, shape, bytes))| (name, TensorView::new(*dtype, shape.clone(), bytes).unwrap()));
    let file = safetensors::serialize(views.collect::<Vec<_>>(), None).unwrap();
    std::fs::write(folder.path().join("model.safetensors"), file).unwrap();
    let config = folder.path().join("config.json");
    let mut settings: Value = serde_json::from_slice(&std::fs::read(&config).unwrap()).unwrap();
    assert_eq!(settings["text_config"]["num_hidden_layers"], 2);
    settings["text_config"]["num_hidden_layers"] = (2 * TIMES).into();
    std::fs::write(config, settings.to_string()).unwrap();
    folder
}

#[test]
fn first_logits_are_those_of_the_authors_decoder() {
    let folder = deep();
    let images = ImageOptions { backend: PixelBackend::Pil, ..ImageOptions::default() };
    let checkpoint = Checkpoint::open(folder.path()).unwrap().with_images(images);
    let vlm = Vlm::load(&checkpoint, &Device::Cpu, Precision::F32).unwrap();
    let prompts: Value = serde_json::from_str(&std::fs::read_to_string(reference().join("cases.json")).unwrap()).unwrap();
    let rows: Value = serde_json::from_str(include_str!("reference/patched_answers.json")).unwrap();
    let rows = rows["answers"].as_array().unwrap();
    assert_eq!(rows.len(), 4 * 11, "prompts and specs of make_patched_answers.py");
    let short = Decoding { max_new_tokens: 1, ..Decoding::default() };
    for row in rows {
        let prompt = prompts["cases"].as_array().unwrap().iter().find(|prompt| prompt["id"] == row["case"]).unwrap();
        let image = steady_vlm::image::load(&reference().join("images").join(prompt["image"].as_str().unwrap())).unwrap();
        let prepared = vlm.prepare(&image, prompt["prompt"].as_str().unwrap()).unwrap();
        let ids: Vec<u64> = prepared.input_ids.iter().copied().map(u64::from).collect();
        assert_eq!(serde_json::json!(ids), prompt["input_ids"]);
        let spec = row["spec"].as_str().unwrap();
        let answer = vlm.ask(&prepared, Acceleration::parse(spec).unwrap().reducer(), &short).block_on().unwrap();
        let visual: Vec<usize> = serde_json::from_value(row["visual"].clone()).unwrap();
        let text = prepared.input_ids.len() - 26;
        assert_eq!(answer.kv_lengths, visual.iter().map(|visual| text + visual).collect::<Vec<_>>(), "{spec} on {}", row["case"]);
        let expected: Vec<f32> = serde_json::from_value(row["logits"].clone()).unwrap();
        let found: Vec<f32> = answer.first_logits.iter().copied().step_by(4).collect();
        assert_eq!(found.len(), expected.len());
        let off = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(off < CLOSE, "{spec} on {}: {off}", row["case"]);
    }
}
