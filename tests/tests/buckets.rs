//! Studies whose folder is a bucket, as processes: killed, gone on with on another machine, in shards, reported and judged from a third.
//!
//! It wants a store and says which by `STEADY_TEST_BUCKET` (`s3://bucket/prefix`, `gs://`, `az://`; a prefix that nothing lies below), with the keys in the
//! environment, so it runs where somebody asks for it: `docs/scale.md` has the command.

#![cfg(feature = "cloud")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod process;

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use process::{Running, assert_same, finish, stderr, steady, succeed, text};

/// Longer than a command waits until it sends for the first time.
const SENT_BY_THEN: Duration = Duration::from_secs(24);

/// One that takes twice as long.
const STUDY: [&str; 12] =
    ["run", "--device", "cpu", "--questions", "7000", "--control", "none", "--accel", "w4:rtn", "--accel", "vtw", "--out"];

/// Machines that share nothing but a bucket: their mirrors are below one folder.
struct Machines {
    bucket: String,
    root: tempfile::TempDir,
}

impl Machines {
    fn new() -> Self {
        let bucket = env::var("STEADY_TEST_BUCKET").unwrap_or_else(|_| panic!("STEADY_TEST_BUCKET names no place in a bucket"));
        Self { bucket: bucket.trim_end_matches('/').to_owned(), root: tempfile::tempdir().unwrap() }
    }

    fn address(&self, run: &str) -> String {
        format!("{}/{run}", self.bucket)
    }

    fn mirrors(&self, machine: &str) -> PathBuf {
        self.root.path().join(machine)
    }

    /// Where a machine has a run.
    fn mirror(&self, machine: &str, run: &str) -> PathBuf {
        self.address(run).split("://").flat_map(|part| part.split('/')).fold(self.mirrors(machine), |folder, part| folder.join(part))
    }

    fn command(&self, machine: &str, arguments: &[&str]) -> Command {
        let mut command = steady(arguments);
        command.env("STEADY_MIRRORS", self.mirrors(machine));
        command
    }

    fn succeed(&self, machine: &str, arguments: &[&str]) -> Output {
        let output = finish(&mut self.command(machine, arguments));
        assert!(output.status.success(), "{arguments:?}: {}\n{}", output.status, stderr(&output));
        output
    }
}

fn study<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&STUDY[..], &[out], more].concat()
}

#[test]
#[ignore = "wants a store: STEADY_TEST_BUCKET"]
fn what_a_bucket_holds_is_the_study_of_one_process() {
    let machines = Machines::new();
    let local = tempfile::tempdir().unwrap();
    let whole = local.path().join("whole");
    succeed(&study(text(&whole), &[]));
    // the lock stays on the machine that has it
    fs::remove_file(whole.join(".lock")).unwrap();

    // killed once something was sent; another machine goes on with that
    let cut = machines.address("cut");
    let mut killed = Running::start(machines.command("first", &study(&cut, &[])).stdout(Stdio::null()).stderr(Stdio::null()));
    thread::sleep(SENT_BY_THEN);
    assert_eq!(killed.0.try_wait().unwrap(), None, "it was through before it could be killed");
    drop(killed);
    let went_on = stderr(&machines.succeed("second", &study(&cut, &[])));
    let fetched = went_on.lines().find_map(|line| line.strip_prefix(&format!("{cut}: "))?.split_once(" files fetched")).unwrap().0;
    assert!(fetched.parse::<usize>().unwrap() > 2, "{went_on}");
    machines.succeed("third", &["report", &cut]);
    assert_same(&machines.mirror("third", "cut"), &whole);

    // a machine for each shard, one that merges, one that judges
    let shards = machines.address("shards");
    machines.succeed("fourth", &study(&shards, &["--shard", "1/2"]));
    machines.succeed("fifth", &study(&shards, &["--shard", "2/2"]));
    machines.succeed("sixth", &["merge", &shards]);
    machines.succeed("seventh", &["gate", &shards, "--max-ndr", "99%"]);
    assert_same(&machines.mirror("seventh", "shards"), &whole);

    // nobody's place is no run, and no bucket is an error with its name
    let nowhere = finish(&mut machines.command("seventh", &["report", &machines.address("nothing")]));
    assert_eq!(nowhere.status.code(), Some(2), "{}", stderr(&nowhere));
    let scheme = machines.bucket.split_once("://").unwrap().0;
    let absent = format!("{scheme}://no-such-bucket-of-steady/runs");
    let refused = finish(&mut machines.command("seventh", &["report", &absent]));
    assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
    assert!(stderr(&refused).contains(&absent), "{}", stderr(&refused));
}
