//! Attention whose scores never exist as a whole: each thread has those of a few queries at a time, which stay in its cache, and of them no more than the queries
//! may see (as FlashAttention does on a GPU: Dao et al., NeurIPS 2022; here a row's scores are all there before their softmax, so that nothing is rescaled).
//!
//! Queries that share a key head are taken together. Products of many queries are those of the crate gemm; few queries, as in decoding, meet keys and values one by
//! one, and are added up as the crate does it. So what a token sees does not depend on where a prompt is cut, nor on how many parts the keys come in. All is in f32:
//! the largest f16 is 65,504, and published models have scores beyond it (Qwen2-VL is known for that).

use std::borrow::Cow;
use std::ops::Range;

use burn::backend::ops::FloatTensorOps;
use burn::tensor::{DType, FloatDType};
use burn_flex::{Flex, FlexTensor};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::exponential::soften;
use super::gemm::{DEPTH, Strided, TINY, multiply};
use super::unpack::DENSE_ROWS;
use super::{PARALLEL_WORK, tensor};

/// Rows of queries that a thread has at once, heads that share keys together: enough for a product to be quick, and few enough for their scores to stay in the
/// second-level cache.
const ROWS: usize = 64;

/// Keys whose scores are added up side by side: one sum waits for its own additions.
const KEYS: usize = 8;

/// Rows of queries whose scores this CPU's threads have at once, unless more heads share their keys.
pub fn attention_rows() -> usize {
    ROWS * rayon::current_num_threads()
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

/// `[heads, tokens, head_dim]` in f32, the numbers of a head's token side by side.
struct Heads<'a>(Cow<'a, FlexTensor>);

impl<'a> Heads<'a> {
    fn of(x: &'a FlexTensor) -> Self {
        let mut values = Cow::Borrowed(x);
        if values.dtype() != DType::F32 {
            values = Cow::Owned(Flex::float_cast(x.clone(), FloatDType::F32));
        }
        if values.layout().strides().last() != Some(&1) {
            values = Cow::Owned(values.to_contiguous());
        }
        Self(values)
    }

    /// `[heads, tokens, head_dim]`.
    fn dims(&self) -> [usize; 3] {
        self.0.layout().shape().dims()
    }

    /// The tokens of a head from one on: rows that follow each other at the distance that comes with them.
    fn rows(&self, head: usize, first: usize) -> (&[f32], usize) {
        let layout = self.0.layout();
        let [of_head, of_token] = [0, 1].map(|dim| layout.strides()[dim].unsigned_abs());
        (&self.0.storage::<f32>()[layout.start_offset() + head * of_head + first * of_token..], of_token)
    }

    fn row(&self, head: usize, token: usize) -> &[f32] {
        &self.rows(head, token).0[..self.dims()[2]]
    }
}

