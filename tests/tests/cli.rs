//! The command line as users meet it: a process with arguments, two streams and an exit code.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod process;

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use image::{Rgb, RgbImage};
use process::{checkpoint, json, refuse, run, stderr, steady, succeed, text};
use serde_json::Value;
use steady_bench::Benchmark;
use steady_bench::world::EmbeddedSuite;
use steady_tests::reference::cases_of;

/// A picture of the embedded world as a PNG file.
fn world_png(dir: &Path) -> PathBuf {
    let suite = EmbeddedSuite::test(1);
    let path = dir.join("world.png");
    suite.image(&suite.questions()[0].image).unwrap().save(&path).unwrap();
    path
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

#[test]
fn ask_prints_one_object_with_the_baseline_first() {
    let dir = tempfile::tempdir().unwrap();
    let image = world_png(dir.path());
    let asked = json(&[
        "ask",
        "--image",
        text(&image),
        "--question",
        "is there a red circle?",
        "--accel",
        "w4:rtn",
        "--accel",
        "divprune:keep=0.25",
        "--device",
        "cpu",
        "--json",
    ]);
    let answers = asked["answers"].as_array().unwrap();
    let specs: Vec<&str> = answers.iter().map(|answer| answer["accel"].as_str().unwrap()).collect();
    assert_eq!(specs.len(), 3);
    assert_eq!(specs[0], "none");
    assert!(specs[1].starts_with("w4:rtn") && specs[2].starts_with("divprune:keep=0.25"), "{specs:?}");
    for answer in answers {
        assert_eq!(answer["visual_tokens"], 144);
        assert_eq!(answer["pixels"]["shape"], serde_json::json!([1, 3, 144, 144]));
        assert_eq!(answer["input_ids"], answers[0]["input_ids"]);
        assert_eq!(answer["pixels"], answers[0]["pixels"]);
        let top = answer["first_token"]["top"].as_array().unwrap();
        assert_eq!(top.len(), 20);
        let logits: Vec<f64> = top.iter().map(|candidate| candidate["logit"].as_f64().unwrap()).collect();
        assert!(logits.is_sorted_by(|a, b| a >= b), "{logits:?}");
        assert!(top.iter().all(|candidate| candidate["token"].is_string()));
        // greedy without a penalty: the first token is the likeliest
        assert_eq!(answer["output_ids"][0], top[0]["id"]);
        let timing = answer["timing"].as_object().unwrap();
        assert!(!timing.is_empty() && timing.values().all(|time| time.as_f64().unwrap() >= 0.0), "{timing:?}");
    }
    assert_eq!(answers[0]["kept"], Value::Null);
    assert_eq!(answers[1]["kept"], Value::Null);
    let kept = numbers(&answers[2]["kept"]);
    assert_eq!(kept.len(), 36);
    assert!(kept.is_sorted_by(|a, b| a < b) && kept.iter().all(|&token| token < 144.0), "{kept:?}");
    assert!(answers[1]["weight_bytes"].as_u64() < answers[0]["weight_bytes"].as_u64());
    assert!(answers[2]["kv_bytes"].as_u64() < answers[0]["kv_bytes"].as_u64());
}

#[test]
fn a_verbatim_prompt_equals_the_templated_question() {
    let dir = tempfile::tempdir().unwrap();
    let image = world_png(dir.path());
    let question = "how many circles are there?";
    let prompt = format!("USER: <image>\n{question} ASSISTANT:");
    let ask =
        |flag: &str, value: &str| json(&["ask", "--image", text(&image), flag, value, "--device", "cpu", "--json"])["answers"][0].clone();
    let (mut templated, mut verbatim) = (ask("--question", question), ask("--prompt", &prompt));
    for answer in [&mut templated, &mut verbatim] {
        answer.as_object_mut().unwrap().remove("timing");
    }
    assert_eq!(templated, verbatim);
    let ids = numbers(&templated["input_ids"]);
    let most = ids.iter().map(|id| ids.iter().filter(|other| (*other - id).abs() < 0.5).count()).max();
    assert_eq!(most, Some(144), "one placeholder per visual token");
}

/// The answers of this checkpoint are noise that does not come to an end by itself: so each is cut at the limit, and says so.
#[test]
fn a_whole_prompt_needs_no_template_and_a_cut_answer_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let image = world_png(dir.path());
    let checkpoint = dir.path().join("tiny");
    fs::create_dir(&checkpoint).unwrap();
    for entry in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/reference/tiny-llava/checkpoint")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), checkpoint.join(entry.file_name())).unwrap();
    }
    fs::remove_file(checkpoint.join("chat_template.jinja")).unwrap();
    let prompt =
        ["ask", "--model", text(&checkpoint), "--image", text(&image), "--prompt", "USER: <image>\nhm? ASSISTANT:", "--device", "cpu"];
    let asked = json(&[&prompt[..], &["--max-new-tokens", "3", "--json"]].concat());
    assert_eq!((&asked["max_new_tokens"], &asked["answers"][0]["cut"]), (&serde_json::json!(3), &serde_json::json!(true)));
    assert_eq!(asked["answers"][0]["output_ids"].as_array().unwrap().len(), 3);
    let message = refuse(&["ask", "--model", text(&checkpoint), "--image", text(&image), "--question", "hm?", "--device", "cpu"]);
    assert!(message.contains("chat_template.jinja") && message.contains("questions are put into it"), "{message}");
    // An end token that comes third: the answer is whole.
    let end = &asked["answers"][0]["output_ids"][2];
    fs::write(checkpoint.join("generation_config.json"), serde_json::json!({"eos_token_id": end, "repetition_penalty": 1.15}).to_string())
        .unwrap();
    let whole = json(&[&prompt[..], &["--json"]].concat());
    assert_eq!((&whole["max_new_tokens"], &whole["answers"][0]["cut"]), (&serde_json::json!(64), &serde_json::json!(false)));
}

