//! The stages of a task: what ran, what was left out, and how long each took.

use std::env;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::shell::announce;

/// Whoever sets this accepts that what cannot be checked here is left out.
pub(crate) const MAY_SKIP: &str = "STEADY_MAY_SKIP";

/// How a stage ended, if it did not fail.
pub(crate) enum Ended {
    Passed,
    /// It could not run here; the reason.
    LeftOut(String),
}

impl From<()> for Ended {
    fn from((): ()) -> Self {
        Self::Passed
    }
}

/// What ran so far.
pub(crate) struct Stages {
    /// A stage that is left out is a failure.
    strict: bool,
    rows: Vec<Row>,
}

struct Row {
    name: &'static str,
    took: Duration,
    note: Option<String>,
}

impl Stages {
    /// `thorough`: nothing may be left out. In CI nothing may either.
    pub(crate) fn new(thorough: bool) -> Self {
        Self { strict: (thorough || in_ci()) && !may_skip(), rows: Vec::new() }
    }

    /// Runs a stage and notes what it took, also where it fails.
    pub(crate) fn run<E: Into<Ended>>(&mut self, name: &'static str, stage: impl FnOnce() -> anyhow::Result<E>) -> anyhow::Result<()> {
        announce(&format!("stage: {name}"));
        let start = Instant::now();
        let ended = stage().map(Into::into);
        let (note, result) = match ended {
            Ok(Ended::Passed) => (None, Ok(())),
            Ok(Ended::LeftOut(reason)) if self.strict => {
                (Some("FAILED".to_owned()), Err(anyhow::anyhow!("cannot run: {reason}. {MAY_SKIP}=1 goes on without it")))
            }
            Ok(Ended::LeftOut(reason)) => {
                announce(&format!("LEFT OUT: {name}: {reason}"));
                (Some(format!("LEFT OUT: {reason}")), Ok(()))
            }
            Err(error) => (Some("FAILED".to_owned()), Err(error)),
        };
        self.rows.push(Row { name, took: start.elapsed(), note });
        result.context(name)
    }

    /// The stages so far, a line each, and their sum.
    pub(crate) fn table(&self) -> String {
        let mut table = String::from("what each stage took\n");
        for Row { name, took, note } in &self.rows {
            let line = format!("{name:<20} {:>12}  {}", duration(*took), note.as_deref().unwrap_or_default());
            let _ = writeln!(table, "{}", line.trim_end());
        }
        let sum = self.rows.iter().map(|row| row.took).sum();
        let _ = write!(table, "{:<20} {:>12}", "all", duration(sum));
        table
    }
}

/// Whether CI runs this.
pub(crate) fn in_ci() -> bool {
    env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false" && value != "0")
}

/// Whether what cannot be checked may be left out.
fn may_skip() -> bool {
    env::var_os(MAY_SKIP).is_some_and(|value| !value.is_empty() && value != "0")
}

/// Goes on without something that cannot be had here, or fails, as [`MAY_SKIP`] says.
pub(crate) fn do_without(what: &str) -> anyhow::Result<()> {
    if !may_skip() {
        bail!("{what}. {MAY_SKIP}=1 goes on without it");
    }
    announce(&format!("LEFT OUT: {what}"));
    Ok(())
}

fn duration(took: Duration) -> String {
    let seconds = took.as_secs_f64();
    if seconds < 60.0 {
        format!("{seconds:.1} s")
    } else {
        format!("{:.0} min {:02.0} s", (seconds / 60.0).floor(), (seconds % 60.0).floor())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strict(strict: bool) -> Stages {
        Stages { strict, rows: Vec::new() }
    }

    #[test]
    fn a_stage_that_fails_is_in_the_table_and_named_in_the_error() {
        let mut stages = strict(false);
        stages.run("first", || anyhow::Ok(())).unwrap();
        let error = stages.run("second", || bail!("it rains") as anyhow::Result<()>).unwrap_err();
        assert_eq!(format!("{error:#}"), "second: it rains");
        let table = stages.table();
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(lines.len(), 4, "{table}");
        assert!(lines[1].starts_with("first ") && lines[1].ends_with(" s"), "{table}");
        assert!(lines[2].starts_with("second ") && lines[2].ends_with("FAILED"), "{table}");
    }

    #[test]
    fn what_is_left_out_fails_where_nothing_may_be() {
        let without = || anyhow::Ok(Ended::LeftOut("no umbrella".to_owned()));
        let mut stages = strict(false);
        stages.run("walk", without).unwrap();
        assert!(stages.table().contains("LEFT OUT: no umbrella"));
        let error = strict(true).run("walk", without).unwrap_err();
        assert!(format!("{error:#}").starts_with("walk: cannot run: no umbrella"), "{error:#}");
    }

    #[test]
    fn minutes_are_told_as_minutes() {
        assert_eq!(duration(Duration::from_millis(59_940)), "59.9 s");
        assert_eq!(duration(Duration::from_millis(61_900)), "1 min 01 s");
        assert_eq!(duration(Duration::from_secs(3_725)), "62 min 05 s");
    }
}
