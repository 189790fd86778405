//! What can go wrong when a benchmark is read.

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
