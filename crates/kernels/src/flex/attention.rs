//! Attention on the CPU: what tokens see, what they look at where somebody asks, and the keys and values that are held.
//!
//! Queries are `[heads, tokens, head_dim]`, keys and values `[kv_heads, past + tokens, head_dim]`. With grouped queries
//! (`kv_heads < heads`) the queries that share a key head are stacked as more rows against it, so keys are never repeated.

use burn::backend::{BackendTensor, Dispatch, DispatchAutodiffContext, DispatchTensor, DispatchTensorKind};
use burn::tensor::{DType, Device, Tensor, TensorData};
use half::f16;

use super::streaming::{self, Sight};
use crate::CacheBits;
use crate::dense::product;
use crate::ops::PackedOps;

/// What queries look at: softmax of the scaled scores, `[heads, tokens, past + tokens]`, computed in `f32` and rounded to the element type of `q`. The keys may come in parts, one behind
/// the other.
///
/// Scores never exist in `f16`, whatever the model's element type. Its largest number is 65,504, and published models have scores
/// beyond it (Qwen2-VL is known for that): they would be infinite, and their softmax no number. Long before, they would be coarse:
/// at 6,000 neighbouring numbers are 4 apart, a factor of 50 between two probabilities. So queries and keys are widened first, and
/// scaling, product, mask and softmax are in `f32`.
pub(crate) fn probabilities(q: Tensor<3>, k: &[Tensor<3>], mask: Option<&Tensor<3>>) -> Tensor<3> {
    let dtype = q.dtype();
    let [heads, tokens, head_dim] = q.dims();
    let kv_heads = k[0].dims()[0];
    let q = q.cast(DType::F32) * (head_dim as f32).powf(-0.5);
    let q = q.reshape([kv_heads, heads / kv_heads * tokens, head_dim]);
    let scores = k.iter().map(|k| product(q.clone(), &k.clone().cast(DType::F32).swap_dims(1, 2))).collect();
    let scores = side_by_side(scores);
    let keys = scores.dims()[2];
    let scores = scores.reshape([heads, tokens, keys]);
    let scores = match mask {
        Some(mask) => scores + mask.clone(),
        None => scores,
    };
    Tensor::<3>::from_dispatch(<Dispatch as PackedOps>::softmax(scores.into_dispatch())).cast(dtype)
}

/// Parts of rows, one behind the other.
fn side_by_side(mut parts: Vec<Tensor<3>>) -> Tensor<3> {
    if parts.len() == 1 { parts.remove(0) } else { Tensor::cat(parts, 2) }
}

/// Scores that are in memory at once, in elements: 128 MiB of `f32`, the least that every device binds. Several thousand tokens
/// have more, so their queries take turns.
pub const SCORES: usize = 1 << 25;

/// Query rows whose scores stay within `scores` elements, all heads together. Never so few that a product becomes slow.
pub fn rows_at_once(heads: usize, keys: usize, scores: usize) -> usize {
    const LEAST: usize = 16;
    (scores / (heads * keys).max(1)).max(LEAST)
}

/// `count` stretches of `len` tokens each, one behind the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretches {
    /// How many.
    pub count: usize,
    /// Tokens in each.
    pub len: usize,
}

/// Attention of `queries [heads, tokens, head_dim]` over keys and values `[kv_heads, held, head_dim]`, which may come in parts, one behind the other:
/// `[tokens, heads * head_dim]`.
pub(crate) fn attend(queries: Tensor<3>, keys: Vec<Tensor<3>>, values: Vec<Tensor<3>>, sight: &Sight) -> Tensor<2> {
    // The macro of extension operations takes no lists of tensors.
    let of = |tensor: Tensor<3>| {
        let DispatchTensorKind::Flex(tensor) = tensor.into_dispatch().kind;
        tensor.float()
    };
    let dtype = queries.dtype();
    let [keys, values] = [keys, values].map(|parts| parts.into_iter().map(of).collect::<Vec<_>>());
    let seen = DispatchTensorKind::Flex(BackendTensor::Float(streaming::attention(&of(queries), &keys, &values, sight)));
    Tensor::<2>::from_dispatch(DispatchTensor { kind: seen, autodiff: DispatchAutodiffContext::Disabled }).cast(dtype)
}

