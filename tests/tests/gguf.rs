//! A LLaVA-1.5, a Qwen2-VL and a Qwen2.5-VL in llama.cpp's files, as gguf's own code writes and unpacks them (`tests/reference/gguf_cases.py`): they load
//! packed and answer as transformers does with what that unpacks.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod process;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pollster::FutureExt;
use safetensors::{Dtype, tensor::TensorView};
use serde_json::{Value, json};
use steady_tests::reference::sha256;
use steady_vlm::image::{ImageOptions, PixelBackend};
use steady_vlm::{Checkpoint, Decoding, DeviceChoice, Precision, Vlm, VlmError};
use tempfile::TempDir;

use process::{refuse, stderr, steady, text};

fn reference_of(family: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("reference/gguf").join(family)
}

fn reference() -> PathBuf {
    reference_of("llava")
}

fn facts_of(family: &str) -> Value {
    serde_json::from_slice(&std::fs::read(reference_of(family).join("answer.json")).unwrap()).unwrap()
}

fn facts() -> Value {
    facts_of("llava")
}

/// The files `names` of a family's reference and those of its base, in a folder of their own.
fn folder_of(family: &str, names: &[&str]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for entry in std::fs::read_dir(reference_of(family).join("base")).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    for name in names {
        std::fs::copy(reference_of(family).join(name), folder.path().join(name)).unwrap();
    }
    folder
}

fn folder(names: &[&str]) -> TempDir {
    folder_of("llava", names)
}

/// The picture that a family's model was asked about.
fn picture_of(family: &str, facts: &Value) -> PathBuf {
    let images = if family == "llava" { "tiny-llava/images" } else { "tiny-qwen2-vl/images" };
    Path::new(env!("CARGO_MANIFEST_DIR")).join("reference").join(images).join(facts["image"].as_str().unwrap())
}

fn open(folder: &Path) -> Result<(Checkpoint, Vlm), VlmError> {
    let images = ImageOptions { backend: PixelBackend::Pil, ..ImageOptions::default() };
    let checkpoint = Checkpoint::open(folder)?.with_images(images);
    let vlm = Vlm::load(&checkpoint, &DeviceChoice::Cpu.open()?.device, Precision::F32)?;
    Ok((checkpoint, vlm))
}

#[test]
fn blocks_answer_as_gguf_unpacks_them() {
    // Two layers of the decoder but for two in f16, a layer of each of the tower's two MLPs and one of the projector.
    answers_as_unpacked("llava", 2 * 7 - 2 + 2 + 1);
}

/// Of the towers queries, keys and values as one layer, and the layer behind attention, in each block; of the merger a layer.
#[test]
fn qwen_models_answer_as_gguf_unpacks_them() {
    answers_as_unpacked("qwen2_vl", 2 * 7 - 2 + (1 + 3) + 1);
    answers_as_unpacked("qwen2_5_vl", 2 * 7 - 2 + (2 + 4) + 1);
}

/// Whether a family's files load with so many packed layers and answer as the reference.
fn answers_as_unpacked(family: &str, packed: usize) {
    let folder = folder_of(family, &["model.gguf", "mmproj.gguf"]);
    let (facts, (checkpoint, vlm)) = (facts_of(family), open(folder.path()).unwrap());
    let matrices = facts["matrices"].as_object().unwrap();
    assert_eq!(matrices.len(), packed);
    let footprint = checkpoint.footprint().unwrap();
    assert_eq!(footprint.linears().iter().filter(|linear| linear.packed.is_some()).count(), matrices.len());
    assert_eq!(footprint.weight_bytes(Precision::F32), vlm.weight_bytes() as u64);
    for (name, expected) in matrices {
        let matrix = vlm.matrix(name).block_on().unwrap().unwrap();
        let bytes: Vec<u8> = matrix.data.iter().flat_map(|value| value.to_le_bytes()).collect();
        assert_eq!(sha256(&bytes), expected.as_str().unwrap(), "{name} is not what gguf unpacks");
    }
    let image = steady_vlm::image::load(&picture_of(family, &facts)).unwrap();
    let prepared = vlm.prepare(&image, &vlm.prompt(facts["question"].as_str().unwrap()).unwrap()).unwrap();
    assert_eq!(json!(prepared.input_ids), facts["input_ids"]);
    let options = Decoding { max_new_tokens: facts["output_ids"].as_array().unwrap().len(), ..Decoding::default() };
    let answer = vlm.ask(&prepared, None, &options).block_on().unwrap();
    assert_eq!(json!(answer.output_ids), facts["output_ids"]);
    let expected: Vec<f64> = serde_json::from_value(facts["logits"].clone()).unwrap();
    assert_eq!(answer.first_logits.len(), expected.len());
    for (found, expected) in answer.first_logits.iter().zip(expected) {
        assert!((f64::from(*found) - expected).abs() < 1e-4, "{found}, by transformers {expected}");
    }
}

