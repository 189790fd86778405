//! llama.cpp's files: the language model in one, tower and projector in another. See [`files/gguf`](super::super::gguf).
//!
//! Packed layers are blocks of Q4_0 and Q8_0. What is not packed stays in the type that the base has it in where llama.cpp computes in that: matrices. Vectors,
//! position embeddings and convolutions in bf16 become f32, which loses nothing.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

use safetensors::{Dtype, View};
use steady_kernels::Codes;

use super::{Piece, Tensor};
use crate::VlmError;
use crate::decoder::{LlamaConfig, RopeScaling};
use crate::files::format::Gguf as Layers;
use crate::files::gguf::{self, BlockKind, DECODER, GgufFacts, GgufValue, Join, Names, Outline, Stored, of_projector};
use crate::files::names::is_harmless_leftover;
use crate::files::weights::as_f32;

const MODEL: &str = "model.gguf";
const MMPROJ: &str = "mmproj.gguf";

/// What files hold beside tensors.
#[derive(Debug)]
pub(crate) struct Description<'a> {
    /// The model's name.
    pub(crate) name: &'a str,
    pub(crate) facts: GgufFacts,
    pub(crate) decoder: &'a LlamaConfig,
    /// What is said of the tokenizer.
    pub(crate) vocabulary: Vec<(String, GgufValue)>,
    /// Mean and standard deviation of pixels, for each channel.
    pub(crate) pixels: ([f32; 3], [f32; 3]),
}

pub(super) fn pieces(codes: &Codes) -> Result<Vec<(&'static str, Piece)>, String> {
    let Codes::Grouped(codes) = codes else {
        return Err("has a scale for every 32 weights, and these have one for each output".to_owned());
    };
    let (kind, bytes) = BlockKind::blocks_of(codes)?;
    Ok(vec![("weight", Piece { stored: Stored::Blocks(kind), shape: vec![codes.out, codes.input], bytes })])
}

/// Why llama.cpp would make another model of what such a decoder is written as, if it would.
pub(crate) fn unlike(decoder: &LlamaConfig, facts: &GgufFacts) -> Option<String> {
    let of_decoder = if matches!(decoder.rope.scaling, RopeScaling::Llama3 { .. }) {
        Some("its rotary frequencies are scaled as Llama 3.1's")
    } else if decoder.sliding_window.is_some() {
        Some("its attention has a sliding window")
    } else if facts.decoder == "llama" && (decoder.attention_bias || decoder.output_bias || decoder.mlp_bias) {
        Some("its decoder has biases")
    } else {
        None
    };
    of_decoder.map(|what| format!("{what}, which is not written")).or_else(|| facts.unlike.clone())
}

/// Writes both files into `folder`.
pub(super) fn write(tensors: &BTreeMap<String, Tensor<'_>>, described: &Description<'_>, folder: &Path) -> Result<(), VlmError> {
    let facts = &described.facts;
    let heads = (facts.decoder == "llama").then_some([described.decoder.num_heads, described.decoder.num_kv_heads]);
    let tower = of_projector(Some(facts.projector));
    let (mut language, mut seeing) = (Half::default(), Half::default());
    let left_out = |name: &str| is_harmless_leftover(name) || facts.left_out.iter().any(|prefix| name.starts_with(prefix.as_str()));
    for (canonical, tensor) in tensors.iter().filter(|(name, _)| !left_out(name)) {
        let refused = |problem: String| VlmError::Invalid { what: canonical.clone(), problem };
        let is_of = |names: &Names| names.of_model(canonical);
        let (half, (names, join)) = match (is_of(&DECODER), is_of(tower)) {
            (Some(names), _) => (&mut language, names),
            (None, Some(names)) => (&mut seeing, names),
            (None, None) => return Err(refused("llama.cpp's files have no place for it".to_owned())),
        };
        half.add(Whole { canonical, tensor, join }, names).map_err(refused)?;
    }
    let metadata = described.language_model(&language.outlines);
    language.write(&folder.join(MODEL), &metadata, heads)?;
    seeing.write(&folder.join(MMPROJ), &described.tower(&seeing.outlines), heads)
}

