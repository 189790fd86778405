//! The keys and values of a decoder layer, and how tokens are appended to them.

use std::sync::Arc;

use bytemuck::{Pod, Zeroable};

use crate::{Gpu, Kernel, Rows};

/// Reads keys, values, cosines, sines; writes what is held of both.
pub(crate) static KERNEL: Kernel = Kernel { name: "remember", source: &[include_str!("remember.wgsl")], reads: 4, writes: 2 };

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Numbers {
    keys: u32,
    values: u32,
    cos: u32,
    sin: u32,
    held: u32,
    tokens: u32,
    heads: u32,
    half: u32,
}

/// Keys and values of some tokens, `[tokens, kv_heads * head_dim]` each, in buffers with room for more.
///
/// Appending writes into the buffers where nobody else has them, and else into a copy: clones never see each other's tokens.
#[derive(Clone, Debug)]
pub struct KeyValues {
    buffers: Arc<Buffers>,
    len: usize,
}

#[derive(Debug)]
struct Buffers {
    keys: Rows,
    values: Rows,
}

impl KeyValues {
    /// Tokens that a full buffer grows by.
    const STEP: usize = 64;

    /// Of no token, with room for `capacity` tokens of `width` numbers.
    pub fn new(gpu: &Gpu, capacity: usize, width: usize) -> Self {
        let buffer = || gpu.empty([capacity, width]);
        Self { buffers: Arc::new(Buffers { keys: buffer(), values: buffer() }), len: 0 }
    }

    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All keys, turned: `[len, kv_heads * head_dim]`.
    pub fn keys(&self) -> Rows {
        self.buffers.keys.slice(0..self.len)
    }

    /// All values: `[len, kv_heads * head_dim]`.
    pub fn values(&self) -> Rows {
        self.buffers.values.slice(0..self.len)
    }

    /// A copy in buffers of its own, with room for `room` more tokens.
    #[must_use]
    pub fn branch(&self, gpu: &Gpu, room: usize) -> Self {
        let copy = Self { len: self.len, ..Self::new(gpu, self.len + room, self.buffers.keys.dims()[1]) };
        gpu.copy(&self.keys(), &copy.buffers.keys, 0);
        gpu.copy(&self.values(), &copy.buffers.values, 0);
        copy
    }

    /// Appends `keys` and `values`, `[tokens, heads * head_dim]` each. Keys are turned on the way, by `cos` and `sin`,
    /// `[tokens, head_dim / 2]`.
    ///
    /// # Panics
    /// When the shapes do not fit.
    pub fn remember(&mut self, gpu: &Gpu, keys: &Rows, values: &Rows, cos: &Rows, sin: &Rows, heads: usize) {
        let ([tokens, width], [turns, half]) = (keys.dims(), cos.dims());
        let [capacity, held] = self.buffers.keys.dims();
        assert!(values.dims() == keys.dims() && width == held, "keys {:?}, values {:?}, held [_, {held}]", keys.dims(), values.dims());
        assert!(turns == tokens && sin.dims() == cos.dims() && width == heads * 2 * half, "{:?} turned by {:?}", keys.dims(), cos.dims());
        if self.len + tokens > capacity || Arc::strong_count(&self.buffers) > 1 {
            *self = self.branch(gpu, tokens.max(Self::STEP));
        }
        let Buffers { keys: held_keys, values: held_values } = &*self.buffers;
        let numbers = Numbers {
            keys: keys.start() as u32,
            values: values.start() as u32,
            cos: cos.start() as u32,
            sin: sin.start() as u32,
            held: (self.len * width) as u32,
            tokens: tokens as u32,
            heads: heads as u32,
            half: half as u32,
        };
        let reads = [keys.into(), values.into(), cos.into(), sin.into()];
        let groups = super::spread((tokens * heads * half).div_ceil(64));
        gpu.launch(&KERNEL, &reads, &[held_keys.into(), held_values.into()], numbers, groups);
        self.len += tokens;
    }
}