/// transformers' tables have some rows more than the language model had tokens: for the image's placeholder, and to a round number.
#[test]
fn rows_of_tokens_that_are_never_said_may_be_missing() {
    let with_more = |more: u64| {
        let folder = folder(&["model.gguf", "mmproj.gguf"]);
        let config = folder.path().join("config.json");
        let mut json: Value = serde_json::from_slice(&std::fs::read(&config).unwrap()).unwrap();
        let size = &mut json["text_config"]["vocab_size"];
        *size = json!(size.as_u64().unwrap() + more);
        std::fs::write(config, json.to_string()).unwrap();
        let answer = |(checkpoint, vlm): (Checkpoint, Vlm)| {
            assert_eq!(checkpoint.footprint().unwrap().weight_bytes(Precision::F32), vlm.weight_bytes() as u64);
            let image = steady_vlm::image::load(&picture_of("llava", &facts())).unwrap();
            let prepared = vlm.prepare(&image, &vlm.prompt("how many?").unwrap()).unwrap();
            vlm.ask(&prepared, None, &Decoding { max_new_tokens: 12, ..Decoding::default() }).block_on().unwrap()
        };
        open(folder.path()).map(answer)
    };
    let (exact, more) = (with_more(0).unwrap(), with_more(64).unwrap());
    assert_eq!(more.output_ids, exact.output_ids);
    let tokens = exact.first_logits.len();
    assert_eq!(more.first_logits.len(), tokens + 64);
    for (at, (found, expected)) in more.first_logits.iter().zip(&exact.first_logits).enumerate() {
        assert!((found - expected).abs() < 1e-5, "{at}: {found} and {expected}");
    }
    // What is there for them is never above the first token.
    assert!(more.first_logits[tokens..].iter().all(|logit| (logit - more.first_logits[0]).abs() < 1e-5));
    let error = with_more(600).err().unwrap().to_string();
    assert!(error.contains("token_embd.weight") && error.contains("expected shape [1008, 256]"), "{error}");
}

/// What is said of one of the files with `change` made to it.
fn changed(name: &str, change: impl FnOnce(&mut Vec<u8>)) -> String {
    changed_of("llava", name, change)
}

