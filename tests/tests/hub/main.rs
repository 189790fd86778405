//! `--model org/name`: checkpoints from a hub, which here is a server inside the test.

#![cfg(feature = "hub")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../http/mod.rs"]
mod http;
#[path = "../process/mod.rs"]
mod process;
mod server;

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;

use process::{Running, finish, json, stderr, steady, text, wait_until};
use serde_json::Value;
use server::{COMMIT, Fault, Hub, Outage, Request};
use steady_tests::reference::{cases_of, sha256};
use tempfile::TempDir;

const ID: &str = "acme/tiny-llava";
const SHARD: &str = "model-00003-of-00004.safetensors";

fn published() -> PathBuf {
    cases_of("tiny-llava").join("checkpoint")
}

fn image() -> PathBuf {
    cases_of("tiny-llava").join("images/wide.png")
}

fn question(model: &str) -> Vec<String> {
    let image = image();
    ["ask", "--image", text(&image), "--question", "is it red?", "--device", "cpu", "--json", "--model", model].map(str::to_owned).to_vec()
}

/// A user with an empty cache and no token.
struct User {
    home: TempDir,
    endpoint: String,
}

impl User {
    fn of(hub: &Hub) -> Self {
        Self { home: tempfile::tempdir().unwrap(), endpoint: hub.endpoint() }
    }

    fn command(&self, arguments: &[String]) -> Command {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut command = steady(&arguments);
        for (name, _) in std::env::vars() {
            let trust = ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"].contains(&name.as_str());
            let hub = ["HF_", "HUGGING_FACE_", "TRANSFORMERS_"].iter().any(|of| name.starts_with(of));
            if trust || hub || name.to_lowercase().ends_with("_proxy") {
                command.env_remove(name);
            }
        }
        command.env("HF_ENDPOINT", &self.endpoint).env("HF_HOME", self.home.path()).current_dir(self.home.path());
        command
    }

    /// The answer about the model.
    fn ask(&self, model: &str) -> Value {
        first_token(&finish(&mut self.command(&question(model))))
    }

    /// The answer, and what is said beside it.
    fn asks_and_hears(&self, model: &str) -> (Value, String) {
        let output = finish(&mut self.command(&question(model)));
        (first_token(&output), stderr(&output))
    }

    /// Makes the cache one that another program filled: it does not say what the repository lacks.
    fn forgets_what_there_is_not(&self, id: &str) {
        // It may have been forgotten before.
        drop(fs::remove_dir_all(self.repository(id).join(".no_exist")));
    }

    /// What is said instead of an answer.
    fn refused(&self, model: &str) -> String {
        said(&mut self.command(&question(model)))
    }

    fn repository(&self, id: &str) -> PathBuf {
        self.home.path().join("hub").join(format!("models--{}", id.replace('/', "--")))
    }

    /// The lock of a large file with these bytes, where the hub's own programs have it.
    fn lock(&self, id: &str, bytes: &[u8]) -> PathBuf {
        self.home.path().join("hub/.locks").join(format!("models--{}", id.replace('/', "--"))).join(format!("{}.lock", sha256(bytes)))
    }

    fn snapshot(&self, id: &str) -> PathBuf {
        self.repository(id).join("snapshots").join(COMMIT)
    }

    fn files(&self, id: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.snapshot(id)) else { return Vec::new() };
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn first_token(output: &Output) -> Value {
    assert!(output.status.success(), "{}", stderr(output));
    let asked: Value = serde_json::from_slice(&output.stdout).unwrap();
    asked["answers"][0]["first_token"].clone()
}

fn said(command: &mut Command) -> String {
    let output = finish(command);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(output.stdout.is_empty() && !stderr(&output).contains("panicked"), "{}", stderr(&output));
    stderr(&output)
}

/// What the model answers from its folder.
fn expected() -> Value {
    let arguments = question(text(&published()));
    json(&arguments.iter().map(String::as_str).collect::<Vec<_>>())["answers"][0]["first_token"].clone()
}

fn of<'a>(requests: &'a [Request], file: &str) -> Vec<&'a Request> {
    requests.iter().filter(|request| request.target.contains(&format!("/store/{ID}/{file}"))).collect()
}

