//! Why a picture is refused.

use std::path::PathBuf;

/// A picture file that gives no pixels.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// A file that cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Bytes that are not a picture of a kind read here, are cut or broken, or make a picture that is too large.
    #[error("image {name}: {problem}")]
    Refused {
        /// The path or id of the picture.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
}
