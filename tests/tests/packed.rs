//! Checkpoints that were quantized before they were published, packed by the tools that publish them (`tests/reference/packed_cases.py`): they load
//! as they are and answer as transformers does with what each tool unpacks.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod process;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use pollster::FutureExt;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde_json::{Value, json};
use steady_vlm::image::{ImageOptions, PixelBackend};
use steady_vlm::{Checkpoint, Decoding, DeviceChoice, Precision, Vlm, VlmError};
use tempfile::TempDir;

use process::{refuse, stderr, steady, text};

const CASES: [&str; 8] = ["awq", "ct-asymmetric", "ct-bf16", "ct-channel", "ct-symmetric", "gptq", "gptq-asymmetric", "gptq-v2"];

fn reference() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("reference")
}

fn facts(case: &str) -> Value {
    serde_json::from_slice(&std::fs::read(reference().join(format!("packed/{case}.json"))).unwrap()).unwrap()
}

type Tensors = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

fn tensors_of(file: &Path) -> Tensors {
    let bytes = std::fs::read(file).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap().tensors();
    tensors.into_iter().map(|(name, tensor)| (name, (tensor.dtype(), tensor.shape().to_vec(), tensor.data().to_vec()))).collect()
}

/// The case's folder, its section and its tensors changed.
fn folder(case: &str, section: impl FnOnce(&mut Value), change: impl FnOnce(&mut Tensors)) -> TempDir {
    let folder = TempDir::new().unwrap();
    let base = reference().join("packed/base");
    for entry in std::fs::read_dir(&base).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    let mut tensors = tensors_of(&base.join("model.safetensors"));
    tensors.extend(tensors_of(&reference().join(format!("packed/{case}.safetensors"))));
    change(&mut tensors);
    let views = tensors.iter().map(|(name, (dtype, shape, bytes))| (name, TensorView::new(*dtype, shape.clone(), bytes).unwrap()));
    let file = safetensors::serialize(views.collect::<Vec<_>>(), None).unwrap();
    std::fs::write(folder.path().join("model.safetensors"), file).unwrap();
    let mut config: Value = serde_json::from_slice(&std::fs::read(base.join("config.json")).unwrap()).unwrap();
    config["quantization_config"] = facts(case)["quantization_config"].clone();
    section(&mut config["quantization_config"]);
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    folder
}

fn load(folder: &TempDir, precision: Precision) -> Result<(Checkpoint, Vlm), VlmError> {
    let images = ImageOptions { backend: PixelBackend::Pil, ..ImageOptions::default() };
    let checkpoint = Checkpoint::open(folder.path())?.with_images(images);
    let vlm = Vlm::load(&checkpoint, &DeviceChoice::Cpu.open()?.device, precision)?;
    Ok((checkpoint, vlm))
}

fn refused(case: &str, section: impl FnOnce(&mut Value), change: impl FnOnce(&mut Tensors)) -> String {
    load(&folder(case, section, change), Precision::F32).err().unwrap().to_string()
}

#[test]
fn packed_files_answer_as_their_tools_unpack_them() {
    for case in CASES {
        let facts = facts(case);
        let folder = folder(case, |_| (), |_| ());
        let (checkpoint, vlm) = load(&folder, Precision::F32).unwrap();
        let footprint = checkpoint.footprint().unwrap();
        assert_eq!(footprint.linears().iter().filter(|linear| linear.packed.is_some()).count(), 2 * 7, "{case}");
        assert_eq!(footprint.weight_bytes(Precision::F32), vlm.weight_bytes() as u64, "{case}");

        let picture = reference().join("tiny-qwen2-vl/images").join(facts["images"][0].as_str().unwrap());
        let image = steady_vlm::image::load(&picture).unwrap();
        let prepared = vlm.prepare(&image, &vlm.prompt(facts["question"].as_str().unwrap()).unwrap()).unwrap();
        assert_eq!(json!(prepared.input_ids), facts["input_ids"], "{case}");
        let options = Decoding { max_new_tokens: facts["output_ids"].as_array().unwrap().len(), ..Decoding::default() };
        let answer = vlm.ask(&prepared, None, &options).block_on().unwrap();
        assert_eq!(json!(answer.output_ids), facts["output_ids"], "{case}");
        let expected: Vec<f64> = serde_json::from_value(facts["logits"].clone()).unwrap();
        assert_eq!(answer.first_logits.len(), expected.len());
        for (at, (found, expected)) in answer.first_logits.iter().zip(&expected).enumerate() {
            assert!((f64::from(*found) - expected).abs() < 1e-4, "{case}: logit {at} is {found}, by transformers {expected}");
        }
    }
}

