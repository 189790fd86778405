//! `--endpoint URL --against URL`: models behind servers, which here are inside the test.

#![cfg(feature = "endpoint")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../http/mod.rs"]
mod http;
#[path = "../process/mod.rs"]
mod process;
mod server;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use process::{finish, stderr, steady, text};
use serde_json::Value;
use server::{Fault, Server};
use tempfile::TempDir;

const KEY: &str = "sk-sesame-open-0123456789";
/// Questions, two about each picture.
const QUESTIONS: usize = 12;

/// Six pictures with two questions each; the right answer is always "red".
fn bench(dir: &Path) -> String {
    let mut rows = vec!["image,question,answer".to_owned()];
    for picture in 0..QUESTIONS / 2 {
        let file = format!("{picture}.png");
        image::RgbImage::from_pixel(8, 8, image::Rgb([picture as u8 * 40, 10, 200])).save(dir.join(&file)).unwrap();
        rows.extend(["lid", "box"].map(|thing| format!("{file},What color is {thing} {picture}?,red")));
    }
    let path = dir.join("q.csv");
    fs::write(&path, rows.join("\n")).unwrap();
    format!("file:{}", text(&path))
}

struct Study {
    dir: TempDir,
    bench: String,
}

impl Study {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { bench: bench(dir.path()), dir }
    }

    fn out(&self) -> PathBuf {
        self.dir.path().join("run")
    }

    fn command(&self, baseline: &Server, other: &Server, more: &[&str]) -> Command {
        let out = self.out();
        let (first, second) = (baseline.address(), other.address());
        let arguments = ["run", "--endpoint", &first, "--against", &second, "--bench", &self.bench, "--out", text(&out), "--json"];
        let mut command = steady(&[&arguments[..], more].concat());
        for (name, _) in std::env::vars() {
            if name.to_lowercase().ends_with("_proxy") || name == "OPENAI_API_KEY" {
                command.env_remove(name);
            }
        }
        command.current_dir(self.dir.path());
        command
    }

    fn report(&self, baseline: &Server, other: &Server, more: &[&str]) -> Value {
        let output = finish(&mut self.command(baseline, other, more));
        assert!(output.status.success(), "{}", stderr(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn refused(&self, baseline: &Server, other: &Server, more: &[&str]) -> String {
        said(&finish(&mut self.command(baseline, other, more)))
    }

    /// No file of the run holds the key, in any form of it.
    fn holds_no_key(&self) {
        let mut files = 0;
        let mut folders = vec![self.dir.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
                if entry.file_type().unwrap().is_dir() {
                    folders.push(entry.path());
                    continue;
                }
                files += 1;
                let bytes = fs::read(entry.path()).unwrap();
                assert!(!bytes.windows(9).any(|window| window == b"sk-sesame"), "{}", entry.path().display());
            }
        }
        assert!(files > QUESTIONS / 2, "{files} files");
    }
}

fn said(output: &Output) -> String {
    let message = stderr(output);
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(output.stdout.is_empty() && !message.contains("panicked") && !message.contains("sk-sesame"), "{message}");
    message
}

/// Every question was answered so often, and each once by whoever answered it.
fn each_answered(server: &Server, times: usize) {
    let counts = server.answered();
    assert_eq!((counts.len(), counts.values().all(|count| *count == times)), (QUESTIONS, true), "{counts:?}");
}

#[test]
fn two_servers_are_compared_question_by_question() {
    let (baseline, other) =
        (Server::of("org/base", |state| state.company = 4), Server::of("org/quantized", |state| state.other_about = Some("lid".into())));
    let study = Study::new();
    let report = study.report(&baseline, &other, &["--in-flight", "4"]);
    // The baseline is asked twice, which is the floor.
    each_answered(&baseline, 2);
    each_answered(&other, 1);
    let summary = &report["summary"]["accelerations"]["endpoint:quantized"];
    assert_eq!((&summary["dr"]["of"], &summary["ndr"]["count"]), (&12.into(), &6.into()), "{summary}");
    assert_eq!((&report["controls"][0]["spec"], &report["plan"]["model"]), (&"again".into(), &"org/base".into()));
    let answers = report["accelerations"][0]["answers"].as_array().unwrap();
    // Of "red" -0.1, "x" -2.1, "y" -6 and "other" -0.1, "x" -0.6, "y" -6 the tokens x and y are in both lists:
    // KL = p(x) ln(p(x)/q(x)) + p(y) ln 1 + rest ln(rest/rest'), with p(x) = e^-2.1, q(x) = e^-0.6, p(y) = e^-6
    let (px, qx, y) = ((-2.1_f64).exp(), (-0.6_f64).exp(), (-6_f64).exp());
    let kl = px * -1.5 + (1.0 - px - y) * ((1.0 - px - y) / (1.0 - qx - y)).ln();
    let lid = answers.iter().find(|answer| answer["text"] == "other").unwrap();
    assert!((lid["kl"].as_f64().unwrap() - kl).abs() < 1e-6 && (lid["margin"].as_f64().unwrap() - 0.5).abs() < 1e-6, "{lid}");
    assert_eq!(lid["top"][0]["token"], "other");
    // What the servers say of themselves is in the plan, where they are is not, but in the command.
    let plan: Value = serde_json::from_slice(&fs::read(study.out().join("plan.json")).unwrap()).unwrap();
    let told = plan["accelerations"][1]["describe"].as_str().unwrap();
    let expected = "a server: model org/quantized, max_model_len 4096, owned_by vllm, version 0.9.1, tells the 3 likeliest tokens, so KL is a lower bound";
    assert_eq!(told, expected);
    assert!(plan["command"].as_str().unwrap().contains(&format!("--against {} ", other.address())), "{}", plan["command"]);
    assert_eq!(plan["post_prompts"]["short"], "Answer the question using a single word or phrase.");
    let asked = baseline.state().answered[0].clone();
    assert!(
        asked["messages"][0]["content"][1]["text"].as_str().unwrap().ends_with("?\nAnswer the question using a single word or phrase.")
    );
    assert_eq!((&asked["temperature"], &asked["max_tokens"], &asked["model"]), (&0.into(), &64.into(), &"org/base".into()));
    // Nothing is left of what was kept on the way, and nothing is asked again.
    assert!(!study.out().join("replies.jsonl").exists());
    assert!(!study.report(&baseline, &other, &[]).is_null());
    each_answered(&baseline, 2);
    // So many at a time and no more.
    assert_eq!(baseline.state().most_at_once, 4);
}

#[test]
fn what_goes_wrong_in_passing_is_asked_again() {
    let faults = || {
        let status = |status| Fault::Status(status, "retry-after: 0");
        let mut faults = vec![status(429), status(500), Fault::Half, Fault::HangsUp, Fault::Slow(Duration::from_secs(3)), status(503)];
        faults.push(Fault::Status(429, "retry-after: Wed, 21 Oct 2026 07:28:00 GMT"));
        faults
    };
    let (baseline, other) = (Server::of("base", |state| state.faults = faults()), Server::of("other", |state| state.faults = faults()));
    let study = Study::new();
    let report = study.report(&baseline, &other, &["--timeout", "2"]);
    assert_eq!(report["summary"]["accelerations"]["endpoint:other"]["dr"]["count"], 0);
    each_answered(&baseline, 2);
    each_answered(&other, 1);
    assert!(baseline.state().faults.is_empty() && other.state().faults.is_empty());
}

#[test]
fn a_server_that_dies_loses_nothing_and_is_asked_nothing_twice() {
    let study = Study::new();
    let (baseline, other) = (Server::of("base", |_| ()), Server::of("other", |state| state.dies_after = Some(5)));
    let message = study.refused(&baseline, &other, &["--retries", "1", "--in-flight", "1"]);
    assert!(message.contains("acceleration endpoint:other") && message.contains("the same command continues from there"), "{message}");
    assert_eq!(other.answered().len(), 5);
    let before = baseline.state().answered.len();
    assert!(before > 0 && before < 2 * QUESTIONS, "{before}");
    // Killed while a line was being written: the half is no answer.
    let replies = study.out().join("replies.jsonl");
    let bytes = fs::read(&replies).unwrap();
    fs::write(&replies, [&bytes[..], b"{\"id\":\"00"].concat()).unwrap();
    // It is back.
    other.state().dies_after = None;
    let report = study.report(&baseline, &other, &["--in-flight", "1"]);
    assert_eq!(report["questions"].as_array().unwrap().len(), QUESTIONS);
    each_answered(&baseline, 2);
    each_answered(&other, 1);
    assert!(!replies.exists());
}

#[test]
fn another_model_s_answer_is_none() {
    let study = Study::new();
    let (baseline, other) = (Server::of("base", |state| state.faults = vec![Fault::AnotherModel]), Server::of("other", |_| ()));
    let message = study.refused(&baseline, &other, &["--in-flight", "1"]);
    assert!(message.contains("answers as model \"somebody-else\" now, and did as \"base\" when the study began"), "{message}");
    study.report(&baseline, &other, &[]);
    each_answered(&baseline, 2);
    // A run goes on with the same models alone.
    let third = Server::of("third", |_| ());
    let message = study.refused(&baseline, &third, &[]);
    assert!(message.contains("this folder belongs to another plan") && message.contains("accelerations: there "), "{message}");
}

#[test]
fn keys_come_from_the_environment_and_appear_nowhere() {
    let wants = |state: &mut server::State| state.wants_key = Some(KEY.to_owned());
    let (baseline, other) = (Server::of("base", wants), Server::of("other", |_| ()));
    let study = Study::new();
    assert!(study.refused(&baseline, &other, &[]).contains("401 Unauthorized: it wants a key, which OPENAI_API_KEY or --key-env brings"));
    // The server repeats what it was sent.
    let message = said(&finish(study.command(&baseline, &other, &[]).env("OPENAI_API_KEY", "sk-sesame-wrong")));
    assert!(message.contains("the key in OPENAI_API_KEY is not taken: Incorrect key: Bearer [key]"), "{message}");
    let message = said(&finish(study.command(&baseline, &other, &["--key-env", "NOT_SET"]).env("OPENAI_API_KEY", KEY)));
    assert!(message.contains("--key-env NOT_SET: this environment variable is not set"), "{message}");
    // The key of one server is not for the other.
    let place = baseline.address().replace("http://", "").replace("/v1", "=MINE");
    other.state().keys.clear();
    let output = finish(study.command(&baseline, &other, &["--key-env", &place]).env("MINE", format!(" {KEY}\n")));
    assert!(output.status.success() && !stderr(&output).contains(KEY), "{}", stderr(&output));
    assert!(other.state().keys.iter().all(Option::is_none));
    assert!(!String::from_utf8_lossy(&output.stdout).contains("sk-sesame"));
    study.holds_no_key();
    // One that breaks off holds none either.
    let broken = Study::new();
    other.state().dies_after = Some(0);
    let message = said(&finish(broken.command(&baseline, &other, &["--retries", "0"]).env("OPENAI_API_KEY", KEY)));
    assert!(message.contains("cannot be reached") || message.contains("broke off"), "{message}");
}

#[test]
fn what_a_server_refuses_ends_the_run_and_is_asked_again_by_the_next() {
    let study = Study::new();
    let (baseline, other) = (Server::of("base", |_| ()), Server::of("other", |_| ()));
    for (status, header, expected) in [
        (307, "location: http://127.0.0.1:9/v1", "it is elsewhere, and a key is sent nowhere else"),
        (400, "", "400 Bad Request: not now"),
        (404, "", "404 Not Found: not now"),
        (413, "", "413 Payload Too Large: not now"),
    ] {
        baseline.state().faults = vec![Fault::Status(status, header)];
        let message = study.refused(&baseline, &other, &["--in-flight", "1"]);
        assert!(message.contains("question row-1, acceleration none: ") && message.contains(expected), "{message}");
        assert!(!message.contains("asked 7 times"), "{message}");
    }
    study.report(&baseline, &other, &[]);
    each_answered(&baseline, 2);
    each_answered(&other, 1);
}

#[test]
fn a_refused_question_can_count_as_unread() {
    let study = Study::new();
    let (baseline, other) = (Server::of("base", |_| ()), Server::of("other", |_| ()));
    other.state().faults = vec![Fault::Status(400, "")];
    let said = study.refused(&baseline, &other, &["--in-flight", "1"]);
    assert!(said.contains("400 Bad Request: not now; with --refused count it counts as unread and wrong"), "{said}");
    other.state().faults = vec![Fault::Status(400, "")];
    let arguments = ["--in-flight", "1", "--refused", "count"];
    let report = study.report(&baseline, &other, &arguments);
    let answers = report["accelerations"][0]["answers"].as_array().unwrap();
    let none: Vec<&Value> = answers.iter().filter(|answer| answer["text"] == "").collect();
    assert!(none.len() == 1 && none[0]["parsed"].is_null() && none[0]["correct"] == false, "{none:?}");
    assert_eq!(report["flagged"].as_array().unwrap().len(), 1);
    // Nothing is asked again, not even that.
    let answered = other.answered();
    assert_eq!(answered.len(), QUESTIONS - 1);
    study.report(&baseline, &other, &arguments);
    assert_eq!(other.answered(), answered);
}

#[test]
fn servers_that_tell_less_are_asked_for_less() {
    for (top, told) in [(5, "tells the 3 likeliest tokens"), (0, "tells no probabilities")] {
        let (baseline, other) = (Server::of("base", |state| state.top = top), Server::of("other", |_| ()));
        let study = Study::new();
        let report = study.report(&baseline, &other, &["--control", "none"]);
        assert!(fs::read_to_string(study.out().join("plan.json")).unwrap().contains(told));
        let answer = &report["questions"][0]["baseline"];
        assert_eq!((answer["margin"].is_null(), report["controls"].as_array().unwrap().len()), (top == 0, 0), "{answer}");
        each_answered(&baseline, 1);
    }
}

#[test]
fn what_makes_no_sense_is_said_before_anything_is_asked() {
    let (baseline, other) = (Server::of("base", |_| ()), Server::of("other", |_| ()));
    let study = Study::new();
    for (more, expected) in [
        (&["--accel", "int8"][..], "'--endpoint <URL[#MODEL]>' cannot be used with '--accel <SPEC>'"),
        (&["--control", "order"], "of a server nothing can be changed"),
        (&["--against", "no-address"], "--against: address of a server: expected http://HOST:PORT/v1"),
        (&["--against", "http://me:sk-sesame@host/v1"], "a key comes from the environment"),
        (&["--device", "cpu"], "cannot be used with"),
        (&["--in-flight", "0"], "0 is not in 1..=256"),
    ] {
        let message = study.refused(&baseline, &other, more);
        assert!(message.contains(expected), "{more:?}: {message}");
    }
    let twice = other.address();
    let twice = ["--against", twice.as_str()];
    assert!(study.refused(&baseline, &other, &twice).contains("is asked for twice"));
    assert!(baseline.state().answered.is_empty() && other.state().answered.is_empty() && !study.out().exists());
    // A server without a baseline's beside it, and one that is not there.
    let address = other.address();
    let alone = said(&finish(&mut steady(&["run", "--against", &address, "--bench", &study.bench])));
    assert!(alone.contains("--endpoint names the baseline's"), "{alone}");
    let closed = Server::of("closed", |state| state.dies_after = Some(0));
    assert!(study.refused(&closed, &other, &[]).contains("cannot be reached"));
}

/// The baseline knows what is right whatever its letter.
#[test]
fn options_in_another_order_are_the_same_options() {
    let (baseline, other) = (Server::of("base", |state| state.option = Some("cat")), Server::of("other", |_| ()));
    let study = Study::new();
    let mut rows = vec!["image,question,choices,answer".to_owned()];
    rows.extend((0..QUESTIONS).map(|n| format!("{}.png,Which animal is number {n}?,dog|cat|cow|hen,cat", n / 2)));
    fs::write(study.dir.path().join("q.csv"), rows.join("\n")).unwrap();
    let report = study.report(&baseline, &other, &["--perturb", "shuffle=3+case=5", "--perturb", "typos=1"]);
    // As it is, and under each of the two.
    let rows = report["questions"].as_array().unwrap();
    assert_eq!(rows.len(), 3 * QUESTIONS);
    let under = |perturbation: &str| rows.iter().filter(|row| row["perturbation"] == perturbation).collect::<Vec<_>>();
    for row in under("shuffle=3+case=5") {
        let answer = &row["baseline"];
        assert_eq!((&answer["parsed"], &answer["outcome"], &answer["correct"]), (&"b".into(), &"same".into(), &true.into()), "{answer}");
    }
    let said: std::collections::BTreeSet<&str> =
        under("shuffle=3+case=5").iter().map(|row| row["baseline"]["text"].as_str().unwrap()).collect();
    assert!(said.len() > 1, "{said:?}");
    let asked: Vec<String> =
        baseline.state().answered.iter().map(|body| body["messages"][0]["content"][1]["text"].as_str().unwrap().to_owned()).collect();
    let shuffled =
        asked.iter().filter(|text| text.starts_with("WHICH ANIMAL IS NUMBER") && !text.contains("\nA. dog\nB. cat\nC. cow")).count();
    assert_eq!((asked.len(), shuffled), (2 * 3 * QUESTIONS, 2 * QUESTIONS), "{asked:?}");
}
