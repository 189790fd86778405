//! Logs that the tools themselves wrote (`tests/reference/log_cases.py`), against what changes in the answers when they are counted without any of our code.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use steady_logs::{Choices, Comparison, FORMATS, Log, LogError, Runs, Source, compare, read};

/// Counts of one pair of runs.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
struct Counts {
    questions: u64,
    changed: u64,
    broken: u64,
    repaired: u64,
    right_before: u64,
    right_after: u64,
}

impl std::ops::Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            questions: self.questions + other.questions,
            changed: self.changed + other.changed,
            broken: self.broken + other.broken,
            repaired: self.repaired + other.repaired,
            right_before: self.right_before + other.right_before,
            right_after: self.right_after + other.right_after,
        }
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference/logs")
}

/// A file, or all files of a folder, as a run.
fn sources(path: &str) -> Vec<Source> {
    let path = folder().join(path);
    let mut files = if path.is_dir() { fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()).collect() } else { vec![path] };
    files.sort();
    let source = |file: &PathBuf| Source { name: file.file_name().unwrap().to_str().unwrap().to_owned(), bytes: fs::read(file).unwrap() };
    files.iter().map(source).collect()
}

fn log(name: &str, path: &str, choices: &Choices) -> Log {
    read(name, &sources(path), choices, FORMATS).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn compared(paths: [&str; 2], choices: &Choices) -> Result<Comparison, LogError> {
    let [before, after] = [log("before", paths[0], choices), log("after", paths[1], choices)];
    compare(Runs { baseline: &before, others: &[&after], controls: &[] }, &[], "")
}

fn counts(comparison: &Comparison) -> Counts {
    let summary = &comparison.report.summaries()[0];
    Counts {
        questions: summary.dr.of,
        changed: summary.dr.count,
        broken: summary.ndr.count,
        repaired: summary.pdr.count,
        right_before: summary.accuracy_before.count,
        right_after: summary.accuracy_after.count,
    }
}

/// The path of each version in a folder's layout, the format that is to be found, and the names of the expectations that add up.
const TOOLS: [(&str, &str, &str, &[&str]); 10] = [
    ("lm-eval", "lm-eval/VERSION", "strict-match", &["strict", "choices"]),
    ("lm-eval", "lm-eval/VERSION", "flexible-extract", &["flexible", "choices"]),
    ("lmms-eval", "lmms-eval-0.6.1/VERSION", "", &["yes_no", "exam", "open"]),
    ("lmms-eval", "lmms-eval-0.7.3/VERSION", "", &["yes_no", "exam", "open"]),
    ("inspect", "inspect/VERSION", "", &["announced"]),
    ("vlmevalkit", "vlmevalkit/VERSION_Exam.xlsx", "", &["exam"]),
    ("nemo", "nemo/VERSION", "", &["strict"]),
    ("who-what", "who-what/VERSION.csv", "", &["words"]),
    ("llava", "llava/VERSION.jsonl", "", &["words"]),
    ("table", "table/VERSION.csv", "", &["yes_no"]),
];

#[test]
fn what_changed_is_what_is_counted_by_hand() {
    let expected: BTreeMap<String, Counts> = serde_json::from_slice(&fs::read(folder().join("expected.json")).unwrap()).unwrap();
    let mut looked_at = 0;
    for (format, layout, filter, names) in TOOLS {
        let choices = Choices { filter: Some(filter.to_owned()).filter(|filter| !filter.is_empty()), ..Choices::default() };
        for pair in ["ab", "ac", "bc"] {
            // one version is kept as another kind of file
            let path = |version: &str| {
                if version == "c" { layout.replace(".xlsx", ".tsv") } else { layout.to_owned() }.replace("VERSION", version)
            };
            let paths = [path(&pair[..1]), path(&pair[1..])];
            assert_eq!(log("run", &paths[0], &choices).format.name, format, "{}", paths[0]);
            let comparison = compared([&paths[0], &paths[1]], &choices).unwrap_or_else(|error| panic!("{paths:?}: {error}"));
            let by_hand = names.iter().map(|name| expected[&format!("{name} {pair}")]).fold(Counts::default(), |a, b| a + b);
            assert_eq!(counts(&comparison), by_hand, "{format} {filter} {pair}");
            looked_at += 1;
        }
    }
    assert_eq!(looked_at, 30);
}

#[test]
fn an_archive_and_its_json_are_one_log() {
    let [packed, plain] = ["inspect/a", "inspect/a.json"].map(|path| log("a", path, &Choices::default()));
    assert_eq!(packed.answers.len(), 4);
    assert_eq!(packed.settings, plain.settings);
    for (packed, plain) in packed.answers.iter().zip(&plain.answers) {
        let said = |answer: &steady_logs::Answer| {
            (answer.id.clone(), answer.question.clone(), answer.gold.clone(), answer.reply.clone(), answer.score)
        };
        assert_eq!(said(packed), said(plain));
    }
}

/// The open questions of MMMU as lmms-eval 0.7.3 parses them are the reference of what is done for 0.6.1, whose log has lost the candidates.
#[test]
fn open_answers_are_parsed_as_the_repaired_release_does() {
    let file = fs::read_to_string(folder().join("lmms-eval-0.7.3/a/20260101_000000_samples_mmmu_val_ours.jsonl")).unwrap();
    let mut compared = 0;
    for line in file.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        if line["mmmu_acc"]["question_type"] != "open" {
            continue;
        }
        let theirs: Vec<String> = line["mmmu_acc"]["parsed_pred"][0].as_array().unwrap().iter().map(steady_logs::source::text_of).collect();
        let ours = steady_logs::defects::mmmu_open_candidates(line["filtered_resps"].as_str().unwrap());
        let gold = vec![line["target"].as_str().unwrap().to_owned()];
        let right = |candidates: &[String]| steady_logs::defects::mmmu_open_right(candidates, &gold);
        assert_eq!(right(&ours), right(&theirs), "{ours:?} {theirs:?}");
        compared += 1;
    }
    assert_eq!(compared, 4);
}

