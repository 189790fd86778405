//! Scaled dot-product attention and the KV cache that it reads.
//!
//! Queries are `[tokens, heads * head_dim]`, keys and values `[tokens, kv_heads * head_dim]`, heads side by side. With grouped queries
//! (`kv_heads < heads`) neighbouring query heads share a key head. Scores and softmax are `f32` on every device, whatever numbers are kept
//! as. Probabilities are not kept: whoever looks at a row has it computed.

use std::ops::Range;

use burn::tensor::{DType, Tensor};

use crate::flex::attention::{self as flex, SCORES};
use crate::flex::streaming::Sight;
#[cfg(feature = "gpu")]
use crate::matrix::apart;
use crate::matrix::{Matrix, Place};
use crate::{Device, DeviceError, Rotation};

pub use crate::flex::attention::Stretches;

/// Heads of an attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heads {
    /// Of the queries.
    pub queries: usize,
    /// Of the keys and values; divides those of the queries.
    pub keys: usize,
}

/// What some new tokens may see of those before them and of each other: under the causal mask what is not behind them, with a sliding
/// window less than `window` tokens back.
#[derive(Clone, Copy, Debug)]
pub struct CausalSight {
    past: usize,
    window: Option<usize>,
}

impl CausalSight {
    /// That of tokens behind `past` others.
    pub fn new(past: usize, window: Option<usize>) -> Self {
        Self { past, window }
    }
}

/// The keys and values of the tokens that a layer has seen so far.
///
/// Writing is in place. What a [branch](KeyValues::branch) writes is its own: it never pays for, nor sees, what another writes. What stood there before is shared on
/// the CPU, and copied on a GPU.
#[derive(Clone, Debug)]
pub struct KeyValues {
    held: Held,
    bits: Option<CacheBits>,
}

/// How many bits are left of each number of keys and values, which are rounded as they are written: `q = round((v - min) / s)` with
/// `s = (max - min) / (2^bits - 1)` over a token's head, step and zero point kept in f16, as in LMDeploy's pytorch engine
/// (`kernels/cuda/fill_kv_cache.py`, `quant_policy` 8 and 4). Keys are rounded when they are rotated. It is emulated: numbers are kept as they
/// were, and products are those of floats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CacheBits {
    /// A byte a number.
    Eight,
    /// Two numbers a byte.
    Four,
}

impl CacheBits {
    /// Bits of a number.
    pub const fn bits(self) -> usize {
        match self {
            Self::Eight => 8,
            Self::Four => 4,
        }
    }

    /// The last code.
    pub(crate) const fn last(self) -> u32 {
        (1 << self.bits()) - 1
    }

    /// Bytes that a token's head of `width` numbers takes, with its step and zero point in f16.
    pub const fn bytes_of_head(self, width: usize) -> usize {
        (width * self.bits()).div_ceil(8) + 4
    }
}

#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "one a layer: a box would cost a look-up and save nothing")]
enum Held {
    /// Nothing yet.
    Nothing,
    Cpu(flex::Cache),
    #[cfg(feature = "gpu")]
    Gpu(steady_gpu::Gpu, steady_gpu::kernels::KeyValues),
}

impl KeyValues {
    /// Room added when a buffer is full, in tokens.
    pub const STEP: usize = flex::Cache::STEP;

    /// Those of no token. What is written is rounded to `bits`, if there are any.
    pub fn empty(bits: Option<CacheBits>) -> Self {
        Self { held: Held::Nothing, bits }
    }