#[test]
fn a_model_comes_into_the_usual_cache_once() {
    let hub = Hub::with(ID, &published());
    let user = User::of(&hub);
    let expected = expected();
    assert_eq!(user.ask(ID), expected);

    let mut needed: Vec<String> =
        fs::read_dir(published()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    needed.sort();
    assert_eq!(user.files(ID), needed, "what a checkpoint needs, and nothing else");
    let root = user.home.path().join("hub/models--acme--tiny-llava");
    assert_eq!(fs::read_to_string(root.join("refs/main")).unwrap(), COMMIT);
    for file in &needed {
        assert_eq!(fs::read(user.snapshot(ID).join(file)).unwrap(), fs::read(published().join(file)).unwrap(), "{file}");
    }
    assert_eq!(fs::read_dir(root.join("blobs")).unwrap().count(), needed.len());
    let asked = hub.asked();
    assert_eq!(asked.iter().filter(|request| request.target.contains("/resolve/")).count(), needed.len());

    // From now on without the hub.
    drop(hub);
    assert_eq!(user.ask(ID), expected);
    assert_eq!(user.ask(&format!("{ID}@{COMMIT}")), expected);
}

#[test]
fn one_weight_file_needs_no_index_and_missing_settings_are_no_error() {
    let hub = Hub::with("acme/qwen", &cases_of("tiny-qwen2-vl").join("published"));
    hub.change("acme/qwen", |repository| drop(repository.files.remove("generation_config.json")));
    let user = User::of(&hub);
    let asked = user.ask("acme/qwen");
    assert!(user.files("acme/qwen").contains(&"model.safetensors".to_owned()));
    assert!(hub.asked().iter().all(|request| !request.target.contains("generation_config.json")));
    drop(hub);
    assert_eq!(user.ask("acme/qwen"), asked, "what the repository lacks is remembered");
}

#[test]
fn a_revision_is_a_state_of_its_own() {
    let hub = Hub::with(ID, &published());
    let user = User::of(&hub);
    assert_eq!(user.ask(&format!("{ID}@v1")), expected());
    let refs = user.home.path().join("hub/models--acme--tiny-llava/refs");
    assert_eq!(fs::read_to_string(refs.join("v1")).unwrap(), COMMIT);
    assert!(!refs.join("main").exists());
    let message = user.refused(&format!("{ID}@v2"));
    assert!(message.contains("acme/tiny-llava@v2") && message.contains("no revision \"v2\""), "{message}");
}

#[test]
fn a_second_folder_is_fetched_too() {
    let hub = Hub::with("acme/med", &cases_of("tiny-llava-med").join("checkpoint"));
    let config: Value = serde_json::from_slice(&fs::read(cases_of("tiny-llava-med").join("checkpoint/config.json")).unwrap()).unwrap();
    let tower = config["mm_vision_tower"].as_str().unwrap();
    let user = User::of(&hub);
    let message = user.refused("acme/med");
    assert!(message.contains("vision tower of acme/med") && message.contains(tower), "{message}");
    hub.publish(tower, &cases_of("tiny-llava-med").join("clip-tiny-patch8-24"));
    let local = question(text(&cases_of("tiny-llava-med").join("checkpoint")));
    let local = json(&local.iter().map(String::as_str).collect::<Vec<_>>())["answers"][0]["first_token"].clone();
    assert_eq!(user.ask("acme/med"), local);
    assert!(user.files(tower).contains(&"preprocessor_config.json".to_owned()));
    assert!(user.files(tower).contains(&"model.safetensors".to_owned()), "these weights are nowhere else");
}

#[test]
fn a_folder_of_that_name_wins() {
    let hub = Hub::with(ID, &published());
    let user = User::of(&hub);
    let folder = user.home.path().join(ID);
    fs::create_dir_all(&folder).unwrap();
    for entry in fs::read_dir(published()).unwrap().map(Result::unwrap) {
        fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
    }
    assert_eq!(user.ask(ID), expected());
    assert!(hub.asked().is_empty());
}

#[test]
fn what_is_not_there_is_named() {
    let hub = Hub::with(ID, &published());
    let user = User::of(&hub);
    let message = user.refused("acme/nothing");
    assert!(message.contains("--model acme/nothing") && message.contains("no such model") && message.contains("HF_TOKEN"), "{message}");

    hub.damage(ID, SHARD, Fault::Gone);
    let message = user.refused(ID);
    assert!(message.contains(ID) && message.contains(SHARD) && message.contains("404"), "{message}");
    hub.change(ID, |repository| drop(repository.files.remove(SHARD)));
    let message = user.refused(ID);
    assert!(message.contains("index of shards") && message.contains(SHARD), "{message}");
    hub.change(ID, |repository| repository.files.retain(|file, _| !file.contains("safetensors")));
    let message = user.refused(ID);
    assert!(message.contains("model.safetensors") && message.contains("convert"), "{message}");
    hub.publish(ID, &published());
    hub.change(ID, |repository| drop(repository.files.remove("config.json")));
    let message = User::of(&hub).refused(ID);
    assert!(message.contains("config.json"), "{message}");
}

#[test]
fn a_hub_that_does_not_answer_is_named() {
    let hub = Hub::with(ID, &published());
    let user = User::of(&hub);
    drop(hub);
    let message = user.refused(ID);
    assert!(message.contains(&user.endpoint) && message.contains("cannot be reached") && message.contains("folder"), "{message}");
}

/// As huggingface_hub reads the two: `HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE`, on at 1, ON, YES and TRUE.
#[test]
fn two_variables_keep_from_asking() {
    let hub = Hub::with(ID, &published());
    let user = User::of(&hub);
    let with = |variables: &[(&str, &str)]| user.command(&question(ID)).envs(variables.iter().copied()).output().unwrap();
    for variable in ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"] {
        for on in ["1", "on", "Yes", "TRUE"] {
            let output = with(&[(variable, on)]);
            let message = stderr(&output);
            assert_eq!(output.status.code(), Some(2), "{message}");
            assert!(message.contains(&format!("{ID}: {variable} is set")) && message.contains("cache does not hold it"), "{message}");
        }
    }
    assert!(hub.asked().is_empty(), "not even asked");
    assert_eq!(first_token(&with(&[("HF_HUB_OFFLINE", "0"), ("TRANSFORMERS_OFFLINE", "1")])), expected(), "the first decides");
    // and what is whole is used
    user.forgets_what_there_is_not(ID);
    hub.asked();
    let output = with(&[("TRANSFORMERS_OFFLINE", "1")]);
    assert_eq!(first_token(&output), expected());
    let message = stderr(&output);
    assert!(
        message.contains("TRANSFORMERS_OFFLINE is set") && message.contains(&format!("as it is in the cache, commit {COMMIT}")),
        "{message}"
    );
    assert!(hub.asked().is_empty());
    for off in ["no", "2", ""] {
        user.forgets_what_there_is_not(ID);
        assert_eq!(first_token(&with(&[("HF_HUB_OFFLINE", off)])), expected());
        assert!(!hub.asked().is_empty(), "{off:?} says no");
    }
}

