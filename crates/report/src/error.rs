//! Why something is not a report.

use crate::measurements::{FORMAT, FORMAT_1};
use crate::outcome::Contradiction;

/// Why something is not a report. Every variant that concerns a field names it the way jq would.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The text is not JSON.
    #[error("not JSON: {0}")]
    Json(serde_json::Error),
    /// A file of another kind or another version.
    #[error("`format` is {found}, expected \"{FORMAT}\" or \"{FORMAT_1}\"")]
    Format {
        /// What the field holds.
        found: String,
    },
    /// A field is missing or of the wrong type.
    #[error("`{field}`: {reason}")]
    Field {
        /// Where.
        field: String,
        /// What is wrong with it.
        reason: serde_json::Error,
    },
    /// Two lists that belong together differ in length.
    #[error("`{field}` has {found} entries, expected {expected}, one for each question")]
    Length {
        /// The list, or the number that states a length.
        field: String,
        /// Its length.
        found: usize,
        /// The number of questions.
        expected: usize,
    },
    /// Rows that are not the questions once for the clean images and once for each perturbation.
    #[error(
        "`questions` has {found} entries, expected {questions} about the clean images and as many for each of {perturbations} perturbations"
    )]
    Rows {
        /// Number of rows.
        found: usize,
        /// Number of questions.
        questions: usize,
        /// Number of perturbations.
        perturbations: usize,
    },
    /// A row that is not the one that belongs in its place.
    #[error("`{field}` is {found}, expected {expected}")]
    Place {
        /// Where.
        field: String,
        /// What it holds.
        found: String,
        /// What belongs there.
        expected: String,
    },
    /// Reports that cannot stand side by side.
    #[error("{0}")]
    Apart(String),
    /// An identity that occurs twice.
    #[error("`{field}`: {value:?} occurs twice")]
    Duplicate {
        /// The second occurrence.
        field: String,
        /// What occurs twice.
        value: String,
    },
    /// A number outside its range.
    #[error("`{field}` is {found}, expected {expected}")]
    Number {
        /// Where.
        field: String,
        /// The number.
        found: f64,
        /// What it should be.
        expected: &'static str,
    },
    /// No question at all.
    #[error("`questions` is empty: a report needs at least one question")]
    NoQuestions,
    /// Something that is missing where it is needed, such as what became of a question, or present where it cannot be.
    #[error("`{field}` is {found}, expected {expected}")]
    Presence {
        /// Where.
        field: String,
        /// `present` or `missing`.
        found: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// An outcome that contradicts the verdicts beside it.
    #[error("`{field}`: {reason}")]
    Contradiction {
        /// Where.
        field: String,
        /// What contradicts what.
        reason: Contradiction,
    },
    /// A summary that does not follow from the measurements in the same file.
    #[error("`{field}` is {found}, but the answers in this report give {expected}")]
    Summary {
        /// Where.
        field: String,
        /// What the file says.
        found: String,
        /// What follows from its answers.
        expected: String,
    },
}
