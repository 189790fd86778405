//! What a prompt takes in memory on its way through the decoder, keys and values aside.

use steady_kernels::KeyValues;

use super::{LlamaConfig, PIECE};
use crate::activations::{Sizes, most};

/// Bytes of lists, and of what is packed of small matrices on their way into a product: they count where a model is tiny.
const SMALL: u64 = 32 << 10;

/// Most bytes that are alive at once while a prompt of `tokens` tokens passes the decoder and its answer is decoded. It follows
/// [`Llama::run`](super::Llama::run), which takes long prompts in pieces.
pub(crate) fn prompt_bytes(config: &LlamaConfig, tokens: usize, sizes: Sizes) -> u64 {
    let (width, inner, heads) = (config.hidden_size, config.intermediate_size, config.num_heads);
    let (queries, keys) = (heads * config.head_dim, config.num_kv_heads * config.head_dim);
    let piece = PIECE.min(tokens);
    // The states that entered, and those that have left piece by piece.
    let states = 2 * sizes.rows(tokens, width);
    // Sines and cosines.
    let around = sizes.wide(piece, config.head_dim);
    let hidden = sizes.rows(piece, width);
    let layer = most([
        hidden + sizes.norm(piece, width),
        // Queries are rotated while keys and values are appended to what is held.
        2 * hidden + sizes.rows(piece, 2 * keys) + sizes.product(piece, queries) + sizes.rotated(piece, queries),
        hidden + sizes.rows(piece, queries) + sizes.attended(heads, [piece, tokens], [queries, keys]),
        hidden + 2 * sizes.rows(piece, queries) + sizes.product(piece, width),
        // The gate and its activation, then the gate and the product that it is multiplied with.
        2 * hidden + sizes.rows(piece, inner) + sizes.product(piece, inner),
        2 * hidden + sizes.rows(piece, inner) + sizes.product(piece, width),
    ]);
    // A layer's keys and values are copied into larger buffers when they have no room left, of which there is more than is needed.
    let growing = sizes.rows(tokens, 2 * keys) + config.num_layers as u64 * sizes.rows(KeyValues::STEP, 2 * keys);
    // Logits on the device, on the host as they were, with penalties, and those of the token that follows.
    let logits = sizes.product(1, config.vocab_size) + 4 * sizes.wide(1, config.vocab_size);
    states + growing + (around + layer).max(logits) + SMALL
}