const OUTAGES: [Outage; 8] = [
    Outage::Status(401),
    Outage::Status(403),
    Outage::Status(404),
    Outage::Status(429),
    Outage::Status(500),
    Outage::Status(503),
    Outage::Loop,
    Outage::Page,
];

#[test]
fn what_is_whole_in_the_cache_is_used_whatever_the_hub_answers() {
    let hub = Hub::with(ID, &published());
    let user = User::of(&hub);
    let expected = expected();
    assert_eq!(user.ask(ID), expected);
    user.forgets_what_there_is_not(ID);
    for outage in OUTAGES {
        hub.state().outage = Some(outage);
        hub.asked();
        let (answer, said) = user.asks_and_hears(ID);
        assert_eq!(answer, expected, "{outage:?}");
        assert!(said.contains(&format!("is used as it is in the cache, commit {COMMIT}")), "{outage:?}: {said}");
        if let Outage::Status(status) = outage {
            assert!(status == 404 || said.contains(&status.to_string()), "{outage:?}: {said}");
        }
        assert!(!hub.asked().is_empty(), "the hub was to be asked");
        // Who has nothing is told why, and where nothing is.
        let message = User::of(&hub).refused(ID);
        assert!(message.contains("the cache does not hold it") && message.contains("models--acme--tiny-llava"), "{outage:?}: {message}");
    }
    // A part of it does not do, and both reasons are given.
    fs::remove_file(user.snapshot(ID).join(SHARD)).unwrap();
    hub.state().outage = Some(Outage::Status(429));
    let message = user.refused(ID);
    assert!(message.contains("429") && message.contains("the cache lacks") && message.contains(SHARD), "{message}");
}

