//! The experiment: a [`Plan`](steady_records::Plan) says what is asked of whom, and a [`Session`] or, on a disk, `run` asks it. A `Folder` keeps the
//! records, out of which steady-records makes a report.
//!
//! Work is a tree: image x perturbation -> vision tower once -> per acceleration a prefix once -> per question its own tokens. The unit that
//! is recorded is the [`Group`](steady_records::Group): all questions of one image under all accelerations, so that both sides of every pair come
//! from the same pass. Groups fill part files in a fixed order, and each is kept until its part is whole; a killed run loses the group in flight and
//! nothing else, and the files it leaves after finishing are the ones it would have left without interruption.

#[cfg(feature = "files")]
mod beside;
mod calibration;
pub mod controls;
#[cfg(feature = "files")]
mod elsewhere;
mod error;
mod fitting;
#[cfg(feature = "files")]
mod folder;
#[cfg(feature = "files")]
mod join;
#[cfg(feature = "files")]
mod merge;
#[cfg(feature = "files")]
mod part;
mod published;
#[cfg(feature = "files")]
mod reader;
pub mod record;
#[cfg(feature = "files")]
mod run;
mod session;
mod subject;
mod variants;
mod work;

pub use calibration::{Calibrate, CalibrateWith, quantize, reconstruct, search};
#[cfg(feature = "files")]
pub use elsewhere::TakenOver;
pub use error::StudyError;
pub use fitting::fits;
#[cfg(feature = "files")]
pub use folder::Folder;
#[cfg(feature = "files")]
pub use join::{Source, join};
#[cfg(feature = "files")]
pub use merge::{Merged, merge};
pub use published::Published;
#[cfg(feature = "files")]
pub use run::{Progress, run};
pub use session::Session;
pub use subject::{Distribution, Reply, Subject};
pub use variants::{Held, ImageReplies, Variants};
