//! Running other programs from the workspace root, with one shared target folder.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

/// Moves to the workspace root, wherever the task was called from.
pub(crate) fn enter_workspace() -> anyhow::Result<()> {
    // cargo's word at run time comes first: with one target folder for all clones this program may have been built in another one
    let package = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let root = Path::new(&package).join("../..");
    env::set_current_dir(&root).with_context(|| format!("cannot enter the workspace at {}", root.display()))
}

/// Where builds go. `CARGO_TARGET_DIR` wins; else the checkout's own `target/` if the tool was already built there (`cargo run --release`);
/// else a folder under the home cache, so that a fresh clone reuses what an earlier one built.
pub(crate) fn target_dir() -> PathBuf {
    if let Some(chosen) = env::var_os("CARGO_TARGET_DIR") {
        return chosen.into();
    }
    let own = Path::new("target");
    if own.join("release").join(format!("steady{}", env::consts::EXE_SUFFIX)).exists() {
        return own.into();
    }
    let home = env::var_os("HOME").or_else(|| env::var_os("USERPROFILE"));
    home.map_or_else(|| own.into(), |home| PathBuf::from(home).join(".cache/steady/target"))
}

/// A cargo call of the toolchain that runs this task, with the shared target folder.
pub(crate) fn cargo<I: AsRef<OsStr>>(arguments: impl IntoIterator<Item = I>) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).env("CARGO_TARGET_DIR", target_dir());
    command
}

/// A cargo subcommand over everything native, with the features of `cargo run`; `cpu` leaves the `gpu` feature out.
///
/// One selection of packages for every task: cargo unites the features of all that is selected, and one that differs would
/// compile burn a second time. For that reason the page, its workers and its tests are not among them: their libraries ask more of what
/// burn uses too. The workers are linted along, though: what is only checked costs little here, and for the browser's target much.
/// Documentation rests on the same checks of third parties, so it selects the same.
pub(crate) fn native(subcommand: &str, cpu: bool) -> Command {
    let mut command = cargo([subcommand, "--profile", "release", "--workspace"]);
    let mut elsewhere = vec!["steady-web", "steady-page-tests"];
    if cpu || !["clippy", "doc"].contains(&subcommand) {
        elsewhere.extend(["steady-worker", "steady-parquet"]);
    }
    for package in elsewhere {
        command.args(["--exclude", package]);
    }
    if cpu {
        command.args(["--no-default-features", "--features", "steady/cpu,steady/embedded"]);
    }
    command
}

/// A program found on the PATH.
pub(crate) fn program<I: AsRef<OsStr>>(name: &str, arguments: impl IntoIterator<Item = I>) -> Command {
    let mut command = Command::new(name);
    command.args(arguments);
    command
}

/// Runs a command, showing it first; fails when it fails.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    announce(&describe(command));
    let status = command.status().with_context(|| format!("cannot start `{}`", describe(command)))?;
    if !status.success() {
        bail!("`{}` failed: {status}", describe(command));
    }
    Ok(())
}

/// Runs a command quietly and says whether it succeeded.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// What a command prints on stdout, trimmed; `None` if it cannot run or fails.
pub(crate) fn output(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Whether a program of that name is on the PATH.
pub(crate) fn installed(name: &str) -> bool {
    env::var_os("PATH").is_some_and(|path| env::split_paths(&path).any(|folder| folder.join(name).is_file()))
}

/// One line of progress; tasks talk on stderr.
#[expect(clippy::print_stderr, reason = "a task runner talks to the person who started it")]
pub(crate) fn announce(line: &str) {
    eprintln!("\u{1b}[1m==>\u{1b}[0m {line}");
}

fn describe(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}
