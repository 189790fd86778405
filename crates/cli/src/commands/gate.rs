//! `steady gate`: does a run keep the limits of a policy?

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use steady_verdict::{Check, Finding, Gate, Measure, Policy, Run, Verdict};

use crate::args::GateArgs;
use crate::commands::{runs, share};
use crate::{console, model};

/// Exit codes of a verdict.
const FAILED: u8 = 1;
pub(crate) const INCONCLUSIVE: u8 = 3;

pub(crate) fn run(args: &GateArgs) -> Result<ExitCode> {
    let policy = policy(args)?;
    let runs = if args.runs.is_empty() { vec![runs::newest()?] } else { runs::meant(&args.runs) };
    let from = args.html.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
    let of = |run: PathBuf| Ok(Run { name: run.display().to_string(), report: runs::read(&run)?, page: runs::page_of(&run, from) });
    let runs = runs.into_iter().map(of).collect::<Result<Vec<_>>>()?;
    if args.check {
        let check = Check::of(&policy, &runs)?;
        if args.json {
            console::json(&check)?;
        } else {
            let mut table = console::table(&Check::HEADS);
            for row in check.cells() {
                table.add_row(row);
            }
            console::result(&format!("{table}\n{}\n{} studies drawn of each control, by image", check.headline(), check.draws))?;
        }
        return Ok(code(check.verdict));
    }
    let specs: Vec<String> = args.accelerations.iter().map(|spec| model::spelt(spec)).collect();
    let gate = Gate::judge(&policy, &runs, &specs)?;
    if let Some(file) = &args.junit {
        write(file, &gate.junit())?;
    }
    if let Some(file) = &args.markdown {
        write(file, &gate.markdown())?;
    }
    if let Some(file) = &args.html {
        write(file, &gate.page(&runs)?)?;
    }
    if let Some(file) = &args.card {
        let link = match (&args.page, runs.first()) {
            (Some(page), Some(run)) => Some(share::address(page, &share::link(&run.report)?.payload)?),
            _ => None,
        };
        write(file, &gate.card(&runs, link.as_deref())?)?;
    }
    if args.json {
        console::json(&gate)?;
        return Ok(code(gate.verdict));
    }
    let mut told = told(&gate);
    if args.github {
        told.extend(gate.annotations());
        if let Some(summary) = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()) {
            append(&PathBuf::from(summary), &gate.markdown())?;
        }
    }
    console::result(&told.join("\n"))?;
    Ok(code(gate.verdict))
}

/// The verdict as tables for a terminal, and in a line.
pub(crate) fn told(gate: &Gate) -> Vec<String> {
    let mut told: Vec<String> = Vec::new();
    for judged in &gate.accelerations {
        let mut table = console::table(&Finding::HEADS);
        for finding in &judged.findings {
            table.add_row(finding.cells());
        }
        told.push(format!("{}\n{table}", judged.headline()));
        told.extend(judged.pooled());
    }
    told.push(gate.headline());
    told
}

fn policy(args: &GateArgs) -> Result<Policy> {
    let mut policy = if let Some(file) = &args.policy {
        read_policy(file)?
    } else {
        let limits = [
            (Measure::Ndr, args.max_ndr),
            (Measure::Dr, args.max_dr),
            (Measure::Drop, args.max_drop),
            (Measure::NonInferiority, args.margin),
        ];
        Policy::of_limits(limits.into_iter().filter_map(|(measure, share)| Some((measure, share?.0))).collect())
    };
    if let Some(confidence) = args.confidence {
        policy.confidence = confidence.0;
    }
    Ok(policy)
}

fn code(verdict: Verdict) -> ExitCode {
    match verdict {
        Verdict::Pass => ExitCode::SUCCESS,
        Verdict::Fail => ExitCode::from(FAILED),
        Verdict::Inconclusive => ExitCode::from(INCONCLUSIVE),
    }
}

pub(crate) fn read_policy(file: &Path) -> Result<Policy> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(Policy::read(&text, &file.display().to_string())?)
}

pub(crate) fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

fn append(file: &Path, text: &str) -> Result<()> {
    let append = || OpenOptions::new().create(true).append(true).open(file)?.write_all(text.as_bytes());
    append().with_context(|| format!("cannot append to {}", file.display()))
}