#[test]
fn images_of_any_size_and_kind_are_asked_about() {
    let dir = tempfile::tempdir().unwrap();
    let picture = |width, height| RgbImage::from_fn(width, height, |x, y| Rgb([(x * 7 % 256) as u8, (y * 3 % 256) as u8, 90]));
    for (name, width, height) in [("tall.jpg", 37, 411), ("wide.png", 900, 20), ("one.png", 1, 1)] {
        let path = dir.path().join(name);
        picture(width, height).save(&path).unwrap();
        let asked = json(&["ask", "--image", text(&path), "--question", "what is this?", "--device", "cpu", "--json"]);
        assert_eq!(asked["answers"][0]["pixels"]["shape"], serde_json::json!([1, 3, 144, 144]), "{name}");
    }
}

#[test]
fn the_checkpoint_folder_and_the_embedded_copy_answer_alike() {
    let dir = tempfile::tempdir().unwrap();
    let image = world_png(dir.path());
    let ask = |model: &[&str]| {
        let arguments =
            [&["ask", "--image", text(&image), "--question", "is there a circle?", "--device", "cpu", "--json"], model].concat();
        json(&arguments)["answers"][0]["first_token"].clone()
    };
    let embedded = ask(&[]);
    assert_eq!(ask(&["--model", text(&checkpoint())]), embedded);
    assert_eq!(ask(&["--model", "steady-llava"]), embedded);
}

#[test]
fn without_json_ask_prints_a_table() {
    let dir = tempfile::tempdir().unwrap();
    let image = world_png(dir.path());
    let table = succeed(&[
        "ask",
        "--image",
        text(&image),
        "--question",
        "is there a circle?",
        "--accel",
        "random:keep=12,seed=7",
        "--device",
        "cpu",
    ]);
    assert!(table.contains("steady-llava on flex"), "{table}");
    assert!(table.lines().any(|line| line.contains("none") && line.contains("144")), "{table}");
    assert!(table.lines().any(|line| line.contains("random:keep=12,seed=7") && line.contains("12 of 144")), "{table}");
}

