//! `steady compare` as a process: what it prints, writes and refuses.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod process;

use std::fs;
use std::path::{Path, PathBuf};

use process::{json, refuse, run, stderr, succeed, text};
use steady_report::Report;

fn logs(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("reference/logs").join(name)
}

/// The report that a folder holds.
fn report(folder: &Path) -> Report {
    let page = fs::read_to_string(folder.join("report.html")).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>"));
    Report::from_json(&fs::read_to_string(folder.join("report.json")).unwrap()).unwrap()
}

#[test]
fn two_runs_are_a_report() {
    let out = tempfile::tempdir().unwrap();
    let printed = succeed(&["compare", text(&logs("table/a.csv")), text(&logs("table/b.csv")), "--out", text(out.path())]);
    assert!(printed.contains("75.0 -> 62.5") && printed.contains("37.5 % of answers changed"), "{printed}");
    // nobody knows what it cost
    assert!(!printed.contains("weights MB"), "{printed}");
    assert_eq!(report(out.path()).summaries()[0].ndr.count, 2);
}

#[test]
fn the_third_run_is_compared_with_both_before_it() {
    let out = tempfile::tempdir().unwrap();
    let paths = ["a", "b", "c"].map(|version| logs(&format!("lm-eval/{version}")));
    let [a, b, c] = paths.each_ref().map(|path| text(path));
    let printed = succeed(&["compare", a, b, c, "--out", text(out.path())]);
    assert!(printed.contains("Against the original, a:") && printed.contains("Against the previous version, b:"), "{printed}");
    let (original, previous) = (report(out.path()), report(&out.path().join("previous")));
    assert_eq!(original.plan().specs, ["b", "c"]);
    assert_eq!(previous.plan().specs, ["c"]);
    // the counts of tests/reference/logs/expected.json, `strict` and `choices` together
    let changed = |report: &Report, spec: &str| report.summary(spec).unwrap().dr.count;
    assert_eq!((changed(&original, "b"), changed(&original, "c"), changed(&previous, "c")), (3 + 2, 4 + 2, 5 + 3));
}

#[test]
fn settings_beside_a_file_are_found() {
    let out = tempfile::tempdir().unwrap();
    for (version, temperature) in [("a", "0.0"), ("b", "0.7")] {
        let folder = out.path().join(version);
        fs::create_dir(&folder).unwrap();
        for file in fs::read_dir(logs(&format!("nemo/{version}"))).unwrap() {
            let path = file.unwrap().path();
            let held = fs::read_to_string(&path).unwrap().replace("\"temperature\": 0.0", &format!("\"temperature\": {temperature}"));
            fs::write(folder.join(path.file_name().unwrap()), held).unwrap();
        }
    }
    let files = ["a", "b"].map(|version| out.path().join(version).join("results.jsonl"));
    let [a, b] = files.each_ref().map(|path| text(path));
    let message = refuse(&["compare", a, b, "--out", text(out.path())]);
    assert!(message.contains("settings.sums.temperature: 0.0 in a/results, 0.7 in b/results"), "{message}");
    assert!(message.contains("--allow settings.sums.temperature"), "{message}");
    let output = run(&["compare", a, b, "--allow", "settings", "--out", text(out.path())]);
    assert!(output.status.success() && stderr(&output).contains("let through: settings.sums.temperature"), "{}", stderr(&output));
}

#[test]
fn a_report_of_ours_is_a_log_too() {
    let out = tempfile::tempdir().unwrap();
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/bench/tests/version-1/report.json");
    let reduced = format!("{}#divprune:keep=0.33", text(&ours));
    let again = json(&["compare", text(&ours), &reduced, "--out", text(out.path()), "--json"]);
    let original = Report::from_json(&fs::read_to_string(&ours).unwrap()).unwrap();
    let (summary, found) = (original.summary("divprune:keep=0.33").unwrap(), report(out.path()));
    assert_eq!(found.summaries()[0].tally, summary.tally);
    assert_eq!(again["summary"]["accelerations"]["report#divprune:keep=0.33"]["dr"]["count"], summary.dr.count);
}

#[test]
fn what_is_no_log_is_refused_with_what_would_be() {
    let out = tempfile::tempdir().unwrap();
    let prose = out.path().join("notes.json");
    fs::write(&prose, "{\"title\": \"notes\"}").unwrap();
    let message = refuse(&["compare", text(&prose), text(&prose), "--out", text(out.path())]);
    for expected in
        ["notes.json holds an object of title", "lmms-eval samples: JSON lines with", "VLMEvalKit", "NeMo Evaluator", "Inspect", "who-what"]
    {
        assert!(message.contains(expected), "{expected}: {message}");
    }
    let nowhere = refuse(&["compare", "nowhere.csv", text(&prose), "--out", text(out.path())]);
    assert!(nowhere.contains("nowhere.csv"), "{nowhere}");
}
