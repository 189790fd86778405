//! A whole study as a process: same plan, same bytes; killed and run again, as if nothing had happened.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod process;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use steady_bench::{BENCHMARKS, asked};
use steady_report::{Perturbed, Report, Summary, share};
use steady_tests::reference::cases_of;

use process::{Running, finish, json, lasting, refuse, run, stderr, steady, succeed, text, wait_until};

const ACCELERATIONS: [&str; 4] = ["--accel", "w4:rtn", "--accel", "fastv:k=2,keep=0.5"];

fn arguments<'a>(questions: &'a str, out: &'a Path) -> Vec<&'a str> {
    [&["run", "--device", "cpu", "--questions", questions, "--control", "order", "--out", text(out)][..], &ACCELERATIONS].concat()
}

/// Record parts by name.
fn records(run: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(run.join("records")).unwrap().map(|entry| entry.unwrap().path());
    let parts = entries.filter(|path| path.extension().is_some_and(|extension| extension == "parquet"));
    parts.map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap())).collect()
}

#[test]
fn the_same_plan_twice_gives_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (dir.path().join("first"), dir.path().join("second"));
    // Nor does it matter how many threads there are.
    for (out, threads) in [(&first, "1"), (&second, "3")] {
        let output = finish(steady(&arguments("30", out)).env("RAYON_NUM_THREADS", threads));
        assert!(output.status.success(), "{}", stderr(&output));
        let table = String::from_utf8(output.stdout).unwrap();
        assert!(table.contains("w4:rtn") && table.contains("noise floor") && table.contains("report.html"), "{table}");
    }
    let parts = records(&first);
    assert!(!parts.is_empty());
    assert_eq!(parts, records(&second));
    for file in ["plan.json", "questions.json", "report.json", "report.html"] {
        assert_eq!(fs::read(first.join(file)).unwrap(), fs::read(second.join(file)).unwrap(), "{file}");
    }
    // and reading it back gives what was written
    let report = fs::read_to_string(first.join("report.json")).unwrap();
    fs::remove_file(first.join("report.json")).unwrap();
    fs::remove_file(first.join("report.html")).unwrap();
    assert_eq!(json(&["report", text(&first), "--json"]), serde_json::from_str::<serde_json::Value>(&report).unwrap());
    assert_eq!(fs::read_to_string(first.join("report.json")).unwrap(), report);
    assert!(first.join("report.html").exists());
    let lines = succeed(&["report", text(&first), "--records"]);
    assert_eq!(lines.lines().count(), 30 * 4, "30 questions under the baseline, two accelerations and a control");
}

#[test]
fn a_run_is_shared_as_a_link() {
    let dir = tempfile::tempdir().unwrap();
    succeed(&arguments("30", dir.path()));
    let json = dir.path().join("report.json");
    let link = succeed(&["share", text(dir.path()), "--page", "https://example.org/steady/"]);
    assert_eq!(succeed(&["share", text(&json), "--page", "https://example.org/steady/"]), link);
    let payload = link.trim_end().strip_prefix("https://example.org/steady/#r=").unwrap();
    let opened =
        share::open(payload, |suite| Some(asked(&*BENCHMARKS.reopen(&suite.name, &suite.fingerprint, suite.size).unwrap()))).unwrap();
    assert!(opened.rebuilt && opened.left_out == 0);
    let report = Report::from_json(&fs::read_to_string(json).unwrap()).unwrap();
    let counts = |report: &Report| report.summaries().iter().map(|s| (s.spec.clone(), s.tally, s.dr)).collect::<Vec<_>>();
    assert_eq!(counts(&opened.report), counts(&report));
    assert!(stderr(&run(&["share", text(dir.path())])).contains(&format!("{} characters", payload.len())));
}