#[test]
fn the_state_before_is_used_where_a_newer_one_cannot_be_had() {
    let hub = Hub::with(ID, &published());
    let user = User::of(&hub);
    assert_eq!(user.ask(ID), expected());
    user.forgets_what_there_is_not(ID);
    hub.change(ID, |repository| {
        repository.commit = Some("f".repeat(40));
        repository.gated_for = Some("hf_right".to_owned());
        let bytes = repository.files.get_mut("generation_config.json").unwrap();
        bytes.push(b' ');
    });
    let (answer, said) = user.asks_and_hears(ID);
    assert_eq!(answer, expected());
    assert!(said.contains("access is by request") && said.contains(&format!("commit {COMMIT}")), "{said}");
    // Of the state that the hub has now, what is missing is missing.
    hub.change(ID, |repository| repository.commit = None);
    fs::remove_file(user.snapshot(ID).join("generation_config.json")).unwrap();
    let message = user.refused(ID);
    assert!(message.contains("generation_config.json") && message.contains("access is by request"), "{message}");
}

#[test]
fn a_cache_that_cannot_be_written_into_is_read() {
    let hub = Hub::with(ID, &published());
    let user = User::of(&hub);
    assert_eq!(user.ask(ID), expected());
    user.forgets_what_there_is_not(ID);
    // As good as closed, also to those whom permissions do not stop.
    fs::write(user.repository(ID).join(".no_exist"), []).unwrap();
    assert_eq!(user.ask(ID), expected());
}

#[test]
fn what_is_not_needed_may_lack_size_and_hash() {
    let hub = Hub::with(ID, &published());
    hub.change(ID, |repository| repository.bare = vec!["README.md".to_owned(), "pytorch_model.bin".to_owned()]);
    assert_eq!(User::of(&hub).ask(ID), expected());
    for file in [SHARD, "config.json"] {
        hub.change(ID, |repository| repository.bare = vec![file.to_owned()]);
        let message = User::of(&hub).refused(ID);
        assert!(message.contains(&format!("no size and hash of {file}")), "{message}");
    }
}

/// A process whose standard error is read while it runs.
struct Heard {
    running: Running,
    lines: std::io::Lines<BufReader<std::process::ChildStderr>>,
}

impl Heard {
    fn start(command: &mut Command) -> Self {
        let mut running = Running::start(command);
        let lines = BufReader::new(running.0.stderr.take().unwrap()).lines();
        Self { running, lines }
    }

    /// Reads on until something is said.
    fn hear(&mut self, words: &str) {
        let mut heard = Vec::new();
        while let Some(line) = self.lines.next().map(Result::unwrap) {
            if line.contains(words) {
                return;
            }
            heard.push(line);
        }
        panic!("it ended without saying {words:?}: {heard:?}");
    }

