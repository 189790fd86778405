//! Keys and values of the tokens seen so far, a length per layer.

use burn::tensor::{DType, Device, Tensor};

use crate::{VlmError, matrix::read_f32};

/// One layer's keys and values in preallocated buffers.
///
/// Writing is in place while a buffer has one owner. A branch made with [`KvCache::branch`] has buffers of its own, so it never
/// pays for, nor sees, what another branch writes.
#[derive(Clone, Debug)]
pub(crate) struct LayerCache {
    /// `[kv_heads, capacity, head_dim]`, the first `len` tokens valid; `None` until the first token.
    buffers: Option<(Tensor<3>, Tensor<3>)>,
    len: usize,
}

/// The caches of all layers. Lengths differ where visual tokens were dropped between layers.
#[derive(Clone, Debug)]
pub(crate) struct KvCache {
    layers: Vec<LayerCache>,
}

impl KvCache {
    pub(crate) fn new(layers: usize) -> Self {
        let empty = LayerCache { buffers: None, len: 0 };
        Self { layers: vec![empty; layers] }
    }

    pub(crate) fn layer(&mut self, index: usize) -> &mut LayerCache {
        &mut self.layers[index]
    }

    /// Tokens held per layer.
    pub(crate) fn lengths(&self) -> Vec<usize> {
        self.layers.iter().map(|layer| layer.len).collect()
    }

    /// The first layer whose keys or values are not all finite. Reads them back until it finds it: for saying what went wrong.
    pub(crate) async fn first_not_finite(&self) -> Result<Option<usize>, VlmError> {
        for (index, layer) in self.layers.iter().enumerate() {
            let Some((keys, values)) = &layer.buffers else { continue };
            for held in [keys, values] {
                if read_f32(layer.held(held)).await?.iter().any(|value| !value.is_finite()) {
                    return Ok(Some(index));
                }
            }
        }
        Ok(None)
    }

    /// A copy in buffers of its own, with room for `room` more tokens in every layer.
    pub(crate) fn branch(&self, room: usize) -> Self {
        let layers = self
            .layers
            .iter()
            .map(|layer| LayerCache {
                buffers: layer.buffers.as_ref().map(|(keys, values)| (layer.grown(keys, room), layer.grown(values, room))),
                len: layer.len,
            })
            .collect();
        Self { layers }
    }
}

impl LayerCache {
    /// Number of tokens held.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Appends `[kv_heads, tokens, head_dim]` keys and values and returns views of everything held,
    /// `[kv_heads, len, head_dim]`. The views must be dropped before the next call, or that one has to copy.
    pub(crate) fn append(&mut self, keys: Tensor<3>, values: Tensor<3>) -> (Tensor<3>, Tensor<3>) {
        let tokens = keys.dims()[1];
        let (held_keys, held_values) = match self.buffers.take() {
            // A first chunk is usually a whole prompt; it becomes the buffer, and room is made when more arrives.
            None => (keys, values),
            Some((held_keys, held_values)) => {
                let (held_keys, held_values) = if self.len + tokens > held_keys.dims()[1] {
                    let room = tokens.max(Self::STEP);
                    (self.grown(&held_keys, room), self.grown(&held_values, room))
                } else {
                    (held_keys, held_values)
                };
                let [heads, _, head_dim] = keys.dims();
                let place = [0..heads, self.len..self.len + tokens, 0..head_dim];
                (held_keys.slice_assign(place.clone(), keys), held_values.slice_assign(place, values))
            }
        };
        self.len += tokens;
        let views = (self.held(&held_keys), self.held(&held_values));
        self.buffers = Some((held_keys, held_values));
        views
    }

    /// Room added when a buffer is full, in tokens.
    pub(super) const STEP: usize = 64;

    /// The valid part of a buffer.
    fn held(&self, buffer: &Tensor<3>) -> Tensor<3> {
        let [heads, _, head_dim] = buffer.dims();
        buffer.clone().slice([0..heads, 0..self.len, 0..head_dim])
    }

    /// The valid part of a buffer in a new one with room for `room` more tokens.
    fn grown(&self, buffer: &Tensor<3>, room: usize) -> Tensor<3> {
        let [heads, _, head_dim] = buffer.dims();
        let (device, dtype): (Device, DType) = (buffer.device(), buffer.dtype());
        Tensor::zeros([heads, self.len + room, head_dim], (&device, dtype))
            .slice_assign([0..heads, 0..self.len, 0..head_dim], self.held(buffer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::read_now;
    use burn::tensor::TensorData;
    use proptest::prelude::*;

    /// `tokens` tokens of one head of width 1 with the values `from, from + 1, ..`.
    fn run(from: usize, tokens: usize) -> Tensor<3> {
        let values: Vec<f32> = (from..from + tokens).map(|value| value as f32).collect();
        Tensor::from_data(TensorData::new(values, [1, tokens, 1]), &Device::flex())
    }

    fn append(cache: &mut KvCache, from: usize, tokens: usize) -> (Vec<f32>, Vec<f32>) {
        let (keys, values) = cache.layer(0).append(run(from, tokens), run(1000 + from, tokens));
        (read_now(keys), read_now(values))
    }

    proptest! {
        #[test]
        fn chunks_of_any_length_concatenate(chunks in prop::collection::vec(1usize..90, 1..6)) {
            let mut cache = KvCache::new(1);
            let mut len = 0;
            for chunk in chunks {
                let (keys, values) = append(&mut cache, len, chunk);
                len += chunk;
                prop_assert_eq!(keys, (0..len).map(|i| i as f32).collect::<Vec<_>>());
                prop_assert_eq!(values, (0..len).map(|i| (1000 + i) as f32).collect::<Vec<_>>());
                prop_assert_eq!(cache.lengths(), vec![len]);
            }
        }

        #[test]
        fn branches_do_not_see_each_other(prefix in 1usize..20, room in 0usize..20, tail in 1usize..40) {
            let mut trunk = KvCache::new(1);
            append(&mut trunk, 0, prefix);
            let (mut one, mut two) = (trunk.branch(room), trunk.branch(room));
            append(&mut one, 500, tail);
            let (keys, _) = append(&mut two, 700, tail);
            let expected: Vec<f32> = (0..prefix).chain(700..700 + tail).map(|i| i as f32).collect();
            prop_assert_eq!(keys, expected);
            let (keys, _) = append(&mut trunk, prefix, 1);
            prop_assert_eq!(keys, (0..=prefix).map(|i| i as f32).collect::<Vec<_>>());
        }
    }
}
