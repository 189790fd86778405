//! What an answer costs, from shapes alone: the same on every machine and in every run.

use steady_kernels::CacheBits;

use crate::decoder::LlamaConfig;

/// Deterministic cost of answering one question on its own, up to the first token of the answer. What a study saves by sharing
/// work between questions is not in it; wall time is measured by the caller.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// Tokens of the prompt before any reduction, visual ones included.
    pub prompt_tokens: usize,
    /// Visual tokens that the decoder saw, mean over its layers.
    pub visual_tokens: f32,
    /// Bytes of keys and values after the prompt, over all layers; where they are rounded, what they take as a cache of so many bits.
    pub kv_bytes: usize,
    /// Floating-point operations (a multiply-add is two) of all matrix products: vision tower, projector, prompt, one head. As
    /// in published tables every decoder layer counts with all of its tokens.
    pub flops: u64,
}

/// FLOPs of a `[rows, in] x [in, out]` product.
pub(crate) const fn product(rows: usize, input: usize, output: usize) -> u64 {
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

/// Bytes of keys and values when layer `l` holds `lengths[l]` tokens: of numbers of `element_bytes` each, or rounded to `bits`.
pub(crate) fn kv_bytes(config: &LlamaConfig, lengths: &[usize], element_bytes: usize, bits: Option<CacheBits>) -> usize {
    let tokens: usize = lengths.iter().sum();
    let head = bits.map_or(config.head_dim * element_bytes, |bits| bits.bytes_of_head(config.head_dim));
    2 * tokens * config.num_kv_heads * head
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::decoder::{RopeConfig, RopeScaling};
    use crate::nn::Activation;

    /// The decoder of LLaVA-1.5-7B as published.
    pub(crate) fn llama_7b() -> LlamaConfig {
        LlamaConfig {
            vocab_size: 32_064,
            hidden_size: 4096,
            intermediate_size: 11_008,
            num_layers: 32,
            num_heads: 32,
            num_kv_heads: 32,
            head_dim: 128,
            max_position_embeddings: 4096,
            rms_norm_eps: 1e-5,
            rope: RopeConfig { theta: 10_000.0, scaling: RopeScaling::Default, sections: None },
            sliding_window: None,
            attention_bias: false,
            output_bias: false,
            mlp_bias: false,
            act: Activation::Silu,
            bos_token_id: Some(1),
            eos_token_ids: vec![2],
        }
    }

    #[test]
    fn keys_and_values_of_a_7b_model() {
        let text = llama_7b();
        // Known: half a mebibyte per token in f16, so 2048 tokens fill a gibibyte.
        assert_eq!(kv_bytes(&text, &[1; 32], 2, None), 1 << 19);
        // In 4 bits a quarter of that, and step and zero point in f16 for each of 32 heads of 32 layers' keys and values.
        assert_eq!(kv_bytes(&text, &[1; 32], 2, Some(CacheBits::Four)), (1 << 17) + 2 * 32 * 32 * 4);
        assert_eq!(kv_bytes(&text, &[2048; 32], 2, None), 1 << 30);
        // FastV at layer 2 with 288 of 576 visual tokens left, 64 text tokens: 2 full layers, 30 short ones.
        let mut lengths = [352; 32];
        lengths[..2].fill(640);
        assert_eq!(kv_bytes(&text, &lengths, 2, None), (2 * 640 + 30 * 352) * 16_384);
    }

    #[test]
    fn grouped_queries_shrink_the_cache() {
        let mut text = llama_7b();
        text.num_kv_heads = 8;
        assert_eq!(kv_bytes(&text, &[2048; 32], 2, None), 1 << 28);
    }

    #[test]
    fn a_single_token_costs_twice_the_weights() {
        let text = llama_7b();
        // 6 738 415 616 parameters of LLaMA-7B without embedding, head (32 000 rows each) and the norms' 65 x 4096.
        let weights = 6_738_415_616u64 - 2 * 32_000 * 4096 - 65 * 4096;
        let attention = 32 * 2 * 2 * 4096; // one score and one value product per layer
        let head = 2 * 4096 * 32_064;
        assert_eq!(decoder_flops(&text, &[1; 32]), 2 * weights + attention + head);
    }
}
