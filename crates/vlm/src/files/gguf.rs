//! llama.cpp's files: weights in blocks of their own kinds, under names of their own (<https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>;
//! names as in `gguf-py/gguf/tensor_mapping.py` and `tools/mtmd/clip-impl.h` of <https://github.com/ggml-org/llama.cpp>).
//!
//! A model that sees is two of them: the language model, and `mmproj`, which is vision tower and projector. How it is configured, what its tokens
//! are and what it is asked in is the float checkpoint's to say.

mod blocks;
mod names;
mod written;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use safetensors::Dtype;

pub(crate) use blocks::BlockKind;
pub(crate) use names::{DECODER, Join, Names, of_projector};
pub use written::GgufValue;
pub(crate) use written::{Outline, write};

use super::bytes::{Bytes, Place};
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

/// A tensor of the model in the file: one of the file's, or several that are one here.
#[derive(Debug)]
pub(crate) struct Named {
    /// What a model of transformers calls it; a name that is not known stays.
    pub(crate) canonical: String,
    /// What the file calls it, or the first of its pieces.
    pub(crate) name: String,
    pub(crate) stored: Stored,
    pub(crate) shape: Vec<usize>,
    pub(crate) place: Place,
}

/// What a header says.
#[derive(Debug)]
pub(crate) struct Gguf {
    /// Text, numbers and short lists of numbers; other lists are passed over.
    metadata: BTreeMap<String, Value>,
    pub(crate) tensors: BTreeMap<String, Tensor>,
}

#[derive(Clone, Debug, PartialEq)]
enum Value {
    Text(String),
    Number(f64),
    Numbers(Vec<f64>),
    List,
}

/// Longest list of numbers that is looked at.
const SHORT: usize = 64;