#[test]
fn what_was_not_packed_keeps_the_models_precision() {
    let (_, f32) = load(&folder("awq", |_| (), |_| ()), Precision::F32).unwrap();
    let (_, bf16) = load(&folder("awq", |_| (), |_| ()), Precision::Bf16).unwrap();
    assert!(bf16.weight_bytes() < f32.weight_bytes());
}

const LAYER: &str = "model.layers.1.mlp.down_proj";

/// Replaces one tensor of [`LAYER`].
fn tensor(part: &str, change: impl FnOnce(&mut (Dtype, Vec<usize>, Vec<u8>))) -> impl FnOnce(&mut Tensors) {
    move |tensors| change(tensors.get_mut(&format!("{LAYER}.{part}")).unwrap())
}

#[test]
fn settings_that_are_not_read_are_refused_by_name() {
    for (case, field, value, expected) in [
        ("awq", "bits", json!(8), "quantization_config.bits`: expected 4, found 8"),
        ("awq", "version", json!("gemv"), "quantization_config.version`: `gemv` is not known; known: gemm"),
        ("awq", "group_size", json!("all"), "quantization_config.group_size`: expected an integer"),
        (
            "awq",
            "quant_method",
            json!("exl2"),
            "quantization_config.quant_method`: expected one of compressed-tensors, awq, gptq; found `exl2`",
        ),
        ("gptq", "checkpoint_format", json!("marlin"), "`marlin` is not known; known: gptq, gptq_v2"),
        ("gptq", "dynamic", json!({"-:.*down.*": {}}), "quantization_config.dynamic"),
        ("ct-symmetric", "format", json!("float-quantized"), "quantization_config.format`: `float-quantized` is not known"),
        ("ct-symmetric", "config_groups", json!({}), "quantization_config.config_groups`: is empty"),
        ("ct-symmetric", "transform_config", json!({"config_groups": {"u": {}}}), "quantization_config.transform_config`: is not read"),
    ] {
        let error = refused(case, |section| section[field] = value, |_| ());
        assert!(error.contains("config.json") && error.contains(expected), "{case}: {error}");
    }
    let within = |at: &'static str, value: Value| refused("ct-symmetric", |section| *section.pointer_mut(at).unwrap() = value, |_| ());
    let error = within("/config_groups/group_0/weights/num_bits", json!(8));
    assert!(error.contains("config_groups.group_0.weights.num_bits`: expected 4, found 8"), "{error}");
    let error = within("/config_groups/group_0/input_activations", json!({"num_bits": 8}));
    assert!(error.contains("group_0.input_activations`: quantized activations are not read"), "{error}");
    let error = within("/config_groups/group_0/weights/strategy", json!("block"));
    assert!(error.contains("strategy`: `block` is not known; known: group, channel"), "{error}");
}

#[test]
fn tensors_that_do_not_fit_are_refused_by_name() {
    let error = refused("awq", |section| section["group_size"] = json!(48), |_| ());
    assert!(error.contains("q_proj.qweight") && error.contains("in groups of 48"), "{error}");
    let error = refused("awq", |section| section["group_size"] = json!(64), |_| ());
    assert!(error.contains("q_proj.qzeros") && error.contains("expected shape [1, 8]"), "{error}");
    let error = refused("awq", |_| (), |tensors| drop(tensors.remove(&format!("{LAYER}.qzeros"))));
    assert!(error.contains("down_proj.qzeros"), "{error}");
    let error = refused("awq", |_| (), tensor("qweight", |(_, shape, _)| shape.reverse()));
    assert!(error.contains("down_proj.qweight") && error.contains("expected shape [96, 8]"), "{error}");
    let error = refused("gptq", |_| (), tensor("qweight", |(dtype, ..)| *dtype = Dtype::F32));
    assert!(error.contains("down_proj.qweight") && error.contains("32-bit integers"), "{error}");
    // Inputs in the order of their activations.
    let error = refused("gptq", |_| (), tensor("g_idx", |(_, _, bytes)| bytes[0] = 2));
    assert!(error.contains("down_proj.g_idx") && error.contains("desc_act"), "{error}");
    let error = refused("ct-symmetric", |_| (), tensor("weight_shape", |(_, _, bytes)| bytes[0] = 63));
    assert!(error.contains("down_proj.weight_shape") && error.contains("says [63, 96], expected [64, 96]"), "{error}");
    // A scale that f16 does not hold.
    let error = refused("ct-bf16", |_| (), tensor("weight_scale", |(_, _, bytes)| bytes[..2].copy_from_slice(&[0x81, 0x33])));
    assert!(error.contains("down_proj.weight_scale") && error.contains("not exactly a number in f16"), "{error}");
}

