//! `steady quantize` as a process: what it writes is read by the tool itself and answers as the acceleration in memory does. What other tools make of it is
//! `tests/reference/written_elsewhere.py`'s part.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod process;

use std::path::{Path, PathBuf};

use process::{json, refuse, succeed, text};
use serde_json::Value;
use steady_bench::Benchmark;
use steady_bench::world::EmbeddedSuite;

fn model() -> String {
    model_of("steady-llava")
}

fn model_of(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models").join(name).to_string_lossy().into_owned()
}

fn picture(dir: &Path) -> PathBuf {
    let (suite, path) = (EmbeddedSuite::test(1), dir.join("world.png"));
    suite.image(&suite.questions()[0].image).unwrap().save(&path).unwrap();
    path
}

/// The answer of the last of the models asked: its text, and its twenty most likely first tokens with their logits.
fn asked_of(model: &str, accel: &[&str], image: &Path) -> (String, Vec<(u64, f64)>) {
    let question = ["--image", text(image), "--question", "how many circles are there?", "--device", "cpu", "--json"];
    let answers = json(&[&["ask", "--model", model], &question[..], accel].concat());
    let answer = answers["answers"].as_array().unwrap().last().unwrap().clone();
    let top = answer["first_token"]["top"].as_array().unwrap();
    let of = |token: &Value| (token["id"].as_u64().unwrap(), token["logit"].as_f64().unwrap());
    (answer["text"].as_str().unwrap().to_owned(), top.iter().map(of).collect())
}

/// Without factors files hold what memory does, to the bit; with them scales and norms are rounded once more.
#[test]
fn what_is_written_answers_as_what_is_in_memory() {
    let (dir, model) = (tempfile::tempdir().unwrap(), model());
    let image = picture(dir.path());
    for (at, (spec, format, furthest)) in [
        ("w4:rtn,sym", "compressed-tensors", 0.0),
        ("w4:rtn,g=32", "compressed-tensors", 0.0),
        ("w8:rtn,float=down_proj", "compressed-tensors", 0.0),
        ("w8a8", "compressed-tensors", 0.0),
        ("fp8", "compressed-tensors", 0.0),
        ("w4:rtn", "awq", 0.0),
        ("w4:gptq,n=4", "gptq", 0.0),
        ("w4:awq,n=2", "awq", 0.2),
        ("w8a8:smooth,n=2", "compressed-tensors", 0.2),
    ]
    .into_iter()
    .enumerate()
    {
        let folder = dir.path().join(at.to_string());
        let said = succeed(&["quantize", "--model", &model, "--accel", spec, "--format", format, "--out", text(&folder)]);
        assert!(said.contains("steady run --model") && said.contains("--against"), "{said}");
        let config: Value = serde_json::from_slice(&std::fs::read(folder.join("config.json")).unwrap()).unwrap();
        assert_eq!(config["quantization_config"]["quant_method"], format);
        alike(&model, spec, &folder, &image, furthest);
    }
}

/// Whether what was written to `folder` answers as `spec` in memory, with logits that are no further apart.
fn alike(model: &str, spec: &str, folder: &Path, image: &Path, furthest: f64) {
    let (in_memory, written) = (asked_of(model, &["--accel", spec], image), asked_of(text(folder), &[], image));
    let what = format!("{spec} in {}", folder.display());
    assert_eq!(in_memory.0, written.0, "{what}");
    let of = |id: u64| written.1.iter().find(|(other, _)| *other == id).map(|(_, logit)| *logit);
    let apart = in_memory.1.iter().filter_map(|&(id, logit)| Some((of(id)? - logit).abs()));
    let (most, count) = apart.fold((0.0, 0), |(most, count): (f64, usize), off| (most.max(off), count + 1));
    assert!(most <= furthest && count >= 15, "{what}: {count} logits, {most} apart");
}

