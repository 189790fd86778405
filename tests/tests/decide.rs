//! Decisions over a run, as a process: verdicts with their exit codes and files, and a guard from its choice to the answer that it gives.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod process;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use steady_bench::Benchmark;
use steady_bench::world::EmbeddedSuite;
use steady_report::{Outcome, Report};

use process::{finish, json, refuse, run, stderr, steady, succeed, text};

const PRUNED: &str = "divprune:keep=0.33";

/// One run for all tests: 120 questions, two accelerations and a control.
static RUN: LazyLock<(tempfile::TempDir, PathBuf)> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let study = ["run", "--device", "cpu", "--questions", "120", "--control", "order", "--accel", "int8", "--accel", PRUNED];
    succeed(&[&study[..], &["--out", text(&out)]].concat());
    (dir, out)
});

fn study() -> &'static Path {
    &RUN.1
}

fn report() -> Report {
    Report::from_json(&fs::read_to_string(study().join("report.json")).unwrap()).unwrap()
}

/// A command's exit code and what it printed.
fn verdict(arguments: &[&str]) -> (Option<i32>, String) {
    let output = run(&[&["gate", text(study())], arguments].concat());
    assert!(!stderr(&output).contains("panicked"), "{}", stderr(&output));
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

/// The verdict of a policy on top of the report, in HTML, Markdown and the terminal.
#[test]
fn a_report_is_judged_where_it_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let (policy, run) = (dir.path().join("policy.toml"), dir.path().join("run"));
    fs::write(&policy, "[[rule]]\nmax-ndr = \"5%\"\n").unwrap();
    for (name, bytes) in process::lasting(study()) {
        fs::create_dir_all(run.join(&name).parent().unwrap()).unwrap();
        fs::write(run.join(name), bytes).unwrap();
    }
    let before = fs::read_to_string(run.join("report.html")).unwrap();
    let printed = succeed(&["report", text(&run), "--policy", text(&policy)]);
    assert!(printed.find("FAIL at 95 % confidence").unwrap() < printed.find("McNemar").unwrap(), "{printed}");
    let html = fs::read_to_string(run.join("report.html")).unwrap();
    let places =
        ["<h1>FAIL at 95 % confidence</h1>", "policy ", "NDR &lt;= 5 %", "steady · stability report"].map(|part| html.find(part).unwrap());
    assert!(places.is_sorted(), "{places:?}");
    let markdown = succeed(&["report", text(&run), "--policy", text(&policy), "--markdown"]);
    assert!(
        markdown.starts_with("## steady gate: FAIL at 95 % confidence") && markdown.contains("### Questions that changed most"),
        "{markdown}"
    );
    succeed(&["report", text(&run)]);
    assert_eq!(fs::read_to_string(run.join("report.html")).unwrap(), before);
    let csv = succeed(&["report", text(&run), "--csv"]);
    assert!(csv.starts_with("question,family,image,perturbation,"), "{csv}");
}