    fn ends_well(mut self) {
        let rest: Vec<String> = self.lines.map(Result::unwrap).collect();
        let mut status = None;
        wait_until("the process has ended", || {
            status = self.running.0.try_wait().unwrap();
            status.is_some()
        });
        assert!(status.unwrap().success(), "{rest:?}");
    }
}

#[test]
fn a_second_process_waits_for_the_first() {
    let hub = Hub::with(ID, &published());
    let bytes = fs::read(published().join(SHARD)).unwrap();
    // A program that keeps the lock's file, and one that removes it.
    for removes in [false, true] {
        let user = User::of(&hub);
        let lock = user.lock(ID, &bytes);
        fs::create_dir_all(lock.parent().unwrap()).unwrap();
        let held = File::create(&lock).unwrap();
        held.lock().unwrap();
        hub.asked();
        let mut second = Heard::start(&mut user.command(&question(ID)));
        second.hear(&format!("{ID}: another process is fetching {SHARD}; waiting for it"));
        fs::write(user.repository(ID).join("blobs").join(sha256(&bytes)), &bytes).unwrap();
        if removes {
            fs::remove_file(&lock).unwrap();
        }
        drop(held);
        second.ends_well();
        assert!(of(&hub.asked(), SHARD).is_empty(), "the other one fetched it");
        assert_eq!(user.ask(ID), expected());
    }
}

#[test]
fn a_first_process_that_dies_is_continued_by_the_second() {
    let hub = Hub::with(ID, &published());
    // The first one gets 1000 bytes at a time, and takes its time between them.
    hub.damage(ID, SHARD, Fault::Cut { after: 1000, times: usize::MAX });
    let user = User::of(&hub);
    let bytes = fs::read(published().join(SHARD)).unwrap();
    let mut first = Running::start(&mut user.command(&question(ID)));
    wait_until("the first one fetches the shard", || {
        hub.state().log.iter().any(|request| request.target.contains(&format!("/store/{ID}/{SHARD}")))
    });
    first.0.kill().unwrap();
    first.0.wait().unwrap();
    hub.change(ID, |repository| repository.faults.clear());
    assert_eq!(user.ask(ID), expected());
    assert_eq!(fs::read(user.snapshot(ID).join(SHARD)).unwrap(), bytes);
}

#[test]
fn two_at_once_fetch_everything_once() {
    let hub = Hub::with(ID, &published());
    let user = User::of(&hub);
    let both = [0, 1].map(|_| {
        let mut command = user.command(&question(ID));
        thread::spawn(move || first_token(&finish(&mut command)))
    });
    for answer in both.map(|process| process.join().unwrap()) {
        assert_eq!(answer, expected());
    }
    let mut fetched: Vec<String> =
        hub.asked().into_iter().map(|request| request.target).filter(|target| target.contains("/resolve/")).collect();
    let all = fetched.len();
    fetched.sort();
    fetched.dedup();
    assert_eq!(fetched.len(), all, "{fetched:?}");
    assert_eq!(fetched.len(), user.files(ID).len());
}

#[test]
fn certificates_that_are_none_are_named() {
    let hub = Hub::with(ID, &published());
    let user = User::of(&hub);
    let message = said(user.command(&question(ID)).env("SSL_CERT_FILE", "no/such.pem"));
    assert!(message.contains("SSL_CERT_FILE") && message.contains("no/such.pem"), "{message}");
    let empty = user.home.path().join("empty.pem");
    fs::write(&empty, "nothing in it").unwrap();
    let message = said(user.command(&question(ID)).env("REQUESTS_CA_BUNDLE", &empty));
    assert!(message.contains("REQUESTS_CA_BUNDLE") && message.contains("no certificate"), "{message}");
}