fn changed_of(family: &str, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> String {
    let folder = folder_of(family, &["model.gguf", "mmproj.gguf"]);
    let mut bytes = std::fs::read(folder.path().join(name)).unwrap();
    change(&mut bytes);
    std::fs::write(folder.path().join(name), bytes).unwrap();
    open(folder.path()).err().unwrap().to_string()
}

/// Where `text` ends in the file.
fn behind(bytes: &[u8], text: &str) -> usize {
    bytes.windows(text.len()).position(|window| window == text.as_bytes()).unwrap() + text.len()
}

#[test]
fn what_is_not_read_is_refused_by_name() {
    let error = changed("model.gguf", |bytes| bytes[0] = b'X');
    assert!(error.contains("model.gguf") && error.contains("does not begin with GGUF"), "{error}");
    let error = changed("model.gguf", |bytes| bytes[4] = 1);
    assert!(error.contains("is of version 1"), "{error}");
    let error = changed("model.gguf", |bytes| bytes.truncate(100));
    assert!(error.contains("its header ends in the middle"), "{error}");
    let error = changed("mmproj.gguf", |bytes| bytes.truncate(bytes.len() - 64));
    assert!(error.contains("mmproj.gguf") && error.contains("ends behind the file"), "{error}");
    // A type of blocks that is not read, by its name: behind a tensor's name are its two dimensions of eight bytes, and how many they are.
    let error = changed("model.gguf", |bytes| {
        let at = behind(bytes, "blk.1.attn_k.weight") + 4 + 16;
        bytes[at] = 11;
    });
    assert!(error.contains("is of type 11 (Q3_K); read are F32, F16, BF16, Q4_0, Q8_0, Q4_K, Q5_K, Q6_K"), "{error}");
    // A setting and a tensor that are not the configuration's.
    let error = changed("model.gguf", |bytes| {
        let at = behind(bytes, "llama.attention.head_count_kv") + 4;
        bytes[at] = 2;
    });
    assert!(error.contains("llama.attention.head_count_kv is 2; the configuration says 1"), "{error}");
    let error = changed("model.gguf", |bytes| {
        let at = behind(bytes, "blk.1.ffn_gate.weight") + 4 + 8;
        bytes[at] = 24;
    });
    assert!(error.contains("blk.1.ffn_gate.weight") && error.contains("expected shape [32, 256]"), "{error}");
    let error = changed("model.gguf", |bytes| {
        let at = behind(bytes, "blk.1.ffn_gate");
        bytes[at - 4..at].copy_from_slice(b"gone");
    });
    assert!(error.contains("language_model.layers.1.mlp.gate_proj.weight") && error.contains("missing"), "{error}");
}

/// What a Qwen model's files say otherwise than its configuration, and parts that make no layer.
#[test]
fn what_is_another_qwen_is_refused_by_name() {
    let other = folder_of("qwen2_vl", &["model.gguf"]);
    std::fs::copy(reference_of("qwen2_5_vl").join("mmproj.gguf"), other.path().join("mmproj.gguf")).unwrap();
    let error = open(other.path()).err().unwrap().to_string();
    assert!(error.contains("clip.projector_type is `qwen2.5vl_merger`; the configuration's is `qwen2vl_merger`"), "{error}");
    let error = changed_of("qwen2_5_vl", "mmproj.gguf", |bytes| {
        let at = behind(bytes, "clip.vision.n_wa_pattern") + 4;
        bytes[at] = 4;
    });
    assert!(error.contains("mmproj.gguf") && error.contains("clip.vision.n_wa_pattern is 4; the configuration says 2"), "{error}");
    // Behind the key are the kind of a list, that of its numbers, and how many they are.
    let error = changed_of("qwen2_vl", "model.gguf", |bytes| {
        let at = behind(bytes, "qwen2vl.rope.dimension_sections") + 4 + 4 + 8;
        bytes[at] = 9;
    });
    assert!(error.contains("rope.dimension_sections is [9.0, 12.0, 12.0, 0.0]; the configuration says [8, 12, 12]"), "{error}");
    let error = changed_of("qwen2_vl", "mmproj.gguf", |bytes| {
        let at = behind(bytes, "v.blk.1.attn_k.weight") + 4 + 16;
        bytes[at] = 30;
    });
    assert!(error.contains("`v.blk.1.attn_q.weight` is F16 [32, 32], and `v.blk.1.attn_k.weight` BF16"), "{error}");
    let error = changed_of("qwen2_vl", "mmproj.gguf", |bytes| {
        let at = behind(bytes, "v.blk.2.attn_v");
        bytes[at - 1] = b'x';
    });
    assert!(error.contains("`visual.blocks.2.attn.qkv.weight` is 3 tensors there, and 1 of them are missing"), "{error}");
    // A base whose blocks no number describes.
    let base = folder_of("qwen2_5_vl", &["model.gguf", "mmproj.gguf"]);
    let config = base.path().join("config.json");
    let mut json: Value = serde_json::from_slice(&std::fs::read(&config).unwrap()).unwrap();
    json["vision_config"]["fullatt_block_indexes"] = json!([0, 3]);
    std::fs::write(config, json.to_string()).unwrap();
    let error = open(base.path()).err().unwrap().to_string();
    assert!(error.contains("fullatt_block_indexes: blocks [0, 3] of 4 attend to the whole image"), "{error}");
}

/// Whatever a header says, it is read or refused.
#[test]
fn a_header_of_anything_is_no_panic() {
    // Most of the first is the vocabulary, which is not looked at.
    for (family, file, last, step, least) in
        [("llava", "model.gguf", "blk.1.ffn_down.weight", 41, 20), ("qwen2_vl", "mmproj.gguf", "v.blk.2.ln2.bias", 13, 100)]
    {
        let folder = folder_of(family, &["model.gguf", "mmproj.gguf"]);
        let whole = std::fs::read(reference_of(family).join(file)).unwrap();
        let header = behind(&whole, last) + 32;
        let mut refused = 0;
        for at in (0..header).step_by(step) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0xff;
            std::fs::write(folder.path().join(file), bytes).unwrap();
            refused += usize::from(open(folder.path()).is_err());
        }
        assert!(refused > least, "{family}: {refused}");
    }
}