#[test]
fn wrong_usage_is_exit_code_two() {
    assert!(refuse(&["--no-such-flag"]).contains("--no-such-flag"));
    assert!(refuse(&["ask", "--image", "x.png"]).contains("--question"));
    assert!(refuse(&["ask", "--image", "x.png", "--question", "a", "--prompt", "b"]).contains("cannot be used with"));
    assert!(refuse(&["--questions", "0"]).contains("--questions"));
    assert!(refuse(&["run", "--device", "toaster"]).contains("cpu"));
}

#[test]
fn an_unknown_acceleration_lists_the_known_ones() {
    let message = refuse(&["--accel", "w5:magic", "--device", "cpu"]);
    assert!(message.contains("--accel w5:magic") && message.contains("w4:rtn") && message.contains("divprune"), "{message}");
    let message = refuse(&["--accel", "divprune:kepe=3", "--device", "cpu"]);
    assert!(message.contains("kepe") && message.contains("keep"), "{message}");
    let message = refuse(&["--accel", "w4:rtn", "--accel", "w4:rtn", "--device", "cpu"]);
    assert!(message.contains("asked for twice"), "{message}");
}

#[test]
fn a_model_that_is_not_there_is_named() {
    let message = refuse(&["run", "--model", "no/such/folder"]);
    assert!(message.contains("no/such/folder") && message.contains("steady-llava"), "{message}");
    let dir = tempfile::tempdir().unwrap();
    let message = refuse(&["run", "--model", text(dir.path())]);
    assert!(message.contains("config.json"), "{message}");
}

/// The embedded checkpoint with every value of its last norm replaced by the f16 number with these bits.
fn with_last_norm(bits: u16) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(checkpoint()).unwrap().map(Result::unwrap) {
        fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
    }
    let bytes = fs::read(checkpoint().join("model.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let is_last = |name: &str| name.ends_with("model.norm.weight");
    let mut named: Vec<_> = tensors.tensors();
    let (name, norm) = named.iter().find(|(name, _)| is_last(name)).unwrap().clone();
    assert_eq!(norm.dtype(), safetensors::Dtype::F16);
    let loud = bits.to_le_bytes().repeat(norm.data().len() / 2);
    named.retain(|(name, _)| !is_last(name));
    named.push((name, safetensors::tensor::TensorView::new(norm.dtype(), norm.shape().to_vec(), &loud).unwrap()));
    fs::write(dir.path().join("model.safetensors"), safetensors::serialize(named, None).unwrap()).unwrap();
    dir
}

/// 65,000 in f16, which an activation above 1.008 takes beyond it.
const LOUD: u16 = 0x7BEF;

#[test]
fn an_answer_that_is_none_is_said_so() {
    let dir = tempfile::tempdir().unwrap();
    let (image, model) = (world_png(dir.path()), with_last_norm(LOUD));
    let ask = |dtype: &str| {
        run(&[
            "ask",
            "--model",
            text(model.path()),
            "--image",
            text(&image),
            "--question",
            "a?",
            "--device",
            "cpu",
            "--dtype",
            dtype,
            "--json",
        ])
    };
    let lost = ask("f16");
    let message = String::from_utf8_lossy(&lost.stderr);
    assert_eq!(lost.status.code(), Some(2), "{message}");
    assert!(message.contains("the logits of the first token are not finite") && message.contains("--dtype bf16"), "{message}");
    let printed: Value = serde_json::from_slice(&lost.stdout).unwrap();
    let answer = &printed["answers"][0];
    assert!(answer["not_finite"].as_str().unwrap().contains("the norm behind it or the head"), "{answer}");
    assert_eq!(
        (&answer["text"], &answer["output_ids"], &answer["first_token"]["top"]),
        (&"".into(), &Value::Array(vec![]), &Value::Array(vec![]))
    );
    // With room for its numbers it answers.
    let answered = ask("bf16");
    let printed: Value = serde_json::from_slice(&answered.stdout).unwrap();
    assert_eq!((answered.status.code(), &printed["answers"][0]["not_finite"]), (Some(0), &Value::Null));
}

#[test]
fn a_study_goes_on_where_an_answer_is_none() {
    let (model, out) = (with_last_norm(LOUD), tempfile::tempdir().unwrap());
    let arguments =
        ["--questions", "10", "--accel", "divprune:keep=0.5", "--control", "order", "--device", "cpu", "--dtype", "f16", "--json"];
    let ended = run(&[&["run", "--model", text(model.path()), "--out", text(out.path())], &arguments[..]].concat());
    let message = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(0), "{message}");
    assert!(message.contains("30 of the answers given now are none and count as unparsed and wrong"), "{message}");
    let records = succeed(&["report", text(out.path()), "--records"]);
    let records: Vec<Value> = records.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(records.len(), 30);
    for record in records {
        assert!(record["no_answer"].is_string() && record["parsed"].is_null() && record["correct"] == false, "{record}");
    }
}

