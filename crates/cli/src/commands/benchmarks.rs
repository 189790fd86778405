//! Several runs of one model, a benchmark each, side by side.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use steady_report::{Benchmarks, OfBenchmark, Report};

use crate::commands::gate::write;
use crate::commands::report::Printed;
use crate::commands::runs;
use crate::console;

/// Writes the page of `runs` to `html`, where one is wanted, and prints what was asked for.
pub(crate) fn publish(given: &[PathBuf], html: Option<&Path>, printed: Printed) -> Result<()> {
    let reports = given.iter().map(|run| runs::read(run)).collect::<Result<Vec<Report>>>()?;
    let names: Vec<String> = given.iter().map(|run| run.display().to_string()).collect();
    let from = html.and_then(Path::parent).unwrap_or(Path::new(""));
    let pages: Vec<Option<String>> = given.iter().map(|run| runs::page_of(run, from)).collect();
    let of = |((name, report), page)| OfBenchmark { name, report, page: Option::as_deref(page) };
    let all = Benchmarks::of(names.iter().map(String::as_str).zip(&reports).zip(&pages).map(of).collect())?;
    if let Some(html) = html {
        write(html, &all.html())?;
    }
    match printed {
        Printed::Markdown => return console::result(&all.markdown()),
        Printed::Csv => return console::result(&all.csv()),
        Printed::Table | Printed::Json => {}
    }
    let (heads, rows) = all.cells();
    let mut table = console::table(&heads.iter().map(String::as_str).collect::<Vec<_>>());
    for row in rows {
        table.add_row(row);
    }
    let found = all.all().iter().flat_map(|one| {
        let benchmark = &one.report.plan().benchmark;
        one.report.findings().into_iter().take(1).map(move |finding| format!("{benchmark}: {finding}"))
    });
    let found = found.collect::<Vec<_>>().join("\n");
    let page = html.map(|html| format!("\n\nReport: {}", html.display())).unwrap_or_default();
    console::result(&format!("{table}\nBroken / changed, % of questions\n{found}{page}"))
}

/// Where the page of the runs in a folder goes.
pub(crate) fn page_in(folder: &Path) -> PathBuf {
    folder.join("report.html")
}

/// The runs of a preset, once all are answered: their page in the folder that holds them.
pub(crate) fn of_preset(folder: &Path) -> Result<()> {
    publish(&runs::meant(&[folder.to_path_buf()]), Some(&page_in(folder)), Printed::Table).with_context(|| folder.display().to_string())
}