#[test]
fn a_gated_model_takes_a_token_that_stays_with_the_hub() {
    let hub = Hub::with(ID, &published());
    hub.change(ID, |repository| repository.gated_for = Some("hf_right".to_owned()));
    let user = User::of(&hub);
    let message = user.refused(ID);
    assert!(message.contains("conditions at https://huggingface.co/acme/tiny-llava") && message.contains("HF_TOKEN"), "{message}");
    let message = said(user.command(&question(ID)).env("HF_TOKEN", "hf_wrong"));
    assert!(message.contains("token") && message.contains("403") && !message.contains("hf_wrong"), "{message}");

    // What is no token is none, and says so or is passed over.
    let message = said(user.command(&question(ID)).env("HF_TOKEN", " \r\n"));
    assert!(message.contains("conditions at"), "as without a token: {message}");
    let message = said(user.command(&question(ID)).env("HF_TOKEN", "hf_right hf_left"));
    assert!(message.contains("HF_TOKEN: a token has") && !message.contains("hf_left"), "{message}");
    let output = finish(User::of(&hub).command(&question(ID)).env("HF_TOKEN", " hf_right\r\n"));
    assert_eq!(first_token(&output), expected(), "what copying brought along is no part of it");

    hub.asked();
    // As logging in leaves it.
    fs::write(user.home.path().join("token"), "hf_right\n").unwrap();
    assert_eq!(user.ask(ID), expected());
    let asked = hub.asked();
    assert!(asked.iter().any(|request| request.target.starts_with("/store/")), "{asked:?}");
    for request in asked {
        let sent = request.authorization.as_deref() == Some("Bearer hf_right");
        assert_eq!(sent, !request.target.starts_with("/store/"), "{request:?}");
        assert!(request.host.starts_with(if sent { "127.0.0.1" } else { "localhost" }));
    }
}

#[test]
fn a_cut_connection_is_taken_up_where_it_broke() {
    for fault in [Fault::Cut { after: 1000, times: 2 }, Fault::Ends { after: 1000, times: 2 }] {
        let hub = Hub::with(ID, &published());
        hub.damage(ID, SHARD, fault);
        assert_eq!(User::of(&hub).ask(ID), expected());
        let asked = hub.asked();
        let ranges: Vec<_> = of(&asked, SHARD).into_iter().map(|request| request.range.clone().unwrap()).collect();
        assert_eq!(ranges, ["bytes=0-", "bytes=1000-", "bytes=2000-"]);
    }
}

#[test]
fn what_stays_cut_is_continued_by_the_next_command() {
    let hub = Hub::with(ID, &published());
    hub.damage(ID, SHARD, Fault::Cut { after: 1000, times: usize::MAX });
    let user = User::of(&hub);
    let size = fs::metadata(published().join(SHARD)).unwrap().len();
    let message = user.refused(ID);
    assert!(message.contains(ID) && message.contains(SHARD), "{message}");
    assert!(message.contains(&format!("broke off after 5000 of {size} bytes")) && message.contains("again"), "{message}");
    assert!(!user.files(ID).contains(&SHARD.to_owned()), "half a file is no file");
    assert!(user.files(ID).contains(&"model-00002-of-00004.safetensors".to_owned()));

    hub.asked();
    hub.change(ID, |repository| repository.faults.clear());
    assert_eq!(user.ask(ID), expected());
    let asked = hub.asked();
    let ranges: Vec<_> = of(&asked, SHARD).into_iter().map(|request| request.range.clone().unwrap()).collect();
    assert_eq!(ranges, ["bytes=5000-"]);
    assert!(of(&asked, "model-00002").is_empty(), "what is whole is not fetched again");
    let blobs: Vec<_> =
        fs::read_dir(user.home.path().join("hub/models--acme--tiny-llava/blobs")).unwrap().map(|blob| blob.unwrap().path()).collect();
    assert!(!blobs.is_empty());
    assert!(blobs.iter().all(|blob| blob.extension().is_none()), "{blobs:?}");
}