/// Both kinds of blocks of each family, from quantizers that choose codes by ggml's rule and by others, towers and projectors among them.
#[test]
fn files_of_llama_cpp_answer_as_what_is_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let image = picture(dir.path());
    for (at, (name, spec, furthest)) in [
        ("steady-llava", "q8_0", 0.0),
        ("steady-llava", "q4_0:vision,projector", 0.0),
        ("steady-llava", "w4:gptq,n=4", 0.0),
        ("steady-llava", "w8:rtn,g=64,sym,float=down_proj", 0.0),
        ("steady-llava", "w3:rtn", 0.0),
        ("steady-qwen2-vl", "q8_0:vision,projector", 0.0),
        ("steady-llava", "q4_0:w8=down_proj/layers.0", 0.0),
        ("steady-llava", "w4:gptq,n=2,vision,projector", 0.0),
        ("steady-qwen2-vl", "q4_0", 0.0),
        ("steady-qwen2.5-vl", "q8_0", 0.0),
        ("steady-qwen2.5-vl", "q4_0:vision,projector", 0.0),
        // A head is unpacked as it is read, and its product another sum of the same numbers.
        ("steady-qwen2-vl", "q8_0:head", 1e-3),
    ]
    .into_iter()
    .enumerate()
    {
        let (model, folder) = (model_of(name), dir.path().join(at.to_string()));
        succeed(&["quantize", "--model", &model, "--accel", spec, "--format", "gguf", "--out", text(&folder)]);
        let mut files: Vec<String> =
            std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        files.retain(|file| file.contains("gguf") || file.contains("safetensors"));
        files.sort();
        assert_eq!(files, ["mmproj.gguf", "model.gguf"]);
        let config = |folder: &Path| -> Value { serde_json::from_slice(&std::fs::read(folder.join("config.json")).unwrap()).unwrap() };
        assert_eq!(config(&folder), config(Path::new(&model)));
        alike(&model, spec, &folder, &image, furthest);
    }
}