#[test]
fn weights_are_kept_as_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let image = world_png(dir.path());
    let asked = |dtype: &str| json(&["ask", "--image", text(&image), "--question", "a?", "--device", "cpu", "--dtype", dtype, "--json"]);
    let bytes = |asked: &Value| asked["answers"][0]["weight_bytes"].as_u64().unwrap();
    let (wide, kept, auto) = (asked("f32"), asked("bf16"), asked("auto"));
    // The embedded checkpoints are published in f16, which the processor computes in.
    assert_eq!((&wide["dtype"], &kept["dtype"], &auto["dtype"]), (&"f32".into(), &"bf16".into(), &"f16".into()));
    assert!(bytes(&kept) * 100 < bytes(&wide) * 51, "{} of {}", bytes(&kept), bytes(&wide));
    let unread = with_last_norm(0x7C00);
    let message = refuse(&["ask", "--model", text(unread.path()), "--image", text(&image), "--question", "a?", "--device", "cpu"]);
    assert!(message.contains("model.norm.weight`: element 0 is inf; weights must be finite"), "{message}");
}

#[test]
fn a_vision_tower_may_be_in_any_folder() {
    let reference = cases_of("tiny-llava-med");
    let tower = reference.join("clip-tiny-patch8-24");
    let dir = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(reference.join("checkpoint")).unwrap().map(Result::unwrap) {
        fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
    }
    let image = reference.join("images/wide.png");
    let ask = ["ask", "--image", text(&image), "--question", "is it red?", "--device", "cpu", "--json", "--model"];
    let given = json(&[&ask[..], &[text(dir.path()), "--vision-tower", text(&tower)]].concat());
    let beside = json(&[&ask[..], &[text(&reference.join("checkpoint"))]].concat());
    assert_eq!(given["answers"][0]["first_token"], beside["answers"][0]["first_token"]);

    let message = refuse(&[&ask[..], &[text(dir.path())]].concat());
    assert!(message.contains("mm_vision_tower") && message.contains("clip-tiny-patch8-24"), "{message}");
    let message = refuse(&[&ask[..], &[text(dir.path()), "--vision-tower", "no/such/folder"]].concat());
    assert!(message.contains("no/such/folder"), "{message}");
    let message = refuse(&[&ask[..], &["steady-llava", "--vision-tower", text(&tower)]].concat());
    assert!(message.contains("--vision-tower") && message.contains("steady-llava"), "{message}");
}

