//! Checkpoint folders as people publish them, edited as `tests/reference/variant_cases.py` edits them, against what transformers makes of each.

use std::collections::BTreeMap;

use pollster::FutureExt;
use safetensors::SafeTensors;
use safetensors::tensor::{TensorView, serialize};
use serde_json::{Value, json};
use steady_vlm::Device;
use steady_vlm::image::{ImageOptions, PixelBackend};
use steady_vlm::{Checkpoint, Decoding, Precision, Vlm, VlmError};

use super::folder::{Folder, reference, rows};

const CASES: &str = "variants/variants.json";

/// The folder of a case.
fn folder(case: &Value) -> Folder {
    let folder = Folder::copy_of(case["checkpoint"].as_str().unwrap());
    for edit in case["edits"].as_array().unwrap() {
        let part = |at: usize| edit[at].as_str().unwrap();
        match part(0) {
            "set" => drop(folder.set(part(1), part(2), edit[3].clone())),
            "delete" => delete(&folder, part(1), part(2)),
            "remove" => drop(folder.remove(part(1))),
            "prefix" => drop(folder.write(part(1), [part(2).as_bytes(), &folder.read(part(1))].concat())),
            "token-outside" => token_outside(&folder, part(1), edit[2].as_str()),
            "tensor" => tensors(&folder, None, |held| drop(held.remove(part(1)).unwrap())),
            "tensor-copy" => tensors(&folder, None, |held| {
                let factor = edit[3].as_f64().unwrap() as f32;
                let (shape, data) = held[part(1)].clone();
                held.insert(part(2).to_owned(), (shape, data.into_iter().map(|value| value * factor).collect()));
            }),
            "tensor-zeros" => tensors(&folder, edit[3].as_str(), |held| {
                let shape: Vec<usize> = serde_json::from_value(edit[2].clone()).unwrap();
                let elements = shape.iter().product();
                held.insert(part(1).to_owned(), (shape, vec![0.0; elements]));
            }),
            other => panic!("edit {other} is not known"),
        }
    }
    folder
}

fn delete(folder: &Folder, file: &str, pointer: &str) {
    let mut json: Value = serde_json::from_slice(&folder.read(file)).unwrap();
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    json.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(field).unwrap();
    folder.write(file, json.to_string());
}

fn token_outside(folder: &Folder, token: &str, target: Option<&str>) {
    let mut json: Value = serde_json::from_slice(&folder.read("tokenizer.json")).unwrap();
    let added = json["added_tokens"].as_array_mut().unwrap();
    let at = added.iter().position(|entry| entry["content"] == token).unwrap();
    let mut entry = added.remove(at);
    json["model"]["vocab"].as_object_mut().unwrap().remove(token);
    folder.write("tokenizer.json", json.to_string());
    let id = entry.as_object_mut().unwrap().remove("id").unwrap();
    match target {
        Some("added_tokens.json") => drop(folder.write("added_tokens.json", json!({ token: id }).to_string())),
        Some(file) => drop(folder.set(file, "/added_tokens_decoder", json!({ id.to_string(): entry }))),
        None => {}
    }
}

type Held = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// Edits the tensors of a weight file, all of which become f32: the numbers are the same.
fn tensors(folder: &Folder, file: Option<&str>, edit: impl FnOnce(&mut Held)) {
    let file = file.unwrap_or("model.safetensors");
    let bytes = folder.read(file);
    let mut held: Held = SafeTensors::deserialize(&bytes)
        .unwrap()
        .tensors()
        .into_iter()
        .map(|(name, view)| {
            let halves = || view.data().chunks_exact(2).map(|pair| [pair[0], pair[1]]);
            let data = match view.dtype() {
                safetensors::Dtype::F32 => view.data().chunks_exact(4).map(|quad| f32::from_le_bytes(quad.try_into().unwrap())).collect(),
                safetensors::Dtype::BF16 => halves().map(|pair| half::bf16::from_le_bytes(pair).to_f32()).collect(),
                safetensors::Dtype::F16 => halves().map(|pair| half::f16::from_le_bytes(pair).to_f32()).collect(),
                other => panic!("{name} is {other:?}"),
            };
            (name, (view.shape().to_vec(), data))
        })
        .collect();
    edit(&mut held);
    let bytes: Vec<(String, Vec<usize>, Vec<u8>)> =
        held.into_iter().map(|(name, (shape, data))| (name, shape, data.into_iter().flat_map(f32::to_le_bytes).collect())).collect();
    let views = bytes.iter().map(|(name, shape, data)| (name, TensorView::new(safetensors::Dtype::F32, shape.clone(), data).unwrap()));
    folder.write(file, serialize(views, None).unwrap());
}