/// A quantizer that looks at prompts looks at somebody's own, as the plan says; too few, those that are asked and those that nothing looks at are refused.
#[test]
fn prompts_of_ones_own_are_calibrated_with() {
    let (dir, model) = (tempfile::tempdir().unwrap(), model());
    picture(dir.path());
    let table = |name: &str, count: usize| {
        let rows: String = (0..count).map(|at| format!("world.png,\"is there a shape of colour {at}?\",no\n")).collect::<Vec<_>>().concat();
        let path = dir.path().join(name);
        std::fs::write(&path, format!("image,question,answer\n{rows}")).unwrap();
        format!("file:{}", path.display())
    };
    let (own, asked) = (table("own.csv", 6), table("asked.csv", 3));
    let out = dir.path().join("run");
    let study = |accel: &str, calibrate: &str| {
        let words = ["run", "--model", &model, "--device", "cpu", "--bench", &asked, "--control", "none", "--accel", accel];
        [&words[..], &["--calibrate", calibrate, "--out", text(&out), "--json"]].concat().into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let refused = |accel: &str, calibrate: &str| refuse(&study(accel, calibrate).iter().map(String::as_str).collect::<Vec<_>>());
    let said = refused("w4:gptq,n=8", &own);
    assert!(said.contains("calibrates with 8 prompts, and there are 6"), "{said}");
    let said = refused("w4:gptq,n=2", &asked);
    assert!(said.contains("these are the questions that are asked"), "{said}");
    let said = refused("w4:rtn", &own);
    assert!(said.contains("none of the accelerations looks at prompts"), "{said}");
    let said = refused("w4:gptq,n=2", "embedded");
    assert!(said.contains("name a benchmark with its files"), "{said}");
    json(&study("w4:gptq,n=4", &own).iter().map(String::as_str).collect::<Vec<_>>());
    let plan: Value = serde_json::from_slice(&std::fs::read(out.join("plan.json")).unwrap()).unwrap();
    let (calibration, command) = (plan["calibration"].as_str().unwrap(), plan["command"].as_str().unwrap());
    assert!(calibration.contains("4 questions, sha256 ") && !calibration.contains("training half"), "{calibration}");
    assert!(command.contains("--calibrate") && command.contains("own.csv"), "{command}");
    // What is put behind the study's questions is put behind those of calibration.
    let posed = dir.path().join("posed");
    let words: Vec<String> =
        study("w4:gptq,n=4", &own).into_iter().map(|word| if word == text(&out) { text(&posed).to_owned() } else { word }).collect();
    json(&words.iter().map(String::as_str).chain(["--post-prompt", "standard"]).collect::<Vec<_>>());
    let plan: Value = serde_json::from_slice(&std::fs::read(posed.join("plan.json")).unwrap()).unwrap();
    assert_eq!(plan["calibration"], format!("{calibration}, the study's post-prompts behind them"));
    // Other prompts, other weights.
    let image = dir.path().join("world.png");
    let with = asked_of(&model, &["--accel", "w4:gptq,n=4", "--calibrate", &own], &image);
    assert_ne!(with.1, asked_of(&model, &["--accel", "w4:gptq,n=4"], &image).1);
    assert_eq!(with, asked_of(&model, &["--accel", "w4:gptq,n=4", "--calibrate", &own], &image));
}

/// What is beside the weights goes along, what is not packed is what it was, and nothing says that it is whole before it is.
#[test]
fn everything_else_is_copied() {
    let (dir, model) = (tempfile::tempdir().unwrap(), model());
    let folder = dir.path().join("new");
    succeed(&["quantize", "--model", &model, "--accel", "w4:rtn", "--out", text(&folder)]);
    let mut names: Vec<String> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert!(names.iter().any(|name| name == "tokenizer.json") && !names.iter().any(|name| name.ends_with(".partial")), "{names:?}");
    let bytes = |folder: &Path| std::fs::read(folder.join("model.safetensors")).unwrap();
    let (before, after) = (bytes(Path::new(&model)), bytes(&folder));
    let [before, after] = [&before, &after].map(|bytes| safetensors::SafeTensors::deserialize(bytes).unwrap());
    let kept: Vec<&str> = before.names().into_iter().filter(|name| after.tensor(name).is_ok()).collect();
    assert_eq!(before.len() - kept.len(), 28, "seven projections of four layers");
    assert!(kept.iter().all(|name| before.tensor(name).unwrap() == after.tensor(name).unwrap()));
}

#[test]
fn what_cannot_be_written_is_said() {
    let (dir, model) = (tempfile::tempdir().unwrap(), model());
    let folder = dir.path().join("none");
    let refused = |arguments: &[&str]| {
        let all = [&["quantize", "--model", &model, "--out", text(&folder)], arguments].concat();
        let said = refuse(&all);
        assert!(!folder.join("config.json").exists(), "{said}");
        said
    };
    let said = refused(&["--accel", "w4:hqq", "--format", "awq"]);
    assert!(said.contains("zero points that are whole numbers"), "{said}");
    let said = refused(&["--accel", "w8a8", "--format", "gptq"]);
    assert!(said.contains("holds 4-bit weights"), "{said}");
    let said = refused(&["--accel", "nf4"]);
    assert!(said.contains("has no layout for Nf4"), "{said}");
    let said = refused(&["--accel", "int8"]);
    assert!(said.contains("files are written with a packed decoder alone") || said.contains("LLM.int8()"), "{said}");
    let said = refused(&["--accel", "w4:rtn", "--format", "gguf"]);
    assert!(said.contains("from -8 to 7 steps around zero") && said.contains("w4:rtn,sym"), "{said}");
    let said = refused(&["--accel", "w8a8", "--format", "gguf"]);
    assert!(said.contains("a scale for every 32 weights"), "{said}");
    let said = refused(&["--accel", "w4:rtn,sym,g=16", "--format", "gguf"]);
    assert!(said.contains("these have one for 16"), "{said}");
    let said = refuse(&["quantize", "--model", "steady-llava-next", "--accel", "q4_0", "--format", "gguf", "--out", text(&folder)]);
    assert!(said.contains("models of llava-next are not written so"), "{said}");
    let said = refused(&["--accel", "fastv"]);
    assert!(said.contains("give a quantizer alone"), "{said}");
    let said = refused(&["--accel", "w4:rtn,sym,w8=down_proj"]);
    assert!(said.contains("down_proj") && said.contains("one width for all; gguf holds several"), "{said}");
    let said = refused(&["--accel", "w4:awq,n=2,float=k_proj"]);
    assert!(said.contains("other layers in float read too"), "{said}");
    let written = dir.path().join("written");
    succeed(&["quantize", "--model", &model, "--accel", "q4_0", "--format", "gguf", "--out", text(&written)]);
    let said = refuse(&["quantize", "--model", text(&written), "--accel", "q8_0", "--out", text(&folder)]);
    assert!(
        said.contains("is in llama.cpp's files already") || said.contains("packs nothing") || said.contains("no linear layers"),
        "{said}"
    );
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("mine"), "").unwrap();
    let said = refused(&["--accel", "w4:rtn"]);
    assert!(said.contains("is not empty"), "{said}");
}