#[test]
fn a_damaged_checkpoint_names_its_file() {
    let image_dir = tempfile::tempdir().unwrap();
    let image = world_png(image_dir.path());
    let damage = |file: &str, bytes: &[u8]| {
        let dir = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(checkpoint()).unwrap().map(Result::unwrap) {
            fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
        }
        fs::write(dir.path().join(file), bytes).unwrap();
        refuse(&["ask", "--model", text(dir.path()), "--image", text(&image), "--question", "a?", "--device", "cpu"])
    };
    let weights = fs::read(checkpoint().join("model.safetensors")).unwrap();
    for (file, bytes) in [
        ("model.safetensors", &weights[..weights.len() / 2]),
        ("model.safetensors", &[0xff; 64]),
        ("config.json", b"{\"architectures\": [\"TransistorRadio\"], \"model_type\": \"radio\"}"),
        ("tokenizer.json", b"{"),
    ] {
        let message = damage(file, bytes);
        assert!(message.contains(file), "{file}: {message}");
    }
}

#[test]
fn files_that_are_no_images_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let ask = |path: &Path| refuse(&["ask", "--image", text(path), "--question", "what?", "--device", "cpu"]);
    let file = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    assert!(ask(&file("empty.png", b"")).contains("empty.png"));
    assert!(ask(&file("words.png", b"not an image at all")).contains("words.png"));
    assert!(ask(&dir.path().join("missing.png")).contains("missing.png"));
    let world = fs::read(world_png(dir.path())).unwrap();
    assert!(ask(&file("half.png", &world[..world.len() / 2])).contains("half.png"));
}

#[test]
fn a_prompt_needs_one_placeholder() {
    let dir = tempfile::tempdir().unwrap();
    let image = world_png(dir.path());
    for prompt in ["no picture here", "<image> and <image>"] {
        let message = refuse(&["ask", "--image", text(&image), "--prompt", prompt, "--device", "cpu"]);
        assert!(message.contains("<image>"), "{message}");
    }
}

#[test]
fn an_output_folder_that_cannot_be_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "in the way").unwrap();
    let message = refuse(&["--questions", "10", "--device", "cpu", "--out", text(&file.join("run"))]);
    assert!(message.contains("file/run"), "{message}");
}

#[test]
fn a_folder_without_a_run_has_no_report() {
    let dir = tempfile::tempdir().unwrap();
    let message = refuse(&["report", text(dir.path())]);
    assert!(message.contains("plan.json"), "{message}");
}

#[test]
fn what_cannot_be_shared_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("report.json");
    let message = refuse(&["share", text(&file)]);
    assert!(message.contains("cannot read") && message.contains("report.json"), "{message}");
    std::fs::write(&file, "{\"format\": \"steady-report/1\"}").unwrap();
    let message = refuse(&["share", text(&file)]);
    assert!(message.contains("report.json") && message.contains("missing field `plan`"), "{message}");
}

#[test]
fn lists_are_tables_for_people_and_json_for_programs() {
    let models = json(&["models", "--json"]);
    assert_eq!(models[0]["name"], "steady-llava");
    assert!(models[0]["parameters"].as_u64().unwrap() > 1_000_000);
    let benches = json(&["benches", "--json"]);
    let families: BTreeSet<&str> = benches.as_array().unwrap().iter().filter_map(|row| row["family"].as_str()).collect();
    assert_eq!(families.len(), 10);
    let accels = json(&["accels", "--json"]);
    let names: Vec<&str> = accels.as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
    for name in ["w4:rtn", "int8", "divprune", "fastv", "random"] {
        assert!(names.contains(&name), "{names:?}");
    }
    let devices = json(&["devices", "--json"]);
    let cpu = devices["choices"].as_array().unwrap().iter().find(|row| row["choice"] == "cpu").unwrap();
    assert!(cpu["identity"].as_str().unwrap().starts_with("flex"), "{cpu}");
    let (free, total) = (cpu["memory"]["free"].as_u64().unwrap(), cpu["memory"]["total"].as_u64().unwrap());
    assert!(cpu["memory"]["of"] == "machine" && 0 < free && free <= total, "{cpu}");
    assert!(!devices["present"].as_array().unwrap().is_empty());
    let perturbs = json(&["perturbs", "--json"]);
    let noise = perturbs.as_array().unwrap().iter().find(|row| row["name"] == "noise").unwrap();
    assert_eq!((noise["low"].as_f64(), noise["high"].as_f64(), noise["unit"].as_str()), (Some(0.0), Some(100.0), Some("of 255")));
    for command in ["models", "benches", "accels", "perturbs", "devices"] {
        assert!(succeed(&[command]).lines().count() > 3, "{command}");
    }
}