/// What llama.cpp's files say of a family's models, beside the language model.
#[derive(Clone, Debug, PartialEq)]
pub struct GgufFacts {
    /// `general.architecture` of the language model. Of `llama` the rows of queries and keys are taken to lie in that program's order.
    pub decoder: &'static str,
    /// `clip.projector_type`.
    pub projector: &'static str,
    /// Numbers of the tower, by what follows `clip.vision.`: where a file has them they must be these.
    pub tower: Vec<(&'static str, GgufValue)>,
    /// What else is written of the tower, by its whole key. Converters differ in it, so nobody compares it.
    pub notes: Vec<(&'static str, GgufValue)>,
    /// Tensors that are not written, by what their canonical names begin with: no answer depends on them, and llama.cpp would compute them.
    pub left_out: Vec<String>,
    /// Why llama.cpp would make something else of such a model, if it would: then it is not written.
    pub unlike: Option<String>,
    /// What of it llama.cpp computes otherwise although it is written.
    pub beware: Option<String>,
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

    /// A short list of numbers of the metadata.
    fn numbers(&self, key: &str) -> Option<&[f64]> {
        match self.metadata.get(key) {
            Some(Value::Numbers(numbers)) => Some(numbers),
            _ => None,
        }
    }

    /// What kind of projector it is, if it says so.
    fn projector(&self) -> Option<&str> {
        self.text("clip.projector_type").or_else(|| self.text("clip.vision.projector_type"))
    }

    /// The model's tensors, of which some are several of the file's.
    pub(crate) fn named(self) -> Result<Vec<Named>, String> {
        let names = if self.is_projector() { of_projector(self.projector()) } else { &DECODER };
        // The first converters called the MLP's layers by the wrong names: the one that widens is the first, whatever it is called.
        let down = self.tensors.get("v.blk.0.ffn_down.weight").map(|tensor| tensor.shape.as_slice());
        let swapped = matches!(down, Some([out, input]) if out > input);
        let (mut named, mut joined): (Vec<Named>, BTreeMap<String, Pieces>) = (Vec::new(), BTreeMap::new());
        for (name, tensor) in self.tensors {
            let meant = if swapped { other_of_mlp(&name) } else { None };
            match names.of_file(meant.as_deref().unwrap_or(&name)) {
                Some(part) if part.join != Join::Alone => {
                    let (at, count) = part.piece;
                    let pieces = joined.entry(part.canonical).or_insert_with(|| Pieces { join: part.join, list: Vec::new(), count });
                    pieces.list.push((at, name, tensor));
                }
                part => named.push(tensor.alone(part.map_or_else(|| name.clone(), |part| part.canonical), name)),
            }
        }
        for (canonical, pieces) in joined {
            named.push(pieces.joined(canonical)?);
        }
        Ok(named)
    }
}

/// The layer of a tower's MLP that is not this one, under its name.
fn other_of_mlp(name: &str) -> Option<String> {
    let (layer, part) = name.strip_prefix("v.blk.")?.split_once('.')?;
    let other = part.strip_prefix("ffn_up.").map(|end| format!("ffn_down.{end}"));
    let other = other.or_else(|| part.strip_prefix("ffn_down.").map(|end| format!("ffn_up.{end}")))?;
    Some(format!("v.blk.{layer}.{other}"))
}

impl Tensor {
    fn alone(self, canonical: String, name: String) -> Named {
        Named { canonical, name, stored: self.stored, shape: self.shape, place: Place::one(self.place) }
    }
}

/// Tensors of the file that are one of the model's.
struct Pieces {
    join: Join,
    /// Which of them each is, its name and the tensor.
    list: Vec<(usize, String, Tensor)>,
    count: usize,
}

impl Pieces {
    fn joined(mut self, canonical: String) -> Result<Named, String> {
        self.list.sort_by_key(|(at, ..)| *at);
        let Some((_, first, like)) = self.list.first() else { return Err(format!("`{canonical}`: nothing is there of it")) };
        if let Some((_, other, tensor)) = self.list.iter().find(|(_, _, tensor)| tensor.stored != like.stored || tensor.shape != like.shape)
        {
            return Err(format!(
                "`{first}` is {} {:?}, and `{other}` {} {:?}: both are parts of `{canonical}`, which is read of parts that are alike",
                like.stored, like.shape, tensor.stored, tensor.shape
            ));
        }
        if self.list.len() != self.count {
            return Err(format!(
                "`{canonical}` is {} tensors there, and {} of them are missing beside `{first}`",
                self.count,
                self.count - self.list.len()
            ));
        }
        let (mut shape, whole) = (like.shape.clone(), like.place.end - like.place.start);
        let run = match (self.join, like.stored, &like.shape[..]) {
            (Join::Frames, Stored::Plain(dtype), [.., height, width]) => {
                let run = (height * width * dtype.bitsize() / 8) as u64;
                shape.insert(shape.len() - 2, self.count);
                run
            }
            (Join::Frames, ..) => {
                return Err(format!(
                    "`{first}` is {} {:?}; such a tensor is read in floats, of at least two dimensions",
                    like.stored, like.shape
                ));
            }
            _ => {
                let rows = shape.first_mut().ok_or_else(|| format!("`{first}` has no dimensions"))?;
                *rows = rows.saturating_mul(self.count);
                whole
            }
        };
        let (stored, name) = (like.stored, first.clone());
        let stretches = self.list.into_iter().map(|(_, _, tensor)| tensor.place).collect();
        Ok(Named { canonical, name, stored, shape, place: Place::in_turns(stretches, run) })
    }
}

/// Number in a file, of which floats.
const FLOATS: [(u64, Dtype); 3] = [(0, Dtype::F32), (1, Dtype::F16), (30, Dtype::BF16)];

impl Stored {
    /// By its number in a file.
    fn of(number: u64) -> Option<Self> {
        let plain = FLOATS.iter().find(|(of_type, _)| *of_type == number).map(|(_, dtype)| Self::Plain(*dtype));
        plain.or_else(|| BlockKind::of(number).map(Self::Blocks))
    }

    /// Its number in a file; floats of other types than those three are in none.
    fn number(self) -> u64 {
        match self {
            Self::Plain(dtype) => FLOATS.iter().find(|(_, known)| *known == dtype).map_or(0, |(number, _)| *number),
            Self::Blocks(kind) => kind.number(),
        }
    }
}

impl fmt::Display for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(dtype) => write!(f, "{dtype:?}"),
            Self::Blocks(kind) => f.write_str(kind.name()),
        }
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
pub(crate) fn format_of(
    source: &Source,
    facts: impl FnOnce() -> Option<Result<GgufFacts, VlmError>>,
    config: &LlamaConfig,
) -> Result<Option<Arc<dyn WeightFormat>>, VlmError> {
    let Some(files) = files(source)? else { return Ok(None) };
    let [(label, language), (tower_label, tower)] = &files[..] else { return Ok(None) };
    let refuse = |problem: String| VlmError::Gguf { file: label.clone(), problem };
    let facts = facts()
        .ok_or_else(|| refuse("its configuration is of a family that is not read from such files; use safetensors".to_owned()))??;
    check_language(&Gguf::read(label, language)?, &facts, config).map_err(refuse)?;
    let refuse = |problem: String| VlmError::Gguf { file: tower_label.clone(), problem };
    check_tower(&Gguf::read(tower_label, tower)?, &facts).map_err(refuse)?;
    // The converters of other decoders leave the rows as they are.
    let heads = (facts.decoder == "llama").then_some([config.num_heads, config.num_kv_heads]);
    Ok(Some(Arc::new(Layers { heads })))
}

/// Numbers that are no whole ones are kept in f32.
fn differ(found: f64, expected: f64) -> bool {
    (found - expected).abs() > 1e-6 * expected.abs()
}

fn check_language(header: &Gguf, facts: &GgufFacts, config: &LlamaConfig) -> Result<(), String> {
    let decoder = facts.decoder;
    let architecture = header.text("general.architecture").unwrap_or_default();
    if architecture != decoder {
        return Err(format!("general.architecture is `{architecture}`; the configuration says `{decoder}`"));
    }
    if header.number("split.count").is_some_and(|count| count > 1.0) {
        return Err("is one of several parts; join them with llama-gguf-split --merge".to_owned());
    }
    if decoder == "llama" && config.attention_bias {
        return Err("queries and keys have biases by the configuration, which are not read from such files; use safetensors".to_owned());
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
        if let Some(found) = header.number(&format!("{decoder}.{key}")).filter(|found| differ(*found, expected)) {
            return Err(format!("{decoder}.{key} is {found}; the configuration says {expected}"));
        }
    }
    if let (Some(found), Some(sections)) = (header.numbers(&format!("{decoder}.rope.dimension_sections")), config.rope.sections) {
        let expected = sections.map(|section| section as f64);
        if found.get(..3) != Some(&expected[..]) {
            return Err(format!("{decoder}.rope.dimension_sections is {found:?}; the configuration says {sections:?}"));
        }
    }
    Ok(())
}

fn check_tower(header: &Gguf, facts: &GgufFacts) -> Result<(), String> {
    // LLaVA's first converters named no kind.
    let projector = header.projector().unwrap_or("mlp");
    if projector != facts.projector {
        return Err(format!("clip.projector_type is `{projector}`; the configuration's is `{}`", facts.projector));
    }
    for (key, expected) in &facts.tower {
        let Some(expected) = expected.number() else { continue };
        if let Some(found) = header.number(&format!("clip.vision.{key}")).filter(|found| differ(*found, expected)) {
            return Err(format!("clip.vision.{key} is {found}; the configuration says {expected}"));
        }
    }
    Ok(())
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
                let mut numbers = Vec::new();
                for _ in 0..count {
                    match self.value(kind, depth + 1)? {
                        Value::Number(number) if count <= SHORT => numbers.push(number),
                        _ => {}
                    }
                }
                Ok(if numbers.len() == count { Value::Numbers(numbers) } else { Value::List })
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
        let stored = Stored::of(kind).ok_or_else(|| {
            format!("a tensor is of type {kind} ({}); read are F32, F16, BF16, {}", blocks::name_of(kind), BlockKind::known())
        })?;
        Ok((stored, shape, self.number::<8>()?))
    }
}
