//! One name per tensor, whichever generation of transformers wrote the file.

/// The canonical name of a tensor called `name` in a file, by a family's rules: prefixes and what they become, the longest match first.
/// Idempotent; names without a known prefix stay as they are.
pub fn canonical_name(rules: &[(&str, &str)], name: &str) -> String {
    let mut name = name.to_owned();
    // A rule may uncover another one's prefix (`model.vision_tower.vision_model.`). Each shortens the name or ends in a canonical
    // prefix that no rule begins with, so this ends.
    while let Some((prefix, canonical)) = rules.iter().find(|(prefix, _)| name.starts_with(prefix)) {
        name.replace_range(..prefix.len(), canonical);
    }
    name
}

/// Buffers that older versions of transformers saved although they are recomputed from the configuration.
pub(crate) fn is_harmless_leftover(canonical: &str) -> bool {
    [".rotary_emb.inv_freq", ".rotary_pos_emb.inv_freq"].iter().any(|buffer| canonical.ends_with(buffer))
        || canonical == "vision_tower.embeddings.position_ids"
}

#[cfg(test)]
mod tests {
    use super::canonical_name;
    use crate::families::{FAMILIES, llava, qwen2_vl};
    use proptest::prelude::*;

    #[test]
    fn names_up_to_transformers_4_51() {
        for (file, canonical) in [
            ("language_model.model.embed_tokens.weight", "language_model.embed_tokens.weight"),
            ("language_model.model.layers.3.self_attn.q_proj.weight", "language_model.layers.3.self_attn.q_proj.weight"),
            ("language_model.model.norm.weight", "language_model.norm.weight"),
            ("language_model.lm_head.weight", "lm_head.weight"),
            ("vision_tower.vision_model.pre_layrnorm.bias", "vision_tower.pre_layrnorm.bias"),
            ("vision_tower.vision_model.embeddings.class_embedding", "vision_tower.embeddings.class_embedding"),
            ("multi_modal_projector.linear_1.weight", "multi_modal_projector.linear_1.weight"),
        ] {
            assert_eq!(canonical_name(llava::FAMILY.names, file), canonical);
        }
    }

    #[test]
    fn names_of_the_later_module_tree() {
        for (file, canonical) in [
            ("model.language_model.embed_tokens.weight", "language_model.embed_tokens.weight"),
            ("model.language_model.layers.0.mlp.up_proj.weight", "language_model.layers.0.mlp.up_proj.weight"),
            ("lm_head.weight", "lm_head.weight"),
            ("model.vision_tower.vision_model.encoder.layers.1.mlp.fc1.bias", "vision_tower.encoder.layers.1.mlp.fc1.bias"),
            ("model.vision_tower.encoder.layers.1.mlp.fc1.bias", "vision_tower.encoder.layers.1.mlp.fc1.bias"),
            ("model.multi_modal_projector.linear_2.bias", "multi_modal_projector.linear_2.bias"),
        ] {
            assert_eq!(canonical_name(llava::FAMILY.names, file), canonical);
        }
    }

    #[test]
    fn names_of_the_qwen2_vl_families() {
        for (file, canonical) in [
            ("visual.blocks.7.attn.qkv.weight", "visual.blocks.7.attn.qkv.weight"),
            ("model.visual.merger.mlp.0.bias", "visual.merger.mlp.0.bias"),
            ("model.embed_tokens.weight", "language_model.embed_tokens.weight"),
            ("model.layers.3.self_attn.q_proj.bias", "language_model.layers.3.self_attn.q_proj.bias"),
            ("model.language_model.layers.3.self_attn.q_proj.bias", "language_model.layers.3.self_attn.q_proj.bias"),
            ("model.norm.weight", "language_model.norm.weight"),
        ] {
            assert_eq!(canonical_name(qwen2_vl::FAMILY.names, file), canonical);
        }
    }

    #[test]
    fn names_of_the_llava_repository() {
        for (file, canonical) in [
            ("model.embed_tokens.weight", "language_model.embed_tokens.weight"),
            ("model.layers.7.mlp.gate_proj.weight", "language_model.layers.7.mlp.gate_proj.weight"),
            ("model.norm.weight", "language_model.norm.weight"),
            ("lm_head.weight", "lm_head.weight"),
            ("model.mm_projector.0.weight", "multi_modal_projector.linear_1.weight"),
            ("model.mm_projector.2.bias", "multi_modal_projector.linear_2.bias"),
            ("model.vision_tower.vision_tower.vision_model.pre_layrnorm.weight", "vision_tower.pre_layrnorm.weight"),
            ("vision_model.encoder.layers.0.layer_norm1.bias", "vision_tower.encoder.layers.0.layer_norm1.bias"),
        ] {
            assert_eq!(canonical_name(llava::FAMILY.names, file), canonical);
        }
    }

    proptest! {
        #[test]
        fn renaming_twice_changes_nothing(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "model", "language_model", "vision_tower", "vision_model", "lm_head", "multi_modal_projector", "mm_projector",
                    "visual", "embed_tokens", "layers", "norm", "0", "weight",
                ]),
                1..7,
            ),
        ) {
            for family in FAMILIES {
                let once = canonical_name(family.names, &parts.join("."));
                prop_assert_eq!(canonical_name(family.names, &once), once);
            }
        }
    }
}
