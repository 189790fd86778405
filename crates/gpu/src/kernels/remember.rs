//! Keys and values of the tokens seen so far, and the queries that look at them.

use std::sync::Arc;

use bytemuck::{Pod, Zeroable};

use crate::{Gpu, Kernel, Rows};

/// Reads `q`, `k`, `v`, `cos`, `sin`; writes `turned`, `keys` and `values`.
pub(crate) static KERNEL: Kernel = Kernel { name: "remember", source: &[include_str!("remember.wgsl")], reads: 5, writes: 3 };

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Numbers {
    q: u32,
    q_stride: u32,
    k: u32,
    k_stride: u32,
    v: u32,
    v_stride: u32,
    cos: u32,
    sin: u32,
    keys: u32,
    values: u32,
    queries: u32,
    query_heads: u32,
    tokens: u32,
    heads: u32,
    half: u32,
}

/// One layer's keys and values, in memory with room for more.
///
/// They are written in place where nobody else has them, and else into a copy: neither a clone nor a [branch](Self::branch) sees what another
/// writes.
#[derive(Clone, Debug)]
pub struct KeyValues {
    buffers: Arc<Buffers>,
    len: usize,
    /// The last code that numbers are rounded to as they are written; `None`: they stay what they are.
    last: Option<u32>,
}

/// `[capacity, kv_heads * head_dim]` each, as many rows written as there are tokens.
#[derive(Debug)]
struct Buffers {
    keys: Rows,
    values: Rows,
}

impl KeyValues {
    /// Room added when there is none left, in tokens.
    const STEP: usize = 64;

    /// Of no token yet, with room for `capacity` of them; `width` is `kv_heads * head_dim`.
    pub fn new(gpu: &Gpu, width: usize, capacity: usize) -> Self {
        let buffer = || gpu.empty([capacity, width]);
        Self { buffers: Arc::new(Buffers { keys: buffer(), values: buffer() }), len: 0, last: None }
    }

    /// The same, in which what is written is rounded from now on, head by head, to the `last + 1` numbers from a head's least to its largest.
    #[must_use]
    pub fn rounding_to(self, gpu: &Gpu, last: u32) -> Self {
        gpu.want(&[&super::round_heads::KERNEL]);
        Self { last: Some(last), ..self }
    }

    /// Tokens held.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The keys held, rotated: `[len, kv_heads * head_dim]`, in the same memory.
    pub fn keys(&self) -> Rows {
        self.buffers.keys.slice(0..self.len)
    }

    /// The values held: `[len, kv_heads * head_dim]`, in the same memory.
    pub fn values(&self) -> Rows {
        self.buffers.values.slice(0..self.len)
    }

    /// A copy in memory of its own, with room for `room` more tokens.
    #[must_use]
    pub fn branch(&self, gpu: &Gpu, room: usize) -> Self {
        let copy = Self::new(gpu, self.buffers.keys.dims()[1], self.len + room);
        gpu.copy(&self.keys(), &copy.buffers.keys, 0);
        gpu.copy(&self.values(), &copy.buffers.values, 0);
        Self { len: self.len, last: self.last, ..copy }
    }
}

/// Appends tokens to `cache`, which grows when it is full: keys `k [tokens, kv_heads * head_dim]` rotated as [`rotate`](fn@super::rotate)
/// does, values `v` of the same shape as they are. `cos` and `sin` are `[tokens, head_dim / 2]`. The queries of the last of the tokens,
/// `q [queries, heads * head_dim]`, are rotated likewise: a matrix of that shape.
///
/// # Panics
/// When the shapes do not agree.
pub fn remember(gpu: &Gpu, [q, k, v]: [&Rows; 3], cos: &Rows, sin: &Rows, cache: &mut KeyValues) -> Rows {
    let [tokens, half] = cos.dims();
    let [capacity, width] = cache.buffers.keys.dims();
    let [queries, of_queries] = q.dims();
    assert_eq!(cos.dims(), sin.dims(), "cosines and sines");
    let divides = |width: usize| half > 0 && width.is_multiple_of(2 * half);
    assert!(divides(width) && divides(of_queries), "heads of {} in widths of {of_queries} and {width}", 2 * half);
    assert_eq!([k.dims(), v.dims()], [[tokens, width]; 2], "as many tokens as angles, heads side by side");
    assert!(queries <= tokens, "{queries} queries of {tokens} tokens");
    if cache.len + tokens > capacity || Arc::strong_count(&cache.buffers) > 1 {
        *cache = cache.branch(gpu, tokens.max(KeyValues::STEP));
    }
    let turned = gpu.empty([queries, of_queries]);
    let place = |held: &Rows| (held.start() + cache.len * width) as u32;
    let heads = |width: usize| (width / (2 * half)) as u32;
    let numbers = Numbers {
        q: q.start as u32,
        q_stride: q.pitch as u32,
        k: k.start as u32,
        k_stride: k.pitch as u32,
        v: v.start as u32,
        v_stride: v.pitch as u32,
        cos: cos.start() as u32,
        sin: sin.start() as u32,
        keys: place(&cache.buffers.keys),
        values: place(&cache.buffers.values),
        queries: queries as u32,
        query_heads: heads(of_queries),
        tokens: tokens as u32,
        heads: heads(width),
        half: half as u32,
    };
    let reads = [q.into(), k.into(), v.into(), cos.into(), sin.into()];
    let writes = [(&turned).into(), (&cache.buffers.keys).into(), (&cache.buffers.values).into()];
    let pairs = tokens * (width / 2) + queries * (of_queries / 2);
    gpu.launch(&KERNEL, &reads, &writes, numbers, super::spread(pairs.div_ceil(64)));
    if let Some(last) = cache.last {
        for held in [&cache.buffers.keys, &cache.buffers.values] {
            super::round_heads::round_heads(gpu, &held.slice(cache.len..cache.len + tokens), 2 * half, last);
        }
    }
    cache.len += tokens;
    turned
}