/// Attention in both directions that stays within each stretch. `q`, `k` and `v` are `[tokens, heads, head_dim]`; gives
/// `[tokens, heads * head_dim]`. Stretches of equal length are one batch.
pub(crate) fn within(q: &Tensor<3>, k: &Tensor<3>, v: &Tensor<3>, stretches: &[Stretches]) -> Tensor<2> {
    let [_, heads, head_dim] = q.dims();
    let mut first = 0;
    let parts = stretches
        .iter()
        .map(|&Stretches { count, len }| {
            let tokens = first..first + count * len;
            first = tokens.end;
            // [count * heads, len, head_dim]
            let batch = |x: &Tensor<3>| {
                let x = x.clone().slice([tokens.clone(), 0..heads, 0..head_dim]);
                if count == 1 {
                    return x.swap_dims(0, 1);
                }
                x.reshape([count, len, heads, head_dim]).swap_dims(1, 2).reshape([count * heads, len, head_dim])
            };
            let seen = attend(batch(q), vec![batch(k)], vec![batch(v)], &Sight::All(None));
            seen.reshape([len, count, heads, head_dim]).swap_dims(0, 1).reshape([tokens.len(), heads * head_dim])
        })
        .collect();
    Tensor::cat(parts, 0)
}

/// `[tokens, width]` to `[tokens, heads, width / heads]`.
pub(crate) fn split_heads(x: Tensor<2>, heads: usize) -> Tensor<3> {
    let [tokens, width] = x.dims();
    x.reshape([tokens, heads, width / heads])
}

/// What `tokens` new tokens after `past` held ones may see: 0 for the past and themselves, -∞ for what follows and, with a
/// sliding window, for what is `window` or more tokens back. `[1, tokens, past + tokens]`; `None` where nothing is hidden.
pub(crate) fn causal_mask(tokens: usize, past: usize, window: Option<usize>) -> Option<Tensor<3>> {
    let keys = past + tokens;
    let window = window.filter(|window| *window < keys);
    if tokens == 1 && window.is_none() {
        return None;
    }
    let mut mask = vec![0.0f32; tokens * keys];
    for (token, row) in mask.chunks_exact_mut(keys).enumerate() {
        let seen = past + token + 1;
        row[seen..].fill(f32::NEG_INFINITY);
        row[..window.map_or(0, |window| seen.saturating_sub(window))].fill(f32::NEG_INFINITY);
    }
    Some(Tensor::from_data(TensorData::new(mask, [1, tokens, keys]), (&Device::flex(), DType::F32)))
}

/// `[tokens, heads, head_dim]` to `[tokens, heads * head_dim]`.
pub(crate) fn joined(x: Tensor<3>) -> Tensor<2> {
    let [tokens, heads, head_dim] = x.dims();
    x.reshape([tokens, heads * head_dim])
}

/// `heads [kv_heads, tokens, head_dim]`, each token's head rounded to as many numbers as `bits` tell apart, from its least to its largest.
pub(crate) fn rounded(heads: &Tensor<3>, bits: CacheBits) -> Tensor<3> {
    let (shape, dtype) = (heads.dims(), heads.dtype());
    let half = |value: f32| f16::from_f32(value).to_f32();
    let mut values: Vec<f32> = heads.to_data().iter::<f32>().collect();
    for head in values.chunks_exact_mut(shape[2].max(1)) {
        let (least, most) =
            head.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(least, most), &value| (least.min(value), most.max(value)));
        let last = bits.last() as f32;
        let step = (most - least) / last;
        // A head of one number, and one that is not finite, stays what it is.
        if !(step > 0.0 && step.is_finite()) {
            continue;
        }
        let zero = -least / step;
        for value in head {
            let code = (*value / step + zero + 0.5).floor().clamp(0.0, last);
            *value = (code - half(zero)) * half(step);
        }
    }
    Tensor::from_data(TensorData::new(values, shape), (&Device::flex(), dtype))
}

/// Keys and values. What stood there before a [branch](Cache::branch) is shared by all branches and never written again; what came since is in buffers with room
/// for more.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    /// Keys and values, `[kv_heads, tokens, head_dim]`, parts one behind the other.
    shared: Vec<Pair>,
    /// `[kv_heads, capacity, head_dim]`, the first `written` tokens valid. Absent where nothing came since, and while it is written to.
    own: Option<Pair>,
    written: usize,
    len: usize,
}

/// Keys and values of the same tokens.
type Pair = (Tensor<3>, Tensor<3>);

impl Cache {
    /// Room added when a buffer is full, in tokens.
    pub(crate) const STEP: usize = 64;