/// DivPrune breaks about a quarter of this model's answers and int8 next to none; a hundredth of 120 is more than 120 questions show.
#[test]
fn verdicts_are_exit_codes() {
    let (code, told) = verdict(&["--accel", PRUNED, "--max-ndr", "5%"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("FAIL") && told.contains("NDR <= 5 %") && told.contains("FAIL at 95 % confidence"), "{told}");
    let (code, told) = verdict(&["--accel", "int8", "--max-ndr", "1%"]);
    assert_eq!(code, Some(3), "{told}");
    assert!(told.contains("INCONCLUSIVE") && told.contains("are too few"), "{told}");
    let (code, told) = verdict(&["--accel", "int8", "--max-ndr", "0.2", "--max-drop", "20%"]);
    assert_eq!(code, Some(0), "{told}");
    // all accelerations: the worst counts
    assert_eq!(verdict(&["--max-ndr", "5%"]).0, Some(1));
    // a report.json says the same as the folder it is in
    let file = study().join("report.json");
    let gate = |run: &Path| finish(&mut steady(&["gate", text(run), "--max-ndr", "20%", "--accel", "int8", "--json"])).stdout;
    assert_eq!(gate(&file), gate(study()));
}

#[test]
fn a_policy_is_judged_and_written_down() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("policy.toml"), "[[rule]]\nmax-ndr = \"30%\"\n\n[[rule]]\ntier = \"advisory\"\ngroup = \"*\"\nmax-dr = 0.5\n").unwrap();
    let (policy, junit, markdown, html) = (at("policy.toml"), at("gate.xml"), at("gate.md"), at("gate.html"));
    let (card, summary) = (at("card.md"), at("summary.md"));
    fs::write(&summary, "before\n").unwrap();
    let arguments = [
        "gate",
        text(study()),
        "--policy",
        text(&policy),
        "--accel",
        "int8",
        "--junit",
        text(&junit),
        "--markdown",
        text(&markdown),
        "--html",
        text(&html),
        "--card",
        text(&card),
        "--page",
        "https://example.org/steady/",
        "--github",
    ];
    let output = finish(steady(&arguments).env("GITHUB_STEP_SUMMARY", &summary));
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let families = report().summaries()[0].per_family.len();
    let read = |path: &Path| fs::read_to_string(path).unwrap();
    assert!(read(&junit).contains(&format!("tests=\"{}\"", 1 + families)), "{}", read(&junit));
    assert_eq!(format!("before\n{}", read(&markdown)), read(&summary));
    let page = read(&html);
    let (_, map) = page.split_once("<section id=\"benchmarks\">").unwrap();
    // the one that was judged, and a way to the run's report
    assert!(map.contains("/run/report.html\"><bdi class=\"text\">steady-world<") && map.matches("<td class=\"heat-").count() == 1, "{map}");
    let told = read(&card);
    assert!(told.starts_with("---\nmodel-index:\n") && told.contains("(<https://example.org/steady/#r="), "{told}");
    let plan = report().plan().plan_sha256.clone();
    assert!(plan.len() == 64 && told.contains(&plan), "{told}");
    // JSON holds the same verdict, and every limit of every acceleration
    let all = finish(&mut steady(&["gate", text(study()), "--policy", text(&policy), "--json"]));
    let all: serde_json::Value = serde_json::from_slice(&all.stdout).unwrap();
    assert_eq!(all["accelerations"][0]["verdict"], "PASS");
    assert_eq!(all["accelerations"][1]["findings"].as_array().unwrap().len(), 1 + families);
}

#[test]
fn a_gate_is_checked_on_the_controls_of_the_run() {
    let (code, told) = verdict(&["--max-ndr", "20%", "--check"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("order") && told.contains("2000 studies"), "{told}");
    // even what is the same cannot be shown to be within a half of a percent by 120 questions
    assert_eq!(verdict(&["--max-ndr", "0.5%", "--check"]).0, Some(3));
}

#[test]
fn what_is_wrong_with_a_policy_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let policy = dir.path().join("policy.toml");
    let refused = |text_of_it: &str| {
        fs::write(&policy, text_of_it).unwrap();
        refuse(&["gate", text(study()), "--policy", text(&policy)])
    };
    let told = refused("[[rule]]\nmax-nrd = 0.1\n");
    assert!(told.contains("policy.toml, line 2: unknown field `max-nrd`, expected one of `tier`"), "{told}");
    let told = refused("[[rule]]\nmax-ndr = 0.1\ngroup = \"reeding\"\n");
    assert!(told.contains("no group \"reeding\"") && told.contains("existence"), "{told}");
    assert!(refuse(&["gate", text(study())]).contains("--policy <FILE>"));
    assert!(refuse(&["gate", text(study()), "--max-ndr", "2"]).contains("written \"2%\""));
    assert!(refuse(&["gate", text(study()), "--max-ndr", "2%", "--accel", "w4:rtn"]).contains("there are int8"));
}

