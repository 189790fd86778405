//! llama.cpp's files: weights in blocks of their own kinds, under names of their own (<https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>;
//! names as in `gguf-py/gguf/tensor_mapping.py` and `tools/mtmd/clip-impl.h` of <https://github.com/ggml-org/llama.cpp>).
//!
//! A model that sees is two of them: the language model, and `mmproj`, which is vision tower and projector. How it is configured, what its tokens
//! are and what it is asked in is the float checkpoint's to say.

mod blocks;

use std::collections::BTreeMap;
use std::ops::Range;

use safetensors::Dtype;

pub(crate) use blocks::BlockKind;

use std::path::Path;
use std::sync::Arc;

use super::bytes::Bytes;
use super::format::{Gguf as Layers, WeightFormat};
use super::source::Source;
use super::{INDEX, SINGLE};
use crate::VlmError;
use crate::decoder::LlamaConfig;

const MAGIC: &[u8; 4] = b"GGUF";
/// What is read of a file at first, and what at most: vocabularies take some megabytes.
const SHORTEST: u64 = 1 << 20;
const LONGEST: u64 = 1 << 28;
const ALIGNMENT: u64 = 32;
/// Most dimensions of a tensor.
const DIMENSIONS: u32 = 4;

/// How a tensor's numbers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    Plain(Dtype),
    Blocks(BlockKind),
}

/// A tensor of the file.
#[derive(Debug)]
pub(crate) struct Tensor {
    pub(crate) stored: Stored,
    /// Outermost first.
    pub(crate) shape: Vec<usize>,
    pub(crate) place: Range<u64>,
}

/// What a header says.
#[derive(Debug)]
pub(crate) struct Gguf {
    /// Text and numbers; lists are passed over.
    metadata: BTreeMap<String, Value>,
    pub(crate) tensors: BTreeMap<String, Tensor>,
}

#[derive(Clone, Debug, PartialEq)]
enum Value {
    Text(String),
    Number(f64),
    List,
}

impl Gguf {
    /// Reads the header of the file that messages call `label`.
    pub(crate) fn read(label: &str, bytes: &Bytes) -> Result<Self, VlmError> {
        let size = bytes.size();
        let mut length = size.min(SHORTEST);
        loop {
            let head = bytes.stretch(0..length).map_err(|source| VlmError::Io { path: label.into(), source })?;
            match Self::parse(&head, size) {
                Ok(header) => return Ok(header),
                // Perhaps it goes on behind what was read.
                Err(_) if length < size.min(LONGEST) => length = (8 * length).min(size).min(LONGEST),
                Err(problem) => return Err(VlmError::Gguf { file: label.to_owned(), problem }),
            }
        }
    }

    fn parse(head: &[u8], size: u64) -> Result<Self, String> {
        let mut reader = Reader { bytes: head, at: 0 };
        if reader.take(4)? != MAGIC {
            return Err("does not begin with GGUF".to_owned());
        }
        let version = reader.number::<4>()?;
        if !(2..=3).contains(&version) {
            return Err(format!("is of version {version}; versions 2 and 3 are read"));
        }
        let (tensors, entries) = (reader.number::<8>()?, reader.number::<8>()?);
        let mut metadata = BTreeMap::new();
        for _ in 0..entries {
            let key = reader.text()?;
            let kind = reader.number::<4>()?;
            metadata.insert(key, reader.value(kind, 0)?);
        }
        let mut found = Vec::new();
        for _ in 0..tensors {
            found.push((reader.text()?, reader.tensor()?));
        }
        let alignment = match metadata.get("general.alignment") {
            Some(&Value::Number(number)) if number >= 1.0 => number as u64,
            _ => ALIGNMENT,
        };
        let start = (reader.at as u64).checked_next_multiple_of(alignment).ok_or("its alignment is larger than any file")?;
        let mut placed = BTreeMap::new();
        for (name, (stored, shape, offset)) in found {
            let count = shape.iter().try_fold(1u64, |count, &size| count.checked_mul(size as u64));
            let length = count.and_then(|count| match stored {
                Stored::Plain(dtype) => count.checked_mul(dtype.bitsize() as u64 / 8),
                Stored::Blocks(kind) => {
                    let whole = shape.last().is_some_and(|&width| width.is_multiple_of(kind.weights()));
                    (count / kind.weights() as u64).checked_mul(kind.bytes() as u64).filter(|_| whole)
                }
            });
            let length = length.ok_or_else(|| format!("tensor `{name}`: {shape:?} are no whole blocks of its type"))?;
            let begin = start.checked_add(offset).filter(|begin| begin.checked_add(length).is_some_and(|end| end <= size));
            let begin = begin.ok_or_else(|| format!("tensor `{name}` ends behind the file, which has {size} bytes: it is truncated"))?;
            placed.insert(name, Tensor { stored, shape, place: begin..begin + length });
        }
        Ok(Self { metadata, tensors: placed })
    }