    /// A first chunk is usually a whole prompt: it stays as it is, and room is made when more arrives.
    pub(crate) fn of(keys: Tensor<3>, values: Tensor<3>) -> Self {
        let len = keys.dims()[1];
        Self { shared: vec![(keys, values)], own: None, written: 0, len }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Appends `[kv_heads, tokens, head_dim]` keys and values.
    pub(crate) fn append(&mut self, keys: Tensor<3>, values: Tensor<3>) {
        let [heads, tokens, head_dim] = keys.dims();
        let end = self.written + tokens;
        let room = |held: &Tensor<3>| held.dims()[1];
        let (held_keys, held_values) = match self.own.take() {
            Some(held) if end <= room(&held.0) => held,
            held => {
                let grown = |new: &Tensor<3>, held: Option<&Tensor<3>>| {
                    let buffer = Tensor::zeros([heads, self.written + tokens.max(Self::STEP), head_dim], (&new.device(), new.dtype()));
                    match held {
                        Some(held) => buffer.slice_assign([0..heads, 0..self.written, 0..head_dim], first(held, self.written)),
                        None => buffer,
                    }
                };
                let held = held.as_ref();
                (grown(&keys, held.map(|held| &held.0)), grown(&values, held.map(|held| &held.1)))
            }
        };
        let place = [0..heads, self.written..end, 0..head_dim];
        self.own = Some((held_keys.slice_assign(place.clone(), keys), held_values.slice_assign(place, values)));
        self.written = end;
        self.len += tokens;
    }

    /// Views of everything held, `[kv_heads, tokens, head_dim]` each, keys and values in parts one behind the other. They must be dropped before more is appended, or
    /// that has to copy.
    pub(crate) fn held(&self) -> [Vec<Tensor<3>>; 2] {
        let own = self.own.iter().map(|(keys, values)| (first(keys, self.written), first(values, self.written)));
        let (keys, values) = self.shared.iter().cloned().chain(own).unzip();
        [keys, values]
    }

    /// The same tokens, behind which others come than here. Nothing is copied.
    pub(crate) fn branch(&self) -> Self {
        let [keys, values] = self.held();
        Self { shared: keys.into_iter().zip(values).collect(), own: None, written: 0, len: self.len }
    }
}

/// The first `tokens` tokens of a buffer.
fn first(buffer: &Tensor<3>, tokens: usize) -> Tensor<3> {
    let [heads, _, head_dim] = buffer.dims();
    buffer.clone().slice([0..heads, 0..tokens, 0..head_dim])
}

#[cfg(test)]
mod tests {
    use super::super::noise;
    use super::*;
    use proptest::prelude::*;

    fn read_now<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.cast(DType::F32).into_data().try_to_vec().unwrap()
    }

    fn random(shape: [usize; 3], seed: u64) -> Tensor<3> {
        let values = noise(shape.iter().product(), seed);
        Tensor::from_data(TensorData::new(values, shape), &Device::flex())
    }

    /// Attention by its definition, head by head and row by row in `f64`.
    fn by_definition(q: &[f32], k: &[f32], v: &[f32], [heads, kv_heads, tokens, past, dim, window]: [usize; 6], causal: bool) -> Vec<f32> {
        let keys = past + tokens;
        let mut out = vec![0.0; tokens * heads * dim];
        for head in 0..heads {
            let shared = head / (heads / kv_heads);
            for token in 0..tokens {
                let seen = if causal { past + token + 1 } else { keys };
                let first = seen.saturating_sub(window);
                let weights: Vec<f64> = (first..seen)
                    .map(|key| {
                        let dot: f64 = (0..dim)
                            .map(|i| f64::from(q[(head * tokens + token) * dim + i]) * f64::from(k[(shared * keys + key) * dim + i]))
                            .sum();
                        (dot / (dim as f64).sqrt()).exp()
                    })
                    .collect();
                let total: f64 = weights.iter().sum();
                for i in 0..dim {
                    let value: f64 = weights
                        .iter()
                        .enumerate()
                        .map(|(key, weight)| weight * f64::from(v[(shared * keys + first + key) * dim + i]))
                        .sum();
                    out[(token * heads + head) * dim + i] = (value / total) as f32;
                }
            }
        }
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        /// Against plain attention of each stretch on its own.
        #[test]
        fn stretches_are_attention_on_their_own(
            lens in prop::collection::vec((1usize..3, 1usize..90), 1..4), heads in 1usize..4, seed: u64,
        ) {
            let dim = 4;
            let stretches: Vec<Stretches> = lens.into_iter().map(|(count, len)| Stretches { count, len }).collect();
            let tokens = stretches.iter().map(|s| s.count * s.len).sum();
            let [q, k, v] = [seed, seed ^ 1, seed ^ 2].map(|seed| random([tokens, heads, dim], seed));
            let found = read_now(within(&q, &k, &v, &stretches));
            let mut expected = Vec::new();
            let mut first = 0;
            for Stretches { count, len } in stretches {
                for _ in 0..count {
                    let part = |x: &Tensor<3>| read_now(x.clone().slice([first..first + len, 0..heads, 0..dim]).swap_dims(0, 1));
                    expected.extend(by_definition(&part(&q), &part(&k), &part(&v), [heads, heads, len, 0, dim, usize::MAX], false));
                    first += len;
                }
            }
            prop_assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(&expected) {
                prop_assert!((found - expected).abs() < 1e-5);
            }
        }

        /// Scores of several hundred thousand: what `f16` holds exactly gives in `f16` what it gives in `f32`, but for the rounding of
        /// the probabilities.
        #[test]
        fn scores_beyond_f16_are_those_of_f32(tokens in 1usize..5, past in 0usize..5, seed: u64) {
            let dim = 8;
            let halves = |tokens: usize, seed: u64| (random([2, tokens, dim], seed) * 2000.0).cast(DType::F16);
            let (q, k) = (halves(tokens, seed), halves(past + tokens, seed ^ 1));
            let mask = causal_mask(tokens, past, None);
            let narrow = probabilities(q.clone(), std::slice::from_ref(&k), mask.as_ref());
            prop_assert_eq!(narrow.dtype(), DType::F16);
            let wide = probabilities(q.cast(DType::F32), &[k.cast(DType::F32)], mask.as_ref());
            for (narrow, wide) in read_now(narrow).into_iter().zip(read_now(wide)) {
                prop_assert!((narrow - wide).abs() <= wide / 2048.0 + 6e-8, "{} {}", narrow, wide);
            }
        }

        #[test]
        fn agrees_with_the_definition(
            kv_heads in 1usize..4, group in 1usize..4, tokens in 1usize..100, past in 0usize..60, half in 1usize..5,
            window in prop::option::of(1usize..80), cut: prop::sample::Index, seed: u64,
        ) {
            let (heads, dim) = (kv_heads * group, 2 * half);
            let q = random([heads, tokens, dim], seed);
            let k = random([kv_heads, past + tokens, dim], seed ^ 1);
            let v = random([kv_heads, past + tokens, dim], seed ^ 2);
            let expected = by_definition(
                &read_now(q.clone()), &read_now(k.clone()), &read_now(v.clone()),
                [heads, kv_heads, tokens, past, dim, window.unwrap_or(usize::MAX)], true,
            );
            let cut = cut.index(past + tokens);
            let parts = |x: &Tensor<3>| -> Vec<Tensor<3>> {
                let of = |tokens: std::ops::Range<usize>| x.clone().slice([0..kv_heads, tokens, 0..dim]);
                [0..cut, cut..past + tokens].into_iter().filter(|part| !part.is_empty()).map(of).collect()
            };
            let found = read_now(attend(q, parts(&k), parts(&v), &Sight::Causal { past, window }));
            prop_assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(&expected) {
                prop_assert!((found - expected).abs() < 1e-5);
            }
        }
    }

