//! What an answer costs, from shapes alone: the same on every machine and in every run.

use crate::checkpoint::{ClipVisionConfig, LlamaConfig, LlavaConfig};

/// Deterministic cost of answering one question on its own, up to the first token of the answer. What a study saves by sharing
/// work between questions is not in it; wall time is measured by the caller.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// Tokens of the prompt before any reduction, visual ones included.
    pub prompt_tokens: usize,
    /// Visual tokens that the decoder saw, mean over its layers.
    pub visual_tokens: f32,
    /// Bytes of keys and values after the prompt, over all layers.
    pub kv_bytes: usize,
    /// Floating-point operations (a multiply-add is two) of all matrix products: vision tower, projector, prompt, one head.
    pub flops: u64,
}

/// FLOPs of a `[rows, in] x [in, out]` product.
const fn product(rows: usize, input: usize, output: usize) -> u64 {
    2 * rows as u64 * input as u64 * output as u64
}

/// Prompt FLOPs of the decoder when layer `l` works on `lengths[l]` tokens, and one row of the head. Scores are counted in full,
/// as they are computed, causal half included.
pub(crate) fn decoder_flops(config: &LlamaConfig, lengths: &[usize]) -> u64 {
    let (width, inner) = (config.hidden_size, config.intermediate_size);
    let queries = config.num_heads * config.head_dim;
    let keys = config.num_kv_heads * config.head_dim;
    let layers: u64 = lengths
        .iter()
        .map(|&n| {
            let attention = product(n, width, queries)
                + 2 * product(n, width, keys)
                + product(n, queries, n) // scores
                + product(n, n, queries) // weighted values
                + product(n, queries, width);
            attention + 3 * product(n, width, inner)
        })
        .sum();
    layers + product(1, width, config.vocab_size)
}

/// FLOPs from pixels to visual tokens.
pub(crate) fn vision_flops(config: &LlavaConfig) -> u64 {
    let ClipVisionConfig {
        hidden_size: width,
        intermediate_size: inner,
        num_channels,
        patch_size,
        ..
    } = config.vision;
    let patches = config.vision.patches();
    let n = patches + 1;
    let depth = config.feature_layers.iter().copied().max().unwrap_or(0) as u64;
    let layer = 4 * product(n, width, width) + 2 * product(n, n, width) + 2 * product(n, width, inner);
    let features = width * config.feature_layers.len();
    let text = config.text.hidden_size;
    product(patches, num_channels * patch_size * patch_size, width)
        + depth * layer
        + product(config.visual_tokens(), features, text)
        + product(config.visual_tokens(), text, text)
}

/// Bytes of keys and values when layer `l` holds `lengths[l]` tokens.
pub(crate) fn kv_bytes(config: &LlamaConfig, lengths: &[usize], element_bytes: usize) -> usize {
    let tokens: usize = lengths.iter().sum();
    2 * tokens * config.num_kv_heads * config.head_dim * element_bytes
}
