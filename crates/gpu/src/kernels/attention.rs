//! Attention (Vaswani et al., 2017) in one pass over the keys: `softmax(q kᵀ / sqrt(head_dim)) v`, where the softmax is that of Milakov
//! & Gimelshein (2018), so that scores need no memory, block by block as in FlashAttention (Dao et al., 2022). Few queries leave most of a
//! GPU idle, so their keys are split (Flash-Decoding, Dao et al., 2023). Scores, their maxima and sums are `f32`.

use bytemuck::{Pod, Zeroable};

use crate::{Gpu, Kernel, Rows, Words};

/// Of many queries. Reads `q`, `k`, `v`, `raise`, `ranges`; writes `y`.
pub(crate) static BLOCK: Kernel = Kernel {
    name: "attention of many",
    source: &[include_str!("attention/sight.wgsl"), include_str!("attention/block.wgsl")],
    reads: 5,
    writes: 1,
};

/// Of few queries, bindings as in [`BLOCK`].
pub(crate) static FEW: Kernel = Kernel {
    name: "attention of few",
    source: &[include_str!("attention/sight.wgsl"), include_str!("attention/scores.wgsl"), include_str!("attention/few.wgsl")],
    reads: 5,
    writes: 1,
};

/// What [`FEW`] found in parts of the keys. Reads that; writes `y`.
pub(crate) static COMBINE: Kernel =
    Kernel { name: "attention of parts", source: &[include_str!("attention/combine.wgsl")], reads: 1, writes: 1 };

/// Probabilities of one query, bindings as in [`BLOCK`].
pub(crate) static ROW: Kernel = Kernel {
    name: "attention row",
    source: &[include_str!("attention/sight.wgsl"), include_str!("attention/scores.wgsl"), include_str!("attention/row.wgsl")],
    reads: 5,
    writes: 1,
};

/// Queries of one workgroup of [`BLOCK`].
const QUERIES: usize = 32;
/// Most queries that [`FEW`] takes: with more, going through the keys once for all of them is cheaper.
const MOST_OF_FEW: usize = 8;
/// Most keys that one workgroup of [`FEW`] goes through. Its memory holds as many scores.
const WHOLE: usize = 1024;
/// Keys of a part where there are more.
const PART: usize = 256;
/// Widest head: what the kernels keep in a workgroup is as large.
const WIDEST: usize = 128;

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Numbers {
    q: u32,
    q_stride: u32,
    k: u32,
    k_stride: u32,
    v: u32,
    v_stride: u32,
    y: u32,
    queries: u32,
    keys: u32,
    heads: u32,
    sharing: u32,
    dim: u32,
    scale: f32,
    sight: u32,
    past: u32,
    window: u32,
    raised: u32,
    raise: u32,
    part: u32,
    parts: u32,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct PartNumbers {
    found: u32,
    y: u32,
    count: u32,
    dim: u32,
    parts: u32,
}

/// How queries, keys and values are divided: heads lie side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heads {
    /// Of queries.
    pub heads: usize,
    /// Of keys and values; `heads / kv_heads` neighbouring heads share one (grouped queries, Ainslie et al., 2023).
    pub kv_heads: usize,
    /// Numbers of one, at most 128.
    pub head_dim: usize,
}

/// Which keys a query sees. One that sees none gets zeros.
#[derive(Clone, Copy, Debug)]
pub enum Sight<'a> {
    /// Itself and what came before.
    Causal {
        /// Keys in front of that of the first query.
        past: usize,
        /// With a sliding window: how many keys, itself among them.
        window: Option<usize>,
    },
    /// All of them.
    All {
        /// `[1, keys]`, added to every query's scores: in proportional attention (ToMe, Bolya et al., 2023) the logarithm of how many
        /// tokens a key stands for.
        raise: Option<&'a Rows>,
    },
    /// Those of a range.
    Within {
        /// Two for each query: the first key and the end.
        ranges: &'a Words,
    },
}

/// Everything that a launch is about, checked.
struct Attention<'a> {
    q: &'a Rows,
    keys: &'a Rows,
    values: &'a Rows,
    sight: &'a Sight<'a>,
    numbers: Numbers,
}