    /// `tokens` tokens of one head of width 1 with the values `from, from + 1, ..`.
    fn run(from: usize, tokens: usize) -> Tensor<3> {
        let values: Vec<f32> = (from..from + tokens).map(|value| value as f32).collect();
        Tensor::from_data(TensorData::new(values, [1, tokens, 1]), &Device::flex())
    }

    fn append(cache: &mut Option<Cache>, from: usize, tokens: usize) -> (Vec<f32>, Vec<f32>) {
        let (keys, values) = (run(from, tokens), run(1000 + from, tokens));
        match cache {
            Some(cache) => cache.append(keys, values),
            None => *cache = Some(Cache::of(keys, values)),
        }
        let [keys, values] = cache.as_ref().unwrap().held().map(|parts| read_now(Tensor::cat(parts, 1)));
        (keys, values)
    }

    proptest! {
        #[test]
        fn chunks_of_any_length_concatenate(chunks in prop::collection::vec(1usize..90, 1..6)) {
            let mut cache = None;
            let mut len = 0;
            for chunk in chunks {
                let (keys, values) = append(&mut cache, len, chunk);
                len += chunk;
                prop_assert_eq!(keys, (0..len).map(|i| i as f32).collect::<Vec<_>>());
                prop_assert_eq!(values, (0..len).map(|i| (1000 + i) as f32).collect::<Vec<_>>());
                prop_assert_eq!(cache.as_ref().map(Cache::len), Some(len));
            }
        }

        #[test]
        fn branches_do_not_see_each_other(prefix in 1usize..20, more in 0usize..20, tail in 1usize..90) {
            let mut trunk = None;
            append(&mut trunk, 0, prefix);
            if more > 0 {
                append(&mut trunk, prefix, more);
            }
            let prefix = prefix + more;
            let branch = |trunk: &Option<Cache>| trunk.as_ref().map(Cache::branch);
            let (mut one, mut two) = (branch(&trunk), branch(&trunk));
            append(&mut one, 500, tail);
            let (keys, _) = append(&mut two, 700, tail);
            let expected: Vec<f32> = (0..prefix).chain(700..700 + tail).map(|i| i as f32).collect();
            prop_assert_eq!(keys, expected);
            let (keys, _) = append(&mut trunk, prefix, 1);
            prop_assert_eq!(keys, (0..=prefix).map(|i| i as f32).collect::<Vec<_>>());
        }
    }
}
