//! Studies that do not hold everything at once: variant by variant, or with a baseline that answered elsewhere.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod process;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use process::{Running, checkpoint, lasting, refuse, run, stderr, steady, succeed, text, wait_until};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

/// The embedded checkpoint with weights of two bits behind the point, as somebody might publish it.
fn coarse(dir: &Path) -> PathBuf {
    let to = dir.join("coarse");
    fs::create_dir(&to).unwrap();
    for entry in fs::read_dir(checkpoint()).unwrap().map(Result::unwrap).filter(|entry| entry.file_type().unwrap().is_file()) {
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
    let file = to.join("model.safetensors");
    let mut bytes = fs::read(&file).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    assert!(tensors.tensors().iter().all(|(_, tensor)| tensor.dtype() == Dtype::F16));
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    // of a half-precision number the first byte is the lower half of the mantissa
    bytes[header..].iter_mut().step_by(2).for_each(|byte| *byte = 0);
    fs::write(file, bytes).unwrap();
    to
}

/// Records by question, perturbation and variant.
fn records(run: &Path) -> BTreeMap<[String; 3], Value> {
    let field = |record: &Value, name: &str| record[name].as_str().unwrap().to_owned();
    let lines = succeed(&["report", text(run), "--records"]);
    let records = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    records.map(|record| (["question", "perturbation", "acceleration"].map(|name| field(&record, name)), record)).collect()
}

/// Reducers that look at different things, two quantizers of which one is calibrated, one that two accelerations share, a control that copies the weights, and
/// another checkpoint.
#[test]
fn one_at_a_time_leaves_what_all_at_once_does() {
    let dir = tempfile::tempdir().unwrap();
    let (together, apart, coarse) = (dir.path().join("together"), dir.path().join("apart"), coarse(dir.path()));
    let model = checkpoint();
    let arguments = |out: &'static str| {
        let specs = ["w4:rtn,g=32", "fastv:k=2,keep=0.5", "w4:rtn,g=32+visionzip:keep=0.5", "w4:gptq,n=8"];
        let accelerations = specs.iter().flat_map(|spec| ["--accel", spec]);
        let more =
            ["--control", "order", "--control", "bf16", "--perturb", "noise=20", "--questions", "16", "--device", "cpu", "--out", out];
        accelerations.chain(more).map(str::to_owned).collect::<Vec<String>>()
    };
    let process = |out: &'static str, more: &[&str]| {
        let all: Vec<String> = arguments(out);
        let all: Vec<&str> = ["run", "--model", text(&model), "--against", text(&coarse)]
            .into_iter()
            .chain(all.iter().map(String::as_str))
            .chain(more.iter().copied())
            .collect();
        let mut command = steady(&all);
        command.current_dir(dir.path());
        command
    };
    assert!(process::finish(&mut process("together", &[])).status.success());
    // killed in the second of five passes, it goes on there
    let second = apart.join("pass-2-of-5");
    let running =
        Running::start(process("apart", &["--one-at-a-time"]).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()));
    wait_until("the second pass has begun", || second.join("journal").exists() || second.join("records/part-00000.parquet").exists());
    drop(running);
    assert!(!apart.join("report.json").exists());
    let output = process::finish(&mut process("apart", &["--one-at-a-time"]));
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("answers are recorded already in apart/pass-1-of-5"), "{}", stderr(&output));
    let (together, apart) = (lasting(&together), lasting(&apart));
    assert_eq!(together.keys().collect::<Vec<_>>(), apart.keys().collect::<Vec<_>>());
    for (name, bytes) in &together {
        assert!(*bytes == apart[name], "{name}");
    }
}

