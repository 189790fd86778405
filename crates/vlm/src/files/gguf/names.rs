//! What llama.cpp calls a model's tensors, beside what transformers does: one table for each kind of language model, tower and projector, read in
//! either direction.

/// The tensors of one file: those that there are once, and those of its layers.
#[derive(Debug)]
pub(crate) struct Names {
    whole: &'static [Row],
    /// What stands before a layer's number, there and here.
    layers: (&'static str, &'static str),
    parts: &'static [Row],
}

/// A tensor's name there, and here; behind both may stand `.weight` or `.bias`.
type Row = (Pieces, &'static str);

/// What a tensor is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pieces {
    One(&'static str),
    /// Three, whose rows follow each other.
    Rows([&'static str; 3]),
    /// Two, whose squares of the last two dimensions take turns.
    Frames([&'static str; 2]),
}

/// How the pieces of a tensor are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Join {
    /// There is one.
    Alone,
    /// Their rows follow each other: `[n·rows, ..]`.
    Rows,
    /// Their squares of the last two dimensions take turns: `[.., n, height, width]`.
    Frames,
}

/// A tensor of the model that a tensor of the file is, or is a piece of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) canonical: String,
    pub(crate) join: Join,
    /// Which piece it is of how many.
    pub(crate) piece: (usize, usize),
}

impl Pieces {
    fn list(&self) -> &[&'static str] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Rows(names) => names,
            Self::Frames(names) => names,
        }
    }

    fn join(&self) -> Join {
        match self {
            Self::One(_) => Join::Alone,
            Self::Rows(_) => Join::Rows,
            Self::Frames(_) => Join::Frames,
        }
    }
}

/// What stands behind `known` in `name`, if that begins so.
fn end<'a>(name: &'a str, known: &str) -> Option<&'a str> {
    name.strip_prefix(known).filter(|end| ["", ".weight", ".bias"].contains(end))
}

impl Names {
    /// What a tensor of the file is in the model; `None` where its name is not known.
    pub(crate) fn of_file(&self, name: &str) -> Option<Part> {
        let (rows, before, name) = match name.strip_prefix(self.layers.0) {
            Some(rest) => {
                let (layer, part) = rest.split_once('.')?;
                (self.parts, format!("{}{layer}.", self.layers.1), part)
            }
            None => (self.whole, String::new(), name),
        };
        rows.iter().find_map(|(there, here)| {
            let of = |(at, known): (usize, &&str)| Some((at, end(name, known)?));
            let (at, end) = there.list().iter().enumerate().find_map(of)?;
            Some(Part { canonical: format!("{before}{here}{end}"), join: there.join(), piece: (at, there.list().len()) })
        })
    }

    /// What a tensor of the model is in the file, piece by piece; `None` where files of this kind have no such tensor.
    pub(crate) fn of_model(&self, canonical: &str) -> Option<(Vec<String>, Join)> {
        let (rows, before, name) = match canonical.strip_prefix(self.layers.1) {
            Some(rest) => {
                let (layer, part) = rest.split_once('.')?;
                (self.parts, format!("{}{layer}.", self.layers.0), part)
            }
            None => (self.whole, String::new(), canonical),
        };
        rows.iter().find_map(|(there, here)| {
            let end = end(name, here)?;
            Some((there.list().iter().map(|known| format!("{before}{known}{end}")).collect(), there.join()))
        })
    }
}

use Pieces::{Frames, One, Rows};

/// A language model, Llama's or Qwen2's.
pub(crate) const DECODER: Names = Names {
    whole: &[(One("token_embd"), "language_model.embed_tokens"), (One("output_norm"), "language_model.norm"), (One("output"), "lm_head")],
    layers: ("blk.", "language_model.layers."),
    parts: &[
        (One("attn_norm"), "input_layernorm"),
        (One("attn_q"), "self_attn.q_proj"),
        (One("attn_k"), "self_attn.k_proj"),
        (One("attn_v"), "self_attn.v_proj"),
        (One("attn_output"), "self_attn.o_proj"),
        (One("ffn_norm"), "post_attention_layernorm"),
        (One("ffn_gate"), "mlp.gate_proj"),
        (One("ffn_up"), "mlp.up_proj"),
        (One("ffn_down"), "mlp.down_proj"),
    ],
};

