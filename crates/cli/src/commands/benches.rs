//! `steady benches`: what can be asked, and how the files of a benchmark are read.

use std::collections::BTreeSet;

use anyhow::Result;
use serde::Serialize;
use steady_bench::{BENCHMARK_PRESETS, BENCHMARKS, BenchmarkPreset, BenchmarkRow, FirstLook, Origin, Question};

use crate::args::{BenchesArgs, BenchesCommand, ListArgs, ShowArgs};
use crate::console;

pub(crate) fn run(args: &BenchesArgs) -> Result<()> {
    match &args.command {
        None => list(&args.list),
        Some(BenchesCommand::Show(args)) => show(args),
    }
}

/// A family of a benchmark that the program draws, or a benchmark that lies in files.
#[derive(Serialize)]
struct BenchRow {
    name: &'static str,
    what: &'static str,
    questions: &'static str,
    /// Which files it lies in, and where they can be had.
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    family: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    example: Option<String>,
    gold: Vec<String>,
}

fn list(args: &ListArgs) -> Result<()> {
    let mut rows: Vec<BenchRow> = Vec::new();
    let mut text = Vec::new();
    let mut in_files = console::table(&["--bench", "what it is", "questions", "files"]);
    for &BenchmarkRow { name, title, what, questions, origin } in BENCHMARKS.0 {
        let row = |files, family, example, gold| BenchRow { name, what, questions, files, family, example, gold };
        if let Origin::Files { wanted, .. } = origin {
            rows.push(row(Some(wanted), None, None, Vec::new()));
            in_files.add_row([&format!("{name}:PATH"), what, questions, wanted]);
            continue;
        }
        let benchmark = BENCHMARKS.find(name)?.open(1, &[])?;
        let mut seen = BTreeSet::new();
        let mut families = console::table(&["family", "example", "gold"]);
        for Question { family, text, gold, .. } in benchmark.questions() {
            if seen.insert(family) {
                families.add_row([family, text, &gold.join(" / ")]);
                rows.push(row(None, Some(family.clone()), Some(text.clone()), gold.clone()));
            }
        }
        text.push(format!("{name} ({title}): {what}; {questions} questions, spread evenly over {} families\n{families}", seen.len()));
    }
    if args.json {
        return console::json(&rows);
    }
    let mut presets = console::table(&["--bench", "what it is", "benchmarks"]);
    for BenchmarkPreset { name, what, members } in BENCHMARK_PRESETS {
        presets.add_row([&format!("{name}:DIR"), what, &members.join(", ")]);
    }
    text.push(format!("In files that you have; `steady benches show NAME:PATH` says how they are read\n{in_files}"));
    text.push(format!("Presets: several of these, in a folder each\n{presets}"));
    console::result(&text.join("\n\n"))
}

fn show(args: &ShowArgs) -> Result<()> {
    let named = args.bench.split(':').next().is_some_and(|name| BENCHMARKS.find(name).is_ok());
    let spec = if named { args.bench.clone() } else { format!("file:{}", args.bench) };
    let look = FirstLook::at(&*BENCHMARKS.find(&spec)?.open(100, &[])?)?;
    if args.json {
        return console::json(&look);
    }
    console::result(&words(&look))
}

fn words(look: &FirstLook) -> String {
    let mut text = vec![format!("{}\n{}", look.bench, look.counts())];
    if !look.columns.is_empty() {
        let mut columns = console::table(&["is read as", "column"]);
        for (role, column) in &look.columns {
            columns.add_row([role, column]);
        }
        let unused = if look.unused.is_empty() { String::new() } else { format!("\nNot used: {}", look.unused.join(", ")) };
        text.push(format!("{columns}{unused}"));
    }
    text.push(format!("Forms of answers: {}\nGroups: {}", look.forms(), look.sizes_of_groups()));
    let mut first = console::table(&["id", "picture", "question as it is asked", "gold"]);
    for shown in &look.first {
        first.add_row([&shown.id, &shown.pictured(), &shown.question, &shown.golds()]);
    }
    text.push(first.to_string());
    if look.odd.is_empty() {
        text.push("Nothing is odd.".to_owned());
    } else {
        text.push(format!("Odd:\n  {}", look.odd.join("\n  ")));
    }
    text.join("\n\n")
}
