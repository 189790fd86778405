//! What a view takes in memory on its way through CLIP's tower.

use super::ClipVisionConfig;
use crate::activations::{Sizes, most};

/// Most bytes that are alive at once while a view passes the tower, when the states of `selected` layers are wanted. It follows
/// [`Clip::forward`](super::Clip::forward).
pub(crate) fn view_bytes(config: &ClipVisionConfig, selected: usize, sizes: Sizes) -> u64 {
    let ClipVisionConfig { hidden_size: width, intermediate_size: inner, num_heads: heads, num_channels, patch_size, .. } = *config;
    let patches = config.patches();
    let tokens = patches + 1;
    let states = |count: usize| count as u64 * sizes.rows(tokens, width);
    let pixels = num_channels * patch_size * patch_size;
    let embedding = sizes.wide(patches, pixels) + sizes.rows(patches, pixels) + sizes.product(patches, width);
    let layer = most([
        states(1) + sizes.norm(tokens, width),
        // Queries and keys are there when the values are computed from the normed states.
        states(4) + sizes.product(tokens, width),
        states(4) + sizes.attended(heads, [tokens, tokens], [width, width]),
        // Queries and keys of the layer stay for whoever looks at them.
        states(5) + sizes.product(tokens, width),
        states(4) + sizes.rows(tokens, inner) + sizes.product(tokens, inner),
        states(3) + sizes.norm(tokens, width),
    ]);
    states(selected) + embedding.max(layer).max(states(2 + selected))
}
