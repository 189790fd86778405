//! `--model org/name`: checkpoints from a hub, which here is a server inside the test.

#![cfg(feature = "hub")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../process/mod.rs"]
mod process;
mod server;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use process::{finish, json, stderr, steady, text};
use serde_json::Value;
use server::{COMMIT, Fault, Hub, Request};
use steady_tests::reference::cases_of;
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
            if trust || name.starts_with("HF_") || name.to_lowercase().ends_with("_proxy") {
                command.env_remove(name);
            }
        }
        command.env("HF_ENDPOINT", &self.endpoint).env("HF_HOME", self.home.path()).current_dir(self.home.path());
        command
    }

    /// The answer about the model.
    fn ask(&self, model: &str) -> Value {
        let output = finish(&mut self.command(&question(model)));
        assert!(output.status.success(), "{}", stderr(&output));
        let asked: Value = serde_json::from_slice(&output.stdout).unwrap();
        asked["answers"][0]["first_token"].clone()
    }

    /// What is said instead of an answer.
    fn refused(&self, model: &str) -> String {
        said(&mut self.command(&question(model)))
    }

    fn snapshot(&self, id: &str) -> PathBuf {
        self.home.path().join("hub").join(format!("models--{}", id.replace('/', "--"))).join("snapshots").join(COMMIT)
    }

    fn files(&self, id: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.snapshot(id)) else { return Vec::new() };
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
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
    let offline = said(user.command(&question(ID)).env("HF_HUB_OFFLINE", "1"));
    assert!(offline.contains("HF_HUB_OFFLINE") && offline.contains(ID), "{offline}");
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
