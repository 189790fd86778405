//! The one place that prints. Results go to stdout, everything else to stderr.

use std::fmt::Write as _;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{ContentArrangement, Table, TableComponent};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

/// Exit code of a usage or input error, clap's own included.
const INPUT_ERROR: u8 = 2;

/// Writes a result to stdout, with a line end.
pub(crate) fn result(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", text.trim_end_matches('\n'))?;
    Ok(out.flush()?)
}

/// Writes a result to stdout as one line of JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<()> {
    result(&serde_json::to_string(value)?)
}

/// An empty table, as wide as the terminal at most.
pub(crate) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic).set_header(header);
    for between_rows in [
        TableComponent::HorizontalLines,
        TableComponent::MiddleIntersections,
        TableComponent::LeftBorderIntersections,
        TableComponent::RightBorderIntersections,
    ] {
        table.remove_style(between_rows);
    }
    table
}

/// Where a result too long for one string is written.
pub(crate) fn stdout() -> impl Write {
    std::io::BufWriter::new(std::io::stdout().lock())
}

/// Says something on stderr. What cannot be said there is lost: there is nowhere else to say it.
pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Turns the outcome of a command into an exit code, printing an error as one readable chain.
pub(crate) fn finish(outcome: Result<ExitCode>) -> ExitCode {
    match outcome {
        Ok(code) => code,
        // Whoever reads us has read enough (`steady report x | head`).
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            note(&format!("error: {}", chain(&error)));
            ExitCode::from(INPUT_ERROR)
        }
    }
}

/// `outer: inner: innermost`, leaving out a cause that the one before it already spelled out.
fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            let _ = write!(text, ": {cause}");
        }
    }
    text
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| cause.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == ErrorKind::BrokenPipe))
}

/// A bar on stderr; silent where stderr is not a terminal. What its message says of the time left is its user's.
pub(crate) fn progress_bar(total: usize) -> Result<ProgressBar> {
    let bar = ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::stderr_with_hz(5));
    bar.set_style(ProgressStyle::with_template("{bar:32} {pos}/{len} answers  {elapsed}  {msg}")?);
    bar.enable_steady_tick(Duration::from_millis(500));
    Ok(bar)
}

/// A bar on stderr while a GPU is got ready; silent where stderr is not a terminal.
pub(crate) fn preparing_bar() -> Result<ProgressBar> {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(5));
    bar.set_style(ProgressStyle::with_template("preparing the GPU, {pos} of {len}")?);
    Ok(bar)
}

/// A bar of bytes on stderr; silent where stderr is not a terminal.
#[cfg(feature = "hub")]
pub(crate) fn byte_bar(total: u64) -> Result<ProgressBar> {
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr_with_hz(5));
    bar.set_style(ProgressStyle::with_template(
        "{bar:32} {decimal_bytes}/{decimal_total_bytes}  {decimal_bytes_per_sec}  {eta} left  {msg}",
    )?);
    Ok(bar)
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, anyhow};

    use super::*;

    #[test]
    fn a_chain_is_one_line_without_repetition() {
        let error = anyhow!("permission denied").context("cannot write plan.json").context("run folder /x");
        assert_eq!(chain(&error), "run folder /x: cannot write plan.json: permission denied");
        let error = anyhow!("no such file").context("cannot read a.png: no such file");
        assert_eq!(chain(&error), "cannot read a.png: no such file");
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        let closed: Result<()> = Err(std::io::Error::from(ErrorKind::BrokenPipe)).context("printing");
        assert!(is_broken_pipe(&closed.unwrap_err()));
        assert!(!is_broken_pipe(&anyhow!("x")));
    }
}