/// A stand-in for the desktop's program that opens addresses.
#[cfg(target_os = "linux")]
#[test]
fn a_run_opens_in_the_page() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    succeed(&arguments("10", &dir.path().join("run")));
    let (opener, opened) = (dir.path().join("xdg-open"), dir.path().join("opened"));
    fs::write(&opener, format!("#!/bin/sh\nprintf %s \"$1\" > '{0}.part' && mv '{0}.part' '{0}'\n", text(&opened))).unwrap();
    fs::set_permissions(&opener, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", text(dir.path()), std::env::var("PATH").unwrap());
    let run = text(&dir.path().join("run")).to_owned();
    let page = "https://example.org/steady/";
    for arguments in [&["report", &run, "--open"][..], &["report", &run, "--open", "--page", page]] {
        assert!(finish(steady(arguments).env("PATH", &path)).status.success());
        // it runs beside the command
        wait_until("the address was opened", || opened.exists());
        let shown = fs::read_to_string(&opened).unwrap();
        fs::remove_file(&opened).unwrap();
        if arguments.contains(&page) {
            assert_eq!(shown, succeed(&["share", &run, "--page", page]).trim_end());
        } else {
            assert!(shown.ends_with("/run/report.html"), "{shown}");
        }
    }
    assert!(refuse(&["report", &run, "--page", page]).contains("--open"));
}

#[test]
fn nothing_is_shared_that_changes_an_answer() {
    // The control answers every question of the baseline from scratch, in another order: sharing must not show.
    let dir = tempfile::tempdir().unwrap();
    let report = json(&[&arguments("50", dir.path())[..], &["--json"]].concat());
    assert_eq!(report["summary"]["noise_floor"]["dr"]["count"], 0);
    assert_eq!(report["controls"][0]["answers"].as_array().unwrap().len(), 50);
}

#[test]
fn a_study_has_controls_and_says_which() {
    let dir = tempfile::tempdir().unwrap();
    let study = |name: &str, more: &[&str]| {
        let out = dir.path().join(name);
        let words = ["run", "--device", "cpu", "--questions", "20", "--accel", "divprune:keep=0.33", "--out", text(&out)];
        let report = json(&[&words[..], more, &["--json"]].concat());
        let plan: serde_json::Value = serde_json::from_slice(&fs::read(out.join("plan.json")).unwrap()).unwrap();
        let named = |list: &serde_json::Value| list.as_array().unwrap().iter().map(|row| row["spec"].clone()).collect::<Vec<_>>();
        assert_eq!(named(&plan["controls"]), named(&report["controls"]));
        let command = plan["command"].as_str().unwrap().to_owned();
        (named(&plan["controls"]), report, command, plan["processor"]["pixels"].clone())
    };
    let (usual, report, command, pixels) = study("usual", &[]);
    assert_eq!((usual, pixels), (["order", "split", "bf16", "pixels=pil"].map(serde_json::Value::from).to_vec(), "torchvision".into()));
    assert!(command.ends_with("--control order --control split --control bf16 --control pixels=pil"), "{command}");
    // each has an answer to every question, and the floor is the one that changes most
    let changed: Vec<u64> =
        ["order", "split", "bf16", "pixels=pil"].map(|name| report["summary"]["controls"][name]["dr"]["count"].as_u64().unwrap()).to_vec();
    assert_eq!(report["summary"]["noise_floor"]["dr"]["count"].as_u64(), changed.iter().copied().max());
    assert!(report["controls"].as_array().unwrap().iter().all(|control| control["answers"].as_array().unwrap().len() == 20));
    // weights in bf16 are not those of the baseline: the lead of some first token moves, if no answer does
    assert!(report["summary"]["accelerations"]["divprune:keep=0.33"]["ties"]["margin"].as_f64().unwrap() > 0.0, "{report}");

    let (named, _, command, pixels) = study("named", &["--pixels", "pil", "--control", "pixels=torchvision"]);
    assert_eq!((named, pixels), (vec!["pixels=torchvision".into()], "pil".into()));
    assert!(command.contains("--pixels pil") && command.ends_with("--control pixels=torchvision"), "{command}");
    let (none, report, command, _) = study("none", &["--control", "none"]);
    assert!(none.is_empty() && report["summary"]["noise_floor"].is_null() && command.ends_with("--control none"), "{command}");
}

#[test]
fn a_control_that_changes_nothing_is_refused() {
    let refused = |more: &[&str]| refuse(&[&["run", "--device", "cpu", "--questions", "1"][..], more].concat());
    assert!(refused(&["--control", "pixels=torchvision"]).contains("shown torchvision's pixels already"));
    assert!(refused(&["--dtype", "bf16", "--control", "bf16"]).contains("computed in bf16 already"));
    assert!(refused(&["--control", "device=cpu"]).contains("computed there already"));
    let unknown = refused(&["--control", "bf17"]);
    assert!(unknown.contains("bf17") && unknown.contains("pixels=pil") && unknown.contains("none"), "{unknown}");
}

