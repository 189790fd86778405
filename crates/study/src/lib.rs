//! The experiment: a [`Plan`] says what is asked of whom, a [`Session`] asks it, [`compare`] turns the answers into a report. On a disk, `run`
//! asks and a `Folder` keeps the answers.
//!
//! Work is a tree: image x perturbation -> vision tower once -> per acceleration a prefix once -> per question its own tokens. The unit that
//! is recorded is the [`Group`]: all questions of one image under all accelerations, so that both sides of every pair come from the same pass.
//! Groups fill part files in a fixed order; a killed run loses the part in flight and nothing else, and the files it leaves after
//! finishing are the ones it would have left without interruption.

pub mod compare;
mod error;
#[cfg(feature = "files")]
mod folder;
#[cfg(feature = "files")]
mod part;
pub mod plan;
pub mod record;
#[cfg(feature = "files")]
mod run;
mod session;
mod subject;
mod variants;
mod work;

pub use error::StudyError;
#[cfg(feature = "files")]
pub use folder::Folder;
pub use plan::{BASELINE, NOISE_FLOOR, Plan};
pub use record::{Record, Timing};
#[cfg(feature = "files")]
pub use run::{Progress, run};
pub use session::Session;
pub use subject::{Reply, Subject};
pub use variants::{ImageReplies, Variants};
pub use work::{Answers, Group, groups};
