//! What a linear layer does in its block, by its canonical name: families call the same by different names.

/// Its place between norms, attention and activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Makes queries, keys or values, or all three, of what a norm gives.
    Looks,
    /// Takes what attention gives.
    Attended,
    /// The way into an MLP, from a norm.
    Inner,
    /// The way out of an MLP or a projector.
    Outer,
    /// None of these: a projector's first layer, a head.
    Other,
}

impl Role {
    /// That of the layer called `linear`.
    pub(crate) fn of(linear: &str) -> Self {
        match kind(linear) {
            "q_proj" | "k_proj" | "v_proj" | "qkv" => Self::Looks,
            "o_proj" | "out_proj" | "proj" => Self::Attended,
            "gate_proj" | "up_proj" | "fc1" => Self::Inner,
            // The projector of LLaVA, and the merger of Qwen.
            "down_proj" | "fc2" | "linear_2" | "2" => Self::Outer,
            _ => Self::Other,
        }
    }

    /// Whether such a layer reads what a norm gives.
    pub(crate) fn behind_norm(self) -> bool {
        matches!(self, Self::Looks | Self::Inner)
    }
}

/// The last word of a layer's name.
pub(crate) fn kind(linear: &str) -> &str {
    linear.rsplit('.').next().unwrap_or(linear)
}

/// The block that the layer called `linear` is in, or the projector.
pub(crate) fn block(linear: &str) -> &str {
    let part = linear.rsplit_once('.').map_or("", |(part, _)| part);
    [".self_attn", ".attn", ".mlp"].iter().find_map(|end| part.strip_suffix(end)).unwrap_or(part)
}

#[cfg(test)]
mod tests {
    use super::{Role, block};

    #[test]
    fn layers_of_all_families_are_placed() {
        for (name, of, role) in [
            ("language_model.layers.10.self_attn.o_proj", "language_model.layers.10", Role::Attended),
            ("vision_tower.encoder.layers.2.self_attn.k_proj", "vision_tower.encoder.layers.2", Role::Looks),
            ("vision_tower.encoder.layers.2.mlp.fc2", "vision_tower.encoder.layers.2", Role::Outer),
            ("multi_modal_projector.linear_1", "multi_modal_projector", Role::Other),
            ("visual.blocks.0.attn.proj", "visual.blocks.0", Role::Attended),
            ("visual.blocks.0.mlp.up_proj", "visual.blocks.0", Role::Inner),
            ("visual.merger.mlp.0", "visual.merger", Role::Other),
            ("visual.merger.mlp.2", "visual.merger", Role::Outer),
            ("lm_head", "", Role::Other),
        ] {
            assert_eq!((block(name), Role::of(name)), (of, role), "{name}");
        }
    }
}