    /// Number of tokens.
    pub fn len(&self) -> usize {
        match &self.held {
            Held::Nothing => 0,
            Held::Cpu(cache) => cache.len(),
            #[cfg(feature = "gpu")]
            Held::Gpu(_, cache) => cache.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same tokens, behind which others come than here; there is room for `room` of them.
    #[must_use]
    pub fn branch(&self, room: usize) -> Self {
        let held = match &self.held {
            Held::Nothing => Held::Nothing,
            Held::Cpu(cache) => Held::Cpu(cache.branch()),
            #[cfg(feature = "gpu")]
            Held::Gpu(gpu, cache) => Held::Gpu(gpu.clone(), cache.branch(gpu, room)),
        };
        Self { held, ..*self }
    }

    /// Appends the keys and values of some tokens, `[tokens, kv_heads * head_dim]`; the keys are rotated on the way, and so are `queries` of
    /// the last of these tokens, `[queries, heads * head_dim]`, which come back.
    #[must_use]
    pub fn remember(&mut self, queries: &Matrix, keys: &Matrix, values: &Matrix, rotation: &Rotation, heads: Heads) -> Matrix {
        match (&mut self.held, &keys.0) {
            (held, Place::Cpu(_)) => {
                let split = |x: &Matrix| flex::split_heads(x.tensor(), heads.keys); // [tokens, kv_heads, head_dim]
                let (keys, values) = (rotation.on_cpu(split(keys)).swap_dims(0, 1), split(values).swap_dims(0, 1));
                let [keys, values] =
                    [keys, values].map(|heads| self.bits.map_or_else(|| heads.clone(), |bits| flex::rounded(&heads, bits)));
                match held {
                    Held::Cpu(cache) => cache.append(keys, values),
                    held => *held = Held::Cpu(flex::Cache::of(keys, values)),
                }
                rotation.last(queries.dims()[0]).apply(queries, heads.queries)
            }
            #[cfg(feature = "gpu")]
            (held, Place::Gpu(gpu, keys)) => {
                if let Held::Nothing = held {
                    let [tokens, width] = keys.dims();
                    let empty = steady_gpu::kernels::KeyValues::new(gpu, width, tokens);
                    *held = Held::Gpu(gpu.clone(), if let Some(bits) = self.bits { empty.rounding_to(gpu, bits.last()) } else { empty });
                }
                let Held::Gpu(_, cache) = held else { apart() };
                let of_tokens = [queries.rows(), keys, values.rows()];
                let turned = steady_gpu::kernels::remember(gpu, of_tokens, rotation.cos.rows(), rotation.sin.rows(), cache);
                Matrix(Place::Gpu(gpu.clone(), turned))
            }
        }
    }

    /// The attention of `queries [tokens, heads * head_dim]`, rotated, which stand behind all but as many of the tokens that are held:
    /// `[tokens, heads * head_dim]`, and what the last of them looked at.
    pub fn attend(&self, queries: &Matrix, heads: Heads, sight: &CausalSight) -> (Matrix, LastRow) {
        match (&self.held, &queries.0) {
            (Held::Cpu(cache), Place::Cpu(_)) => {
                let queries = flex::split_heads(queries.tensor(), heads.queries).swap_dims(0, 1);
                let [_, tokens, head_dim] = queries.dims();
                let query = queries.clone().slice([0..heads.queries, tokens - 1..tokens, 0..head_dim]);
                let [keys, values] = cache.held();
                let &CausalSight { past, window } = sight;
                let attended = flex::attend(queries, keys.clone(), values, &Sight::Causal { past, window });
                (attended.into(), LastRow(Row::Cpu { query, keys, window }))
            }
            #[cfg(feature = "gpu")]
            (Held::Gpu(gpu, cache), Place::Gpu(_, rows)) => {
                use steady_gpu::kernels;
                let shape = on_gpu(heads, rows.dims()[1]);
                let &CausalSight { past, window } = sight;
                let (keys, values) = (cache.keys(), cache.values());
                let attended = kernels::attention(gpu, rows, &keys, &values, shape, &kernels::Sight::Causal { past, window });
                let last = rows.dims()[0] - 1;
                let row = Row::Gpu { gpu: gpu.clone(), query: rows.slice(last..last + 1), keys, heads: shape, window };
                (Matrix(Place::Gpu(gpu.clone(), attended)), LastRow(row))
            }
            #[cfg(feature = "gpu")]
            _ => apart(),
            #[cfg(not(feature = "gpu"))]
            (Held::Nothing, _) => panic!("attention over nothing"),
        }
    }

    /// What `queries`, which stand behind `past` of the tokens that are held and are rotated on the way, look at, mean over heads:
    /// `[tokens, held]`, row after row on the host. None sees what is behind it, nor with a sliding window what is `window` tokens back.
    ///
    /// # Errors
    /// When the device failed.
    pub async fn looks(
        &self,
        queries: &Matrix,
        rotation: &Rotation,
        heads: Heads,
        past: usize,
        window: Option<usize>,
    ) -> Result<Vec<f32>, DeviceError> {
        match (&self.held, &queries.0) {
            (Held::Cpu(cache), Place::Cpu(_)) => {
                let queries = rotation.on_cpu(flex::split_heads(queries.tensor(), heads.queries)).swap_dims(0, 1);
                let [keys, _] = cache.held();
                let [tokens, held] = [queries.dims()[1], cache.len()];
                // A mask for all that could stand behind `past`, of which the first rows are these.
                let mask = flex::causal_mask(held - past, past, window).map(|mask| mask.slice([0..1, 0..tokens, 0..held]));
                let mean = flex::probabilities(queries, &keys, mask.as_ref()).mean_dim(0).reshape([tokens, held]);
                Matrix::from(mean).read().await
            }
            #[cfg(feature = "gpu")]
            (Held::Gpu(gpu, cache), Place::Gpu(..)) => {
                use steady_gpu::kernels;
                let queries = rotation.apply(queries, heads.queries);
                let (rows, keys) = (queries.rows(), cache.keys());
                let [tokens, width] = rows.dims();
                let shape = on_gpu(heads, width);
                let looked = |token: usize| {
                    // It sees itself and what came before, so what follows it is left out.
                    let (query, keys) = (rows.slice(token..token + 1), keys.slice(0..past + token + 1));
                    kernels::attention_row(gpu, &query, &keys, shape, &kernels::Sight::Causal { past: past + token, window })
                };
                let looked: Vec<_> = (0..tokens).map(looked).collect();
                let mut mean = Vec::with_capacity(tokens * self.len());
                for row in gpu.read_all(&looked.iter().collect::<Vec<_>>()).await? {
                    let seen = row.len() / heads.queries;
                    let over_heads = |column: usize| row.iter().skip(column).step_by(seen).sum::<f32>() / heads.queries as f32;
                    mean.extend((0..self.len()).map(|column| if column < seen { over_heads(column) } else { 0.0 }));
                }
                Ok(mean)
            }
            #[cfg(feature = "gpu")]
            _ => apart(),
            #[cfg(not(feature = "gpu"))]
            (Held::Nothing, _) => panic!("attention over nothing"),
        }
    }

    /// Keys and values of the first `tokens` on the host, as they lie on the device.
    ///
    /// # Errors
    /// When the device failed.
    ///
    /// # Panics
    /// When there are not so many.
    pub async fn read(&self, tokens: usize) -> Result<[Vec<f32>; 2], DeviceError> {
        match &self.held {
            Held::Nothing => Ok([Vec::new(), Vec::new()]),
            Held::Cpu(cache) => {
                let [keys, values] = cache.held();
                let flat = |held: Vec<Tensor<3>>| {
                    let held = Tensor::cat(held, 1);
                    let [heads, _, dim] = held.dims();
                    Matrix::from(held.slice([0..heads, 0..tokens, 0..dim]).reshape([heads * tokens, dim]))
                };
                Ok([flat(keys).read().await?, flat(values).read().await?])
            }
            #[cfg(feature = "gpu")]
            Held::Gpu(gpu, cache) => {
                let mut held = gpu.read_all(&[&cache.keys().slice(0..tokens), &cache.values().slice(0..tokens)]).await?.into_iter();
                let mut next = || held.next().unwrap_or_default();
                Ok([next(), next()])
            }
        }
    }
}

/// What the last of some tokens looked at: what it takes to compute it, if somebody asks. It must be dropped before more is remembered, or that has to copy.
#[derive(Clone, Debug)]
pub struct LastRow(Row);

#[derive(Clone, Debug)]
enum Row {
    /// Query and keys, `[heads, tokens, head_dim]`, the keys in parts.
    Cpu { query: Tensor<3>, keys: Vec<Tensor<3>>, window: Option<usize> },
    #[cfg(feature = "gpu")]
    Gpu { gpu: steady_gpu::Gpu, query: steady_gpu::Rows, keys: steady_gpu::Rows, heads: steady_gpu::kernels::Heads, window: Option<usize> },
}

impl LastRow {
    /// Its attention to the tokens held in the places `columns`, `[heads, columns]`, row after row on the host.
    ///
    /// # Errors
    /// When the device failed.
    pub async fn read(self, columns: Range<usize>) -> Result<Vec<f32>, DeviceError> {
        match self.0 {
            Row::Cpu { query, keys, window } => {
                let (heads, held) = (query.dims()[0], keys.iter().map(|keys| keys.dims()[1]).sum::<usize>());
                let mask = flex::causal_mask(1, held - 1, window);
                let row = flex::probabilities(query, &keys, mask.as_ref());
                Matrix::from(row.slice([0..heads, 0..1, columns.clone()]).reshape([heads, columns.len()])).read().await
            }
            #[cfg(feature = "gpu")]
            Row::Gpu { gpu, query, keys, heads, window } => {
                let held = keys.dims()[0];
                let sight = steady_gpu::kernels::Sight::Causal { past: held - 1, window };
                let row = steady_gpu::kernels::attention_row(&gpu, &query, &keys, heads, &sight);
                let all = gpu.read(&row).await?;
                Ok(all.chunks(held).flat_map(|head| head[columns.clone()].to_vec()).collect())
            }
        }
    }
}

/// Attention in both directions of one image's tokens, class token in front: what CLIP's layers compute.
#[derive(Clone, Debug)]
pub struct Seen {
    queries: Matrix,
    keys: Matrix,
    raise: Option<Matrix>,
    heads: usize,
}

/// Attention in both directions over all tokens. `queries`, `keys` and `values` are `[tokens, heads * head_dim]`; scores are raised by
/// `raise [1, tokens]`, where a token stands for several. Gives the same shape, and what there was to see.
pub fn attend_all(queries: Matrix, keys: Matrix, values: &Matrix, heads: usize, raise: Option<Matrix>) -> (Matrix, Seen) {
    let attended = match &queries.0 {
        Place::Cpu(_) => {
            let split = |x: &Matrix| flex::split_heads(x.tensor(), heads).swap_dims(0, 1); // [heads, tokens, head_dim]
            let raise = raise.as_ref().map(|raise| raise.tensor().cast(DType::F32).into_data().iter::<f32>().collect());
            flex::attend(split(&queries), vec![split(&keys)], vec![split(values)], &Sight::All(raise)).into()
        }
        #[cfg(feature = "gpu")]
        Place::Gpu(gpu, rows) => {
            use steady_gpu::kernels;
            let shape = on_gpu(Heads { queries: heads, keys: heads }, rows.dims()[1]);
            let sight = kernels::Sight::All { raise: raise.as_ref().map(Matrix::rows) };
            Matrix(Place::Gpu(gpu.clone(), kernels::attention(gpu, rows, keys.rows(), values.rows(), shape, &sight)))
        }
    };
    (attended, Seen { queries, keys, raise, heads })
}

impl Seen {
    /// The attention of the first token, which is the class token, to the tokens from `first` on: `[heads, tokens - first]`.
    pub fn class_attention(&self, first: usize) -> Matrix {
        match &self.queries.0 {
            Place::Cpu(_) => {
                let (heads, tokens) = (self.heads, self.keys.dims()[0]);
                let split = |x: &Matrix| flex::split_heads(x.tensor(), heads).swap_dims(0, 1);
                let raise = self.raise.as_ref().map(|raise| raise.tensor().unsqueeze_dim(0));
                let row = flex::probabilities(split(&self.queries.slice(0..1)), &[split(&self.keys)], raise.as_ref());
                row.slice([0..heads, 0..1, first..tokens]).reshape([heads, tokens - first]).into()
            }
            #[cfg(feature = "gpu")]
            Place::Gpu(gpu, rows) => {
                use steady_gpu::kernels;
                let shape = on_gpu(Heads { queries: self.heads, keys: self.heads }, rows.dims()[1]);
                let sight = kernels::Sight::All { raise: self.raise.as_ref().map(Matrix::rows) };
                let row = kernels::attention_row(gpu, &rows.slice(0..1), self.keys.rows(), shape, &sight);
                Matrix(Place::Gpu(gpu.clone(), row)).columns(first..rows.dims()[0])
            }
        }
    }

    /// The query of the first token, which is the class token, and below it its key: `[2, heads * head_dim]`.
    pub fn class_projections(&self) -> Matrix {
        Matrix::stack(&[self.queries.slice(0..1), self.keys.slice(0..1)])
    }

    /// The keys of the tokens from `first` on, heads side by side: `[tokens - first, heads * head_dim]`.
    pub fn keys(&self, first: usize) -> Matrix {
        self.keys.slice(first..self.keys.dims()[0])
    }
}

/// What each token receives of the attention of all tokens in both directions, mean over heads and queries: one number a token, on the host.
/// `queries` and `keys` are `[tokens, heads * head_dim]`. It is computed on the CPU wherever they are, some queries at a time.
///
/// # Errors
/// When the device failed.
pub async fn received(queries: &Matrix, keys: &Matrix, heads: usize) -> Result<Vec<f32>, DeviceError> {
    let on_cpu = async |x: &Matrix| match &x.0 {
        Place::Cpu(_) => Ok(x.clone()),
        #[cfg(feature = "gpu")]
        Place::Gpu(..) => Ok::<_, DeviceError>(Matrix::new(x.read().await?, x.dims(), &Device::Cpu, crate::Element::F32)),
    };
    let split = |x: &Matrix| flex::split_heads(x.tensor(), heads).swap_dims(0, 1);
    let (queries, keys) = (split(&on_cpu(queries).await?), split(&on_cpu(keys).await?));
    let [_, tokens, head_dim] = queries.dims();
    let rows = flex::rows_at_once(heads, tokens, SCORES);
    let mut received = vec![0.0; tokens];
    for first in (0..tokens).step_by(rows) {
        let piece = queries.clone().slice([0..heads, first..tokens.min(first + rows), 0..head_dim]);
        let sum = flex::probabilities(piece, std::slice::from_ref(&keys), None).sum_dim(1).sum_dim(0).reshape([1, tokens]);
        received.iter_mut().zip(Matrix::from(sum).read().await?).for_each(|(total, sum)| *total += sum);
    }
    for total in &mut received {
        *total /= (heads * tokens) as f32;
    }
    Ok(received)
}

/// Attention in both directions that stays within each stretch of tokens. `qkv` is `[tokens, 3 * heads * head_dim]`: queries, keys and values side by
/// side, of which the first two are rotated on the way. Gives `[tokens, heads * head_dim]`.
pub fn attend_within(qkv: &Matrix, heads: usize, rotation: &Rotation, stretches: &[Stretches]) -> Matrix {
    let width = qkv.dims()[1] / 3;
    match &qkv.0 {
        Place::Cpu(_) => {
            let part = |index: usize| flex::split_heads(qkv.columns(index * width..(index + 1) * width).tensor(), heads);
            let (queries, keys, values) = (rotation.on_cpu(part(0)), rotation.on_cpu(part(1)), part(2));
            flex::within(&queries, &keys, &values, stretches).into()
        }
        #[cfg(feature = "gpu")]
        Place::Gpu(gpu, rows) => {
            use steady_gpu::kernels::{self, Sight};
            // Queries and keys turn alike: they are twice as many heads.
            let turned = kernels::rotate(gpu, &rows.columns(0..2 * width), 2 * heads, rotation.cos.rows(), rotation.sin.rows());
            let (queries, keys, values) = (turned.columns(0..width), turned.columns(width..2 * width), rows.columns(2 * width..3 * width));
            let shape = on_gpu(Heads { queries: heads, keys: heads }, width);
            let attend = |sight: &Sight<'_>| kernels::attention(gpu, &queries, &keys, &values, shape, sight);
            let attended = match stretches {
                [Stretches { count: 1, .. }] => attend(&Sight::All { raise: None }),
                stretches => attend(&Sight::Within { ranges: &gpu.words(&ranges(stretches)) }),
            };
            Matrix(Place::Gpu(gpu.clone(), attended))
        }
    }
}

/// For each token the first key that it sees and the one behind the last.
#[cfg(feature = "gpu")]
fn ranges(stretches: &[Stretches]) -> Vec<u32> {
    let (mut ranges, mut first) = (Vec::new(), 0u32);
    for &Stretches { count, len } in stretches {
        for _ in 0..count {
            let end = first + len as u32;
            ranges.extend(std::iter::repeat_n([first, end], len).flatten());
            first = end;
        }
    }
    ranges
}

#[cfg(feature = "gpu")]
fn on_gpu(heads: Heads, width: usize) -> steady_gpu::kernels::Heads {
    steady_gpu::kernels::Heads { heads: heads.queries, kv_heads: heads.keys, head_dim: width / heads.queries }
}