/// The guard's threshold splits the recorded answers, and `ask` follows it: an answer with a lead stays, one without goes to the baseline.
#[test]
fn a_guard_is_chosen_and_asked() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("guard.json");
    let guard = ["guard", text(study()), "--accel", PRUNED, "--max-ndr", "10%", "--out", text(&file)];
    let told = succeed(&guard);
    assert!(told.contains("NDR stays under 10.0 %") && told.contains("held out:") && told.contains("FLOPs"), "{told}");
    assert!(fs::read_to_string(file.with_extension("svg")).unwrap().contains("<svg"));
    let chosen = json(&[&guard[..], &["--json"]].concat());
    let threshold = chosen["threshold"].as_f64().unwrap() as f32;
    assert!(threshold > 0.0 && chosen["calibration"]["risk"].as_f64().unwrap() < 0.1, "{chosen}");
    let report = report();
    let answers = &report.accelerations()[1].answers;
    let suite = EmbeddedSuite::test(report.questions().len());
    let mut asked = 0;
    for kept in [true, false] {
        // of those that the guard defers one that broke: then it shows whose answer it is
        let wanted =
            |i: &usize| (answers[*i].margin.unwrap() >= threshold) == kept && (kept || answers[*i].outcome == Some(Outcome::Broken));
        let i = (0..answers.len()).find(wanted).unwrap();
        let question = &report.questions()[i];
        let image = dir.path().join("image.png");
        suite.image(&question.image).unwrap().save(&image).unwrap();
        let ask = ["ask", "--image", text(&image), "--question", &question.text, "--device", "cpu", "--guard", text(&file)];
        let said = json(&[&ask[..], &["--json"]].concat());
        let expected = if kept { &answers[i].text } else { &question.baseline.text };
        assert_eq!(said["guard"]["answered_by"], if kept { chosen["spec"].clone() } else { "none".into() });
        assert_eq!(said["guard"]["text"], expected.trim());
        assert_eq!((said["guard"]["lead"].as_f64().unwrap() as f32).to_bits(), answers[i].margin.unwrap().to_bits());
        // the baseline is not asked where it is not needed
        assert_eq!(said["answers"].as_array().unwrap().len(), if kept { 1 } else { 2 });
        assert!(succeed(&ask).contains("guard: leads by"));
        asked += 1;
    }
    assert_eq!(asked, 2);
    // of another model the threshold says nothing
    let image = dir.path().join("image.png");
    let other =
        ["ask", "--model", "steady-qwen2.5-vl", "--image", text(&image), "--question", "?", "--device", "cpu", "--guard", text(&file)];
    assert!(refuse(&other).contains("--guard: it was chosen for steady-llava"));
}

#[test]
fn a_guard_without_images_enough_says_how_many_it_takes() {
    let output = run(&["guard", text(study()), "--accel", "int8", "--max-ndr", "1%", "--confidence", "95%"]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("it takes 299 at least"));
    assert!(refuse(&["guard", text(study()), "--max-ndr", "1%"]).contains("--accel is needed"));
}

/// ln 0.05 / ln 0.99 = 298.07; questions that stand or fall by four take four times as many.
#[test]
fn sizes_are_planned_before_anything_is_asked() {
    let sizes = json(&["plan-size", "--limit", "1%", "--json"]);
    assert_eq!((&sizes["limit"]["questions"], &sizes["limit"]["may_break"]), (&299.into(), &0.into()));
    assert_eq!(json(&["plan-size", "--limit", "1%", "--per-image", "4", "--json"])["limit"]["questions"], 4 * 299);
    let told = succeed(&["plan-size", "--questions", "300"]);
    assert!(told.contains("none broken means NDR at most 0.99 %"), "{told}");
    assert!(refuse(&["plan-size", "--limit", "1%", "--expect", "2%"]).contains("must be below the limit"));
    assert!(refuse(&["plan-size"]).contains("--limit"));
}

/// Without a run's name the newest in ./steady-out/ is judged.
#[test]
fn the_newest_run_is_judged() {
    let dir = tempfile::tempdir().unwrap();
    let runs = dir.path().join("steady-out/one");
    fs::create_dir_all(&runs).unwrap();
    let copied = Command::new("cp").arg("-r").arg(format!("{}/.", text(study()))).arg(&runs).status().unwrap();
    assert!(copied.success());
    let output = finish(steady(&["gate", "--max-ndr", "20%", "--accel", "int8"]).current_dir(dir.path()));
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}
