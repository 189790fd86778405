//! Scaled dot-product attention: softmax(q kᵀ / √dim) v, head by head. Scores never lie in device memory: sums go along with the keys, and
//! count less where a larger score appears (the online softmax of Milakov & Gimelshein, 2018, as in FlashAttention, Dao et al., 2022).

use bytemuck::{Pod, Zeroable};

use crate::{Gpu, Kernel, Rows, Words, queue::Bound};

/// An attention kernel reads queries, keys, values, what scores are raised by, and sights; it writes `y`.
const fn attention_kernel(name: &'static str, source: &'static [&'static str]) -> Kernel {
    Kernel { name, source, reads: 5, writes: 1 }
}

/// For many queries.
pub(crate) static TILED: Kernel =
    attention_kernel("attention_tiled", &[include_str!("attention_sight.wgsl"), include_str!("attention_tiled.wgsl")]);
/// For few.
pub(crate) static FEW: Kernel =
    attention_kernel("attention_few", &[include_str!("attention_sight.wgsl"), include_str!("attention_few.wgsl")]);
/// Reads the splits of the kernel for few queries; writes `y`.
pub(crate) static COMBINE: Kernel =
    Kernel { name: "attention_combine", source: &[include_str!("attention_combine.wgsl")], reads: 1, writes: 1 };
/// For the probabilities of one query.
pub(crate) static ROW: Kernel =
    attention_kernel("attention_row", &[include_str!("attention_sight.wgsl"), include_str!("attention_row.wgsl")]);

/// Most queries for which each is better off with a workgroup of its own: a tile of eight would be half empty.
const FEW_QUERIES: usize = 4;
/// Queries that a workgroup of the kernel for many takes.
const TILE: usize = 8;
/// Keys that a workgroup of the kernel for few takes: with more, there would be too few workgroups to keep a GPU busy.
const SPLIT: usize = 512;
/// The longest head.
const DIM: usize = 128;

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Numbers {
    queries: u32,
    keys: u32,
    values: u32,
    raise: u32,
    y: u32,
    tokens: u32,
    held: u32,
    heads: u32,
    kv_heads: u32,
    dim: u32,
    scale: f32,
    sight: u32,
    past: u32,
    window: u32,
    raised: u32,
    split: u32,
    splits: u32,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct CombineNumbers {
    x: u32,
    y: u32,
    rows: u32,
    dim: u32,
    splits: u32,
}

/// Heads of an attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heads {
    /// Of the queries.
    pub heads: usize,
    /// Of the keys and values; neighbouring heads of the queries share one.
    pub kv_heads: usize,
    /// Numbers in a head, at most 128.
    pub head_dim: usize,
}

/// Which keys a query sees.
#[derive(Clone, Copy, Debug)]
pub enum Sight<'a> {
    /// Query `i` sees its own key, number `past + i`, and those before it, with a window that many keys in all.
    Causal {
        /// Keys before that of the first query.
        past: usize,
        /// Most keys that are seen.
        window: Option<usize>,
    },
    /// Every query sees every key.
    All {
        /// Added to the scores of each query, `[1, keys]`: a key that stands for several counts so often (ToMe's proportional attention).
        raise: Option<&'a Rows>,
    },
    /// Each query has two words: the first key that it sees, and the one behind the last.
    Within {
        /// Two for each query.
        ranges: &'a Words,
    },
}

/// The attention of `queries [tokens, heads * head_dim]` over `keys` and `values`, `[held, kv_heads * head_dim]`: the shape of the queries. A query
/// that sees no key gives zeros.
///
/// # Panics
/// When the shapes do not fit.
pub fn attention(gpu: &Gpu, queries: &Rows, keys: &Rows, values: &Rows, heads: Heads, sight: &Sight<'_>) -> Rows {
    assert_eq!(keys.dims(), values.dims(), "keys and values");
    let y = gpu.empty(queries.dims());
    let [tokens, _] = queries.dims();
    let [held, _] = keys.dims();
    let launch = Launch { queries, keys, values, heads, sight };
    if tokens > FEW_QUERIES {
        let groups = super::spread(heads.heads * tokens.div_ceil(TILE));
        launch.go(gpu, &TILED, &y, launch.numbers(&y), groups);
        return y;
    }
    let splits = held.div_ceil(SPLIT).max(1);
    let groups = super::spread(tokens * heads.heads * splits);
    let split = |y: &Rows| Numbers { split: SPLIT as u32, splits: splits as u32, ..launch.numbers(y) };
    if splits == 1 {
        launch.go(gpu, &FEW, &y, split(&y), groups);
        return y;
    }
    let rows = tokens * heads.heads;
    let parts = gpu.empty([rows * splits, heads.head_dim + 2]);
    launch.go(gpu, &FEW, &parts, split(&parts), groups);
    let numbers = CombineNumbers {
        x: parts.start() as u32,
        y: y.start() as u32,
        rows: rows as u32,
        dim: heads.head_dim as u32,
        splits: splits as u32,
    };
    gpu.launch(&COMBINE, &[(&parts).into()], &[(&y).into()], numbers, super::spread((rows * heads.head_dim).div_ceil(64)));
    y
}