fn ids(value: &Value) -> Vec<u32> {
    serde_json::from_value(value.clone()).unwrap()
}

/// Loads the folder of a case and compares what it decodes by, the ids of the prompt, the likeliest logits and the answer with `expected`.
fn agrees(case: &Value, expected: &Value) -> Result<(), VlmError> {
    let name = case["name"].as_str().unwrap();
    let folder = folder(case);
    let checkpoint = Checkpoint::open(folder.path())?.with_images(ImageOptions { backend: PixelBackend::Pil, ..ImageOptions::default() });
    let generation = checkpoint.generation_config();
    let end: Vec<i64> = serde_json::from_value::<Option<Vec<i64>>>(expected["eos"].clone()).unwrap().unwrap_or_default();
    let end: Vec<u32> = end.into_iter().filter_map(|id| u32::try_from(id).ok()).collect();
    assert_eq!(generation.eos_token_ids, end, "{name}: end tokens");
    assert_eq!(generation.bos_token_id.map(u64::from), expected["bos"].as_u64(), "{name}: first token");
    assert_eq!(generation.pad_token_id.map(u64::from), expected["pad"].as_u64(), "{name}: padding");
    assert_eq!(generation.max_new_tokens.map(|limit| limit as u64), expected["max_new_tokens"].as_u64(), "{name}: limit");
    let penalty = expected["repetition_penalty"].as_f64().unwrap_or(1.0) as f32;
    assert_eq!(generation.repetition_penalty, penalty, "{name}: repetition penalty");
    if let Some(asked) = expected["asked"].as_str() {
        assert_eq!(checkpoint.chat_template()?.prompt("hm?")?, asked, "{name}: prompt of the chat template");
    }
    let model = Vlm::load(&checkpoint, &Device::Cpu, Precision::F32)?;
    let footprint = checkpoint.footprint()?.weight_bytes(Precision::F32);
    assert_eq!(model.weight_bytes() as u64, footprint, "{name}: bytes of the weights");
    let image = steady_vlm::image::load(&reference().join(case["image"].as_str().unwrap()))?;
    let prepared = model.prepare(&image, case["prompt"].as_str().unwrap())?;
    assert_eq!(prepared.input_ids, ids(&expected["input_ids"]), "{name}: ids of the prompt");
    let answer = model.ask(&prepared, None, &Decoding { max_new_tokens: 12, ..Decoding::default() }).block_on()?;
    let mut logits = answer.first_logits.clone();
    logits.sort_by(|a, b| b.total_cmp(a));
    for (found, best) in logits.iter().zip(expected["best"].as_array().unwrap()) {
        assert!((f64::from(*found) - best.as_f64().unwrap()).abs() < 1e-3, "{name}: logits {found} {best}");
    }
    assert_eq!(answer.output_ids, ids(&expected["output_ids"]), "{name}: answer");
    let ended = answer.output_ids.last().is_some_and(|last| end.contains(last));
    assert_eq!(answer.cut, !ended, "{name}: cut");
    Ok(())
}