/// Old files have an order of inputs that says nothing, and biases of nothing.
#[test]
fn leftovers_of_packers_change_nothing() {
    let answer = |change: fn(&mut Tensors)| {
        let (_, vlm) = load(&folder("gptq", |_| (), change), Precision::F32).unwrap();
        let image = steady_vlm::image::load(&reference().join("tiny-qwen2-vl/images/wide.png")).unwrap();
        let prepared = vlm.prepare(&image, &vlm.prompt("how many?").unwrap()).unwrap();
        vlm.ask(&prepared, None, &Decoding::default()).block_on().unwrap()
    };
    let plain = answer(|_| ());
    let zeros = |tensors: &mut Tensors| {
        let (_, _, bytes) = tensors.get_mut(&format!("{LAYER}.g_idx")).unwrap();
        bytes.fill(0);
        tensors.insert(format!("{LAYER}.bias"), (Dtype::F16, vec![64], vec![0; 128]));
    };
    assert_eq!(answer(zeros), plain);
    assert_eq!(answer(|tensors| drop(tensors.remove(&format!("{LAYER}.g_idx")))), plain);
    // One that is something is no leftover.
    let bias = |tensors: &mut Tensors| drop(tensors.insert(format!("{LAYER}.bias"), (Dtype::F16, vec![64], vec![1; 128])));
    assert!(refused("gptq", |_| (), bias).contains("down_proj.bias"));
}

/// One packed checkpoint beside another, question by question, as a float one is compared with what was made of it.
#[test]
fn a_published_checkpoint_is_compared_with_its_base() {
    let folders: Vec<TempDir> = ["ct-symmetric", "gptq", "ct-bf16"].map(|case| folder(case, |_| (), |_| ())).into();
    let dir = TempDir::new().unwrap();
    // Named as people name them.
    let named: Vec<PathBuf> = ["base", "same", "other"].map(|name| dir.path().join(name)).into();
    for (folder, named) in folders.iter().zip(&named) {
        std::fs::rename(folder.path(), named).unwrap();
    }
    let out = dir.path().join("run");
    let arguments = |against: &[&PathBuf], out: &Path| -> Vec<String> {
        let against = against.iter().flat_map(|path| ["--against".to_owned(), text(path).to_owned()]);
        let rest = ["--device", "cpu", "--questions", "20", "--control", "order", "--json", "--out", text(out)].map(ToOwned::to_owned);
        ["run".to_owned(), "--model".to_owned(), text(&named[0]).to_owned()].into_iter().chain(against).chain(rest).collect()
    };
    let words = arguments(&[&named[1], &named[2]], &out);
    let output = steady(&words.iter().map(String::as_str).collect::<Vec<_>>()).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let columns = report["accelerations"].as_array().unwrap();
    assert_eq!(columns.iter().map(|column| &column["spec"]).collect::<Vec<_>>(), ["checkpoint:same", "checkpoint:other"]);
    let changed = |column: &Value| column["answers"].as_array().unwrap().iter().filter(|answer| answer["outcome"] != "same").count();
    // GPTQ's symmetric codes and scales are compressed-tensors', so nothing may differ; with scales in bf16 they are others.
    assert_eq!(changed(&columns[0]), 0);
    assert!(changed(&columns[1]) > 0);
    let describe = columns[0]["what_it_is"].as_str().unwrap();
    assert!(describe.contains("14 of") && describe.contains("packed") && describe.contains("sha256"), "{describe}");
    // What the plan says to run again is what was run.
    let plan: Value = serde_json::from_slice(&std::fs::read(out.join("plan.json")).unwrap()).unwrap();
    let command = plan["command"].as_str().unwrap();
    assert!(command.contains(&format!("--against {}", text(&named[1]))) && !command.contains("--accel"), "{command}");

    // What is asked otherwise is no other form of the same model.
    let template = named[1].join("chat_template.json");
    let json = std::fs::read_to_string(&template).unwrap();
    std::fs::write(&template, json.replace("Look closely.", "Look away.")).unwrap();
    std::fs::write(
        named[1].join("tokenizer_config.json"),
        std::fs::read_to_string(named[1].join("tokenizer_config.json")).unwrap().replace("Look closely.", "Look away."),
    )
    .unwrap();
    let words = arguments(&[&named[1]], &dir.path().join("prompts"));
    let said = refuse(&words.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(said.contains("prompts differ") && said.contains("Look away."), "{said}");
    let settings = named[2].join("generation_config.json");
    let json = std::fs::read_to_string(&settings).unwrap();
    std::fs::write(&settings, json.replace("1.05", "1.5")).unwrap();
    let words = arguments(&[&named[2]], &dir.path().join("decoding"));
    let said = refuse(&words.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(said.contains("rules of decoding differ") && said.contains("penalty 1.5"), "{said}");
    let words = arguments(&[&PathBuf::from("steady-llava")], &dir.path().join("families"));
    let said = refuse(&words.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(said.contains("architectures differ"), "{said}");
}
