//! `steady share`: a report as a link.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, bail};
use steady_bench::{BENCHMARKS, asked, suite_of};
use steady_report::Report;
use steady_report::share::{FRAGMENT, Link};
use steady_study::Folder;

use crate::args::ShareArgs;
use crate::commands::RUNS;
use crate::console;

pub(crate) fn run(args: &ShareArgs) -> Result<()> {
    let run = match &args.run {
        Some(run) => run.clone(),
        None => newest_run()?,
    };
    let link = link(&read(&run)?)?;
    console::result(&address(&args.page, &link.payload)?)?;
    let lost = match link.left_out {
        0 => String::new(),
        left_out => format!("; the words of {left_out} changed questions did not fit and were left out"),
    };
    console::note(&format!("{}: {} characters{lost}", run.display(), link.payload.len()));
    Ok(())
}

/// A report as a link, with questions of a benchmark that its readers can open too as positions in it.
pub(crate) fn link(report: &Report) -> Result<Link> {
    let plan = report.plan();
    let benchmark = BENCHMARKS.reopen(&plan.benchmark, &plan.benchmark_fingerprint, plan.questions);
    let drawn = benchmark.as_deref().map(|benchmark| (suite_of(benchmark), asked(benchmark)));
    Ok(report.share(drawn.as_ref().map(|(suite, asked)| (suite, asked.as_slice())))?)
}

/// The report of a run folder, or a `report.json`.
pub(crate) fn read(run: &Path) -> Result<Report> {
    if run.is_dir() {
        return Ok(Folder::open(run)?.report()?);
    }
    let text = fs::read_to_string(run).with_context(|| format!("cannot read {}", run.display()))?;
    Report::from_json(&text).with_context(|| run.display().to_string())
}

/// The newest run where runs go that were not told where.
pub(crate) fn newest_run() -> Result<PathBuf> {
    newest(Path::new(RUNS))
}

/// The folder in `runs` whose plan was written last.
fn newest(runs: &Path) -> Result<PathBuf> {
    let written = |folder: &Path| -> Option<SystemTime> { fs::metadata(folder.join("plan.json")).ok()?.modified().ok() };
    let folders = fs::read_dir(runs).into_iter().flatten().flatten().map(|entry| entry.path());
    let newest = folders.filter_map(|folder| Some((written(&folder)?, folder))).max();
    match newest {
        Some((_, folder)) => Ok(folder),
        None => bail!("no run in {}: run `steady` first, or name a run folder or a report.json", runs.display()),
    }
}

/// The page with the report behind it, in place of whatever fragment it has.
pub(crate) fn address(page: &str, payload: &str) -> Result<String> {
    let page = page.split('#').next().unwrap_or_default();
    if !["http://", "https://", "file://"].iter().any(|scheme| page.starts_with(scheme)) {
        bail!("--page {page:?}: expected an address that begins with https://, http:// or file://");
    }
    Ok(format!("{page}#{FRAGMENT}{payload}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_is_the_fragment() {
        assert_eq!(address("https://example.org/steady/", "AQ").unwrap(), "https://example.org/steady/#r=AQ");
        assert_eq!(address("http://127.0.0.1:8080/?x=1#old", "AQ").unwrap(), "http://127.0.0.1:8080/?x=1#r=AQ");
        assert!(address("example.org", "AQ").unwrap_err().to_string().contains("https://"));
        assert!(address("javascript:alert(1)", "AQ").is_err());
    }

    #[test]
    fn the_newest_run_is_the_one_planned_last() {
        let runs = tempfile::tempdir().unwrap();
        assert!(newest(runs.path()).unwrap_err().to_string().contains("no run in"));
        for (name, age) in [("new", 10), ("old", 1000)] {
            let folder = runs.path().join(name);
            fs::create_dir(&folder).unwrap();
            let plan = fs::File::create(folder.join("plan.json")).unwrap();
            plan.set_modified(SystemTime::now() - std::time::Duration::from_secs(age)).unwrap();
        }
        fs::create_dir(runs.path().join("no plan in it")).unwrap();
        assert_eq!(newest(runs.path()).unwrap(), runs.path().join("new"));
    }
}
