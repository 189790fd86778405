//! What can be wrong with a log, and with a pair of them.

use steady_report::ReportError;

use crate::comparable::Difference;

/// Why logs give no report.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// A file that cannot be read as what it seems to be.
    #[error("{file}: {reason}")]
    File {
        /// Its name.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A field that is missing or holds something else.
    #[error("{file}, {place}: `{field}` is {found}, expected {expected}")]
    Field {
        /// The file's name.
        file: String,
        /// Which line, row or sample.
        place: String,
        /// Its field or column.
        field: String,
        /// What it holds.
        found: String,
        /// What it should hold.
        expected: String,
    },
    /// Two answers to one question.
    #[error("question {id} is answered twice: {first} and {second}; give one of them")]
    Twice {
        /// The question.
        id: String,
        /// Where first.
        first: String,
        /// Where again.
        second: String,
    },
    /// A run in none of the formats.
    #[error("{run}: {found}. What is read:\n{expected}")]
    Unknown {
        /// What was given.
        run: String,
        /// What was found in it.
        found: String,
        /// Every format with what tells it, a line each.
        expected: String,
    },
    /// Files of one run in several formats.
    #[error("{run}: {first} is {first_format}, and {second} is {second_format}; a run has one format, name the files of one")]
    Mixed {
        /// What was given.
        run: String,
        /// A file.
        first: String,
        /// Its format.
        first_format: &'static str,
        /// Another file.
        second: String,
        /// Its format.
        second_format: &'static str,
    },
    /// Something asked for that the log does not have.
    #[error("{run} has no {what} `{name}`; it has {known}")]
    Absent {
        /// Whose log.
        run: String,
        /// What kind of thing: a column, a filter, a metric.
        what: &'static str,
        /// The one that was asked for.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// Runs that were not asked the same things in the same way.
    #[error("the runs cannot be compared:{}\nWhat differs on purpose is let through by {}.", listed(.0), flags(.0))]
    Incomparable(Vec<Difference>),
    /// Runs without a question in common.
    #[error("no question is in all of the runs: their identities differ")]
    NothingShared,
    /// The report refuses what came out, which no log causes.
    #[error("report: {0}")]
    Report(#[from] ReportError),
}

fn listed(differences: &[Difference]) -> String {
    let line = |difference: &Difference| format!("\n  {}: {}", difference.field, difference.what);
    differences.iter().map(line).collect::<Vec<_>>().concat()
}

fn flags(differences: &[Difference]) -> String {
    let mut flags: Vec<String> = Vec::new();
    for flag in differences.iter().map(|difference| format!("--allow {}", difference.field)) {
        if !flags.contains(&flag) {
            flags.push(flag);
        }
    }
    flags.join(" ")
}
