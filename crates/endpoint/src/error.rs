//! What can go wrong with a server.

use std::path::PathBuf;

/// Why a server could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// A text that is no address of a server. It is not repeated, since there may be a key in it.
    #[error("address of a server: {0}")]
    Address(String),
    /// A key that cannot be sent.
    #[error("{variable}: {problem}")]
    Key {
        /// The environment variable.
        variable: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The server does not do what is asked of it.
    #[error("{server}: {problem}")]
    Server {
        /// Its address.
        server: String,
        /// What it said, or did not.
        problem: String,
    },
    /// Two servers cannot be told apart, or there is none.
    #[error("endpoints: {0}")]
    Endpoints(String),
    /// The file of answers cannot be read or written.
    #[error("{}: {what}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was being done to it.
        what: &'static str,
        /// The system's answer.
        source: std::io::Error,
    },
}