/// Starts a run into the folder `out` and kills it when something is recorded.
fn kill_after_the_first_part(command: &mut Command, out: &Path) {
    let mut running = Running::start(command);
    let first = out.join("records/part-00000.parquet");
    wait_until("a first part was written", || {
        assert!(running.0.try_wait().unwrap().is_none(), "it ended before it could be killed");
        first.exists()
    });
    running.0.kill().unwrap(); // SIGKILL
    running.0.wait().unwrap();
}

#[test]
fn killed_midway_it_continues_and_asks_nothing_twice() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, killed) = (dir.path().join("whole"), dir.path().join("killed"));
    succeed(&arguments("120", &whole));
    kill_after_the_first_part(&mut steady(&arguments("120", &killed)), &killed);
    let kept = records(&killed);
    assert!(kept.len() < records(&whole).len(), "it was to be killed midway");
    assert!(!killed.join("report.json").exists());
    let inodes = |parts: &BTreeMap<String, Vec<u8>>| {
        parts.keys().map(|name| fs::metadata(killed.join("records").join(name)).unwrap().ino()).collect::<Vec<_>>()
    };
    let before = inodes(&kept);
    let output = run(&arguments("120", &killed));
    assert!(output.status.success(), "{}", stderr(&output));
    let rows: usize =
        stderr(&output).lines().find_map(|line| line.split(" of 480 answers are recorded already").next()?.parse().ok()).unwrap();
    assert!(rows > 0 && rows < 480, "{}", stderr(&output));
    assert_eq!(inodes(&kept), before, "parts that were there are not written again");
    assert_eq!(records(&killed), records(&whole));
    for file in ["report.json", "report.html"] {
        assert_eq!(fs::read(killed.join(file)).unwrap(), fs::read(whole.join(file)).unwrap(), "{file}");
    }
    // a finished run asks nothing at all
    let again = stderr(&run(&arguments("120", &killed)));
    assert!(again.contains("480 of 480 answers are recorded already"), "{again}");
}

/// Questions about nine images or more, which are groups of two parts.
const GROUPS_ASKED: &str = "40";

#[test]
fn killed_after_each_group_in_turn_it_leaves_what_it_would_have_left() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, killed) = (dir.path().join("whole"), dir.path().join("killed"));
    succeed(&arguments(GROUPS_ASKED, &whole));
    let questions: serde_json::Value = serde_json::from_slice(&fs::read(whole.join("questions.json")).unwrap()).unwrap();
    let images: std::collections::BTreeSet<&str> =
        questions.as_array().unwrap().iter().map(|question| question["image"].as_str().unwrap()).collect();
    let groups = images.len();
    assert!(groups > 8, "{groups} groups are to be more than a part");
    for group in 0..groups - 1 {
        let mut running = Running::start(&mut steady(&arguments(GROUPS_ASKED, &killed)));
        let (kept, part) =
            (killed.join(format!("journal/group-{group:05}")), killed.join(format!("records/part-{:05}.parquet", group / 8)));
        wait_until(&format!("group {group} was kept"), || {
            assert!(running.0.try_wait().unwrap().is_none(), "it ended before it could be killed");
            kept.exists() || part.exists()
        });
        running.0.kill().unwrap(); // SIGKILL
        running.0.wait().unwrap();
    }
    let output = run(&arguments(GROUPS_ASKED, &killed));
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("answers are recorded already"), "{}", stderr(&output));
    let (left, expected) = (lasting(&killed), lasting(&whole));
    assert_eq!(left.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (name, bytes) in &expected {
        assert_eq!(&left[name], bytes, "{name}");
    }
}

#[test]
fn a_model_that_does_not_stop_by_itself_is_said_to() {
    let dir = tempfile::tempdir().unwrap();
    // Its weights are random.
    let model = cases_of("tiny-llava").join("checkpoint");
    let output =
        run(&["run", "--model", text(&model), "--device", "cpu", "--questions", "10", "--accel", "int8", "--out", text(dir.path())]);
    let said = stderr(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("answers so far were cut at the limit of"), "{said}");
    let table = String::from_utf8_lossy(&output.stdout);
    assert!(table.contains("Cut at the limit of "), "{table}");
    // and one that does is not
    succeed(&arguments("10", &dir.path().join("stops")));
    let said = stderr(&run(&arguments("10", &dir.path().join("stops again"))));
    assert!(!said.contains("so far were cut"), "{said}");
}