/// What goes into one of the files.
#[derive(Default)]
struct Half<'a> {
    wholes: Vec<Whole<'a>>,
    /// Of each whole its pieces, in order.
    outlines: Vec<Outline>,
}

/// A tensor of the model.
struct Whole<'a> {
    canonical: &'a str,
    tensor: &'a Tensor<'a>,
    join: Join,
}

impl<'a> Half<'a> {
    fn add(&mut self, whole: Whole<'a>, names: Vec<String>) -> Result<(), String> {
        let (tensor, count) = (&whole.tensor, names.len());
        let mut shape = tensor.shape().to_vec();
        match whole.join {
            Join::Alone => {}
            Join::Rows => match shape.first_mut() {
                Some(rows) if rows.is_multiple_of(count) => *rows /= count,
                _ => return Err(format!("{shape:?} is not {count} times as many rows")),
            },
            Join::Frames => {
                if shape.len() < 3 || shape[shape.len() - 3] != count {
                    return Err(format!("{shape:?}: expected {count} frames in the last dimension but two, as llama.cpp has them"));
                }
                shape.remove(shape.len() - 3);
            }
        }
        for name in names {
            let stored = kept(&name, tensor.stored(), &shape)?;
            self.outlines.push(Outline { name, stored, shape: shape.clone() });
        }
        self.wholes.push(whole);
        Ok(())
    }

    fn write(&self, path: &Path, metadata: &[(String, GgufValue)], heads: Option<[usize; 2]>) -> Result<(), VlmError> {
        let (mut wholes, mut pieces) = (self.wholes.iter(), VecDeque::new());
        gguf::write(path, metadata, &self.outlines, |at| {
            if pieces.is_empty()
                && let Some(whole) = wholes.next()
            {
                pieces.extend(whole.pieces(&self.outlines[at], heads));
            }
            Ok(pieces.pop_front().unwrap_or_default())
        })
    }
}

/// The type that a tensor is written in.
fn kept(name: &str, stored: Stored, shape: &[usize]) -> Result<Stored, String> {
    let float = Stored::Plain(Dtype::F32);
    let Stored::Plain(dtype) = stored else { return Ok(stored) };
    if ![Dtype::F32, Dtype::F16, Dtype::BF16].contains(&dtype) {
        return Err(format!("is {dtype:?}; written are F32, F16 and BF16"));
    }
    Ok(match shape.len() {
        0 | 1 => float,
        2 if name.contains("position_embd") => float,
        2 => stored,
        _ if dtype == Dtype::F16 => stored,
        _ => float,
    })
}

impl Whole<'_> {
    /// The bytes of each piece, which are like `first`.
    fn pieces(&self, first: &Outline, heads: Option<[usize; 2]>) -> Vec<Vec<u8>> {
        let mut bytes = self.tensor.data().into_owned();
        if let (Stored::Plain(dtype), Stored::Plain(Dtype::F32)) = (self.tensor.stored(), first.stored)
            && let Some(values) = as_f32(&bytes, dtype)
        {
            bytes = values.into_iter().flat_map(f32::to_le_bytes).collect();
        }
        let outs = first.shape.first().copied().unwrap_or_default();
        let part = self.canonical.strip_suffix(".weight").unwrap_or(self.canonical);
        if let Some(rows) = (Layers { heads }).rows(part, outs) {
            let (width, in_order) = (bytes.len() / outs.max(1), bytes.clone());
            for out in 0..outs {
                bytes[rows(out) * width..][..width].copy_from_slice(&in_order[out * width..][..width]);
            }
        }
        let size = first.size().max(1);
        match self.join {
            Join::Alone => vec![bytes],
            Join::Rows => bytes.chunks(size).map(<[u8]>::to_vec).collect(),
            Join::Frames => {
                let count = bytes.len() / size;
                let run = size / first.shape[..first.shape.len() - 2].iter().product::<usize>().max(1);
                let frame = |at: usize| bytes.chunks(run).skip(at).step_by(count).flatten().copied().collect();
                (0..count).map(frame).collect()
            }
        }
    }
}

