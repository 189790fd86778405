//! Somebody's own questions, from a table of pictures to the report.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod process;

use std::fs;
use std::path::{Path, PathBuf};

use process::{finish, json, refuse, run, stderr, succeed, text};
use steady_bench::Benchmark;
use steady_bench::world::EmbeddedSuite;

/// Twenty questions of the embedded world, as somebody would write them down who has its pictures as files.
fn table(dir: &Path) -> PathBuf {
    let suite = EmbeddedSuite::test(2);
    let mut rows = vec!["picture,prompt,answer,task,remark".to_owned()];
    for question in suite.questions() {
        let file = format!("{}.png", question.image);
        suite.image(&question.image).unwrap().save(dir.join(&file)).unwrap();
        let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        rows.push([&file, &quoted(&question.text), &question.gold[0], &question.family, "x"].join(","));
    }
    let path = dir.join("questions.csv");
    fs::write(&path, rows.join("\n")).unwrap();
    path
}

#[test]
fn from_a_table_of_pictures_to_the_report() {
    let dir = tempfile::tempdir().unwrap();
    let table = table(dir.path());
    // a first look
    let look = json(&["benches", "show", text(&table), "--json"]);
    assert_eq!((&look["questions"], &look["unused"]), (&20.into(), &serde_json::json!(["remark"])));
    assert_eq!(look["columns"], serde_json::json!([["image", "picture"], ["question", "prompt"], ["gold", "answer"], ["group", "task"]]));
    assert_eq!((look["largest_picture"].clone(), look["first"].as_array().unwrap().len()), (serde_json::json!([144, 144]), 3));
    let words = succeed(&["benches", "show", text(&table)]);
    assert!(words.contains("20 questions about") && words.contains("Not used: remark") && words.contains("144x144"), "{words}");
    // the study, and the report again from what it left
    let (out, bench) = (dir.path().join("run"), format!("file:{}", text(&table)));
    let arguments =
        ["run", "--device", "cpu", "--bench", &bench, "--accel", "fastv:k=2,keep=0.5", "--control", "order", "--out", text(&out)];
    let first = json(&[&arguments[..], &["--json"]].concat());
    assert_eq!(first["questions"].as_array().unwrap().len(), 20);
    assert_eq!(first["plan"]["benchmark"], "questions.csv");
    let command = first["plan"]["command_line"].as_str().unwrap();
    assert!(command.contains(&format!("--bench {bench} ")), "{command}");
    let html = fs::read_to_string(out.join("report.html")).unwrap();
    fs::remove_file(out.join("report.html")).unwrap();
    // from another folder, with its pictures
    assert!(!stderr(&run(&["report", text(&out)])).contains("no pictures"));
    assert_eq!(fs::read_to_string(out.join("report.html")).unwrap(), html);
    assert!(html.contains("data:image/png"));
}

#[test]
fn without_right_answers_only_changes_are_reported() {
    let dir = tempfile::tempdir().unwrap();
    let table = table(dir.path());
    let (out, bench) = (dir.path().join("run"), format!("file:{},gold=", text(&table)));
    assert!(succeed(&["benches", "show", &format!("{},gold=", text(&table))]).contains("only which answers changed will be reported"));
    let arguments =
        ["run", "--device", "cpu", "--bench", &bench, "--accel", "fastv:k=2,keep=0.5", "--control", "none", "--out", text(&out)];
    let printed = succeed(&arguments);
    assert!(printed.contains("DR (95 %") && !["accuracy", "NDR", "PDR", "McNemar"].iter().any(|name| printed.contains(name)), "{printed}");
    let report = json(&["report", text(&out), "--json"]);
    let summary = &report["summary"]["accelerations"]["fastv:k=2,keep=0.5"];
    assert!(summary["dr"]["of"] == 20 && summary["ndr"].is_null() && summary["accuracy_before"].is_null(), "{summary}");
}

