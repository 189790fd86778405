//! `steady share`: a report as a link.

use anyhow::{Result, bail};
use steady_bench::{BENCHMARKS, asked, suite_of};
use steady_report::Report;
use steady_report::share::{FRAGMENT, Link};

use crate::args::ShareArgs;
use crate::commands::runs;
use crate::console;

pub(crate) fn run(args: &ShareArgs) -> Result<()> {
    let run = match &args.run {
        Some(run) => run.clone(),
        None => runs::newest()?,
    };
    let link = link(&runs::read(&run)?)?;
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
}
