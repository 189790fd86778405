//! Keys and values of the tokens seen so far.

use std::sync::Arc;

use bytemuck::{Pod, Zeroable};

use super::Columns;
use crate::{Gpu, Kernel, Rows};

/// Reads `k`, `v`, `cos`, `sin`; writes `keys` and `values`.
pub(crate) static KERNEL: Kernel = Kernel { name: "remember", source: &[include_str!("remember.wgsl")], reads: 4, writes: 2 };

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Numbers {
    k: u32,
    k_stride: u32,
    v: u32,
    v_stride: u32,
    cos: u32,
    sin: u32,
    keys: u32,
    values: u32,
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
        Self { buffers: Arc::new(Buffers { keys: buffer(), values: buffer() }), len: 0 }
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
        Self { len: self.len, ..copy }
    }
}

/// Appends tokens to `cache`, which grows when it is full: keys `k [tokens, kv_heads * head_dim]` rotated as [`rotate`](fn@super::rotate)
/// does, values `v` of the same shape as they are. `cos` and `sin` are `[tokens, head_dim / 2]`.
///
/// # Panics
/// When the shapes do not agree.
pub fn remember(gpu: &Gpu, k: Columns<'_>, v: Columns<'_>, cos: &Rows, sin: &Rows, cache: &mut KeyValues) {
    let [tokens, half] = cos.dims();
    let [capacity, width] = cache.buffers.keys.dims();
    assert_eq!(cos.dims(), sin.dims(), "cosines and sines");
    assert!(half > 0 && width.is_multiple_of(2 * half), "heads of {} in a width of {width}", 2 * half);
    assert_eq!([k.height(width), v.height(width)], [tokens; 2], "as many tokens as angles");
    if cache.len + tokens > capacity || Arc::strong_count(&cache.buffers) > 1 {
        *cache = cache.branch(gpu, tokens.max(KeyValues::STEP));
    }
    let heads = width / (2 * half);
    let place = |held: &Rows| (held.start() + cache.len * width) as u32;
    let numbers = Numbers {
        k: k.start(),
        k_stride: k.stride(),
        v: v.start(),
        v_stride: v.stride(),
        cos: cos.start() as u32,
        sin: sin.start() as u32,
        keys: place(&cache.buffers.keys),
        values: place(&cache.buffers.values),
        tokens: tokens as u32,
        heads: heads as u32,
        half: half as u32,
    };
    let reads = [k.rows.into(), v.rows.into(), cos.into(), sin.into()];
    let writes = [(&cache.buffers.keys).into(), (&cache.buffers.values).into()];
    gpu.launch(&KERNEL, &reads, &writes, numbers, super::spread((tokens * heads * half).div_ceil(64)));
    cache.len += tokens;
}
