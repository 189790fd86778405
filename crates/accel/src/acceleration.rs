//! A spec, and what carries it out.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use steady_methods::{Linears, Spec, SpecError};
use steady_vlm::TokenReducer;

use crate::{Quantizer, Registry, Search};

/// What a [`Spec`] asks for, ready to be done to a model. Displays as the spec's canonical text.
#[derive(Clone, Default)]
pub struct Acceleration {
    pub(crate) spec: Spec,
    pub(crate) quantizer: Option<Arc<dyn Quantizer>>,
    /// Layers that are put back into float.
    pub(crate) float: Linears,
    pub(crate) reducer: Option<Arc<dyn TokenReducer>>,
    /// What is to be searched for, and has not been.
    pub(crate) search: Option<Arc<dyn Search>>,
    /// The reducers in front of what is searched for.
    pub(crate) others: Vec<Arc<dyn TokenReducer>>,
}

impl Acceleration {
    /// The baseline: nothing is done.
    pub fn none() -> Self {
        Self::default()
    }

    /// Reads a spec of the methods that there are. Those of one's own are read by a [`Registry`] that holds them.
    ///
    /// # Errors
    /// [`SpecError`], which lists what would be valid.
    pub fn parse(text: &str) -> Result<Self, SpecError> {
        Registry::built_in().parse(text)
    }

    /// What was asked for.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Whether this is the baseline.
    pub fn is_none(&self) -> bool {
        self.spec.is_none()
    }

    /// The token reducer to hand to the model with each prompt. Where it is [searched for](Self::searched) and was not, it says so when it is asked.
    pub fn reducer(&self) -> Option<&dyn TokenReducer> {
        self.reducer.as_deref()
    }

    /// The quantizer, if the weights change.
    pub fn quantizer(&self) -> Option<&dyn Quantizer> {
        self.quantizer.as_deref()
    }
}

impl fmt::Display for Acceleration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.spec.fmt(f)
    }
}

impl fmt::Debug for Acceleration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Acceleration({self})")
    }
}

impl PartialEq for Acceleration {
    fn eq(&self, other: &Self) -> bool {
        self.spec == other.spec
    }
}

impl Eq for Acceleration {}

impl FromStr for Acceleration {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        Self::parse(text)
    }
}
