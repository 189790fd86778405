//! Visual-token reducers.

pub(crate) mod divprune;
pub(crate) mod fastv;
pub(crate) mod random;

use steady_vlm::VlmError;

pub use divprune::DivPrune;
pub use fastv::FastV;
pub use random::RandomKeep;

/// The model did not hand over what the method asked for.
fn missing(method: &str, what: &str) -> VlmError {
    VlmError::Invalid { what: format!("token reducer {method}"), problem: format!("was not given the {what} it asked for") }
}
