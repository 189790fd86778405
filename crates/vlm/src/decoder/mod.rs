//! Language decoders: hidden states and a KV cache in, next-token logits out.

mod activations;
mod cache;
mod config;
mod llama;

pub(crate) use activations::prompt_bytes;
pub(crate) use cache::KvCache;
pub use config::{DecoderKind, LlamaConfig, RopeConfig, RopeScaling};
pub(crate) use llama::{Chunk, LastRow, Llama, Member, PIECE};

/// How the decoder's tensors are called in published files that hold nothing else, and what they become.
pub const NAMES: [(&str, &str); 3] = [
    ("model.embed_tokens.", "language_model.embed_tokens."),
    ("model.layers.", "language_model.layers."),
    ("model.norm.", "language_model.norm."),
];