/// The probabilities that [`attention`] weighs values with, of one query: `[heads, keys]`. `query` is `[1, heads * head_dim]`, and `sight` is its own.
///
/// # Panics
/// When the shapes do not fit.
pub fn attention_row(gpu: &Gpu, query: &Rows, keys: &Rows, heads: Heads, sight: &Sight<'_>) -> Rows {
    assert_eq!(query.dims()[0], 1, "one query");
    let y = gpu.empty([heads.heads, keys.dims()[0]]);
    let launch = Launch { queries: query, keys, values: keys, heads, sight };
    launch.go(gpu, &ROW, &y, launch.numbers(&y), [heads.heads, 1, 1]);
    y
}

/// What attention kernels read.
struct Launch<'a> {
    queries: &'a Rows,
    keys: &'a Rows,
    values: &'a Rows,
    heads: Heads,
    sight: &'a Sight<'a>,
}

impl Launch<'_> {
    fn numbers(&self, y: &Rows) -> Numbers {
        let Heads { heads, kv_heads, head_dim } = self.heads;
        let ([tokens, width], [held, key_width]) = (self.queries.dims(), self.keys.dims());
        assert!(width == heads * head_dim && key_width == kv_heads * head_dim, "{:?} for widths {width} and {key_width}", self.heads);
        assert!(heads.is_multiple_of(kv_heads) && head_dim <= DIM, "{:?}: whole groups of heads of at most {DIM}", self.heads);
        let (sight, past, window, raise) = match self.sight {
            Sight::Causal { past, window } => {
                assert!(past + tokens <= held, "{tokens} queries behind {past} others, and {held} keys");
                (0, *past, window.unwrap_or(u32::MAX as usize), None)
            }
            Sight::All { raise } => {
                assert!(raise.is_none_or(|raise| raise.dims() == [1, held]), "a raise of {held} scores");
                (1, 0, 0, *raise)
            }
            Sight::Within { ranges } => {
                assert_eq!(ranges.len(), 2 * tokens, "two words a query");
                (2, 0, 0, None)
            }
        };
        Numbers {
            queries: self.queries.start() as u32,
            keys: self.keys.start() as u32,
            values: self.values.start() as u32,
            raise: raise.map_or(0, |raise| raise.start() as u32),
            y: y.start() as u32,
            tokens: tokens as u32,
            held: held as u32,
            heads: heads as u32,
            kv_heads: kv_heads as u32,
            dim: head_dim as u32,
            scale: (head_dim as f32).powf(-0.5),
            sight,
            past: past as u32,
            window: window as u32,
            raised: u32::from(raise.is_some()),
            split: 0,
            splits: 1,
        }
    }

    fn go(&self, gpu: &Gpu, kernel: &'static Kernel, y: &Rows, numbers: Numbers, groups: [usize; 3]) {
        let Self { queries, keys, values, .. } = *self;
        // What a sight does not need is bound all the same.
        let (raise, sights) = match self.sight {
            Sight::All { raise: Some(raise) } => (Bound::from(*raise), Bound::from(queries)),
            Sight::Within { ranges } => (Bound::from(queries), Bound::from(*ranges)),
            Sight::Causal { .. } | Sight::All { raise: None } => (Bound::from(queries), Bound::from(queries)),
        };
        gpu.launch(kernel, &[queries.into(), keys.into(), values.into(), raise, sights], &[y.into()], numbers, groups);
    }
}