impl<'a> Attention<'a> {
    fn new(q: &'a Rows, keys: &'a Rows, values: &'a Rows, heads: Heads, sight: &'a Sight<'a>) -> Self {
        let Heads { heads, kv_heads, head_dim } = heads;
        assert!(kv_heads > 0 && heads.is_multiple_of(kv_heads), "{heads} heads share {kv_heads}");
        assert!((1..=WIDEST).contains(&head_dim), "heads of {head_dim}");
        let ([queries, width], [held, of_keys]) = (q.dims(), keys.dims());
        assert_eq!((width, of_keys), (heads * head_dim, kv_heads * head_dim), "columns of queries and keys");
        assert_eq!(values.dims(), keys.dims(), "as many values as keys");
        let mut numbers = Numbers {
            q: q.start as u32,
            q_stride: q.pitch as u32,
            k: keys.start as u32,
            k_stride: keys.pitch as u32,
            v: values.start as u32,
            v_stride: values.pitch as u32,
            queries: queries as u32,
            keys: held as u32,
            heads: heads as u32,
            sharing: (heads / kv_heads) as u32,
            dim: head_dim as u32,
            scale: (head_dim as f64).sqrt().recip() as f32,
            ..Numbers::zeroed()
        };
        match *sight {
            Sight::Causal { past, window } => {
                assert!(past + queries <= held, "{queries} queries after {past} of {held} keys");
                numbers.past = past as u32;
                numbers.window = window.map_or(held, |window| window.min(held)) as u32;
            }
            Sight::All { raise } => {
                numbers.sight = 1;
                if let Some(raise) = raise {
                    assert_eq!(raise.dims(), [1, held], "one number is added for each key");
                    (numbers.raised, numbers.raise) = (1, raise.start() as u32);
                }
            }
            Sight::Within { ranges } => {
                assert_eq!(ranges.len(), 2 * queries, "a range for each query");
                numbers.sight = 2;
            }
        }
        Self { q, keys, values, sight, numbers }
    }

    /// Most keys that a query sees.
    fn sees(&self) -> usize {
        let keys = self.numbers.keys;
        if matches!(self.sight, Sight::Causal { .. }) { self.numbers.window.min(keys) as usize } else { keys as usize }
    }

    fn launch(&self, gpu: &Gpu, kernel: &'static Kernel, y: &Rows, groups: [usize; 3]) {
        // Something must be bound in place of what is not there.
        let (mut raise, mut ranges) = (self.q.into(), self.q.into());
        match *self.sight {
            Sight::All { raise: Some(by) } => raise = by.into(),
            Sight::Within { ranges: of_queries } => ranges = of_queries.into(),
            _ => {}
        }
        let reads = [self.q.into(), self.keys.into(), self.values.into(), raise, ranges];
        gpu.launch(kernel, &reads, &[y.into()], Numbers { y: y.start() as u32, ..self.numbers }, groups);
    }
}

/// Attention of queries `q [tokens, heads * head_dim]` over `keys` and `values`, both `[keys, kv_heads * head_dim]`: the values that each
/// query sees, weighted by the softmax of its scores, `[tokens, heads * head_dim]`.
///
/// # Panics
/// When the shapes do not agree.
pub fn attention(gpu: &Gpu, q: &Rows, keys: &Rows, values: &Rows, heads: Heads, sight: &Sight<'_>) -> Rows {
    let mut attention = Attention::new(q, keys, values, heads, sight);
    let Heads { heads, head_dim, .. } = heads;
    let queries = attention.numbers.queries as usize;
    let y = gpu.empty([queries, heads * head_dim]);
    if queries > MOST_OF_FEW {
        attention.launch(gpu, &BLOCK, &y, [queries.div_ceil(QUERIES), heads, 1]);
        return y;
    }
    let sees = attention.sees();
    let part = if sees > WHOLE { PART } else { WHOLE };
    let parts = sees.div_ceil(part).max(1);
    (attention.numbers.part, attention.numbers.parts) = (part as u32, parts as u32);
    if parts == 1 {
        attention.launch(gpu, &FEW, &y, [1, heads, queries]);
        return y;
    }
    // Of each part: sums of values, the highest score, the sum of weights.
    let found = gpu.empty([queries * heads * parts, head_dim + 2]);
    attention.launch(gpu, &FEW, &found, [parts, heads, queries]);
    let count = queries * heads * head_dim;
    let numbers =
        PartNumbers { found: found.start() as u32, y: y.start() as u32, count: count as u32, dim: head_dim as u32, parts: parts as u32 };
    gpu.launch(&COMBINE, &[(&found).into()], &[(&y).into()], numbers, super::spread(count.div_ceil(64)));
    y
}

/// The probabilities with which one query, `q [1, heads * head_dim]`, sees `keys [keys, kv_heads * head_dim]`: `[heads, keys]`, 0 for a key
/// that it does not see. For methods that look at attention; [`attention`] itself never has them in memory.
///
/// # Panics
/// When the shapes do not agree, or `q` is not one row.
pub fn attention_row(gpu: &Gpu, q: &Rows, keys: &Rows, heads: Heads, sight: &Sight<'_>) -> Rows {
    // The kernel has a place for values, and reads none.
    let attention = Attention::new(q, keys, keys, heads, sight);
    assert_eq!(attention.numbers.queries, 1, "one query");
    let y = gpu.empty([heads.heads, attention.numbers.keys as usize]);
    attention.launch(gpu, &ROW, &y, [heads.heads, 1, 1]);
    y
}