#[test]
fn a_run_goes_on_with_the_same_files_alone() {
    let dir = tempfile::tempdir().unwrap();
    let table = table(dir.path());
    let (out, bench) = (dir.path().join("run"), format!("file:{}", text(&table)));
    let arguments =
        ["run", "--device", "cpu", "--bench", &bench, "--accel", "random:keep=0.5,seed=1", "--control", "none", "--out", text(&out)];
    succeed(&arguments);
    // the same table elsewhere is the same experiment
    let moved = dir.path().join("moved");
    fs::create_dir(&moved).unwrap();
    for entry in fs::read_dir(dir.path()).unwrap().flatten().filter(|entry| entry.path().is_file()) {
        fs::copy(entry.path(), moved.join(entry.file_name())).unwrap();
    }
    let elsewhere = format!("file:{}", text(&moved.join("questions.csv")));
    let again: Vec<&str> = arguments.iter().map(|word| if *word == bench { elsewhere.as_str() } else { word }).collect();
    assert!(stderr(&run(&again)).contains("40 of 40 answers are recorded already"));
    // one picture has changed
    let picture =
        fs::read_dir(dir.path()).unwrap().flatten().map(|entry| entry.path()).find(|path| path.extension().is_some_and(|e| e == "png"));
    let picture = picture.unwrap();
    image::RgbImage::new(144, 144).save(&picture).unwrap();
    let error = refuse(&arguments);
    assert!(error.contains("this folder belongs to another plan") && error.contains("benchmark.fingerprint: there "), "{error}");
    // the plan remembers where it was asked last: there the picture is whole
    assert!(!stderr(&run(&["report", text(&out)])).contains("no pictures"));
    fs::copy(&picture, moved.join(picture.file_name().unwrap())).unwrap();
    let note = stderr(&run(&["report", text(&out)]));
    assert!(note.contains("benchmark questions.csv is not at hand as it was asked; the report has no pictures"), "{note}");
}

/// A type of model that takes several pictures is asked about them, and what is not defined for several is refused.
#[test]
fn several_pictures_with_one_question() {
    let dir = tempfile::tempdir().unwrap();
    let suite = EmbeddedSuite::test(1);
    let mut rows = Vec::new();
    for pair in suite.questions().chunks(2).take(4) {
        for question in pair {
            suite.image(&question.image).unwrap().save(dir.path().join(format!("{}.png", question.image))).unwrap();
        }
        let names = [&pair[0], &pair[1]].map(|question| format!("{}.png", question.image));
        rows.push(serde_json::json!({"images": names, "question": "are both pictures alike?", "answer": "no"}).to_string());
    }
    let table = dir.path().join("pairs.jsonl");
    fs::write(&table, rows.join("\n")).unwrap();
    let (out, bench) = (dir.path().join("run"), format!("file:{}", text(&table)));
    assert!(succeed(&["benches", "show", text(&table)]).contains(" + ") && !rows.is_empty());
    let arguments = ["run", "--model", "steady-qwen2.5-vl", "--device", "cpu", "--bench", &bench, "--out", text(&out)];
    let controls = ["--control", "order", "--control", "split"];
    let report = json(&[&arguments[..], &controls, &["--accel", "w2:rtn", "--perturb", "noise=40", "--json"]].concat());
    let questions = report["questions"].as_array().unwrap();
    assert_eq!(questions.len(), 2 * rows.len());
    // Whatever is computed in another order is the same answer.
    for control in report["controls"].as_array().unwrap() {
        assert_eq!(control["answers"].as_array().unwrap().len(), 2 * rows.len());
        assert!(control["answers"].as_array().unwrap().iter().all(|answer| answer["outcome"] == "same"), "{control}");
    }
    assert!(questions[0]["image"].as_str().unwrap().contains(".png + "));
    let said = refuse(&[&arguments[..], &["--accel", "divprune:keep=0.5"]].concat());
    assert!(said.contains("divprune:keep=0.5 drops visual tokens of one image") && said.contains("questions that show several"), "{said}");
    let said = refuse(&["run", "--model", "steady-llava", "--device", "cpu", "--bench", &bench, "--accel", "int8"]);
    assert!(said.contains("expected at most one image, found 2"), "{said}");
}

#[test]
fn what_cannot_be_asked_is_said_before_a_model_is_loaded() {
    let dir = tempfile::tempdir().unwrap();
    let table = dir.path().join("q.csv");
    fs::write(&table, "image,question\ngone.png,What?\n").unwrap();
    let bench = format!("file:{}", text(&table));
    let error = refuse(&["run", "--bench", &bench]);
    assert!(error.contains("1 of 1 rows cannot be asked:\n  row 1 (line 2), column image: picture "), "{error}");
    assert!(refuse(&["run", "--bench", "pope:nowhere"]).contains("hf download lmms-lab/POPE"));
    assert!(refuse(&["benches", "show", "nowhere.csv"]).contains("nowhere.csv: cannot be read: "));
}

