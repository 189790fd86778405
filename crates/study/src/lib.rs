//! The experiment: a [`Plan`] says what is asked of whom, [`run`] asks it, [`Folder`] keeps the answers, [`compare`](compare::compare) turns
//! them into a report.
//!
//! Work is a tree: image x perturbation -> vision tower once -> per acceleration a prefix once -> per question its own tokens. The unit that
//! is recorded is the [`Group`]: all questions of one image under all accelerations, so that both sides of every pair come from the same pass.
//! Groups fill part files in a fixed order; a killed run loses the part in flight and nothing else, and the files it leaves after
//! finishing are the ones it would have left without interruption.

pub mod compare;
mod error;
mod folder;
mod part;
pub mod plan;
pub mod record;
mod subject;
mod variants;
mod work;

pub use error::StudyError;
pub use folder::Folder;
pub use plan::{BASELINE, NOISE_FLOOR, Plan};
pub use record::{Record, Timing};
pub use subject::{Reply, Subject};
pub use variants::Variants;
pub use work::{Group, Progress, groups, run};