/// CLIP and LLaVA's projector.
pub(crate) const CLIP: Names = Names {
    whole: &[
        (One("v.class_embd"), "vision_tower.embeddings.class_embedding"),
        (One("v.patch_embd"), "vision_tower.embeddings.patch_embedding"),
        (One("v.position_embd"), "vision_tower.embeddings.position_embedding"),
        (One("v.pre_ln"), "vision_tower.pre_layrnorm"),
        (One("v.post_ln"), "vision_tower.post_layernorm"),
        (One("mm.0"), "multi_modal_projector.linear_1"),
        (One("mm.2"), "multi_modal_projector.linear_2"),
        // Of the converters before 2024.
        (One("v.class_embedding"), "vision_tower.embeddings.class_embedding"),
    ],
    layers: ("v.blk.", "vision_tower.encoder.layers."),
    parts: &[
        (One("attn_q"), "self_attn.q_proj"),
        (One("attn_k"), "self_attn.k_proj"),
        (One("attn_v"), "self_attn.v_proj"),
        (One("attn_out"), "self_attn.out_proj"),
        (One("ln1"), "layer_norm1"),
        (One("ln2"), "layer_norm2"),
        (One("ffn_up"), "mlp.fc1"),
        (One("ffn_down"), "mlp.fc2"),
    ],
};

const QWEN: &[Row] = &[
    (Frames(["v.patch_embd.weight", "v.patch_embd.weight.1"]), "visual.patch_embed.proj.weight"),
    (One("v.post_ln"), "visual.merger.ln_q"),
    (One("mm.0"), "visual.merger.mlp.0"),
    (One("mm.2"), "visual.merger.mlp.2"),
];
const QKV: Row = (Rows(["attn_q", "attn_k", "attn_v"]), "attn.qkv");

/// Tower and merger of Qwen2-VL.
pub(crate) const QWEN2_VL: Names = Names {
    whole: QWEN,
    layers: ("v.blk.", "visual.blocks."),
    parts: &[
        QKV,
        (One("attn_out"), "attn.proj"),
        (One("ln1"), "norm1"),
        (One("ln2"), "norm2"),
        (One("ffn_up"), "mlp.fc1"),
        (One("ffn_down"), "mlp.fc2"),
    ],
};

/// Tower and merger of Qwen2.5-VL.
pub(crate) const QWEN2_5_VL: Names = Names {
    whole: QWEN,
    layers: ("v.blk.", "visual.blocks."),
    parts: &[
        QKV,
        (One("attn_out"), "attn.proj"),
        (One("ln1"), "norm1"),
        (One("ln2"), "norm2"),
        (One("ffn_gate"), "mlp.gate_proj"),
        (One("ffn_up"), "mlp.up_proj"),
        (One("ffn_down"), "mlp.down_proj"),
    ],
};

/// The names in a file with such a `clip.projector_type`; those of CLIP where it names none, or one that is not known, which the
/// configuration then refuses.
pub(crate) fn of_projector(kind: Option<&str>) -> &'static Names {
    match kind {
        Some("qwen2vl_merger") => &QWEN2_VL,
        Some("qwen2.5vl_merger") => &QWEN2_5_VL,
        _ => &CLIP,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_a_tensor_are_told_apart() {
        let part = |name: &str| QWEN2_5_VL.of_file(name).map(|part| (part.canonical, part.join, part.piece));
        let qkv = |end: &str, at| Some((format!("visual.blocks.12.attn.qkv.{end}"), Join::Rows, (at, 3)));
        assert_eq!(part("v.blk.12.attn_q.weight"), qkv("weight", 0));
        assert_eq!(part("v.blk.12.attn_v.bias"), qkv("bias", 2));
        let frame = |at| Some(("visual.patch_embed.proj.weight".to_owned(), Join::Frames, (at, 2)));
        assert_eq!((part("v.patch_embd.weight"), part("v.patch_embd.weight.1")), (frame(0), frame(1)));
        assert_eq!(part("v.blk.0.ffn_gate.weight").unwrap().0, "visual.blocks.0.mlp.gate_proj.weight");
        assert_eq!((part("v.blk.0.attn_qkv.weight"), part("v.blk.x"), part("mm.1.weight")), (None, None, None));
    }

    /// What a tensor is there is that tensor here.
    #[test]
    fn both_directions_agree() {
        let mut seen = 0;
        for names in [&DECODER, &CLIP, &QWEN2_VL, &QWEN2_5_VL] {
            let whole = names.whole.iter().map(|(_, here)| (*here).to_owned());
            let parts = names.parts.iter().map(|(_, here)| format!("{}7.{here}", names.layers.1));
            for here in whole.chain(parts) {
                for end in ["", ".weight", ".bias"].iter().filter(|end| here.ends_with(".weight") == end.is_empty()) {
                    let canonical = format!("{here}{end}");
                    let (pieces, join) = names.of_model(&canonical).unwrap();
                    for (at, name) in pieces.iter().enumerate() {
                        assert_eq!(names.of_file(name), Some(Part { canonical: canonical.clone(), join, piece: (at, pieces.len()) }));
                    }
                    seen += 1;
                }
            }
        }
        // 49 rows, each with a weight and a bias, but for the two patch embeddings.
        assert_eq!(seen, 2 * 49 - 2);
    }
}
