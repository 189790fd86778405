//! Every reference case of a family.

use std::collections::BTreeMap;
use std::path::Path;

use data_encoding::HEXLOWER;
use pollster::FutureExt;
use safetensors::SafeTensors;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use steady_vlm::{Decoding, Vlm};

use super::folder::{Folder, load, reference};

/// Largest difference of a first-token logit, f32 against transformers' f32.
const LOGITS: f32 = 2e-3;

#[derive(Deserialize)]
struct File {
    new_tokens: usize,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    id: String,
    image: String,
    question: Option<String>,
    prompt: String,
    input_ids: Vec<u32>,
    pixels: Pixels,
    output_ids: Vec<u32>,
    text: String,
}

#[derive(Deserialize)]
struct Pixels {
    shape: Vec<usize>,
    sha256: String,
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|quad| f32::from_le_bytes(quad.try_into().unwrap())).collect()
}

fn furthest(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Compares all cases of the reference folder `name` with what `vlm` makes of them.
pub(crate) fn compare(name: &str, vlm: &Vlm) {
    let folder = reference(name);
    let file: File = serde_json::from_slice(&std::fs::read(folder.join("cases.json")).unwrap()).unwrap();
    assert!(file.cases.len() >= 12, "{name} has {} cases", file.cases.len());
    let bytes = std::fs::read(folder.join("tensors.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    for case in &file.cases {
        let id = format!("{name}/{}", case.id);
        if let Some(question) = &case.question {
            assert_eq!(vlm.prompt(question).unwrap(), case.prompt, "{id}: prompt");
        }
        let image = steady_vlm::image::load(&folder.join("images").join(&case.image)).unwrap();
        let prepared = vlm.prepare(&image, &case.prompt).unwrap();
        assert_eq!(prepared.input_ids, case.input_ids, "{id}: input ids");
        assert_eq!(prepared.pixels.shape, case.pixels.shape, "{id}: pixel shape");
        if let Ok(pixels) = tensors.tensor(&format!("{}.pixels", case.id)) {
            let furthest = furthest(&prepared.pixels.data, &floats(pixels.data()));
            assert!(furthest == 0.0, "{id}: pixels differ by up to {furthest}");
        }
        let bytes: Vec<u8> = prepared.pixels.data.iter().flat_map(|value| value.to_le_bytes()).collect();
        let digest = HEXLOWER.encode(&Sha256::digest(&bytes));
        assert_eq!(digest, case.pixels.sha256, "{id}: pixels");

        let options = Decoding { max_new_tokens: file.new_tokens, ..Decoding::default() };
        let answer = vlm.ask(&prepared, None, &options).block_on().unwrap();
        let logits = floats(tensors.tensor(&format!("{}.logits", case.id)).unwrap().data());
        let furthest = furthest(&answer.first_logits, &logits);
        assert!(furthest <= LOGITS, "{id}: a first-token logit differs by {furthest}");
        assert_eq!(answer.output_ids, case.output_ids, "{id}: greedy tokens");
        assert_eq!(answer.text, case.text, "{id}: text");
    }
}

fn compare_folder(name: &str, checkpoint: &Path) {
    compare(name, &load(checkpoint).unwrap());
}

/// One f16 file, names, sparse config and processor files as published by transformers 4.
#[test]
fn llava_as_published_answers_as_in_transformers() {
    compare_folder("tiny-llava-published", &reference("tiny-llava-published").join("checkpoint"));
}

/// Four shards, names and config of transformers 5.
#[test]
fn next_with_vicuna_answers_as_in_transformers() {
    compare_folder("tiny-llava-next-vicuna", &reference("tiny-llava-next-vicuna").join("checkpoint"));
}

/// One f16 file, names, sparse config and processor files as published by transformers 4; a sliding window shorter than the prompts.
#[test]
fn next_with_mistral_answers_as_in_transformers() {
    compare_folder("tiny-llava-next-mistral", &reference("tiny-llava-next-mistral").join("checkpoint"));
}

/// The LLaVA repository's layout, the tower in the folder beside it.
#[test]
fn med_answers_as_transformers_with_the_same_weights() {
    compare_folder("tiny-llava-med", &reference("tiny-llava-med").join("checkpoint"));
}

/// In shards with an index, as LLaVA-Med v1.5 was published.
#[test]
fn med_in_shards_answers_alike() {
    let folder = Folder::copy_of("tiny-llava-med");
    let whole = folder.file("model.safetensors");
    let bytes = std::fs::read(&whole).unwrap();
    std::fs::remove_file(&whole).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap().tensors();
    let mut places = BTreeMap::new();
    for (i, shard) in tensors.chunks(tensors.len().div_ceil(4)).enumerate() {
        let name = format!("model-{:05}-of-00004.safetensors", i + 1);
        std::fs::write(folder.file(&name), safetensors::serialize(shard.iter().cloned(), None).unwrap()).unwrap();
        places.extend(shard.iter().map(|(tensor, _)| (tensor.clone(), name.clone())));
    }
    let index = serde_json::json!({"metadata": {"total_size": bytes.len()}, "weight_map": places});
    std::fs::write(folder.file("model.safetensors.index.json"), index.to_string()).unwrap();
    compare_folder("tiny-llava-med", &folder.checkpoint());
}