/// Some tokens of a part of keys or values, and how many come before them.
type Part<'a> = (&'a Heads<'a>, Range<usize>, usize);

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
    fn within(&self, range: Range<usize>) -> impl Iterator<Item = Part<'_>> {
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
    let [kv_heads, ..] = over.keys.0[0].dims();
    let group = heads / kv_heads;
    let at_once = (ROWS / group).clamp(1, tokens.max(1));
    let blocks = || (0..tokens).step_by(at_once).map(|first| first..tokens.min(first + at_once));
    let tiles: Vec<(usize, Range<usize>)> = (0..kv_heads).flat_map(|head| blocks().map(move |tokens| (head, tokens))).collect();
    let tile = |scratch: &mut Vec<f32>, (head, tokens): &(usize, Range<usize>)| over.tile(*head, group, tokens.clone(), scratch);
    let found: Vec<Vec<f32>> = if heads * tokens * held * width < PARALLEL_WORK {
        let mut scratch = Vec::new();
        tiles.iter().map(|at| tile(&mut scratch, at)).collect()
    } else {
        tiles.par_iter().map_init(Vec::new, tile).collect()
    };
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
    /// What some tokens' queries of the `group` heads that share key head `kv_head` see: `[group, tokens, head_dim]`. `scores` is room.
    fn tile(&self, kv_head: usize, group: usize, tokens: Range<usize>, scores: &mut Vec<f32>) -> Vec<f32> {
        let ([.., width], held) = (self.queries.dims(), self.keys.tokens());
        let scale = (width as f32).powf(-0.5);
        let rows = group * tokens.len();
        let mut queries = Vec::with_capacity(rows * width);
        for head in kv_head * group..(kv_head + 1) * group {
            for token in tokens.clone() {
                queries.extend(self.queries.row(head, token).iter().map(|value| value * scale));
            }
        }
        let range = self.sight.of(tokens.start, held).start..self.sight.of(tokens.end - 1, held).end;
        scores.clear();
        scores.resize(rows * range.len(), 0.0);
        let mut seen = vec![0.0; rows * width];
        let tile = Tile { over: self, kv_head, tokens, range, queries: &queries, scores, seen: &mut seen };
        if rows < DENSE_ROWS {
            Arch::new().dispatch(Few(tile));
        } else {
            tile.many();
        }
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
            let count = tokens.len();
            // Of such products the crate adds up some in another order.
            if count == 1 || rows * count <= TINY {
                Arch::new().dispatch(Scores { tile: &mut self, part: (keys, tokens, at) });
                continue;
            }
            let (values, distance) = keys.rows(self.kv_head, tokens.start);
            let queries = Strided { values: self.queries, row: dim.cast_signed(), column: 1 };
            let keys = Strided { values, row: 1, column: distance.cast_signed() };
            multiply([rows, dim, count], queries, keys, (&mut self.scores[at..], width), false);
        }
        Arch::new().dispatch(Softmax(&mut self));
        for first in (0..width).step_by(DEPTH) {
            let piece = first..width.min(first + DEPTH);
            let weights = Strided { values: &self.scores[first..], row: width.cast_signed(), column: 1 };
            let parts: Vec<Part<'_>> = self.over.values.within(self.range.start + piece.start..self.range.start + piece.end).collect();
            let joined: Vec<f32>;
            let (values, distance) = if let [(part, tokens, _)] = parts.as_slice() {
                part.rows(self.kv_head, tokens.start)
            } else {
                // A sum over two parts is one.
                let rows = parts.iter().flat_map(|(part, tokens, _)| tokens.clone().map(|token| part.row(self.kv_head, token)));
                joined = rows.flatten().copied().collect();
                (joined.as_slice(), dim)
            };
            let values = Strided { values, row: distance.cast_signed(), column: 1 };
            multiply([rows, piece.len(), dim], weights, values, (self.seen, dim), first > 0);
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
        for part in tile.over.keys.within(tile.range.clone()) {
            tile.score(simd, part);
        }
        tile.soften();
        tile.weigh_few(simd);
    }
}

/// The scores of all rows with a part of the keys.
struct Scores<'a, 'b> {
    tile: &'a mut Tile<'b>,
    part: Part<'a>,
}

impl WithSimd for Scores<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        self.tile.score(simd, self.part);
    }
}

