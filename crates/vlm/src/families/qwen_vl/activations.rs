//! What an image takes in memory on its way through a tower of the two families.

use super::config::QwenVisionConfig;
use crate::activations::{Extent, ImageBytes, Sizes, most};

/// It follows the `forward` of the towers and of their attention. Attention within windows takes no more than that over the whole image.
pub(super) fn image_bytes(config: &QwenVisionConfig, image: &Extent, sizes: Sizes) -> ImageBytes {
    let (width, inner, heads) = (config.hidden_size, config.intermediate_size, config.num_heads);
    let patches = image.tokens * config.merged_patches();
    let states = |count: usize| count as u64 * sizes.rows(patches, width);
    let embedding = 2 * sizes.wide(1, image.values) + states(1) + sizes.product(patches, width);
    let block = most([
        states(1) + sizes.norm(patches, width),
        states(2) + sizes.product(patches, 3 * width),
        // Queries, keys and values of one product stay while its parts are rotated one by one.
        states(5) + sizes.rotated(patches, width),
        // They are then laid out head by head, where windows keep them apart.
        states(9) + sizes.attended(heads, [patches, patches], [width, width]),
        states(7) + sizes.product(patches, width),
        // The activation of a plain MLP, or of a gate beside the product that it is multiplied with.
        states(2) + sizes.rows(patches, inner) + sizes.product(patches, inner),
    ]);
    let merger = most([
        states(1) + sizes.norm(patches, width),
        states(2) + sizes.product(patches, width),
        states(2) + sizes.product(image.tokens, config.out_hidden_size),
    ]);
    // Sines and cosines of every patch.
    let rotation = sizes.wide(patches, width / heads);
    ImageBytes { peak: embedding.max(rotation + block).max(merger), kept: states(1) + sizes.rows(image.tokens, config.out_hidden_size) }
}