#[test]
fn a_store_that_does_not_resume_is_asked_for_everything() {
    let hub = Hub::with(ID, &published());
    hub.damage(ID, SHARD, Fault::NoRanges { after: 700, times: 1 });
    assert_eq!(User::of(&hub).ask(ID), expected());
}

#[test]
fn a_file_of_another_length_or_content_is_not_taken() {
    let size = fs::metadata(published().join(SHARD)).unwrap().len();
    let refused = |fault: Fault| {
        let hub = Hub::with(ID, &published());
        hub.damage(ID, SHARD, fault);
        let user = User::of(&hub);
        let message = user.refused(ID);
        assert!(message.contains(ID) && message.contains(SHARD), "{message}");
        assert!(!user.files(ID).contains(&SHARD.to_owned()));
        hub.change(ID, |repository| repository.faults.clear());
        assert_eq!(user.ask(ID), expected(), "once the hub is in order, so is the cache");
        message
    };
    let both = |message: &str, listed: u64| message.contains(&size.to_string()) && message.contains(&listed.to_string());
    let message = refused(Fault::Listed(size as usize + 10));
    assert!(both(&message, size + 10), "{message}");
    let message = refused(Fault::Listed(size as usize - 10));
    assert!(both(&message, size - 10), "{message}");
    let message = refused(Fault::Garbled);
    assert!(message.contains("SHA-256"), "{message}");
}

/// A file that is not in the large files' store, so that git's hash is the only one of it.
#[test]
fn a_small_file_of_another_content_is_not_taken() {
    for file in ["config.json", "generation_config.json", "tokenizer.json"] {
        let hub = Hub::with(ID, &published());
        hub.damage(ID, file, Fault::Garbled);
        let user = User::of(&hub);
        let message = user.refused(ID);
        assert!(message.contains(&format!("{ID}: {file}: git's SHA-1 ")) && message.contains("the hub says "), "{message}");
        assert!(!user.files(ID).contains(&file.to_owned()));
        hub.change(ID, |repository| repository.faults.clear());
        assert_eq!(user.ask(ID), expected(), "once the hub is in order, so is the cache");
    }
}

/// Cut short by whatever filled the cache before.
#[test]
fn half_a_file_in_the_cache_is_fetched_again() {
    let hub = Hub::with(ID, &published());
    let user = User::of(&hub);
    let bytes = fs::read(published().join(SHARD)).unwrap();
    fs::create_dir_all(user.snapshot(ID)).unwrap();
    fs::write(user.snapshot(ID).join(SHARD), &bytes[..bytes.len() / 2]).unwrap();
    assert_eq!(user.ask(ID), expected());
    assert_eq!(fs::read(user.snapshot(ID).join(SHARD)).unwrap(), bytes);
}

#[test]
fn the_plan_of_a_run_names_the_commit() {
    let hub = Hub::with(ID, &published());
    let user = User::of(&hub);
    let run = |model: &str, out: &Path| {
        let arguments = ["run", "--model", model, "--questions", "10", "--accel", "int8", "--device", "cpu", "--out", text(out)];
        let output = finish(&mut user.command(&arguments.map(str::to_owned)));
        assert!(output.status.success(), "{}", stderr(&output));
        let plan: Value = serde_json::from_slice(&fs::read(out.join("plan.json")).unwrap()).unwrap();
        (plan["model"]["name"].clone(), plan["command"].as_str().unwrap().to_owned(), stderr(&output))
    };
    let out = user.home.path().join("run");
    let (name, command, _) = run(ID, &out);
    assert_eq!(name, ID);
    let (model, _) = command.strip_prefix("steady run --model ").unwrap().split_once(' ').unwrap();
    assert_eq!(model, format!("{ID}@{COMMIT}"));
    // The command that it names goes on with the same run.
    let (_, again, said) = run(model, &out);
    assert_eq!(again, command);
    assert!(said.contains("are recorded already"), "{said}");
}
