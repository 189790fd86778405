//! What was answered, without a model: a [`Plan`] says what is asked of whom, [`Record`]s hold the answers, and [`report`] pairs them.
//!
//! The unit that is answered is the [`Group`]: all questions of one image under all accelerations, so that both sides of every pair come from the same
//! pass. [`Work`] is a plan with its questions, cut into groups, and knows a group's bytes; [`Growing`] collects groups in whatever order they come and
//! derives the report of what there is. Whoever computes sends groups, whoever shows derives.

mod error;
mod growing;
mod pairing;
pub mod plan;
pub mod record;
mod work;

pub use error::RecordsError;
pub use growing::{Growing, pause};
pub use pairing::report;
pub use plan::{BASELINE, CLEAN, NOISE_FLOOR, Plan};
pub use record::{Record, Timing};
pub use work::{Answers, Group, Work};