impl Description<'_> {
    /// What stands in front of the language model's tensors.
    fn language_model(&self, tensors: &[Outline]) -> Vec<(String, GgufValue)> {
        let (decoder, facts) = (self.decoder, &self.facts);
        let mut metadata = self.general(facts.decoder, "model", tensors);
        let mut say = |key: &str, value: GgufValue| metadata.push((format!("{}.{key}", facts.decoder), value));
        for (key, count) in [
            ("block_count", decoder.num_layers),
            ("context_length", decoder.max_position_embeddings),
            ("embedding_length", decoder.hidden_size),
            ("feed_forward_length", decoder.intermediate_size),
            ("attention.head_count", decoder.num_heads),
            ("attention.head_count_kv", decoder.num_kv_heads),
            ("attention.key_length", decoder.head_dim),
            ("attention.value_length", decoder.head_dim),
            ("rope.dimension_count", decoder.head_dim),
            ("vocab_size", decoder.vocab_size),
        ] {
            say(key, GgufValue::Count(count));
        }
        say("attention.layer_norm_rms_epsilon", GgufValue::Real(decoder.rms_norm_eps));
        say("rope.freq_base", GgufValue::Real(decoder.rope.theta));
        if let Some(sections) = decoder.rope.sections {
            // Time, rows and columns; what llama.cpp has for a fourth is nothing here.
            let sections = sections.into_iter().chain([0]).map(|section| section as i32);
            say("rope.dimension_sections", GgufValue::Wholes(sections.collect()));
        }
        if let RopeScaling::Linear { factor } = decoder.rope.scaling {
            say("rope.scaling.type", GgufValue::Text("linear".to_owned()));
            say("rope.scaling.factor", GgufValue::Real(factor));
        }
        metadata.extend(self.vocabulary.iter().cloned());
        metadata
    }

    /// What stands in front of the tensors of tower and projector.
    fn tower(&self, tensors: &[Outline]) -> Vec<(String, GgufValue)> {
        let facts = &self.facts;
        let mut metadata = self.general("clip", "mmproj", tensors);
        metadata.push(("clip.has_vision_encoder".to_owned(), GgufValue::Flag(true)));
        metadata.push(("clip.projector_type".to_owned(), GgufValue::Text(facts.projector.to_owned())));
        metadata.extend(facts.tower.iter().map(|(key, value)| (format!("clip.vision.{key}"), value.clone())));
        metadata.extend(facts.notes.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        let (mean, std) = self.pixels;
        metadata.push(("clip.vision.image_mean".to_owned(), GgufValue::Reals(mean.to_vec())));
        metadata.push(("clip.vision.image_std".to_owned(), GgufValue::Reals(std.to_vec())));
        metadata
    }

    fn general(&self, architecture: &str, kind: &str, tensors: &[Outline]) -> Vec<(String, GgufValue)> {
        let holds = |kind: BlockKind| tensors.iter().any(|tensor| tensor.stored == Stored::Blocks(kind));
        // ggml's numbers of what a file mostly is; 1 stands for f16.
        let file_type = if holds(BlockKind::Q4_0) {
            2
        } else if holds(BlockKind::Q8_0) {
            7
        } else {
            1
        };
        [
            ("general.architecture", GgufValue::Text(architecture.to_owned())),
            ("general.type", GgufValue::Text(kind.to_owned())),
            ("general.name", GgufValue::Text(self.name.to_owned())),
            ("general.file_type", GgufValue::Count(file_type)),
            ("general.quantization_version", GgufValue::Count(2)),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .to_vec()
    }
}
