//! An opened report, with what this page can add to it.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::Arc;

use steady_bench::world::TaskFamily;
use steady_bench::{BENCHMARKS, Benchmark, asked, suite_of};
use steady_records::Plan;
use steady_report::share::{self, Link, ShareError};
use steady_report::{Report, ReportError};

/// A report, where it came from, and the benchmark whose pictures belong to it.
pub(crate) struct Opened {
    pub(crate) report: Report,
    /// Opened by its name; `None` for one that this program does not have, or has otherwise.
    pub(crate) suite: Option<Arc<dyn Benchmark>>,
    pub(crate) origin: Origin,
}

/// Where a report came from.
pub(crate) enum Origin {
    /// A link, which leaves out the words of so many questions.
    Link { left_out: usize },
    /// A file or an address.
    Named(String),
    /// A study on this page.
    Study,
    /// Logs of other tools by these names, and what a reader should know of how they were compared.
    Runs { names: Vec<String>, notes: Vec<String> },
}

/// A text that is no report: what it is, and why not.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("{0}")]
    Link(#[from] ShareError),
    #[error("{name} is not a report: {reason}")]
    Json { name: String, reason: ReportError },
}

impl Opened {
    /// The report behind `#r=`.
    pub(crate) fn from_link(payload: &str) -> Result<Self, OpenError> {
        let mut suite = None;
        let opened = share::open(payload, |wanted| {
            suite = BENCHMARKS.reopen(&wanted.name, &wanted.fingerprint, wanted.size);
            suite.as_deref().map(asked)
        })?;
        Ok(Self { report: opened.report, suite: suite.map(Arc::from), origin: Origin::Link { left_out: opened.left_out } })
    }

    /// A `report.json`.
    pub(crate) fn from_json(name: String, text: &str) -> Result<Self, OpenError> {
        let report = Report::from_json(text).map_err(|reason| OpenError::Json { name: name.clone(), reason })?;
        let families: BTreeSet<&str> = report.questions().iter().map(|question| question.family.as_str()).collect();
        let suite = drawn_for(&report, report.plan().questions, families.len());
        Ok(Self { report, suite, origin: Origin::Named(name) })
    }

    /// The report of a study of this plan, which may not be through; `before` is its report a moment ago.
    pub(crate) fn from_study(report: Report, before: Option<&Self>, plan: &Plan) -> Self {
        let of = &plan.benchmark;
        let same = before.filter(|before| before.report.plan().benchmark_fingerprint == of.fingerprint);
        let drawn = || BENCHMARKS.reopen(&of.name, &of.fingerprint, of.size).map(Arc::from);
        let suite = same.map_or_else(drawn, |same| same.suite.clone());
        Self { report, suite, origin: Origin::Study }
    }

    /// The report of runs of these names, compared here.
    pub(crate) fn from_runs(report: Report, names: Vec<String>, notes: Vec<String>) -> Self {
        let plan = report.plan();
        let suite = BENCHMARKS.reopen(&plan.benchmark, &plan.benchmark_fingerprint, plan.questions).map(Arc::from);
        Self { report, suite, origin: Origin::Runs { names, notes } }
    }

    /// The report as a link.
    pub(crate) fn link(&self) -> Result<Link, ShareError> {
        let drawn = self.suite.as_ref().map(|suite| (suite_of(&**suite), asked(&**suite)));
        self.report.share(drawn.as_ref().map(|(suite, asked)| (suite, asked.as_slice())))
    }

    /// What to call it beside another one.
    pub(crate) fn name(&self) -> String {
        match &self.origin {
            Origin::Named(name) => name.clone(),
            Origin::Link { .. } => format!("the link ({})", self.report.plan().model),
            Origin::Study => "this study".to_owned(),
            Origin::Runs { names, .. } => names.join(" and "),
        }
    }

    /// What someone who reads the report should know about how it came here.
    pub(crate) fn note(&self) -> String {
        let pictures = if self.suite.is_none() { " Its pictures are not at hand here." } else { "" };
        match &self.origin {
            Origin::Link { left_out } => {
                let words = match left_out {
                    0 => String::new(),
                    left_out => format!(" The words of {left_out} changed questions did not fit into the link."),
                };
                format!(
                    "From a link, which holds the whole report but the margins, divergences and candidates of single answers; its numbers were computed here.{words}{pictures}"
                )
            }
            Origin::Named(name) => format!("From {name}.{pictures}"),
            Origin::Study => format!("Computed here, in this browser.{pictures}"),
            Origin::Runs { names, .. } => {
                format!("Of the runs {}, which were compared here, in this browser.{pictures}", names.join(" and "))
            }
        }
    }

    /// What else a reader should know, a line each.
    pub(crate) fn remarks(&self) -> &[String] {
        match &self.origin {
            Origin::Runs { notes, .. } => notes,
            _ => &[],
        }
    }
}

/// The suite that `questions` questions from so many families are the beginning of, if it is the report's.
fn drawn_for(report: &Report, questions: usize, families: usize) -> Option<Arc<dyn Benchmark>> {
    let plan = report.plan();
    // as large as it must be if all families were meant, or those alone that were asked
    let sizes = [questions, TaskFamily::ALL.len() * questions.div_ceil(families.max(1))];
    sizes.into_iter().find_map(|size| BENCHMARKS.reopen(&plan.benchmark, &plan.benchmark_fingerprint, size)).map(Arc::from)
}

/// `what` failed for the reason `why`, as one sentence for a reader.
pub(crate) fn sentence(what: &str, why: impl Display) -> String {
    format!("{what}: {why}.")
}
