//! Keys and values of the tokens seen so far, a length per layer.

use steady_kernels::{CacheBits, KeyValues};

use crate::VlmError;

/// The caches of all layers. Lengths differ where visual tokens were dropped between layers.
#[derive(Clone, Debug)]
pub(crate) struct KvCache {
    layers: Vec<KeyValues>,
}

impl KvCache {
    /// Of no token yet. What is written is rounded to `bits`, if there are any.
    pub(crate) fn new(layers: usize, bits: Option<CacheBits>) -> Self {
        Self { layers: vec![KeyValues::empty(bits); layers] }
    }

    pub(crate) fn layer(&mut self, index: usize) -> &mut KeyValues {
        &mut self.layers[index]
    }

    /// Tokens held per layer.
    pub(crate) fn lengths(&self) -> Vec<usize> {
        self.layers.iter().map(KeyValues::len).collect()
    }

    /// The first layer whose keys or values are not all finite, but for those of the last `beyond` tokens. Reads them back until it finds it: for
    /// saying what went wrong.
    pub(crate) async fn first_not_finite(&self, beyond: usize) -> Result<Option<usize>, VlmError> {
        for (index, layer) in self.layers.iter().enumerate() {
            if layer.read(layer.len() - beyond).await?.iter().flatten().any(|value| !value.is_finite()) {
                return Ok(Some(index));
            }
        }
        Ok(None)
    }

    /// The same tokens, behind which others come than here; there is room for `room` of them in every layer.
    pub(crate) fn branch(&self, room: usize) -> Self {
        Self { layers: self.layers.iter().map(|layer| layer.branch(room)).collect() }
    }
}
