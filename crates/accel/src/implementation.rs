//! A method with the code that carries it out.

use std::sync::Arc;

use steady_methods::{Method, Value};
use steady_vlm::{CacheBits, TokenReducer};

use crate::{Quantizer, Search};

/// A method and what carries it out.
#[derive(Clone, Copy, Debug)]
pub struct Implementation {
    /// The method's row.
    pub method: &'static Method,
    /// Makes the method from one value per parameter of the row, in order, without those that [choose
    /// layers](steady_methods::Parameter::chooses_layers), which is done for every quantizer alike; `None` if these are not the values that it takes.
    pub build: fn(&[Value]) -> Option<Built>,
}

/// What a method is made into: what it does, as its [`MethodKind`](steady_methods::MethodKind) says.
pub enum Built {
    /// Changes the weights.
    Quantizer(Arc<dyn Quantizer>),
    /// Rounds keys and values.
    Cache(CacheBits),
    /// Changes the number of visual tokens.
    Reducer(Arc<dyn TokenReducer>),
    /// The same, in a way that is searched for on each model.
    Search(Arc<dyn Search>),
}
