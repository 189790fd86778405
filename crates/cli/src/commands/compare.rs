//! `steady compare`: a report of what runs logged, without a model.

use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail};
use steady_bench::{BENCHMARKS, thumbnails};
use steady_logs::source::MOST_BYTES;
use steady_logs::{Choices, Comparison, FORMATS, Log, Runs, Source, compare, format_of, read};
use steady_study::Folder;

use crate::args::CompareArgs;
use crate::commands::runs::RUNS;
use crate::console;

pub(crate) fn run(args: &CompareArgs) -> Result<()> {
    let given: Vec<&Path> = args.runs.iter().chain(&args.controls).map(PathBuf::as_path).collect();
    let logs = given.iter().zip(names(&given)).map(|(path, name)| load(path, &name, args)).collect::<Result<Vec<Log>>>()?;
    let (runs, controls) = logs.split_at(args.runs.len());
    let controls: Vec<&Log> = controls.iter().collect();
    let [original, others @ ..] = runs else { bail!("two runs or three are compared") };
    let out = match &args.out {
        Some(out) => out.clone(),
        None => Path::new(RUNS).join(format!("compare-{}", runs.iter().map(|log| file_name(&log.name)).collect::<Vec<_>>().join("-"))),
    };
    let command = command(args);
    let against = |baseline, others: &[&Log], controls: &[&Log]| compare(Runs { baseline, others, controls }, &args.allow, &command);
    let others: Vec<&Log> = others.iter().collect();
    let first = against(original, &others, &controls)?;
    publish(&first, &out, args.json, (others.len() > 1).then(|| format!("Against the original, {}:", original.name)))?;
    if let [previous, new] = others[..] {
        // its rerun says nothing about another baseline
        let second = against(previous, &[new], &[])?;
        publish(&second, &out.join("previous"), args.json, Some(format!("\nAgainst the previous version, {}:", previous.name)))?;
    }
    Ok(())
}

/// Writes a report and prints it, with what to know about it on stderr.
fn publish(comparison: &Comparison, out: &Path, json: bool, head: Option<String>) -> Result<()> {
    let Comparison { report, notes } = comparison;
    for note in notes {
        console::note(note);
    }
    let plan = report.plan();
    let benchmark = BENCHMARKS.reopen(&plan.benchmark, &plan.benchmark_fingerprint, plan.questions);
    let images = benchmark.map(|benchmark| thumbnails(report, &*benchmark)).transpose()?.unwrap_or_default();
    let text = report.to_json()?;
    fs::create_dir_all(out).with_context(|| format!("cannot create {}", out.display()))?;
    write(&out.join("report.json"), text.as_bytes())?;
    let page = out.join("report.html");
    write(&page, report.html(&images).as_bytes())?;
    if json {
        return console::result(&text);
    }
    let head = head.map(|head| format!("{head}\n")).unwrap_or_default();
    console::result(&format!("{head}{}\n{}\n\nReport: {}", report.table(), report.findings().join("\n"), page.display()))
}

/// A file that is whole or absent.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let part = path.with_extension("part");
    fs::write(&part, bytes).and_then(|()| fs::rename(&part, path)).with_context(|| format!("cannot write {}", path.display()))
}

fn load(path: &Path, name: &str, args: &CompareArgs) -> Result<Log> {
    let (path, variant) = with_variant(path);
    let choices = Choices {
        format: args.format.clone(),
        columns: args.columns.clone(),
        filter: args.filter.clone(),
        metric: args.metric.clone(),
        variant,
    };
    let sources = sources(&path)?;
    read(name, &sources, &choices, FORMATS).with_context(|| path.display().to_string())
}

/// A run, and behind a `#` the acceleration in it that is meant.
fn with_variant(path: &Path) -> (PathBuf, Option<String>) {
    let text = path.to_string_lossy();
    match text.split_once('#') {
        Some((run, spec)) if !path.exists() => (PathBuf::from(run), Some(spec.to_owned())),
        _ => (path.to_path_buf(), None),
    }
}

