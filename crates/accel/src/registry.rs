//! Which code carries out which method.

use std::sync::Arc;

use steady_methods::{Linears, Method, MethodKind, Place, Spec, SpecError};
use steady_vlm::TokenReducer;

use crate::Acceleration;
use crate::acceleration::{EIGHT_BITS, FLOAT, Wider};
use crate::cache::CACHES;
use crate::chain::joined;
use crate::implementation::{Built, Implementation};
use crate::quantize::QUANTIZERS;
use crate::reduce::REDUCERS;
use crate::search::Unsearched;

/// Methods with what carries them out: those that there are, and one's own.
#[derive(Clone, Debug)]
pub struct Registry {
    rows: Vec<Implementation>,
}

impl Registry {
    /// The methods of [`steady_methods::METHODS`].
    pub fn built_in() -> Self {
        Self { rows: [QUANTIZERS, CACHES, REDUCERS].concat() }
    }

    /// One method more. It takes the place of one of the same name.
    #[must_use]
    pub fn with(mut self, implementation: Implementation) -> Self {
        match self.rows.iter_mut().find(|row| row.method.name == implementation.method.name) {
            Some(row) => *row = implementation,
            None => self.rows.push(implementation),
        }
        self
    }

    /// The methods.
    pub fn methods(&self) -> Vec<&'static Method> {
        self.rows.iter().map(|row| row.method).collect()
    }

    /// Reads a spec of these methods.
    ///
    /// # Errors
    /// [`SpecError`], which lists what would be valid.
    pub fn parse(&self, text: &str) -> Result<Acceleration, SpecError> {
        self.build(Spec::parse_of(&self.methods(), text)?)
    }

    /// What carries out a spec that was read before.
    ///
    /// # Errors
    /// [`SpecError::UnknownMethod`] for a method that is none of these, [`SpecError::Mismatched`] for one that was paired with the wrong code.
    pub fn build(&self, spec: Spec) -> Result<Acceleration, SpecError> {
        let (mut quantizer, mut wider, mut cache) = (None, Wider::default(), None);
        let (mut float, mut eight) = (Linears::default(), Linears::default());
        let mut reducers: Vec<Arc<dyn TokenReducer>> = Vec::new();
        let mut search = None;
        for part in spec.parts() {
            let text = part.to_string();
            let row = self.rows.iter().find(|row| row.method.name == part.method().name);
            let row = row.ok_or_else(|| SpecError::unknown_method(&text, &self.methods()))?;
            // Whoever packs need not know which layers are meant, nor which are put back.
            match (part.method().kind, (row.build)(&part.own_values())) {
                (MethodKind::Quantizer, Some(Built::Quantizer(built))) => {
                    quantizer = Some(built);
                    (float, eight) = (part.layers(FLOAT), part.layers(EIGHT_BITS));
                    wider = Wider { vision: part.flag("vision"), projector: part.flag("projector"), head: part.flag("head") };
                }
                (MethodKind::Cache, Some(Built::Cache(bits))) => cache = Some(bits),
                (MethodKind::TokenReducer(_), Some(Built::Reducer(built))) => reducers.push(built),
                (MethodKind::TokenReducer(Place::Decoder), Some(Built::Search(built))) => search = Some(built),
                _ => return Err(SpecError::Mismatched { part: text }),
            }
        }
        let (reducer, others) = match &search {
            Some(search) => {
                let unsearched: Arc<dyn TokenReducer> = Arc::new(Unsearched(search.name()));
                (joined(reducers.iter().cloned().chain([unsearched]).collect()), reducers)
            }
            None => (joined(reducers), Vec::new()),
        };
        Ok(Acceleration { spec, quantizer, wider, float, eight, cache, reducer, search, others })
    }
}
