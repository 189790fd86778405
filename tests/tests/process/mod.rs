#![allow(dead_code, unreachable_pub, reason = "shared by two test programs")]
//! Running `steady` as a process.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// Longest time that anything may take: generous, for busy machines.
const PATIENCE: Duration = Duration::from_mins(10);

/// The command, on the CPU-only path and with nothing of the caller's environment that could change what it prints.
pub fn steady(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_steady-process"));
    command
        .args(arguments)
        .env_remove("STEADY_LOG")
        .env("XDG_CACHE_HOME", Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache"))
        .env("COLUMNS", "120")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

pub fn run(arguments: &[&str]) -> Output {
    finish(&mut steady(arguments))
}

/// A process that ends with the test that started it.
pub struct Running(pub Child);

impl Running {
    pub fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // one that has ended already is just as well
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Runs a command to its end, as `Command::output` does, but not for ever.
pub fn finish(command: &mut Command) -> Output {
    let mut running = Running::start(command);
    // both pipes are read while it runs, or a full one would stop it
    let stdout = read(running.0.stdout.take().unwrap());
    let stderr = read(running.0.stderr.take().unwrap());
    let mut status = None;
    wait_until(&format!("{command:?} has ended"), || {
        status = running.0.try_wait().unwrap();
        status.is_some()
    });
    Output { status: status.unwrap(), stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
}

fn read(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).unwrap();
        bytes
    })
}

/// Waits until something is so; `what` says in a failure what was waited for.
pub fn wait_until(what: &str, mut so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < PATIENCE, "after {PATIENCE:?} it is not so that {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Standard output of a command that must succeed.
pub fn succeed(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(output.status.success(), "{arguments:?}: {}\n{}", output.status, stderr(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// The one JSON value on standard output of a command that must succeed.
pub fn json(arguments: &[&str]) -> Value {
    let text = succeed(arguments);
    assert_eq!(text.lines().count(), 1, "{text}");
    serde_json::from_str(&text).unwrap()
}

/// Standard error of a command that must fail as on wrong input: exit code 2, nothing on stdout, no panic.
pub fn refuse(arguments: &[&str]) -> String {
    let output = run(arguments);
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(!message.contains("panicked"), "{message}");
    message
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Everything in the run folder that two runs of one plan have in common, by its path.
pub fn lasting(run: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(folder: &Path, inside: &str, files: &mut BTreeMap<String, Vec<u8>>) {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let name = format!("{inside}{}", entry.file_name().to_string_lossy());
            if entry.file_type().unwrap().is_dir() {
                walk(&entry.path(), &format!("{name}/"), files);
            } else if !name.starts_with("timings/") {
                files.insert(name, fs::read(entry.path()).unwrap());
            }
        }
    }
    let mut files = BTreeMap::new();
    walk(run, "", &mut files);
    files
}

/// Asserts that two folders hold the same study, to the byte. Shards beside it do not count.
pub fn assert_same(one: &Path, other: &Path) {
    let of_study = |run: &Path| {
        let mut files = lasting(run);
        files.retain(|name, _| !name.starts_with("shard-"));
        files
    };
    let (one, other) = (of_study(one), of_study(other));
    assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
    for (name, bytes) in &one {
        assert!(*bytes == other[name], "{name}");
    }
}

/// The embedded checkpoint, as the folder it is in the repository.
pub fn checkpoint() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/steady-llava")
}
