//! What can be wrong with a plan and its records.

/// Why there is no report of them.
#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    /// The plan makes no sense (no questions, the same acceleration twice, ...), or the records are of another one.
    #[error("plan: {0}")]
    Plan(String),
    /// The comparison itself failed its own checks.
    #[error("report: {0}")]
    Report(String),
}
