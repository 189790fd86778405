//! What can go wrong when a benchmark is read.

use std::path::PathBuf;

use crate::perturb::SpecError;

/// Why a benchmark could not give what was asked of it.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The benchmark has no image with this id.
    #[error("benchmark {benchmark}: no image {image:?} (expected {expected})")]
    UnknownImage {
        /// Name of the benchmark.
        benchmark: String,
        /// The id asked for.
        image: String,
        /// What a valid id looks like.
        expected: &'static str,
    },
    /// A name that is not one of the known ones.
    #[error("unknown {what} {found:?}: expected one of {expected}")]
    UnknownName {
        /// What the name names.
        what: &'static str,
        /// The name given.
        found: String,
        /// The valid names, comma separated.
        expected: String,
    },
    /// What was asked for cannot be opened so.
    #[error("benchmark {spec}: {problem}")]
    Spec {
        /// What was asked for.
        spec: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A file of questions or pictures is not what it should be.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what was expected.
        problem: String,
    },
    /// A picture that cannot be shown.
    #[error("picture {image:?}: {problem}")]
    Picture {
        /// The image's id.
        image: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Rows that cannot be asked, the first of them named.
    #[error("{}: {count} of {rows} rows cannot be asked:\n  {}{}\nmend them, or leave them out with `,broken=skip`", path.display(), first.join("\n  "), more(*count, first.len()))]
    Rows {
        /// The file.
        path: PathBuf,
        /// How many cannot.
        count: usize,
        /// How many there are.
        rows: usize,
        /// Row, column and what is wrong, of the first of them.
        first: Vec<String>,
    },
    /// What should be done to an image cannot be.
    #[error("perturbation: {0}")]
    Perturbation(#[from] SpecError),
    /// An image that cannot be written as PNG or JPEG.
    #[error("cannot write image {image:?}: {reason}")]
    Encode {
        /// The image's id.
        image: String,
        /// Why not.
        reason: image::ImageError,
    },
    /// Writing a stream failed.
    #[error("cannot write the stream: {0}")]
    Write(#[from] std::io::Error),
}

fn more(count: usize, shown: usize) -> String {
    if count > shown { format!("\n  and {} more", count - shown) } else { String::new() }
}