#[test]
fn a_file_without_its_other_half_is_refused() {
    let error = open(folder(&["model.gguf"]).path()).err().unwrap().to_string();
    assert!(error.contains("has no mmproj*.gguf") && error.contains("vision tower and projector are another file"), "{error}");
    let error = open(folder(&["mmproj.gguf"]).path()).err().unwrap().to_string();
    assert!(error.contains("has no *.gguf"), "{error}");
    let two = folder(&["model.gguf", "mmproj.gguf"]);
    std::fs::copy(reference().join("model.gguf"), two.path().join("other.gguf")).unwrap();
    let error = open(two.path()).err().unwrap().to_string();
    assert!(error.contains("holds 2 language models and 1 vision towers"), "{error}");
}

/// The float checkpoint that the files are of, with any weights.
fn base() -> TempDir {
    let folder = folder(&[]);
    let shapes: BTreeMap<String, Vec<usize>> = serde_json::from_value(facts()["shapes"].clone()).unwrap();
    let noise = |at: usize, of: usize| ((at as f32 * 0.37).sin() * 7.3).sin() / (of as f32).sqrt();
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = shapes
        .into_iter()
        .map(|(name, shape)| {
            let wide = shape[1..].iter().product::<usize>().max(1);
            let bytes = (0..shape.iter().product()).flat_map(|at| noise(at, wide).to_le_bytes()).collect();
            (name, shape, bytes)
        })
        .collect();
    let views = tensors.iter().map(|(name, shape, bytes)| (name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
    let file = safetensors::serialize(views.collect::<Vec<_>>(), None).unwrap();
    std::fs::write(folder.path().join("model.safetensors"), file).unwrap();
    folder
}

/// A file of llama.cpp's beside its float checkpoint, which says how it is asked.
#[test]
fn a_file_is_compared_with_its_base() {
    let (base, dir) = (base(), TempDir::new().unwrap());
    let (model, projector) = (dir.path().join("small.gguf"), dir.path().join("mmproj-small.gguf"));
    std::fs::copy(reference().join("model.gguf"), &model).unwrap();
    let out = dir.path().join("run");
    let words = ["run", "--model", text(base.path()), "--against", text(&model), "--device", "cpu", "--questions", "5"];
    let words = [&words[..], &["--control", "order", "--json", "--out", text(&out)]].concat();
    let said = refuse(&words);
    assert!(said.contains("--against") && said.contains("*mmproj*.gguf, and there is none in"), "{said}");

    let said = refuse(&["run", "--model", text(&model)]);
    assert!(said.contains("holds weights alone") && said.contains("--model BASE --against"), "{said}");

    std::fs::copy(reference().join("mmproj.gguf"), &projector).unwrap();
    let output = steady(&words).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let column = &report["accelerations"][0];
    assert_eq!(column["spec"], "checkpoint:small.gguf");
    assert_eq!(column["answers"].as_array().unwrap().len(), 5);
    let describe = column["what_it_is"].as_str().unwrap();
    assert!(describe.contains("small.gguf") && describe.contains("15 of") && describe.contains("packed"), "{describe}");

    std::fs::copy(reference().join("mmproj.gguf"), dir.path().join("mmproj-other.gguf")).unwrap();
    let said = refuse(&words);
    assert!(said.contains("several files with a vision tower") && said.contains("mmproj-other.gguf, mmproj-small.gguf"), "{said}");
}