const PERTURBATIONS: [&str; 4] = ["--perturb", "noise=20", "--perturb", "jpeg=30+blur=1.0"];

/// The records that are about perturbed images or not, as text.
fn lines(run: &Path, perturbed: bool) -> Vec<String> {
    let all = succeed(&["report", text(run), "--records"]);
    all.lines().filter(|line| line.contains("\"perturbation\":\"none\"") != perturbed).map(str::to_owned).collect()
}

#[test]
fn perturbed_images_are_asked_about_beside_the_clean_ones() {
    let dir = tempfile::tempdir().unwrap();
    let (clean, whole, killed) = (dir.path().join("clean"), dir.path().join("whole"), dir.path().join("killed"));
    succeed(&arguments("20", &clean));
    let both = |out| [&arguments("20", out)[..], &PERTURBATIONS].concat();
    let printed = succeed(&both(&whole));
    // a row for the baseline, for each acceleration and for the control, under each of the two
    assert_eq!(printed.matches("blur=1+jpeg=30").count(), 4, "{printed}");
    let plan: serde_json::Value = serde_json::from_slice(&fs::read(whole.join("plan.json")).unwrap()).unwrap();
    assert_eq!(plan["perturbations"], serde_json::json!(["none", "noise=20", "blur=1+jpeg=30"]));
    assert!(plan["command"].as_str().unwrap().ends_with("--perturb noise=20 --perturb blur=1+jpeg=30"), "{plan}");
    // the clean rows are those of a study without perturbations
    assert_eq!(lines(&whole, false), lines(&clean, false));
    assert_eq!((lines(&whole, false).len(), lines(&whole, true).len()), (20 * 4, 2 * 20 * 4));
    let report = |run: &Path| Report::from_json(&fs::read_to_string(run.join("report.json")).unwrap()).unwrap();
    let (perturbed, alone) = (report(&whole), report(&clean));
    // all but what tests are adjusted by, which are more where there are more conditions
    let measured = |report: &Report| {
        let of = |summary: &Summary| (summary.spec.clone(), summary.tally, summary.dr, summary.mcnemar.p_by_image);
        report.summaries().iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(measured(&perturbed), measured(&alone));
    // nothing is shared across perturbations that changes an answer
    assert!(perturbed.perturbed().iter().all(|under| under.condition.noise_floor().unwrap().dr.count == 0));
    assert!(perturbed.perturbed().iter().any(|under| under.baseline.dr.count > 0), "the perturbations do nothing");

    kill_after_the_first_part(&mut steady(&both(&killed)), &killed);
    assert!(records(&killed).len() < records(&whole).len(), "it was to be killed midway");
    assert!(stderr(&run(&both(&killed))).contains("of 240 answers are recorded already"));
    assert_eq!(records(&killed), records(&whole));
    for file in ["report.json", "report.html"] {
        assert_eq!(fs::read(killed.join(file)).unwrap(), fs::read(whole.join(file)).unwrap(), "{file}");
    }

    let link = succeed(&["share", text(&whole)]);
    let payload = link.trim_end().split_once("#r=").unwrap().1;
    assert!(payload.len() <= share::BUDGET);
    let opened =
        share::open(payload, |suite| Some(asked(&*BENCHMARKS.reopen(&suite.name, &suite.fingerprint, suite.size).unwrap()))).unwrap();
    assert!(opened.rebuilt);
    let counts = |report: &Report| {
        let of = |under: &Perturbed| (under.perturbation.clone(), under.baseline.tally, under.condition.accelerations[1].dr);
        report.perturbed().iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(counts(&opened.report), counts(&perturbed));
    // another list of perturbations is another study
    let message = refuse(&[&arguments("20", &whole)[..], &["--perturb", "noise=20"]].concat());
    assert!(
        message.contains("perturbations: there [\"none\",\"noise=20\",\"blur=1+jpeg=30\"], asked [\"none\",\"noise=20\"]"),
        "{message}"
    );
}

#[test]
fn the_plan_names_both_folders_of_a_model() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let model = dir.path().join("a model");
    fs::create_dir(&model).unwrap();
    for entry in fs::read_dir(cases_of("tiny-llava-med").join("checkpoint")).unwrap().map(Result::unwrap) {
        fs::copy(entry.path(), model.join(entry.file_name())).unwrap();
    }
    let tower = cases_of("tiny-llava-med").join("clip-tiny-patch8-24");
    let common = ["--questions", "10", "--device", "cpu", "--accel", "int8", "--out", text(&out)];
    succeed(&[&["run", "--model", text(&model), "--vision-tower", text(&tower)], &common[..]].concat());
    let plan: serde_json::Value = serde_json::from_slice(&fs::read(out.join("plan.json")).unwrap()).unwrap();
    let command = plan["command"].as_str().unwrap();
    let expected = format!("steady run --model '{}' --vision-tower {} --bench", text(&model), text(&tower));
    assert!(command.starts_with(&expected), "{command}");
    // The same checkpoint by another path is the same experiment.
    let moved = dir.path().join("elsewhere").join("a model");
    fs::create_dir(moved.parent().unwrap()).unwrap();
    fs::rename(&model, &moved).unwrap();
    let again = run(&[&["run", "--model", text(&moved), "--vision-tower", text(&tower)], &common[..]].concat());
    assert!(stderr(&again).contains("are recorded already"), "{}", stderr(&again));
}

#[test]
fn another_plan_in_the_same_folder_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    succeed(&arguments("10", dir.path()));
    let message = refuse(&["run", "--device", "cpu", "--questions", "20", "--accel", "int8", "--out", text(dir.path())]);
    assert!(
        message.contains("plan.json")
            && message.contains("benchmark.questions: there 10, asked 20")
            && message.contains("accelerations: there"),
        "{message}"
    );
    assert!(!message.contains("model.sha256"), "{message}");
}

