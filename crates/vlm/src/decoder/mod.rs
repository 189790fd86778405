//! Language decoders: hidden states and a KV cache in, next-token logits out.

pub(crate) mod cache;
pub(crate) mod llama;

pub(crate) use cache::KvCache;
pub(crate) use llama::{Chunk, Llama};
