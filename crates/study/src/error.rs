//! What can go wrong in a study, always naming the file or the question it went wrong on.

#[cfg(feature = "files")]
use std::path::Path;
use std::path::PathBuf;

use steady_accel::AccelError;
use steady_bench::BenchError;
use steady_records::{RecordsError, Shard};
use steady_vlm::VlmError;

/// Why a study could not be planned, run, read or compared.
#[derive(Debug, thiserror::Error)]
pub enum StudyError {
    /// The file system said no: missing folder, no permission, full disk.
    #[error("{}: {what}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was being done to it.
        what: &'static str,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A file of the run folder does not hold what it should.
    #[error("{}: {reason}", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// What was found and what was expected.
        reason: String,
    },
    /// The folder holds records of another plan; mixing them would compare answers given under different conditions.
    #[error("{}: this folder belongs to another plan; choose another folder, or the same settings. Differing: {}", path.display(), fields.join("; "))]
    OtherPlan {
        /// The plan file found.
        path: PathBuf,
        /// One line per differing field: `name: there X, asked Y`.
        fields: Vec<String>,
    },
    /// The folder holds another shard of the same plan.
    #[error("{}: this folder holds shard {found}, asked for is shard {asked}; choose another folder", path.display())]
    OtherShard {
        /// The run folder.
        path: PathBuf,
        /// The shard in it.
        found: Shard,
        /// The one asked for.
        asked: Shard,
    },
    /// Another process is writing into this folder.
    #[error("{}: another process is running in this folder", path.display())]
    Busy {
        /// The run folder.
        path: PathBuf,
    },
    /// Shards do not make a study: some are missing or unfinished, or two contradict each other.
    #[error("{0}")]
    Merge(String),
    /// The plan does not fit who is to answer.
    #[error("plan: {0}")]
    Plan(String),
    /// An answer that cannot be recorded, such as logits that are not numbers.
    #[error("question {question}, acceleration {acceleration}: {reason}")]
    Answer {
        /// Question id.
        question: String,
        /// Acceleration spec.
        acceleration: String,
        /// What was wrong.
        reason: String,
    },
    /// The plan makes no sense, or there is no report of its records.
    #[error(transparent)]
    Records(#[from] RecordsError),
    /// The cancellation flag was raised; everything recorded so far is kept.
    #[error("cancelled after {done} of {total} answers; run again to continue")]
    Cancelled {
        /// Answers recorded.
        done: usize,
        /// Answers planned.
        total: usize,
    },
    /// The benchmark could not give an image.
    #[error(transparent)]
    Bench(#[from] BenchError),
    /// An acceleration does not fit the model.
    #[error(transparent)]
    Accel(#[from] AccelError),
    /// The model could not answer.
    #[error(transparent)]
    Vlm(#[from] VlmError),
    /// A subject outside of this crate could not answer.
    #[error(transparent)]
    Subject(Box<dyn std::error::Error + Send + Sync>),
}

impl StudyError {
    #[cfg(feature = "files")]
    pub(crate) fn io(path: &Path, what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { path: path.to_path_buf(), what, source }
    }

    #[cfg(feature = "files")]
    pub(crate) fn broken(path: &Path, reason: impl std::fmt::Display) -> Self {
        Self::Broken { path: path.to_path_buf(), reason: reason.to_string() }
    }
}
