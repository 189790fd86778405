//! What is decided over a report.
//!
//! A [`Policy`] says what may happen to the answers; a [`Gate`] says of each acceleration whether that holds. Its verdict is one of three: PASS where the
//! limit is shown to hold, FAIL where it is shown not to, INCONCLUSIVE where so few questions show neither. A [`Guard`] is a threshold on the lead of the
//! first token, below which the baseline answers instead, chosen so that what breaks stays under a limit with a guarantee that holds for any number of
//! images. Neither sees a tensor or a file.

mod check;
mod criterion;
mod error;
mod gate;
mod guard;
mod policy;
mod told;

pub use check::{Check, Checked};
pub use criterion::{Criterion, Evidence, Finding, Measure, Verdict};
pub use error::VerdictError;
pub use gate::{Gate, Judged, Run};
pub use guard::{Cost, Guarantee, Guard, Part, Point, Risk, TooFew, Wanted};
pub use policy::{Policy, Rule, Share, Tier};
