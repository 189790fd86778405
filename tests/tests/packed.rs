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
use steady_tests::reference::sha256;
use steady_vlm::image::{ImageOptions, PixelBackend};
use steady_vlm::{Checkpoint, Decoding, DeviceChoice, LinearSize, Precision, Vlm, VlmError};
use tempfile::TempDir;

use process::{refuse, stderr, steady, text};

/// How far a logit may be from transformers': what is rounded on its way into a layer may be rounded the other way.
const CASES: [(&str, f64); 22] = [
    ("awq", 1e-4),
    ("bnb-fp4", 1e-4),
    ("bnb-int8", 2e-3),
    ("bnb-nf4", 1e-4),
    ("bnb-nf4-nested", 1e-4),
    ("ct-3", 1e-4),
    ("ct-8-channel", 1e-4),
    ("ct-8-group", 1e-4),
    ("ct-asymmetric", 1e-4),
    ("ct-bf16", 1e-4),
    ("ct-channel", 1e-4),
    ("ct-fp8", 2e-3),
    ("ct-fp8-weights", 1e-4),
    ("ct-int8", 2e-3),
    ("ct-ordered", 1e-4),
    ("ct-symmetric", 1e-4),
    ("gptq", 1e-4),
    ("gptq-3", 1e-4),
    ("gptq-8", 1e-4),
    ("gptq-asymmetric", 1e-4),
    ("gptq-ordered", 1e-4),
    ("gptq-v2", 1e-4),
];

fn reference() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("reference")
}

fn facts(case: &str) -> Value {
    serde_json::from_slice(&std::fs::read(reference().join(format!("packed/{case}.json"))).unwrap()).unwrap()
}

