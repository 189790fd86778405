//! Attention whose scores never exist as a whole: each thread has those of a few queries at a time, which stay in its cache, and of them no more than the queries
//! may see (as FlashAttention does on a GPU: Dao et al., NeurIPS 2022; here a row's scores are all there before their softmax, so that nothing is rescaled).
//!
//! Queries that share a key head are taken together. Products of many queries are those of the crate gemm; few queries, as in decoding, meet keys and values one by
//! one. All is in f32: the largest f16 is 65,504, and published models have scores beyond it (Qwen2-VL is known for that).

use std::borrow::Cow;
use std::ops::Range;

use burn::backend::ops::FloatTensorOps;
use burn::tensor::{DType, FloatDType};
use burn_flex::{Flex, FlexTensor};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::exponential::soften;
use super::gemm::{Strided, multiply};
use super::lanes::dot_f32;
use super::unpack::DENSE_ROWS;
use super::{PARALLEL_WORK, tensor};

/// Rows of queries that a thread has at once, heads that share keys together: enough for a product to be quick, and few enough for their scores to stay in the
/// second-level cache.
const ROWS: usize = 64;

/// Rows of queries whose scores a thread of a CPU has at once, unless more heads share their keys, and the threads that may.
pub fn attention_rows() -> (usize, usize) {
    (ROWS, rayon::current_num_threads())
}

/// What queries may see.
#[derive(Clone, Debug)]
pub(crate) enum Sight {
    /// All keys. Scores are raised by a number for each key, where there are such.
    All(Option<Vec<f32>>),
    /// The first query stands behind `past` keys and sees these and its own, with a sliding window less than `window` tokens back; each query that follows sees a
    /// token more.
    Causal { past: usize, window: Option<usize> },
}

impl Sight {
    /// The keys that query `token` sees.
    fn of(&self, token: usize, keys: usize) -> Range<usize> {
        match self {
            Self::All(_) => 0..keys,
            Self::Causal { past, window } => {
                let end = keys.min(past + token + 1);
                window.map_or(0, |window| end.saturating_sub(window))..end
            }
        }
    }
}

/// `[heads, tokens, head_dim]`, the numbers of a head's token side by side.
struct Heads<'a> {
    values: Cow<'a, FlexTensor>,
}

impl<'a> Heads<'a> {
    fn of(x: &'a FlexTensor) -> Self {
        let mut values = Cow::Borrowed(x);
        if values.dtype() != DType::F32 {
            values = Cow::Owned(Flex::float_cast(x.clone(), FloatDType::F32));
        }
        if values.layout().strides().last() != Some(&1) {
            values = Cow::Owned(values.to_contiguous());
        }
        Self { values }
    }

    /// `[heads, tokens, head_dim]`.
    fn dims(&self) -> [usize; 3] {
        self.values.layout().shape().dims()
    }

    /// The tokens of a head from one on: rows that follow each other at the distance that comes with them.
    fn rows(&self, head: usize, first: usize) -> (&[f32], usize) {
        let layout = self.values.layout();
        let [of_head, of_token] = [0, 1].map(|dim| layout.strides()[dim].unsigned_abs());
        (&self.values.storage::<f32>()[layout.start_offset() + head * of_head + first * of_token..], of_token)
    }

    fn row(&self, head: usize, token: usize) -> &[f32] {
        &self.rows(head, token).0[..self.dims()[2]]
    }
}

/// Keys or values in parts, one behind the other.
struct Parts<'a>(Vec<Heads<'a>>);

impl<'a> Parts<'a> {
    fn of(parts: &'a [FlexTensor]) -> Self {
        Self(parts.iter().map(Heads::of).collect())
    }

    fn tokens(&self) -> usize {
        self.0.iter().map(|part| part.dims()[1]).sum()
    }

    /// The parts with tokens of `range`: which of their own, and where in the range these begin.
    fn within(&self, range: Range<usize>) -> impl Iterator<Item = (&Heads<'a>, Range<usize>, usize)> {
        let mut first = 0;
        self.0.iter().filter_map(move |part| {
            let lies = first..first + part.dims()[1];
            first = lies.end;
            let common = range.start.max(lies.start)..range.end.min(lies.end);
            (!common.is_empty()).then(|| (part, common.start - lies.start..common.end - lies.start, common.start - range.start))
        })
    }
}

/// Attention of queries `[heads, tokens, head_dim]` over keys and values `[kv_heads, held, head_dim]`: `[tokens, heads * head_dim]` in f32.
pub(super) fn attention(queries: &FlexTensor, keys: &[FlexTensor], values: &[FlexTensor], sight: &Sight) -> FlexTensor {
    let over = Over { queries: Heads::of(queries), keys: Parts::of(keys), values: Parts::of(values), sight };
    let ([heads, tokens, width], held) = (over.queries.dims(), over.keys.tokens());
    let [kv_heads, ..] = over.keys.0.first().map_or([1, 0, 0], Heads::dims);
    let at_once = (ROWS / (heads / kv_heads)).clamp(1, tokens.max(1));
    let blocks = || (0..tokens).step_by(at_once).map(|first| first..tokens.min(first + at_once));
    let tiles: Vec<(usize, Range<usize>)> = (0..kv_heads).flat_map(|head| blocks().map(move |tokens| (head, tokens))).collect();
    let tile = |scratch: &mut Vec<f32>, (head, tokens): &(usize, Range<usize>)| over.tile(*head, tokens.clone(), scratch);
    let found: Vec<Vec<f32>> = if heads * tokens * held * width < PARALLEL_WORK {
        let mut scratch = Vec::new();
        tiles.iter().map(|at| tile(&mut scratch, at)).collect()
    } else {
        tiles.par_iter().map_init(Vec::new, tile).collect()
    };
    let group = heads / kv_heads;
    let mut seen = vec![0.0; tokens * heads * width];
    for ((kv_head, tokens), tile) in tiles.iter().zip(&found) {
        for (at, row) in tile.chunks_exact(width.max(1)).enumerate() {
            let (head, token) = (kv_head * group + at / tokens.len(), tokens.start + at % tokens.len());
            seen[(token * heads + head) * width..][..width].copy_from_slice(row);
        }
    }
    tensor(seen, vec![tokens, heads * width])
}