#[test]
fn a_damaged_part_stops_run_and_report() {
    let dir = tempfile::tempdir().unwrap();
    succeed(&arguments("10", dir.path()));
    let part = dir.path().join("records/part-00000.parquet");
    let bytes = fs::read(&part).unwrap();
    fs::write(&part, &bytes[..bytes.len() - 100]).unwrap();
    for message in [refuse(&arguments("10", dir.path())), refuse(&["report", text(dir.path())])] {
        assert!(message.contains("part-00000.parquet") && message.contains("damaged"), "{message}");
    }
    // as it advises
    fs::remove_file(&part).unwrap();
    succeed(&arguments("10", dir.path()));
    assert_eq!(fs::read(&part).unwrap(), bytes);
}

#[test]
fn what_a_crash_left_half_written_is_noted_and_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("records")).unwrap();
    fs::write(dir.path().join("records/part-00000.parquet.unfinished"), b"PAR1 and then the power went").unwrap();
    let output = run(&arguments("10", dir.path()));
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("part-00000.parquet.unfinished"), "{}", stderr(&output));
}

/// Each kind of layer is put back into float once, and those that are worth their bytes together.
#[test]
fn layers_that_break_answers_are_located() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("located");
    let study = ["locate", "--device", "cpu", "--questions", "12", "--control", "none", "--by", "kind", "--out", text(&out)];
    let told = succeed(&[&study[..], &["--mixed", "3.2MB"]].concat());
    let report = |folder: &Path| Report::from_json(&fs::read_to_string(folder.join("report.json")).unwrap()).unwrap();
    let located = report(&out);
    let [sensitivity] = &located.sensitivities()[..] else { panic!("one acceleration was taken apart") };
    // in float, and in 8 bits
    assert_eq!((sensitivity.whole.spec.as_str(), sensitivity.parts.len()), ("w4:rtn,g=auto", 2 * 7));
    assert!(told.contains("in float") && sensitivity.parts.iter().all(|part| told.contains(&part.name())), "{told}");
    let mixed = report(&out.join("mixed"));
    let [whole, kept] = mixed.accelerations() else { panic!("the acceleration, and with layers in float") };
    assert_eq!(whole.spec, "w4:rtn,g=auto");
    let best = sensitivity.parts.iter().max_by(|a, b| {
        let worth = |part: &steady_report::Restored<'_>| sensitivity.gone(part).unwrap() / part.more_bytes.unwrap() as f64;
        worth(a).total_cmp(&worth(b))
    });
    let back = kept.spec.strip_prefix("w4:rtn,g=auto,").unwrap();
    // What is worth most for its bytes is there, in that form or in a larger one.
    let best = [best.unwrap().layers, best.unwrap().eight].concat();
    assert!(back.split(['=', '/', ',']).any(|part| part == best), "{back}");
    assert!(back.contains("w8="), "{back}");
    assert!((whole.cost.stored_bytes.unwrap()..=3_200_000).contains(&kept.cost.stored_bytes.unwrap()));

    let refused = refuse(&[&study[..], &["--mixed", "1kB"]].concat());
    assert!(refused.contains("--mixed 1000: w4:rtn,g=auto takes") && refused.contains("with no more layers in float"), "{refused}");
    let refused = refuse(&["locate", "--device", "cpu", "--questions", "2", "--accel", "divprune"]);
    assert!(refused.contains("packs no layers"), "{refused}");
}

