//! Keys and values in fewer bits: what a decoder remembers is rounded as it is written ([`CacheBits`]).

use steady_methods::{KV4, KV8};
use steady_vlm::CacheBits;

use crate::implementation::{Built, Implementation};

/// For every quantizer of keys and values of [`steady_methods::METHODS`], in that order, what carries it out.
pub(crate) const CACHES: &[Implementation] = &[
    Implementation { method: &KV8, build: |values| values.is_empty().then_some(Built::Cache(CacheBits::Eight)) },
    Implementation { method: &KV4, build: |values| values.is_empty().then_some(Built::Cache(CacheBits::Four)) },
];
