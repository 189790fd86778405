//! What is wrong with a policy, or with what it is to judge.

use steady_report::ReportError;

/// Why there is no verdict. Whatever names a file does so in the words of whoever read it.
#[derive(Debug, thiserror::Error)]
pub enum VerdictError {
    /// A policy that cannot be read.
    #[error("{file}, line {line}: {reason}")]
    Policy {
        /// The file.
        file: String,
        /// Its line, from 1.
        line: usize,
        /// What is wrong, and what may stand there.
        reason: String,
    },
    /// A rule about something that the runs do not have.
    #[error("{rule}: no {what} {found:?} in {run}; there {are}")]
    Unknown {
        /// Which rule, or which flag.
        rule: String,
        /// Group, perturbation or acceleration.
        what: &'static str,
        /// What was asked for.
        found: String,
        /// Where.
        run: String,
        /// What there is instead, with `is` or `are` before it.
        are: String,
    },
    /// Runs that one gate cannot judge together, or a run that lacks what is needed.
    #[error("{0}")]
    Runs(String),
    /// A report that contradicts itself.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// A guard's file that cannot be read.
    #[error("{file}: {reason}")]
    Guard {
        /// The file.
        file: String,
        /// What is wrong.
        reason: String,
    },
}

/// `are a, b and c`, or `is none`.
pub(crate) fn there_are<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    match names.as_slice() {
        [] => "is none".to_owned(),
        [one] => format!("is {one}"),
        [most @ .., last] => format!("are {} and {last}", most.join(", ")),
    }
}