/// A preset goes on without what a family does not take, and says so; what was typed by itself stops.
#[test]
fn what_does_not_fit_is_left_out_of_a_preset_and_refused_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let study = ["run", "--device", "cpu", "--model", "steady-qwen2-vl", "--questions", "10", "--control", "none"];
    let output = run(&[&study[..], &["--accel", "reducers", "--out", text(&out)]].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    for (spec, reason) in
        [("tome:keep=0.333", "tear apart"), ("holov:keep=0.333,parts=16", "no original position"), ("prumerge:plus", "no class token")]
    {
        assert!(
            stderr(&output).lines().any(|line| line.contains(&format!("{spec} is not run: ")) && line.contains(reason)),
            "{}",
            stderr(&output)
        );
    }
    let report = Report::from_json(&fs::read_to_string(out.join("report.json")).unwrap()).unwrap();
    assert_eq!((report.plan().left_out.len(), report.plan().specs.len()), (4, 15));
    let error = refuse(&[&study[..], &["--accel", "reducers", "--accel", "prumerge"]].concat());
    assert!(error.contains("--accel prumerge: ") && error.contains("no class token"), "{error}");
    let error = refuse(&[&study[..], &["--accel", "vtw:k=9"]].concat());
    assert!(error.contains("acts before layer 9"), "{error}");
}

#[test]
fn a_sweep_is_a_curve_for_each_method() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let accelerations = ["--accel", "random", "--accel", "divprune", "--accel", "int8", "--sweep", "keep=0.25..1/0.25"];
    let study = ["run", "--device", "cpu", "--questions", "10", "--control", "none", "--out", text(&out)];
    succeed(&[&study[..], &accelerations].concat());
    let report = Report::from_json(&fs::read_to_string(out.join("report.json")).unwrap()).unwrap();
    let tokens = |sweep: &steady_report::Sweep<'_>| sweep.points.iter().map(|point| point.visual_tokens).collect::<Vec<_>>();
    let curves: Vec<(String, Vec<f64>)> = report.sweeps().iter().map(|sweep| (sweep.spec.clone(), tokens(sweep))).collect();
    let budgets = vec![36.0, 72.0, 108.0, 144.0];
    assert_eq!(curves, [("random:keep=..,seed=0".to_owned(), budgets.clone()), ("divprune:keep=..".to_owned(), budgets)]);
    let whole = report.sweeps().iter().map(|sweep| sweep.points[3].summary.dr.count).sum::<u64>();
    assert_eq!(whole, 0, "with every token nothing changes");
    let markdown = succeed(&["report", text(&out), "--markdown"]);
    assert!(markdown.contains("### By budget") && markdown.contains("| `divprune:keep=..` | 0.5 | 72.0 |"), "{markdown}");
    let error = refuse(&["run", "--accel", "int8", "--sweep", "keep=0.1..0.9"]);
    assert!(error.contains("none of the accelerations has that parameter"), "{error}");
    let error = refuse(&["run", "--accel", "divprune", "--sweep", "keep=0.5"]);
    assert!(error.contains("expected a parameter with a range"), "{error}");
}
