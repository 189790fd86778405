//! Visual-token reducers.

pub(crate) mod divprune;
pub(crate) mod fastv;
pub(crate) mod random;

use std::fmt;

use steady_vlm::VlmError;

pub use divprune::DivPrune;
pub use fastv::FastV;
pub use random::RandomKeep;

/// How many visual tokens stay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Keep {
    /// A share of them, in (0, 1].
    Share(f64),
    /// This many, at least 2. An image with fewer keeps them all.
    Count(usize),
}

impl Keep {
    /// A share in (0, 1] or a whole number from 2 on; `1` is the share.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text.parse::<usize>() {
            Ok(count) if count >= 2 => Some(Self::Count(count)),
            _ => text.parse().ok().filter(|&share: &f64| share > 0.0 && share <= 1.0).map(Self::Share),
        }
    }

    /// How many of `n` tokens stay: shares round half to even, as Python's `round`; never fewer than one.
    pub fn of(self, n: usize) -> usize {
        match self {
            Self::Share(share) => ((n as f64 * share).round_ties_even() as usize).clamp(1, n.max(1)),
            Self::Count(count) => count.min(n),
        }
    }
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Share(share) => share.fmt(f),
            Self::Count(count) => count.fmt(f),
        }
    }
}

/// The model did not hand over what the method asked for.
fn missing(method: &str, what: &str) -> VlmError {
    VlmError::Invalid { what: format!("token reducer {method}"), problem: format!("was not given the {what} it asked for") }
}
