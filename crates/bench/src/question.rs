//! One question about one image.

use serde::{Deserialize, Serialize};

/// The form of the expected answer; it selects the scorer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerKind {
    /// "yes" or "no".
    YesNo,
    /// A letter for one of the options.
    Choice {
        /// Texts of options A, B, C, ...
        options: Vec<String>,
    },
    /// A word or short phrase.
    Short,
    /// A number in digits or as a word.
    Number,
}

/// One question about one image, with its accepted answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Unique and stable within the benchmark, e.g. `existence/00012-0`.
    pub id: String,
    /// Name of the benchmark.
    pub benchmark: String,
    /// Task family within the benchmark, e.g. `existence`.
    pub family: String,
    /// Image id; questions with the same one form a cluster for the statistics.
    pub image: String,
    /// Exactly what goes into the user turn, options and suffix included.
    pub text: String,
    /// Accepted answers; the first is the one a model is trained to give. For [`AnswerKind::Choice`]: the letter.
    pub gold: Vec<String>,
    /// Form of the answer.
    pub kind: AnswerKind,
}