impl Tile<'_> {
    /// Scores with a part of the keys: those of some queries, which stand side by side in registers, are added up number by number, as the crate gemm does it.
    #[inline(always)]
    fn score<S: Simd>(&mut self, simd: S, part: Part<'_>) {
        match DENSE_ROWS / S::F32_LANES {
            1 => self.score_in::<S, 1>(simd, part),
            2 => self.score_in::<S, 2>(simd, part),
            4 => self.score_in::<S, 4>(simd, part),
            _ => self.score_in::<S, DENSE_ROWS>(simd, part),
        }
    }

    #[inline(always)]
    fn score_in<S: Simd, const REGISTERS: usize>(&mut self, simd: S, (keys, tokens, first): Part<'_>) {
        let ([.., dim], width) = (self.over.queries.dims(), self.range.len());
        let (keys, distance) = keys.rows(self.kv_head, tokens.start);
        let mut columns = vec![[0.0; DENSE_ROWS]; dim];
        for (queries, rows) in self.queries.chunks(DENSE_ROWS * dim).zip(self.scores.chunks_mut(DENSE_ROWS * width)) {
            for (row, query) in queries.chunks_exact(dim).enumerate() {
                columns.iter_mut().zip(query).for_each(|(column, value)| column[row] = *value);
            }
            for start in (0..tokens.len()).step_by(KEYS) {
                let count = KEYS.min(tokens.len() - start);
                let keys: [&[f32]; KEYS] = std::array::from_fn(|at| &keys[(start + at.min(count - 1)) * distance..][..dim]);
                let mut sums = [[simd.splat_f32s(0.0); REGISTERS]; KEYS];
                for (at, column) in columns.iter().enumerate() {
                    let column = S::as_simd_f32s(column).0;
                    for (sums, key) in sums.iter_mut().zip(&keys) {
                        let value = simd.splat_f32s(key[at]);
                        for register in 0..REGISTERS {
                            sums[register] = simd.mul_add_e_f32s(column[register], value, sums[register]);
                        }
                    }
                }
                for (at, sums) in sums.iter().take(count).enumerate() {
                    let mut scores = [0.0; DENSE_ROWS];
                    S::as_mut_simd_f32s(&mut scores).0.copy_from_slice(sums);
                    rows.chunks_exact_mut(width).zip(scores).for_each(|(row, score)| row[first + start + at] = score);
                }
            }
        }
    }

    /// Values weighted by the probabilities of a few queries, in sums of so many keys as the crate gemm is given.
    #[inline(always)]
    fn weigh_few<S: Simd>(&mut self, simd: S) {
        let ([.., dim], width) = (self.over.queries.dims(), self.range.len());
        let mut sums = vec![0.0; self.seen.len()];
        for (values, tokens, first) in self.over.values.within(self.range.clone()) {
            let (values, distance) = values.rows(self.kv_head, tokens.start);
            for at in 0..tokens.len() {
                let value = S::as_simd_f32s(&values[at * distance..][..dim]);
                for (weights, sums) in self.scores.chunks_exact(width).zip(sums.chunks_exact_mut(dim)) {
                    let weight = simd.splat_f32s(weights[first + at]);
                    let sums = S::as_mut_simd_f32s(sums);
                    for (sum, value) in sums.0.iter_mut().zip(value.0) {
                        *sum = simd.mul_add_e_f32s(weight, *value, *sum);
                    }
                    if !value.1.is_empty() {
                        let rest = simd.mul_add_e_f32s(weight, simd.partial_load_f32s(value.1), simd.partial_load_f32s(sums.1));
                        simd.partial_store_f32s(sums.1, rest);
                    }
                }
                if (first + at + 1).is_multiple_of(DEPTH) || first + at + 1 == width {
                    self.seen.iter_mut().zip(&sums).for_each(|(seen, sum)| *seen += sum);
                    sums.fill(0.0);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{noise, tensor};
    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        /// What a token sees is to the bit the same however many tokens ask together, and in however many parts keys and values come. On both sides of what is few, tiny, and
        /// one piece.
        #[test]
        fn where_a_prompt_is_cut_changes_no_bit(
            kv_heads in 1_usize..3, group in 1_usize..4, tokens in 1_usize..90, past in prop_oneof![0_usize..40, 480_usize..560],
            dim in prop_oneof![Just(6_usize), Just(16), Just(64), Just(72)], cut: prop::sample::Index, part: prop::sample::Index, seed: u64,
        ) {
            let (heads, held) = (kv_heads * group, past + tokens);
            let [q, k, v] = [(heads, tokens, seed), (kv_heads, held, seed ^ 1), (kv_heads, held, seed ^ 2)].map(|(heads, tokens, seed)| {
                tensor(noise(heads * tokens * dim, seed), vec![heads, tokens, dim])
            });
            let of = |x: &FlexTensor, range: Range<usize>| {
                let [heads, ..] = x.layout().shape().dims::<3>();
                let slices = [0..heads, range, 0..dim].map(burn::tensor::Slice::from);
                Flex::float_slice(x.clone(), &slices)
            };
            let whole = attention(&q, std::slice::from_ref(&k), std::slice::from_ref(&v), &Sight::Causal { past, window: None });
            let (cut, part) = (cut.index(tokens), part.index(held));
            let mut found = Vec::new();
            for asking in [0..cut, cut..tokens].into_iter().filter(|asking| !asking.is_empty()) {
                let seen = past + asking.end;
                let parts = |x: &FlexTensor| -> Vec<FlexTensor> {
                    [0..part.min(seen), part.min(seen)..seen].into_iter().filter(|part| !part.is_empty()).map(|part| of(x, part)).collect()
                };
                let sight = Sight::Causal { past: past + asking.start, window: None };
                found.extend_from_slice(attention(&of(&q, asking), &parts(&k), &parts(&v), &sight).storage::<f32>());
            }
            let off = found.iter().zip(whole.storage::<f32>()).filter(|(a, b)| a.to_bits() != b.to_bits()).count();
            prop_assert_eq!((off, found.len()), (0, whole.storage::<f32>().len()));
        }
    }
}