/// What transformers refuses and is refused here too, with the reason.
const REFUSED: [(&str, [&str; 2]); 2] = [
    ("image token in added_tokens.json alone", ["tokenizer.json", "`<image>` does not become one token each"]),
    ("the first name of the Qwen2.5-VL processor", ["`image_processor_type`", "write `Qwen2VLImageProcessor`"]),
];

/// What transformers takes and is refused here, with the reason.
const STRICTER: [(&str, [&str; 2]); 2] = [
    ("another class in architectures", ["`architectures`", "`LlamaForCausalLM` is not known"]),
    ("unlisted tensor in a shard", ["`language_model.model.layers.0.self_attn.surprise`", "does not list it"]),
];

#[test]
fn folders_are_read_as_transformers_reads_them() {
    let cases = rows(CASES);
    assert!(cases.len() >= 40, "{} cases", cases.len());
    let named = |name: &str| cases.iter().find(|case| case["name"] == name).unwrap();
    let mut told = 0;
    for case in &cases {
        let name = case["name"].as_str().unwrap();
        let refusal = REFUSED.iter().chain(&STRICTER).find(|(refused, _)| *refused == name).map(|(_, says)| says);
        if let Some(says) = refusal {
            let whole = if case["checkpoint"].as_str().unwrap().contains("qwen") { "Qwen2-VL as it is" } else { "as it is" };
            let error = agrees(case, named(whole)).unwrap_err().to_string();
            assert!(says.iter().all(|part| error.contains(part)), "{name}: {error}");
            told += 1;
        } else if case["refused"].is_null() {
            agrees(case, case).unwrap_or_else(|error| panic!("{name}: {error}"));
        } else {
            // A byte order mark in front of JSON, with which transformers reads nothing: it can mean one thing only.
            assert!(name.starts_with("byte order mark in"), "{name}");
            agrees(case, named("as it is")).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }
    assert_eq!(told, 4);
}

fn says<T>(result: Result<T, VlmError>, parts: &[&str]) {
    let Err(error) = result else { panic!("expected an error with {parts:?}") };
    let error = error.to_string();
    assert!(parts.iter().all(|part| error.contains(part)), "expected {parts:?}: {error}");
}

const POINTER: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 988097824\n";

#[test]
fn pointers_of_git_lfs_are_told() {
    for file in ["model-00001-of-00004.safetensors", "tokenizer.json", "config.json", "model.safetensors.index.json", "chat_template.jinja"]
    {
        let folder = Folder::tiny();
        folder.write(file, POINTER);
        let parts = [file, "Git LFS pointer", "988097824 bytes", "git lfs pull"];
        let Ok(checkpoint) = Checkpoint::open(folder.path()) else {
            says(Checkpoint::open(folder.path()), &parts);
            continue;
        };
        match file {
            "tokenizer.json" => says(checkpoint.tokenizer(), &parts),
            "chat_template.jinja" => says(checkpoint.chat_template(), &parts),
            _ => says(checkpoint.weights(), &parts),
        }
        says(checkpoint.sha256(), &parts);
    }
}

/// A link to nothing is a file that was meant to be there: generation settings that are passed over change answers.
#[cfg(unix)]
#[test]
fn a_link_to_nothing_is_no_absent_file() {
    for file in ["generation_config.json", "config.json", "processor_config.json", "chat_template.jinja", "tokenizer.json"] {
        let folder = Folder::tiny();
        folder.remove(file);
        std::os::unix::fs::symlink("../blobs/0123abcd", folder.path().join(file)).unwrap();
        let parts = [file, "is a link to ../blobs/0123abcd, which is not there"];
        let Ok(checkpoint) = Checkpoint::open(folder.path()) else {
            says(Checkpoint::open(folder.path()), &parts);
            continue;
        };
        match file {
            "tokenizer.json" => says(checkpoint.tokenizer(), &parts),
            "chat_template.jinja" => says(checkpoint.chat_template(), &parts),
            _ => says(checkpoint.image_processor(), &parts),
        }
    }
    // A link that leads somewhere is the file.
    let folder = Folder::tiny();
    let elsewhere = Folder::tiny();
    folder.remove("generation_config.json");
    std::os::unix::fs::symlink(elsewhere.path().join("generation_config.json"), folder.path().join("generation_config.json")).unwrap();
    assert_eq!(folder.open().generation_config(), elsewhere.open().generation_config());
}

#[test]
fn adapters_are_told() {
    let settings = json!({"peft_type": "LORA", "base_model_name_or_path": "llava-hf/llava-1.5-7b-hf", "r": 8}).to_string();
    let folder = Folder::tiny();
    folder.write("adapter_config.json", &settings);
    let parts = ["adapter_config.json", "LORA", "llava-hf/llava-1.5-7b-hf", "merge_and_unload"];
    says(Checkpoint::open(folder.path()), &parts);
    // The folder of an adapter alone.
    folder.remove("config.json");
    says(Checkpoint::open(folder.path()), &parts);
    let folder = Folder::tiny();
    folder.write("adapter_model.safetensors", "");
    folder.open();
    folder.remove("config.json");
    says(Checkpoint::open(folder.path()), &["adapter_model.safetensors", "adapter of PEFT"]);
}

/// Folders of quantizers that wrote no `quantization_config`, and pickled weights.
#[test]
fn packed_weights_are_told() {
    const LAYER: &str = "language_model.model.layers.0.self_attn.q_proj.";
    for (trace, by) in [("qweight", "AWQ or GPTQ"), ("g_idx", "GPTQ"), ("weight_packed", "compressed-tensors")] {
        let folder = Folder::tiny();
        let index: Value = serde_json::from_slice(&folder.read("model.safetensors.index.json")).unwrap();
        let shard = index["weight_map"][format!("{LAYER}weight")].as_str().unwrap().to_owned();
        tensors(&folder, Some(&shard), |held| {
            let weight = held.remove(&format!("{LAYER}weight")).unwrap();
            held.insert(format!("{LAYER}{trace}"), weight);
        });
        folder.set("model.safetensors.index.json", &format!("/weight_map/{LAYER}{trace}"), json!(shard));
        delete(&folder, "model.safetensors.index.json", &format!("/weight_map/{LAYER}weight"));
        let load = Vlm::load(&folder.open(), &Device::Cpu, Precision::F32);
        says(
            load.map(|_| ()),
            &[&shard, &format!("`{LAYER}{trace}`"), &format!("packed by {by}"), "quantization_config", "float checkpoint"],
        );
        says(folder.open().footprint(), &[&shard, "float checkpoint"]);
    }
    let folder = Folder::tiny();
    folder.remove("model.safetensors.index.json").write("pytorch_model.bin", "PK");
    says(folder.open().weights(), &["model.safetensors", "pytorch_model.bin is the older kind", "save_pretrained"]);
}

/// What a prompt needs is no chat template; a question does, and then the reason is told.
#[test]
fn a_whole_prompt_needs_no_chat_template() {
    let folder = Folder::tiny();
    folder.remove("chat_template.jinja");
    let model = Vlm::load(&folder.open(), &Device::Cpu, Precision::F32).unwrap();
    let image = steady_vlm::image::load(&reference().join("tiny-llava/images/tiny.png")).unwrap();
    let prepared = model.prepare(&image, "USER: <image>\nwhat is it? ASSISTANT:").unwrap();
    let limit = |max_new_tokens| Decoding { max_new_tokens, ..Decoding::default() };
    assert_eq!(model.ask(&prepared, None, &limit(3)).block_on().unwrap().output_ids.len(), 3);
    says(model.prompt("what is it?"), &["chat_template.jinja", "questions are put into it"]);
    folder.write("chat_template.jinja", "{{ raise_exception('not today') }}");
    let model = Vlm::load(&folder.open(), &Device::Cpu, Precision::F32).unwrap();
    says(model.prompt("what is it?"), &["chat_template.jinja", "not today"]);
}