/// In 2,000 pixels a square picture is three visual tokens wide, of twelve pixels each.
#[test]
fn images_are_scaled_to_the_pixels_that_are_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let image = world_png(dir.path());
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/reference/tiny-qwen2-vl/resaved");
    let ask = ["ask", "--image", text(&image), "--question", "what is it?", "--device", "cpu", "--max-pixels", "2000"];
    let asked = json(&[&ask[..], &["--model", model, "--json"]].concat());
    assert_eq!(asked["answers"][0]["visual_tokens"], 9);
    let message = refuse(&ask);
    assert!(message.contains("--max-pixels 2000") && message.contains("gives images of one size"), "{message}");

    let out = dir.path().join("run");
    let run = ["run", "--questions", "2", "--accel", "divprune", "--device", "cpu", "--out", text(&out), "--max-pixels", "2000"];
    succeed(&[&run[..], &["--model", model]].concat());
    let plan: serde_json::Value = serde_json::from_slice(&std::fs::read(out.join("plan.json")).unwrap()).unwrap();
    assert!(plan["command"].as_str().unwrap().contains("tiny-qwen2-vl/resaved --max-pixels 2000 "), "{plan}");
    assert!(plan["processor"]["resize"].as_str().unwrap().starts_with("to 576 to 2000 pixels"), "{plan}");
}

#[test]
fn what_is_listed_as_canonical_is_accepted() {
    let listed = json(&["accels", "--json"]);
    let rows = listed.as_array().unwrap();
    assert!(rows.len() >= 5, "{listed}");
    for row in rows {
        let spec = row["canonical"].as_str().unwrap();
        assert_eq!(steady_accel::Acceleration::parse(spec).unwrap().to_string(), spec);
    }
}

#[test]
fn bad_perturbations_are_refused_before_anything_is_loaded() {
    let refused = |perturbations: &[&str]| {
        let arguments: Vec<&str> = perturbations.iter().flat_map(|spec| ["--perturb", spec]).collect();
        let model = ["run", "--model", "org/name-that-nobody-fetches", "--device", "cpu"];
        refuse(&[&model[..], &arguments].concat())
    };
    for (specs, says) in [
        (&["nose=20"][..], "there is no perturbation `nose`; there are rotation, crop"),
        (&["noise=400"], "noise takes an amount from 0 to 100 (of 255), like noise=20; found `400`"),
        (&["noise"], "noise takes an amount from 0 to 100"),
        (&["blur=1+noise=0"], "noise=0 leaves the image as it is"),
        (&["noise=20", "noise=20.0"], "`noise=20` is asked for twice"),
        (&["none"], "the clean image, is always asked about"),
    ] {
        let message = refused(specs);
        assert!(message.contains(says), "{specs:?}: {message}");
    }
}

#[test]
fn a_reader_that_has_enough_is_no_error() {
    let mut child = steady(&["accels"]).spawn().unwrap();
    drop(child.stdout.take());
    let mut message = String::new();
    child.stderr.take().unwrap().read_to_string(&mut message).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(message, "");
}

#[test]
fn every_command_has_help_with_examples() {
    for command in [
        &["--help"][..],
        &["run", "--help"],
        &["ask", "--help"],
        &["report", "--help"],
        &["share", "--help"],
        &["models", "--help"],
        &["benches", "--help"],
        &["accels", "--help"],
        &["perturbs", "--help"],
        &["devices", "--help"],
    ] {
        let output = run(command);
        assert!(output.status.success() && stderr(&output).is_empty());
        assert!(String::from_utf8_lossy(&output.stdout).contains("Examples:"), "{command:?}");
    }
}