    /// A text of the metadata.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        match self.metadata.get(key) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// A number of the metadata.
    pub(crate) fn number(&self, key: &str) -> Option<f64> {
        match self.metadata.get(key) {
            Some(Value::Number(number)) => Some(*number),
            _ => None,
        }
    }

    /// Whether this is vision tower and projector.
    pub(crate) fn is_projector(&self) -> bool {
        self.text("general.architecture") == Some("clip")
    }

    /// Each tensor's name in the file, with what a model of transformers calls it; a name that is not known stays.
    pub(crate) fn named(&self) -> Vec<(&str, String)> {
        // The first converters called the MLP's layers by the wrong names: the one that widens is the first, whatever it is called.
        let down = self.tensors.get("v.blk.0.ffn_down.weight").map(|tensor| tensor.shape.as_slice());
        let swapped = matches!(down, Some([out, input]) if out > input);
        self.tensors.keys().map(|name| (name.as_str(), canonical(name, swapped).unwrap_or_else(|| name.clone()))).collect()
    }
}

/// Whether a file of this name is one of llama.cpp's.
pub fn is_gguf(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("gguf"))
}

/// The language model in `file`, and the file beside it that holds vision tower and projector, by their names.
///
/// # Errors
/// When there is none beside it, or are several.
pub(crate) fn open(file: &Path) -> Result<Vec<(String, Bytes)>, VlmError> {
    let io = |source| VlmError::Io { path: file.to_owned(), source };
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut beside = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if is_gguf(&path) && name(&path).to_lowercase().contains("mmproj") && name(&path) != name(file) {
            beside.push(path);
        }
    }
    beside.sort_unstable();
    let label = file.display().to_string();
    let [projector] = &beside[..] else {
        let problem = match &beside[..] {
            [] => format!(
                "holds the language model alone: vision tower and projector are another file, *mmproj*.gguf, and there is none in {}",
                folder.display()
            ),
            several => format!(
                "there are several files with a vision tower in {}: {}; leave one there",
                folder.display(),
                several.iter().map(|path| name(path)).collect::<Vec<_>>().join(", ")
            ),
        };
        return Err(VlmError::Gguf { file: label, problem });
    };
    let opened = |path: &Path| {
        let io = |source| VlmError::Io { path: path.to_owned(), source };
        Ok::<_, VlmError>((name(path), std::fs::File::open(path).and_then(Bytes::of_file).map_err(io)?))
    };
    Ok(vec![opened(file)?, opened(projector)?])
}