/// The files of a run: a file with what belongs to it beside it, or all of a folder that may hold answers.
fn sources(path: &Path) -> Result<Vec<Source>> {
    if path.join("plan.json").is_file() {
        let report = Folder::open(path)?.report()?;
        return Ok(vec![Source { name: "report.json".to_owned(), bytes: report.to_json()?.into_bytes() }]);
    }
    if path.is_dir() {
        let mut found = Vec::new();
        gather(path, path, DEEPEST, &mut found)?;
        found.sort_by(|a, b| a.name.cmp(&b.name));
        return Ok(found);
    }
    let of_file = |path: &Path| -> Result<Source> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Source { name, bytes: bytes(path)? })
    };
    let answers = of_file(path)?;
    let mut found = vec![answers];
    if let (Some(format), Some(folder)) = (format_of(&found[0], FORMATS)?, path.parent()) {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let mut beside: Vec<PathBuf> = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        beside.sort();
        for other in beside {
            let name = other.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if other.is_file() && name != found[0].name && (format.beside)(&found[0].name, &name) {
                found.push(of_file(&other)?);
            }
        }
    }
    Ok(found)
}

/// Most folders that are looked into below the one that is given.
const DEEPEST: usize = 4;

/// Ends of names of files that may hold answers or settings.
const ENDS: [&str; 7] = ["json", "jsonl", "csv", "tsv", "xlsx", "eval", "txt"];

fn gather(root: &Path, folder: &Path, deep: usize, found: &mut Vec<Source>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let path = entry.with_context(|| format!("cannot read {}", folder.display()))?.path();
        if path.is_dir() && deep > 0 {
            gather(root, &path, deep - 1, found)?;
        } else if path.extension().is_some_and(|end| ENDS.iter().any(|known| end == *known)) {
            let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            found.push(Source { name, bytes: bytes(&path)? });
        }
    }
    Ok(())
}

fn bytes(path: &Path) -> Result<Vec<u8>> {
    let size = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?.len();
    if size > MOST_BYTES {
        bail!("{}: {} MB, more than the {} MB that are read", path.display(), size >> 20, MOST_BYTES >> 20);
    }
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// What runs are called: the last parts of their paths, as many as tell them apart.
fn names(paths: &[&Path]) -> Vec<String> {
    let parts = |path: &Path| -> Vec<String> {
        let (file, variant) = with_variant(path);
        let named = file.with_extension("");
        let named = if file.is_dir() { &file } else { &named };
        let mut parts: Vec<String> = named
            .components()
            .filter_map(|part| if let Component::Normal(part) = part { Some(part.to_string_lossy().into_owned()) } else { None })
            .collect();
        if let (Some(last), Some(variant)) = (parts.last_mut(), variant) {
            *last = format!("{last}#{variant}");
        }
        parts
    };
    let all: Vec<Vec<String>> = paths.iter().map(|path| parts(path)).collect();
    let longest = all.iter().map(Vec::len).max().unwrap_or_default();
    let ends = |most: usize| -> Vec<String> { all.iter().map(|parts| parts[parts.len().saturating_sub(most)..].join("/")).collect() };
    let told_apart = |names: &[String]| names.iter().enumerate().all(|(i, name)| !names[..i].contains(name));
    (1..=longest).map(ends).find(|names| told_apart(names)).unwrap_or_else(|| ends(1))
}

/// A name as part of the name of a folder.
fn file_name(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' }).take(40).collect()
}

fn command(args: &CompareArgs) -> String {
    let mut words = vec!["steady compare".to_owned()];
    words.extend(args.runs.iter().map(|run| run.display().to_string()));
    words.extend(args.controls.iter().map(|run| format!("--control {}", run.display())));
    words.extend(args.allow.iter().map(|field| format!("--allow {field}")));
    words.extend(args.columns.iter().map(|(role, name)| format!("--column {role}={name}")));
    let named = [("format", &args.format), ("filter", &args.filter), ("metric", &args.metric)];
    words.extend(named.into_iter().filter_map(|(name, value)| Some(format!("--{name} {}", value.as_ref()?))));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_called_by_what_tells_them_apart() {
        let called = |paths: &[&str]| names(&paths.iter().map(Path::new).collect::<Vec<_>>());
        assert_eq!(called(&["out/base.jsonl", "out/w4.jsonl"]), ["base", "w4"]);
        assert_eq!(called(&["base/samples.jsonl", "w4/samples.jsonl"]), ["base/samples", "w4/samples"]);
        assert_eq!(called(&["runs/first", "runs/first#int8:threshold=6"]), ["first", "first#int8:threshold=6"]);
        assert_eq!(called(&["a.csv", "a.csv"]), ["a", "a"]);
    }
}