/// LLaVA-Med's case study on published files: the checkpoint in the original layout, three medical sets, a report each.
#[test]
fn a_preset_is_several_studies() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (model, tower) = (root.join("reference/tiny-llava-med/checkpoint"), root.join("reference/tiny-llava-med/clip-tiny-patch8-24"));
    let published = root.join("../crates/bench/tests/reference/published");
    let dir = tempfile::tempdir().unwrap();
    let (out, bench) = (dir.path().join("run"), format!("medical:{}", text(&published)));
    let arguments = [
        "run",
        "--model",
        text(&model),
        "--vision-tower",
        text(&tower),
        "--device",
        "cpu",
        "--bench",
        &bench,
        "--accel",
        "random:keep=0.5,seed=1",
    ];
    let printed = succeed(&[&arguments[..], &["--control", "order", "--out", text(&out), "--json"]].concat());
    let reports: Vec<serde_json::Value> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        reports.iter().map(|report| report["plan"]["benchmark"].as_str().unwrap()).collect::<Vec<_>>(),
        ["vqa-rad", "slake", "path-vqa"]
    );
    // by modality and by whether the question is closed
    let families = |report: &serde_json::Value| {
        let mut families: Vec<String> =
            report["questions"].as_array().unwrap().iter().map(|q| q["family"].as_str().unwrap().to_owned()).collect();
        families.sort();
        families
    };
    assert_eq!(families(&reports[1]), ["ct closed", "ct open"]);
    assert_eq!(families(&reports[0]), ["closed", "open"]);
    for name in ["vqa-rad", "slake", "path-vqa"] {
        assert!(out.join(name).join("report.html").exists(), "{name}");
    }
    // side by side: benchmarks by accelerations, each cell of what broke leading to its questions
    let table = succeed(&["report", text(&out)]);
    assert!(["vqa-rad", "slake", "path-vqa", "random:keep=0.5,seed=1"].iter().all(|name| table.contains(name)), "{table}");
    let map = fs::read_to_string(out.join("report.html")).unwrap();
    assert!(map.contains("<a href=\"path-vqa/report.html\">") && map.matches("<td class=\"heat-").count() == 3, "{map}");
    let csv = succeed(&["report", text(&out), "--csv"]);
    let rows: Vec<&str> = csv.lines().map(|line| line.split(',').next().unwrap()).collect();
    assert_eq!(rows, ["benchmark", "path-vqa", "slake", "vqa-rad"]);
    assert!(succeed(&["report", text(&out), "--markdown"]).contains("| slake | 2 |"));
    assert!(refuse(&["report", text(&out), "--json"]).contains("--json is about one run, and 3 are given"));
    // one that lacks a folder is refused whole, before anything is asked
    let error = refuse(&["run", "--bench", &format!("paper10:{}", text(dir.path())), "--out", text(&dir.path().join("none"))]);
    assert!(error.contains("lacks 10 of its 10 benchmarks") && error.contains("hf download lmms-lab/MMMU"), "{error}");
}

/// The five commands of the README, as they stand there, on ten pictures.
#[cfg(unix)]
#[test]
fn from_ten_photographs_to_a_verdict_as_the_readme_says() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap();
    let (_, after) = readme.split_once("in five commands.").unwrap();
    let commands: Vec<&str> =
        after.lines().skip_while(|line| !line.starts_with("    ")).take_while(|line| line.starts_with("    ")).collect();
    assert_eq!(commands.len(), 5);
    let dir = tempfile::tempdir().unwrap();
    let suite = EmbeddedSuite::test(6);
    let mut rows = vec!["image,question,answer".to_owned()];
    let mut seen = std::collections::BTreeSet::new();
    // a question about each of ten pictures, with a comma in none
    let plain = |text: &str| !text.contains([',', '"', '\n']);
    for question in suite.questions().iter().filter(|question| plain(&question.text) && plain(&question.gold[0])) {
        if seen.len() < 10 && seen.insert(&question.image) {
            suite.image(&question.image).unwrap().save(dir.path().join(format!("{}.png", question.image))).unwrap();
            rows.push(format!("{}.png,{},{}", question.image, question.text, question.gold[0]));
        }
    }
    assert_eq!(rows.len(), 11);
    fs::write(dir.path().join("photos.csv"), rows.join("\n")).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_steady-process"), dir.path().join("steady")).unwrap();
    let path = format!("{}:{}", text(dir.path()), std::env::var("PATH").unwrap());
    let mut said = Vec::new();
    for command in commands {
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", command]).current_dir(dir.path()).env("PATH", &path).env_remove("GITHUB_STEP_SUMMARY").env("COLUMNS", "160");
        shell.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        let output = finish(&mut shell);
        assert_eq!(output.status.code(), Some(0), "{command}: {}", stderr(&output));
        said.push(String::from_utf8(output.stdout).unwrap());
    }
    assert!(said[0].contains("10 questions about 10 pictures"), "{}", said[0]);
    assert!(said[4].contains("PASS") && !said[4].contains("INCONCLUSIVE"), "{}", said[4]);
    for file in ["gate.xml", "gate.md", "run/report.html"] {
        assert!(dir.path().join(file).exists(), "{file}");
    }
}