/// The files of llama.cpp's that a checkpoint consists of, with how messages call them, the language model first; `None` where its weights are
/// others.
///
/// # Errors
/// When one is missing, or there are too many.
pub(super) fn files(source: &Source) -> Result<Option<Vec<(String, Bytes)>>, VlmError> {
    if source.holds(SINGLE) || source.holds(INDEX) {
        return Ok(None);
    }
    let (mut language, mut projectors) = (Vec::new(), Vec::new());
    for file in source.files()?.into_iter().filter(|file| is_gguf(Path::new(file))) {
        let bytes = source.require(&file, "it was listed in the folder")?;
        let label = source.label_of(&file);
        let into = if Gguf::read(&label, &bytes)?.is_projector() { &mut projectors } else { &mut language };
        into.push((label, bytes));
    }
    match (language.len(), projectors.len()) {
        (0, 0) => Ok(None),
        (1, 1) => Ok(Some([language, projectors].concat())),
        (1, 0) => Err(source.missing("mmproj*.gguf", "the language model is there alone; vision tower and projector are another file")),
        (0, _) => Err(source.missing("*.gguf", "vision tower and projector are there alone, without a language model")),
        (models, towers) => {
            let problem = format!("holds {models} language models and {towers} vision towers in GGUF files; leave one of each there");
            Err(VlmError::Gguf { file: source.label(), problem })
        }
    }
}

/// How layers are stored where a checkpoint's weights are llama.cpp's files, which must be of the same model as its configuration.
///
/// # Errors
/// When they are of another one, or of a family that is not read from them.
pub(crate) fn format_of(source: &Source, decoder: Option<&str>, config: &LlamaConfig) -> Result<Option<Arc<dyn WeightFormat>>, VlmError> {
    let Some(files) = files(source)? else { return Ok(None) };
    let Some((label, bytes)) = files.first() else { return Ok(None) };
    let header = Gguf::read(label, bytes)?;
    let refuse = |problem: String| Err(VlmError::Gguf { file: label.clone(), problem });
    let Some(decoder) = decoder else {
        return refuse("its configuration is of a family that is not read from such files; use safetensors".to_owned());
    };
    let architecture = header.text("general.architecture").unwrap_or_default();
    if architecture != decoder {
        return refuse(format!("general.architecture is `{architecture}`; the configuration says `{decoder}`"));
    }
    if header.number("split.count").is_some_and(|count| count > 1.0) {
        return refuse("is one of several parts; join them with llama-gguf-split --merge".to_owned());
    }
    let expected = [
        ("block_count", config.num_layers as f64),
        ("embedding_length", config.hidden_size as f64),
        ("feed_forward_length", config.intermediate_size as f64),
        ("attention.head_count", config.num_heads as f64),
        ("attention.head_count_kv", config.num_kv_heads as f64),
        ("attention.layer_norm_rms_epsilon", config.rms_norm_eps),
        ("rope.freq_base", config.rope.theta),
    ];
    for (key, expected) in expected {
        // Numbers that are no whole ones are kept in f32.
        if let Some(found) = header.number(&format!("{decoder}.{key}")).filter(|found| (found - expected).abs() > 1e-6 * expected.abs()) {
            return refuse(format!("{decoder}.{key} is {found}; the configuration says {expected}"));
        }
    }
    // The converters of other decoders leave the rows as they are.
    let heads = (decoder == "llama").then_some([config.num_heads, config.num_kv_heads]);
    Ok(Some(Arc::new(Layers { heads })))
}

