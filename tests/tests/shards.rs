//! A study in shards, as processes: whatever kills them, what is merged is what one process leaves.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod process;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use process::{Running, assert_same, finish, json, lasting, refuse, run, stderr, steady, succeed, text, wait_until};

const SHARDS: usize = 3;

fn arguments<'a>(out: &'a Path, more: &[&'a str]) -> Vec<&'a str> {
    let study =
        ["run", "--device", "cpu", "--questions", "120", "--control", "order", "--accel", "w4:rtn", "--accel", "vtw", "--out", text(out)];
    [&study[..], more].concat()
}

#[test]
fn shards_merge_into_the_report_of_one_process() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, cut) = (dir.path().join("whole"), dir.path().join("cut"));
    let table = succeed(&arguments(&whole, &[]));
    let said = succeed(&arguments(&cut, &["--shard", "1/2"]));
    assert!(said.contains("Shard 1/2 is whole: ") && said.contains(&format!("steady merge {}", text(&cut))), "{said}");
    // too early
    let early = refuse(&["merge", text(&cut)]);
    assert!(early.contains("answers are missing") && early.contains("shard 2/2: there is no folder of it"), "{early}");
    assert!(refuse(&["report", text(&cut)]).contains("steady merge"));
    assert!(refuse(&["report", text(&cut.join("shard-1-of-2"))]).contains("holds shard 1/2"));
    // another plan beside it is refused before anything is asked
    let other = refuse(&arguments(&cut, &["--shard", "2/2", "--accel", "int8"]));
    assert!(other.contains("shard-1-of-2/plan.json") && other.contains("accelerations: there"), "{other}");
    let second = json(&arguments(&cut, &["--shard", "2/2", "--json"]));
    assert_eq!((second["shard"].as_str(), second["answers"].as_u64().unwrap() > 0), (Some("2/2"), true));
    let merged = run(&["merge", text(&cut)]);
    assert!(stderr(&merged).contains("480 answers from 2 folders"), "{}", stderr(&merged));
    // all but wall times and the place are the same, and those stand in the table's last column and under it
    let heads = |table: &str| table.lines().next().unwrap_or_default().to_owned();
    assert_eq!(heads(&String::from_utf8(merged.stdout).unwrap()), heads(&table));
    assert_same(&cut, &whole);
    // shards that were copied to one place each
    let elsewhere = dir.path().join("elsewhere");
    let (one, two) = (cut.join("shard-1-of-2"), cut.join("shard-2-of-2"));
    assert!(refuse(&["merge", text(&two), text(&one)]).contains("--out"));
    succeed(&["merge", text(&two), text(&one), "--out", text(&elsewhere)]);
    assert_same(&elsewhere, &whole);
    assert!(refuse(&arguments(&cut, &["--shard", "3/2"])).contains("expected I/N"));
}

/// Numbers that look random and are the same every time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

/// Files that a shard keeps its answers in.
fn kept(shard: &Path) -> usize {
    let count = |folder: &str| fs::read_dir(shard.join(folder)).into_iter().flatten().count();
    count("journal") + 100 * count("records")
}

/// Starts a process and kills it after a while; whether it was killed in time.
fn kill(command: &mut Command, mut enough: impl FnMut() -> bool, pause: Duration) -> bool {
    let mut running = Running::start(command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()));
    wait_until("it has done something, or ended", || running.0.try_wait().unwrap().is_some() || enough());
    thread::sleep(pause);
    let killed = running.0.try_wait().unwrap().is_none();
    drop(running); // SIGKILL
    killed
}

#[test]
fn killed_twenty_times_in_shards_and_merge_it_leaves_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, cut) = (dir.path().join("whole"), dir.path().join("cut"));
    succeed(&arguments(&whole, &[]));
    let mut chance = Chance(15);
    let shards: Vec<String> = (1..=SHARDS).map(|n| format!("{n}/{SHARDS}")).collect();
    let mut killed = 0;
    for turn in 0.. {
        let shard = &shards[turn % SHARDS];
        let folder = cut.join(format!("shard-{}", shard.replace('/', "-of-")));
        // within the first groups that it adds, or before the first
        let (before, more) = (kept(&folder), chance.below(3) as usize);
        let pause = Duration::from_millis(chance.below(25));
        if kill(&mut steady(&arguments(&cut, &["--shard", shard])), || kept(&folder).abs_diff(before) >= more, pause) {
            killed += 1;
        } else {
            // it was done before: once more, from its start
            fs::remove_dir_all(&folder).unwrap();
        }
        if killed == 14 {
            break;
        }
    }
    for shard in &shards {
        let output = run(&arguments(&cut, &["--shard", shard]));
        assert!(output.status.success(), "{}", stderr(&output));
    }
    // how long a merge takes here and now, from one that goes elsewhere
    let start = Instant::now();
    let aside = dir.path().join("aside");
    assert!(finish(&mut steady(&["merge", text(&cut), "--out", text(&aside)])).status.success());
    let most = start.elapsed().as_micros() as u64;
    let mut merges = 0;
    while merges < 6 {
        let pause = Duration::from_micros(chance.below(most));
        if kill(&mut steady(&["merge", text(&cut)]), || true, pause) {
            merges += 1;
        } else {
            // it was faster this time: once more, from the start
            fs::remove_dir_all(cut.join("records")).unwrap();
        }
    }
    succeed(&["merge", text(&cut)]);
    assert_same(&cut, &whole);
    assert_same(&aside, &whole);
    // whoever started again tidied up
    let left: Vec<String> = lasting(&cut).into_keys().filter(|name| name.ends_with(".unfinished")).collect();
    assert!(left.is_empty(), "{left:?}");
}
