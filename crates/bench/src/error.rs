//! What can go wrong when a benchmark is read.

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
    /// An image that cannot be written as PNG.
    #[error("cannot write image {image:?} as PNG: {reason}")]
    Png {
        /// The image's id.
        image: String,
        /// Why not.
        reason: image::ImageError,
    },
    /// Writing a stream failed.
    #[error("cannot write the stream: {0}")]
    Write(#[from] std::io::Error),
}