/// What the model calls a layer of the files.
fn canonical(name: &str) -> String {
    if name.starts_with("model.") { name.replacen("model.", "language_model.", 1) } else { name.to_owned() }
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
    let files = std::fs::read_dir(reference().join("packed")).unwrap().map(|entry| entry.unwrap().path());
    assert_eq!(files.filter(|file| file.extension().is_some_and(|extension| extension == "safetensors")).count(), CASES.len());
    let mut differ = Vec::new();
    for (case, tolerance) in CASES {
        let facts = facts(case);
        let folder = folder(case, |_| (), |_| ());
        let (checkpoint, vlm) = load(&folder, Precision::F32).unwrap();
        let footprint = checkpoint.footprint().unwrap();
        let matrices = facts["matrices"].as_object().unwrap();
        // bitsandbytes' blocks of 64 run through the matrix: where rows are not whole blocks there is no packed form.
        let blocks = |linear: &&LinearSize| !case.contains('4') || !case.starts_with("bnb") || linear.input.is_multiple_of(64);
        let named = |name: &str| matrices.keys().any(|key| canonical(key) == name);
        let expected = footprint.linears().iter().filter(|linear| named(&linear.name)).filter(blocks).count();
        assert!(expected >= 6, "{case}");
        assert_eq!(footprint.linears().iter().filter(|linear| linear.packed.is_some()).count(), expected, "{case}");
        assert_eq!(footprint.weight_bytes(Precision::F32), vlm.weight_bytes() as u64, "{case}");
        for (name, expected) in matrices {
            let matrix = vlm.matrix(&canonical(name)).block_on().unwrap().unwrap();
            let bytes: Vec<u8> = matrix.data.iter().flat_map(|value| value.to_le_bytes()).collect();
            if sha256(&bytes) != expected.as_str().unwrap() {
                differ.push(format!("{case}: {name} is not what the tool unpacks"));
            }
        }

        let picture = reference().join("tiny-qwen2-vl/images").join(facts["images"][0].as_str().unwrap());
        let image = steady_vlm::image::load(&picture).unwrap();
        let prepared = vlm.prepare(&image, &vlm.prompt(facts["question"].as_str().unwrap()).unwrap()).unwrap();
        assert_eq!(json!(prepared.input_ids), facts["input_ids"], "{case}");
        let options = Decoding { max_new_tokens: facts["output_ids"].as_array().unwrap().len(), ..Decoding::default() };
        let answer = vlm.ask(&prepared, None, &options).block_on().unwrap();
        if json!(answer.output_ids) != facts["output_ids"] {
            differ.push(format!("{case}: answers {:?}, by transformers {}", answer.output_ids, facts["output_ids"]));
        }
        let expected: Vec<f64> = serde_json::from_value(facts["logits"].clone()).unwrap();
        assert_eq!(answer.first_logits.len(), expected.len());
        for (at, (found, expected)) in answer.first_logits.iter().zip(&expected).enumerate() {
            if (f64::from(*found) - expected).abs() >= tolerance {
                differ.push(format!("{case}: logit {at} is {found}, by transformers {expected}"));
            }
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
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
        ("awq", "bits", json!(8), "quantization_config.bits`: expected one of 4, found 8"),
        ("gptq", "bits", json!(5), "quantization_config.bits`: expected one of 2, 3, 4, 8, found 5"),
        ("awq", "version", json!("gemv"), "quantization_config.version`: `gemv` is not known; known: gemm"),
        ("awq", "group_size", json!("all"), "quantization_config.group_size`: expected an integer"),
        (
            "awq",
            "quant_method",
            json!("exl2"),
            "quantization_config.quant_method`: expected one of compressed-tensors, awq, gptq, bitsandbytes; found `exl2`",
        ),
        ("gptq", "checkpoint_format", json!("marlin"), "`marlin` is not known; known: gptq, gptq_v2"),
        ("gptq", "dynamic", json!({"-:.*down.*": {}}), "quantization_config.dynamic"),
        (
            "ct-symmetric",
            "format",
            json!("marlin-24"),
            "quantization_config.format`: `marlin-24` is not known; known: pack-quantized, int-",
        ),
        ("ct-symmetric", "format", json!("float-quantized"), "weights.type`: `int` is not known; known: float"),
        ("bnb-int8", "load_in_8bit", json!(false), "quantization_config.load_in_4bit`: expected either this or load_in_8bit to be true"),
        ("bnb-int8", "llm_int8_threshold", json!(-1), "quantization_config.llm_int8_threshold`: expected a number above 0"),
        ("ct-symmetric", "config_groups", json!({}), "quantization_config.config_groups`: is empty"),
        ("ct-symmetric", "transform_config", json!({"config_groups": {"u": {}}}), "quantization_config.transform_config`: is not read"),
    ] {
        let error = refused(case, |section| section[field] = value, |_| ());
        assert!(error.contains("config.json") && error.contains(expected), "{case}: {error}");
    }
    let within = |at: &'static str, value: Value| refused("ct-symmetric", |section| *section.pointer_mut(at).unwrap() = value, |_| ());
    let error = within("/config_groups/group_0/weights/num_bits", json!(16));
    assert!(error.contains("config_groups.group_0.weights.num_bits`: expected one of 2, 3, 4, 5, 6, 7, 8, found 16"), "{error}");
    let error = within("/config_groups/group_0/input_activations", json!({"num_bits": 8}));
    assert!(error.contains("group_0.input_activations`: quantized activations are not read"), "{error}");
    let rounded = |case: &str, field: &'static str, value: Value| {
        refused(case, |section| section["config_groups"]["group_0"]["input_activations"][field] = value, |_| ())
    };
    let error = rounded("ct-int8", "dynamic", json!(false));
    assert!(error.contains("input_activations.dynamic`: expected true: static scales of activations are not read"), "{error}");
    let error = rounded("ct-fp8", "strategy", json!("tensor"));
    assert!(error.contains("input_activations.strategy`: `tensor` is not known; known: token"), "{error}");
    let error = rounded("ct-fp8", "num_bits", json!(4));
    assert!(error.contains("input_activations.num_bits`: expected one of 8, found 4"), "{error}");
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
    // Groups that are none, or of other sizes.
    let error = refused("gptq", |_| (), tensor("g_idx", |(_, _, bytes)| bytes[0] = 2));
    assert!(error.contains("down_proj.g_idx") && error.contains("group 0 has 31 inputs; expected 32 in each"), "{error}");
    let error = refused("ct-ordered", |_| (), tensor("weight_g_idx", |(_, _, bytes)| bytes[..4].fill(255)));
    assert!(error.contains("down_proj.weight_g_idx") && error.contains("input 0 is of group -1; there are 3"), "{error}");
    // An order by activations that nobody tells.
    let error = refused("gptq-ordered", |_| (), |tensors| drop(tensors.remove(&format!("{LAYER}.g_idx"))));
    assert!(error.contains("down_proj.g_idx") && error.contains("desc_act"), "{error}");
    let error = refused("gptq-ordered", |_| (), tensor("g_idx", |(_, _, bytes)| bytes.fill(0)));
    assert!(error.contains("down_proj.g_idx") && error.contains("all zeros"), "{error}");
    let error = refused("ct-ordered", |_| (), |tensors| drop(tensors.remove(&format!("{LAYER}.weight_g_idx"))));
    assert!(error.contains("down_proj.weight_g_idx") && error.contains("actorder: group"), "{error}");
    // Of bitsandbytes: another table, a state that is none or of another matrix, columns one behind the other.
    let error = refused("bnb-nf4", |_| (), tensor("weight.quant_map", |(_, _, bytes)| bytes[0] = 1));
    assert!(error.contains("down_proj.weight.quant_map") && error.contains("is not the table of Nf4"), "{error}");
    let error = refused("bnb-nf4", |_| (), tensor("weight.quant_state.bitsandbytes__nf4", |(_, _, bytes)| bytes[0] = b'x'));
    assert!(error.contains("bitsandbytes__nf4") && error.contains("is no JSON"), "{error}");
    let other_shape = |(_, _, bytes): &mut (Dtype, Vec<usize>, Vec<u8>)| {
        let text = String::from_utf8(bytes.clone()).unwrap().replace("[64, 96]", "[96, 64]");
        *bytes = text.into_bytes();
    };
    let error = refused("bnb-nf4", |_| (), tensor("weight.quant_state.bitsandbytes__nf4", other_shape));
    assert!(error.contains("bitsandbytes__nf4") && error.contains("says shape [96, 64], expected [64, 96]"), "{error}");
    let error = refused("bnb-int8", |_| (), tensor("weight_format", |(_, _, bytes)| bytes[0] = 1));
    assert!(error.contains("down_proj.weight_format") && error.contains("expected 0"), "{error}");
    // FP8 has a code that is no number.
    let error = refused("ct-fp8", |_| (), tensor("weight", |(_, _, bytes)| bytes[5] = 0x7f));
    assert!(error.contains("down_proj.weight") && error.contains("code 127 at row 0, column 5: expected a number"), "{error}");
    let error = refused("ct-int8", |_| (), tensor("weight", |(dtype, ..)| *dtype = Dtype::U8));
    assert!(error.contains("down_proj.weight") && error.contains("expected element type I8, found U8"), "{error}");
    let error = refused("ct-symmetric", |_| (), tensor("weight_shape", |(_, _, bytes)| bytes[0] = 63));
    assert!(error.contains("down_proj.weight_shape") && error.contains("says [63, 96], expected [64, 96]"), "{error}");
    // Any scale in bf16 is kept as it is, in f32.
    let small = tensor("weight_scale", |(_, _, bytes)| bytes[..2].copy_from_slice(&[0x81, 0x33]));
    assert!(load(&folder("ct-bf16", |_| (), small), Precision::F32).is_ok());
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
    let folders: Vec<TempDir> = ["ct-symmetric", "gptq", "gptq-3"].map(|case| folder(case, |_| (), |_| ())).into();
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
    // GPTQ's symmetric codes and scales are compressed-tensors', so nothing may differ; in three bits they are others.
    assert_eq!(changed(&columns[0]), 0);
    assert!(changed(&columns[1]) > 0);
    let describe = columns[0]["what_it_is"].as_str().unwrap();
    assert!(describe.contains("7 of") && describe.contains("packed") && describe.contains("sha256"), "{describe}");
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
