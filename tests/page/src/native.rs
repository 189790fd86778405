//! The command line on the same machine: what the page finds is held against it.

use std::env;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use steady_bench::{BENCHMARKS, asked};
use steady_report::share::open;
use steady_report::{AnswerRow, Outcome, Report};

/// The controls of a first study of the page.
pub const CONTROLS: [&str; 3] = ["order", "split", "pixels=pil"];

/// The report of the command line for a study of the embedded suite on the CPU, of the embedded model unless another is named.
pub fn study(model: Option<&Path>, questions: usize, accelerations: &[&str], controls: &[&str]) -> Report {
    study_of("embedded", model, questions, accelerations, controls)
}

/// The same of another benchmark.
pub fn study_of(bench: &str, model: Option<&Path>, questions: usize, accelerations: &[&str], controls: &[&str]) -> Report {
    let out = tempfile::tempdir().unwrap();
    let mut command = tool("run", accelerations);
    command.args(["--bench", bench, "--questions", &questions.to_string()]).arg("--out").arg(out.path());
    command.args(controls.iter().flat_map(|name| ["--control", name]));
    if let Some(model) = model {
        command.arg("--model").arg(model);
    }
    Report::from_json(&json(command)).unwrap()
}

/// What `steady ask` says about one image on the CPU.
pub fn ask(model: &Path, image: &Path, question: &str, accelerations: &[&str]) -> Value {
    let mut command = tool("ask", accelerations);
    command.arg("--model").arg(model).arg("--image").arg(image).args(["--question", question]);
    serde_json::from_str(&json(command)).unwrap()
}

/// The report in a link.
pub fn linked(link: &str) -> Report {
    let (_, payload) = link.split_once("#r=").unwrap();
    let opened = open(payload, |suite| BENCHMARKS.reopen(&suite.name, &suite.fingerprint, suite.size).as_deref().map(asked)).unwrap();
    assert!(opened.rebuilt);
    opened.report
}

/// What became of each question under each acceleration.
pub fn outcomes(report: &Report) -> Vec<(String, Vec<Outcome>)> {
    let of = |answers: &[AnswerRow]| answers.iter().map(|answer| answer.outcome.unwrap()).collect();
    report.accelerations().iter().map(|acceleration| (acceleration.spec.clone(), of(&acceleration.answers))).collect()
}

fn tool(subcommand: &str, accelerations: &[&str]) -> Command {
    // target/release/deps/worker-0123: the tool is two folders up
    let release = env::current_exe().unwrap().parent().unwrap().parent().unwrap().to_owned();
    let names = ["steady-process", "steady"].map(|name| release.join(format!("{name}{}", env::consts::EXE_SUFFIX)));
    let tool = names
        .iter()
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("no {names:?}: run `cargo xtask test`, or `cargo build --release`"));
    let mut command = Command::new(tool);
    command.args([subcommand, "--device", "cpu", "--json"]);
    for spec in accelerations {
        command.args(["--accel", spec]);
    }
    command
}

fn json(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
