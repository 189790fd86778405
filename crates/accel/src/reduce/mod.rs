//! Visual-token reducers.

mod divprune;
mod fastv;
mod random;

use steady_vlm::VlmError;

pub use divprune::DivPrune;
pub use fastv::FastV;
pub use random::RandomKeep;

use crate::Implementation;

/// For every token reducer of [`steady_methods::METHODS`], in that order, what carries it out.
pub(crate) const REDUCERS: &[Implementation] = &[divprune::IMPLEMENTATION, fastv::IMPLEMENTATION, random::IMPLEMENTATION];

/// The model did not hand over what the method asked for.
fn missing(method: &str, what: &str) -> VlmError {
    VlmError::Invalid { what: format!("token reducer {method}"), problem: format!("was not given the {what} it asked for") }
}