/// What a run beside the baseline says of an accelerated checkpoint, and what it says when the baseline answered before.
#[test]
fn a_baseline_is_taken_over_from_a_run_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let coarse = coarse(dir.path());
    let [beside, base, over, none] = ["beside", "base", "over", "none"].map(|name| dir.path().join(name));
    let study = ["--questions", "20", "--perturb", "jpeg=20", "--device", "cpu", "--post-prompt", "none"];
    let model = checkpoint();
    let base_alone = ["run", "--model", text(&model), "--accel", "none", "--control", "split", "--out", text(&base)];
    succeed(&[&base_alone[..], &study].concat());
    succeed(
        &[&["run", "--model", text(&model), "--against", text(&coarse), "--control", "split", "--out", text(&beside)], &study[..]].concat(),
    );
    let here = ["run", "--model", text(&coarse), "--accel", "fastv:k=2,keep=0.5", "--baseline", text(&base)];
    let output = run(&[&here[..], &["--out", text(&over)], &study].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    let (beside_records, over_records) = (records(&beside), records(&over));
    // every answer of the run beside the baseline is here too, but for what takes the whole distribution of both
    for (key, mut record) in beside_records {
        let mut taken = over_records[&key].clone();
        if key[2] == "checkpoint:coarse" {
            assert!(record["kl"].take().is_f64() && taken["kl"].take().is_null());
        }
        assert_eq!(record, taken, "{key:?}");
    }
    let variants: std::collections::BTreeSet<&str> = over_records.keys().map(|[_, _, variant]| variant.as_str()).collect();
    let fastv = "checkpoint:coarse+fastv:k=2,keep=0.5";
    assert_eq!(variants.into_iter().collect::<Vec<_>>(), ["checkpoint:coarse", fastv, "none", "split"]);
    // plan and report say where the baseline is from
    let json = |run: &Path, name: &str| serde_json::from_slice::<Value>(&fs::read(run.join(name)).unwrap()).unwrap();
    let (plan, plan_there) = (json(&over, "plan.json"), json(&base, "plan.json"));
    assert_eq!((&plan["model"], &plan["elsewhere"]["device"]), (&plan_there["model"], &plan_there["device"]));
    assert_eq!(plan["elsewhere"]["plan_sha256"].as_str().unwrap().len(), 64);
    let html = fs::read_to_string(over.join("report.html")).unwrap();
    assert!(html.contains("The baseline answered elsewhere: on ") && html.contains("; the baseline on "));
    assert!(plan["command"].as_str().unwrap().contains(&format!("--baseline {}", text(&base))), "{}", plan["command"]);
    assert!(!over.join("pass-1-of-1").exists());

    // asked otherwise
    let other = |more: &[&str]| refuse(&[&here[..], &["--out", text(&none)], more].concat());
    let fewer = other(&["--questions", "12", "--perturb", "jpeg=20", "--device", "cpu", "--post-prompt", "none"]);
    assert!(fewer.contains("benchmark.questions: there 20, asked 12") && fewer.contains("--allow NAME"), "{fewer}");
    // of a model that the program does not know, the form of an answer is asked for
    let prompts = other(&["--questions", "20", "--device", "cpu"]);
    assert!(prompts.contains("perturbations: there") && prompts.contains("post_prompts.short: there nothing"), "{prompts}");
    let rounded = [&study[..], &["--dtype", "bf16"]].concat();
    let refused = other(&rounded);
    assert!(refused.contains("precision: there \"f32\", asked \"bf16\"") && !none.exists(), "{refused}");
    let output = run(&[&here[..], &["--out", text(&none), "--allow", "precision"], &rounded].concat());
    assert!(stderr(&output).contains("let through: precision") && output.status.success(), "{}", stderr(&output));
    // the same model is no accelerated form of itself, and a folder without a baseline gives none
    let same = refuse(
        &[&["run", "--model", text(&model), "--baseline", text(&base), "--out", text(&dir.path().join("same"))], &study[..]].concat(),
    );
    assert!(same.contains("the model is the one that answered in"), "{same}");
    let twice = refuse(&["run", "--model", text(&coarse), "--baseline", text(&over)]);
    assert!(twice.contains("has no baseline of its own"), "{twice}");
}