const WHOLE: [(&str, &str); 11] = [
    ("token_embd.", "language_model.embed_tokens."),
    ("output_norm.", "language_model.norm."),
    ("output.", "lm_head."),
    ("v.class_embd", "vision_tower.embeddings.class_embedding"),
    ("v.patch_embd.", "vision_tower.embeddings.patch_embedding."),
    ("v.position_embd.", "vision_tower.embeddings.position_embedding."),
    ("v.pre_ln.", "vision_tower.pre_layrnorm."),
    ("v.post_ln.", "vision_tower.post_layernorm."),
    ("mm.0.", "multi_modal_projector.linear_1."),
    ("mm.2.", "multi_modal_projector.linear_2."),
    // Of the converters before 2024.
    ("v.class_embedding", "vision_tower.embeddings.class_embedding"),
];
const DECODER: [(&str, &str); 9] = [
    ("attn_norm", "input_layernorm"),
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("ffn_norm", "post_attention_layernorm"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
];
const TOWER: [(&str, &str); 8] = [
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_out", "self_attn.out_proj"),
    ("ln1", "layer_norm1"),
    ("ln2", "layer_norm2"),
    ("ffn_up", "mlp.fc1"),
    ("ffn_down", "mlp.fc2"),
];

fn canonical(name: &str, swapped: bool) -> Option<String> {
    for (prefix, model, parts) in [("blk.", "language_model.layers.", &DECODER[..]), ("v.blk.", "vision_tower.encoder.layers.", &TOWER)] {
        if let Some(rest) = name.strip_prefix(prefix) {
            let (layer, rest) = rest.split_once('.')?;
            let (part, end) = rest.split_once('.')?;
            let part = match part {
                "ffn_up" if swapped && prefix == "v.blk." => "ffn_down",
                "ffn_down" if swapped && prefix == "v.blk." => "ffn_up",
                part => part,
            };
            let (_, of_model) = parts.iter().find(|(known, _)| *known == part)?;
            return Some(format!("{model}{layer}.{of_model}.{end}"));
        }
    }
    WHOLE.iter().find_map(|(prefix, of_model)| Some(format!("{of_model}{}", name.strip_prefix(prefix)?)))
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let end = self.at.checked_add(count);
        let taken = end.and_then(|end| self.bytes.get(self.at..end)).ok_or("its header ends in the middle: the file is truncated")?;
        self.at += count;
        Ok(taken)
    }

    /// An unsigned number of `N` bytes.
    fn number<const N: usize>(&mut self) -> Result<u64, String> {
        Ok(self.take(N)?.iter().rev().fold(0, |number, &byte| (number << 8) | u64::from(byte)))
    }

    fn length(&mut self) -> Result<usize, String> {
        usize::try_from(self.number::<8>()?).map_err(|_| "a length in its header is more than can be addressed".to_owned())
    }

    fn text(&mut self) -> Result<String, String> {
        let length = self.length()?;
        Ok(String::from_utf8_lossy(self.take(length)?).into_owned())
    }

    fn value(&mut self, kind: u64, depth: usize) -> Result<Value, String> {
        let number = |number: f64| Ok(Value::Number(number));
        match kind {
            0 | 7 => number(self.number::<1>()? as f64),
            1 => number(f64::from(self.number::<1>()? as u8 as i8)),
            2 => number(self.number::<2>()? as f64),
            3 => number(f64::from(self.number::<2>()? as u16 as i16)),
            4 => number(self.number::<4>()? as f64),
            5 => number(f64::from(self.number::<4>()? as u32 as i32)),
            6 => number(f32::from_bits(self.number::<4>()? as u32).into()),
            8 => self.text().map(Value::Text),
            9 if depth < 2 => {
                let (kind, count) = (self.number::<4>()?, self.length()?);
                for _ in 0..count {
                    self.value(kind, depth + 1)?;
                }
                Ok(Value::List)
            }
            10 => number(self.number::<8>()? as f64),
            11 => number(self.number::<8>()? as i64 as f64),
            12 => number(f64::from_bits(self.number::<8>()?)),
            other => Err(format!("a value in its header is of kind {other}, which is none")),
        }
    }

    fn tensor(&mut self) -> Result<(Stored, Vec<usize>, u64), String> {
        let dimensions = self.number::<4>()?;
        if dimensions > u64::from(DIMENSIONS) {
            return Err(format!("a tensor of {dimensions} dimensions; there are at most {DIMENSIONS}"));
        }
        let mut shape = (0..dimensions).map(|_| self.length()).collect::<Result<Vec<_>, _>>()?;
        // There, the innermost comes first.
        shape.reverse();
        let kind = self.number::<4>()?;
        let stored = match kind {
            0 => Stored::Plain(Dtype::F32),
            1 => Stored::Plain(Dtype::F16),
            30 => Stored::Plain(Dtype::BF16),
            other => Stored::Blocks(BlockKind::of(other).ok_or_else(|| {
                format!("a tensor is of type {other} ({}); read are F32, F16, BF16, {}", blocks::name_of(other), BlockKind::known())
            })?),
        };
        Ok((stored, shape, self.number::<8>()?))
    }
}