#[test]
fn known_defects_are_shown_with_both_verdicts() {
    let notes = |release: &str| compared([&format!("{release}/a"), &format!("{release}/b")], &Choices::default()).unwrap().notes.join("\n");
    insta::assert_snapshot!(format!("0.6.1\n{}\n\n0.7.3\n{}", notes("lmms-eval-0.6.1"), notes("lmms-eval-0.7.3")));
}

/// What is said of the tool's verdicts, which the log of MMMU does not hold, comes to the accuracies in the tool's own results.
#[test]
fn verdicts_of_lmms_eval_are_those_of_its_results() {
    let mut looked_at = 0;
    for (release, version, results) in ["0.6.1", "0.7.3"].into_iter().flat_map(|release| {
        ["a", "b", "c"].into_iter().enumerate().map(move |(i, version)| (release, version, format!("2026010{}_000000_results.json", i + 1)))
    }) {
        let path = format!("lmms-eval-{release}/{version}");
        let log = log(version, &path, &Choices::default());
        let results: serde_json::Value = serde_json::from_slice(&fs::read(folder().join(&path).join(results)).unwrap()).unwrap();
        for (task, metric) in [("mmmu_val_ours", "mmmu_acc,none"), ("pope_ours", "pope_accuracy,none")] {
            let verdicts: Vec<bool> =
                log.answers.iter().filter(|answer| answer.family == task).map(|answer| answer.verdict().unwrap()).collect();
            let accuracy = verdicts.iter().filter(|right| **right).count() as f64 / verdicts.len() as f64;
            assert!((accuracy - results["results"][task][metric].as_f64().unwrap()).abs() < 1e-9, "{path} {task}: {accuracy}");
            looked_at += 1;
        }
    }
    assert_eq!(looked_at, 12);
}

#[test]
fn two_releases_of_lmms_eval_are_not_mixed() {
    let refused = compared(["lmms-eval-0.6.1/a", "lmms-eval-0.7.3/b"], &Choices::default()).unwrap_err().to_string();
    assert!(refused.contains("settings.layout: answers as lists (0.6) in before, answers as texts (0.7) in after"), "{refused}");
}

#[test]
fn without_gold_nothing_is_right_or_wrong() {
    let report = compared(["who-what/a.csv", "who-what/b.csv"], &Choices::default()).unwrap().report;
    assert!(!report.judged());
    assert!(compared(["table/a.csv", "table/b.csv"], &Choices::default()).unwrap().report.judged());
}

#[test]
fn a_margin_is_the_lead_of_the_most_likely_option() {
    let log = log("a", "lm-eval/a", &Choices::default());
    let margins: Vec<f32> = log.answers.iter().filter_map(|answer| answer.margin).collect();
    let by_hand = [1.5, 2.5, 0.1, 0.1];
    assert_eq!(margins.len(), by_hand.len());
    assert!(margins.iter().zip(by_hand).all(|(margin, by_hand)| (margin - by_hand).abs() < 1e-6), "{margins:?}");
}