struct Over<'a> {
    queries: Heads<'a>,
    keys: Parts<'a>,
    values: Parts<'a>,
    sight: &'a Sight,
}

impl Over<'_> {
    /// What some tokens' queries of the heads that share key head `kv_head` see: `[heads of them, tokens, head_dim]`. `scores` is room.
    fn tile(&self, kv_head: usize, tokens: Range<usize>, scores: &mut Vec<f32>) -> Vec<f32> {
        let ([heads, _, width], held) = (self.queries.dims(), self.keys.tokens());
        let group = heads / self.keys.0[0].dims()[0];
        let scale = (width as f32).powf(-0.5);
        let rows = group * tokens.len();
        let queries: Vec<f32> = (kv_head * group..(kv_head + 1) * group)
            .flat_map(|head| tokens.clone().flat_map(move |token| self.queries.row(head, token)))
            .map(|value| value * scale)
            .collect();
        let range = self.sight.of(tokens.start, held).start..self.sight.of(tokens.end - 1, held).end;
        scores.clear();
        scores.resize(rows * range.len(), 0.0);
        let mut seen = vec![0.0; rows * width];
        let tile = Tile { over: self, kv_head, tokens, range, queries: &queries, scores, seen: &mut seen };
        if rows < DENSE_ROWS { Arch::new().dispatch(Few(tile)) } else { tile.many() }
        seen
    }
}

/// Some queries of the heads that share a key head.
struct Tile<'a> {
    over: &'a Over<'a>,
    kv_head: usize,
    tokens: Range<usize>,
    /// The keys that any of them sees.
    range: Range<usize>,
    /// Scaled, `[rows, head_dim]`, the tokens of one head after those of another.
    queries: &'a [f32],
    /// `[rows, range]`
    scores: &'a mut [f32],
    /// `[rows, head_dim]`
    seen: &'a mut [f32],
}

impl Tile<'_> {
    fn many(mut self) {
        let ([.., dim], width) = (self.over.queries.dims(), self.range.len());
        let rows = self.seen.len() / dim;
        for (keys, tokens, at) in self.over.keys.within(self.range.clone()) {
            let (values, distance) = keys.rows(self.kv_head, tokens.start);
            let keys = Strided { values, row: 1, column: distance.cast_signed() };
            let queries = Strided { values: self.queries, row: dim.cast_signed(), column: 1 };
            multiply([rows, dim, tokens.len()], queries, keys, (&mut self.scores[at..], width), false);
        }
        Arch::new().dispatch(Softmax(&mut self));
        for (values, tokens, at) in self.over.values.within(self.range.clone()) {
            let (values, distance) = values.rows(self.kv_head, tokens.start);
            let values = Strided { values, row: distance.cast_signed(), column: 1 };
            let weights = Strided { values: &self.scores[at..], row: width.cast_signed(), column: 1 };
            multiply([rows, tokens.len(), dim], weights, values, (self.seen, dim), at > 0);
        }
    }

    /// Scores become probabilities; of what a row does not see there is none.
    #[inline(always)]
    fn soften(&mut self) {
        let (held, width) = (self.over.keys.tokens(), self.range.len());
        let raise = match self.over.sight {
            Sight::All(raise) => raise.as_deref(),
            Sight::Causal { .. } => None,
        };
        for (at, row) in self.scores.chunks_exact_mut(width).enumerate() {
            let sees = self.over.sight.of(self.tokens.start + at % self.tokens.len(), held);
            let (from, to) = (sees.start - self.range.start, sees.end - self.range.start);
            if let Some(raise) = raise {
                row.iter_mut().zip(raise).for_each(|(score, raise)| *score += raise);
            }
            row[..from].fill(0.0);
            row[to..].fill(0.0);
            soften(&mut row[from..to]);
        }
    }
}

struct Softmax<'a, 'b>(&'a mut Tile<'b>);

impl WithSimd for Softmax<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        self.0.soften();
    }
}

/// A few rows, which meet each key and each value while it is in the first-level cache.
struct Few<'a>(Tile<'a>);

impl WithSimd for Few<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let mut tile = self.0;
        let ([.., dim], width) = (tile.over.queries.dims(), tile.range.len());
        for (keys, tokens, at) in tile.over.keys.within(tile.range.clone()) {
            let (keys, distance) = keys.rows(tile.kv_head, tokens.start);
            for (key, at) in (0..tokens.len()).zip(at..) {
                let key = &keys[key * distance..][..dim];
                for (query, scores) in tile.queries.chunks_exact(dim).zip(tile.scores.chunks_exact_mut(width)) {
                    scores[at] = dot_f32(simd, query, key);
                }
            }
        }
        tile.soften();
        for (values, tokens, at) in tile.over.values.within(tile.range.clone()) {
            let (values, distance) = values.rows(tile.kv_head, tokens.start);
            for (value, at) in (0..tokens.len()).zip(at..) {
                let value = &values[value * distance..][..dim];
                for (weights, seen) in tile.scores.chunks_exact(width).zip(tile.seen.chunks_exact_mut(dim)) {
                    let weight = weights[at];
                    seen.iter_mut().zip(value).for_each(|(seen, value)| *seen += weight * value);
                }
            }
        }
    }
}
