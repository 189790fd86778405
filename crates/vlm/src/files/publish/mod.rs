//! Checkpoints whose decoder is packed, written in the layouts that other tools load: what `files/format` reads, the other way.
//!
//! Every tensor that is not packed is copied as it is in the base checkpoint's files, under its name there. Factors that packed layers divide their inputs
//! by ([`PackedLinear::factors`]) are folded into what comes before, as AutoAWQ and llm-compressor do: a norm, or the rows of values and of up.

mod awq;
mod compressed_tensors;
mod gguf;
mod gptq;
mod vocabulary;

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use half::{bf16, f16};
use safetensors::{Dtype, View};
use serde_json::Value;
use steady_kernels::{Codebook, Codes, GroupedCodes, PackedLinear, Shift};

pub(crate) use gguf::{Description, unlike};
pub(crate) use vocabulary::vocabulary;

use super::gguf::Stored;
use super::{CONFIG, SINGLE, Source, Weights};
use crate::{NormFeed, VlmError};

/// A layout of packed weights that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// compressed-tensors, which vLLM, llm-compressor and transformers read: integers in words, a byte a weight, or FP8.
    CompressedTensors,
    /// AutoAWQ's "gemm".
    Awq,
    /// GPTQ, version 1.
    Gptq,
    /// llama.cpp's files, in blocks of Q4_0 and Q8_0: the language model, and tower with projector in a second one.
    Gguf,
}

/// A tensor as it is written.
struct Piece {
    stored: Stored,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Piece {
    fn plain(dtype: Dtype, shape: Vec<usize>, bytes: Vec<u8>) -> Self {
        Self { stored: Stored::Plain(dtype), shape, bytes }
    }

    fn words(values: &[u32], shape: [usize; 2]) -> Self {
        Self::plain(Dtype::I32, shape.to_vec(), values.iter().flat_map(|word| word.to_le_bytes()).collect())
    }

    fn halves(values: impl IntoIterator<Item = f32>, shape: [usize; 2]) -> Self {
        let bytes = values.into_iter().flat_map(|value| f16::from_f32(value).to_le_bytes()).collect();
        Self::plain(Dtype::F16, shape.to_vec(), bytes)
    }

    fn floats(values: &[f32], shape: [usize; 2]) -> Self {
        Self::plain(Dtype::F32, shape.to_vec(), values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }
}

/// Codes of up to four bits in groups, with whole zero points: what AWQ's and GPTQ's files hold.
struct FourBits<'a> {
    codes: &'a GroupedCodes,
    zeros: Vec<u32>,
}

impl<'a> FourBits<'a> {
    /// Why codes are not such.
    fn of(codes: &'a Codes) -> Result<Self, String> {
        let Codes::Grouped(codes) = codes else { return Err("holds 4-bit weights, and these have 8 bits".to_owned()) };
        if codes.book != Codebook::Int4 {
            return Err(format!("holds 4-bit integers, and these are {:?}", codes.book));
        }
        if !codes.out.is_multiple_of(8) {
            return Err(format!("packs outputs by 8, and there are {}", codes.out));
        }
        Ok(Self { codes, zeros: zeros(codes)? })
    }

    fn groups(&self) -> usize {
        self.codes.input / self.codes.group
    }

    fn code(&self, output: usize, input: usize) -> u32 {
        self.codes.codes[output * self.codes.input + input].into()
    }

    fn zero(&self, output: usize, group: usize) -> u32 {
        self.zeros[output * self.groups() + group]
    }

    /// Scales with groups as rows.
    fn scales(&self) -> Piece {
        let (out, groups) = (self.codes.out, self.groups());
        let of = |group: usize| (0..out).map(move |output| self.codes.scales[output * groups + group]);
        Piece::halves((0..groups).flat_map(of), [groups, out])
    }
}

/// Zero points, which must be whole numbers.
fn zeros(codes: &GroupedCodes) -> Result<Vec<u32>, String> {
    let Shift::Zeros(zeros) = &codes.shift else { return Err("holds integers with zero points, and these have none".to_owned()) };
    let whole = |zero: &f32| if zero.fract() == 0.0 && (0.0..256.0).contains(zero) { Some(*zero as u32) } else { None };
    let all: Option<Vec<u32>> = zeros.iter().map(whole).collect();
    all.ok_or_else(|| "holds zero points that are whole numbers, and these are not (HQQ)".to_owned())
}

/// Whether the middle code stands for zero in every group.
fn is_symmetric(codes: &Codes) -> bool {
    let Codes::Grouped(codes) = codes else { return true };
    zeros(codes).is_ok_and(|zeros| zeros.iter().all(|&zero| zero == u32::from(codes.book.middle())))
}

/// Eight codes of four bits a word, in order.
fn nibbles(codes: impl Fn(usize) -> u32) -> u32 {
    (0..8).fold(0, |word, at| word | (codes(at) << (4 * at)))
}

impl Layout {
    /// As it is called on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::CompressedTensors => "compressed-tensors",
            Self::Awq => "awq",
            Self::Gptq => "gptq",
            Self::Gguf => "gguf",
        }
    }

    /// The tensors of a layer by the ends of their names; why not, if not.
    fn pieces(self, codes: &Codes, symmetric: bool) -> Result<Vec<(&'static str, Piece)>, String> {
        match self {
            Self::CompressedTensors => compressed_tensors::pieces(codes, symmetric),
            Self::Awq => FourBits::of(codes).map(|codes| awq::pieces(&codes)),
            Self::Gptq => FourBits::of(codes).map(|codes| gptq::pieces(&codes)),
            Self::Gguf => gguf::pieces(codes),
        }
    }

    /// What `config.json` says of it, by any packed layer and what `all` have in common; `left` are patterns of the layers that are not packed. Nothing
    /// where files say it themselves.
    fn section(self, layer: &Packed, all: Common, left: &[String]) -> Option<Value> {
        match self {
            Self::CompressedTensors => Some(compressed_tensors::section(layer, all, left)),
            Self::Awq => Some(awq::section(all, left)),
            Self::Gptq => Some(gptq::section(all)),
            Self::Gguf => None,
        }
    }

    /// Whether a packed layer of this canonical name has a place in it: the decoder's, and in llama.cpp's files tower, projector and head too.
    pub(crate) fn takes(self, linear: &str) -> bool {
        self == Self::Gguf || linear.starts_with("language_model.")
    }
}

/// What all packed layers have in common.
#[derive(Clone, Copy)]
struct Common {
    /// In every group the middle code stands for zero.
    symmetric: bool,
    /// Inputs that share a scale; `None` where that is all of each layer's.
    group: Option<usize>,
}

impl Common {
    fn of(layers: &[Packed]) -> Self {
        let symmetric = layers.iter().all(|layer| is_symmetric(&layer.codes));
        let group = |layer: &Packed| match &layer.codes {
            Codes::Grouped(codes) if codes.group < codes.input => Some(codes.group),
            _ => None,
        };
        Self { symmetric, group: layers.iter().find_map(group) }
    }

    /// As AWQ's and GPTQ's configurations say it.
    fn group_size(self) -> i64 {
        self.group.map_or(-1, |group| group as i64)
    }
}

/// A layer as it is written.
struct Packed {
    /// Canonical name without `.weight`.
    name: String,
    codes: Codes,
    /// Activations are rounded to FP8.
    rounds: bool,
}

/// What a part of the model is divided by, row by row, when factors are folded.
type Divided = BTreeMap<String, Vec<f32>>;

/// Writes `layers`, packed layers of a model by canonical name, with all else of the checkpoint `base` into the new folder `folder`. `described` says what
/// llama.cpp's files hold beside tensors.
///
/// # Errors
/// When the layout does not hold these codes or this model, when a part that factors would be folded into feeds layers without them, or when a file cannot be
/// written.
pub(crate) fn publish<'a>(
    base: &Source,
    weights: &Weights,
    layers: Vec<(String, PackedLinear)>,
    feeds: &[NormFeed],
    layout: Layout,
    described: impl FnOnce() -> Result<Description<'a>, VlmError>,
    folder: &Path,
) -> Result<(), VlmError> {
    let refused = |what: &str, problem: String| VlmError::Invalid { what: what.to_owned(), problem };
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| VlmError::Io { path, source }
    };
    let divided = folded(&layers, feeds)?;
    let packed: Vec<Packed> = layers
        .into_iter()
        .map(|(name, linear)| {
            let rows = divided.get(&name).map(Vec::as_slice);
            Packed { codes: rows_divided(linear.codes(), rows), rounds: linear.rounds_to_e4m3(), name }
        })
        .collect();

    let first = packed.first().ok_or_else(|| refused(layout.name(), "no layer is packed".to_owned()))?;
    if let Some(other) = packed.iter().find(|layer| layout != Layout::Gguf && book(&layer.codes) != book(&first.codes)) {
        let problem =
            format!("is packed in other bits than {}, and {} has one width for all; gguf holds several", first.name, layout.name());
        return Err(refused(&other.name, problem));
    }
    let all = Common::of(&packed);
    let description = (layout == Layout::Gguf).then(described).transpose()?;
    let failed = RefCell::new(None);
    let mut tensors: BTreeMap<String, Tensor<'_>> = BTreeMap::new();
    for (canonical, name, dtype, shape, bytes) in weights.stored() {
        let (part, end) = canonical.rsplit_once('.').unwrap_or((canonical, ""));
        // llama.cpp has names of its own, whatever the base's files call a tensor.
        let name = if description.is_some() { canonical } else { name };
        if end == "weight"
            && let Some(layer) = packed.iter().find(|layer| layer.name == part)
        {
            let prefix = name.strip_suffix("weight").unwrap_or(name);
            let pieces =
                layout.pieces(&layer.codes, all.symmetric).map_err(|problem| refused(part, format!("{} {problem}", layout.name())))?;
            tensors.extend(pieces.into_iter().map(|(end, piece)| (format!("{prefix}{end}"), Tensor::Made(piece))));
        } else if let Some(factors) = divided.get(part) {
            let values = weights.peek(canonical)?;
            let piece =
                divided_as(&values, dtype, shape, factors).ok_or_else(|| refused(canonical, format!("{dtype:?} cannot be divided")))?;
            tensors.insert(name.to_owned(), Tensor::Made(piece));
        } else {
            let read = Box::new(|| weights.peek(canonical).map_err(|error| *failed.borrow_mut() = Some(error)).unwrap_or_default());
            tensors.insert(name.to_owned(), Tensor::Copied { dtype, shape, len: bytes, read });
        }
    }
    // A head that is the embedding has no tensor of its own in the base.
    for layer in packed.iter().filter(|layer| !weights.contains(&format!("{}.weight", layer.name))) {
        let pieces =
            layout.pieces(&layer.codes, all.symmetric).map_err(|problem| refused(&layer.name, format!("{} {problem}", layout.name())))?;
        tensors.extend(pieces.into_iter().map(|(end, piece)| (format!("{}.{end}", layer.name), Tensor::Made(piece))));
    }
    let all_linears = weights.stored().filter_map(|(canonical, ..)| canonical.strip_suffix(".weight"));
    let left = left(all_linears, &packed);
    let mut config = base.json(CONFIG)?.ok_or_else(|| base.missing(CONFIG, "it says what is in the weights"))?;
    if let (Some(config), Some(section)) = (config.as_object_mut(), layout.section(first, all, &left)) {
        config.insert("quantization_config".to_owned(), section);
    }

    fs::create_dir_all(folder).map_err(io(folder))?;
    for name in base.names()? {
        let path = folder.join(&name);
        if let Some(content) = base.content(&name)?.filter(|_| copied(&name)) {
            fs::write(&path, content).map_err(io(&path))?;
        }
    }
    // The weights last but one, and what says what they are last.
    let written = match &description {
        Some(description) => gguf::write(&tensors, description, folder),
        None => in_safetensors(&tensors, folder),
    };
    if let Some(error) = failed.take() {
        return Err(error);
    }
    written?;
    let path = folder.join(CONFIG);
    let text = serde_json::to_string_pretty(&config).map_err(|source| VlmError::Json { file: CONFIG.to_owned(), source })?;
    fs::write(&path, text + "\n").map_err(io(&path))
}

/// How codes are to be read; `None` where they are bytes.
fn book(codes: &Codes) -> Option<&Codebook> {
    match codes {
        Codes::Grouped(codes) => Some(&codes.book),
        Codes::Int8(_) => None,
    }
}

/// The tensors in one file of safetensors, under another name until it is whole.
fn in_safetensors(tensors: &BTreeMap<String, Tensor<'_>>, folder: &Path) -> Result<(), VlmError> {
    let (file, partial) = (folder.join(SINGLE), folder.join(format!("{SINGLE}.partial")));
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let written = safetensors::serialize_to_file(tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)), Some(metadata), &partial);
    written.map_err(|error| VlmError::Safetensors { file: partial.display().to_string(), problem: error.to_string() })?;
    fs::rename(&partial, &file).map_err(|source| VlmError::Io { path: file, source })
}

/// Whether a file beside the weights goes along: not weights, nor what says what they are.
fn copied(name: &str) -> bool {
    let weights = [".safetensors", ".bin", ".pth", ".pt", ".gguf", ".safetensors.index.json", ".bin.index.json"];
    !(weights.iter().any(|end| name.ends_with(end)) || [CONFIG, "README.md", ".gitattributes"].contains(&name))
}

/// What norms and layers are divided by so that `layers` need not divide what they are given.
fn folded(layers: &[(String, PackedLinear)], feeds: &[NormFeed]) -> Result<Divided, VlmError> {
    let factors: BTreeMap<&str, Vec<f32>> = layers.iter().filter_map(|(name, layer)| Some((name.as_str(), layer.factors()?))).collect();
    let mut divided = Divided::new();
    for (&name, own) in &factors {
        let feed = feeds.iter().find(|feed| feed.linears.iter().any(|linear| linear == name));
        let (before, fed) = match (feed, name.rsplit_once('.')) {
            (Some(feed), _) => (feed.norm.clone(), feed.linears.clone()),
            (None, Some((part, "o_proj"))) => (format!("{part}.v_proj"), vec![name.to_owned()]),
            (None, Some((part, "down_proj"))) => (format!("{part}.up_proj"), vec![name.to_owned()]),
            _ => {
                let problem = "its inputs are divided, and there is no norm or layer before it that a file could have that folded into; leave it in float";
                return Err(VlmError::Invalid { what: name.to_owned(), problem: problem.to_owned() });
            }
        };
        let packed = feed.is_some() || layers.iter().any(|(layer, _)| *layer == before);
        if !packed || fed.iter().any(|linear| factors.get(linear.as_str()) != Some(own)) {
            let problem = "its inputs are divided, and a file has that folded into what comes before, which other layers in float read too; \
                           leave no layer in float, or all that read the same";
            return Err(VlmError::Invalid { what: name.to_owned(), problem: problem.to_owned() });
        }
        divided.insert(before, own.clone());
    }
    Ok(divided)
}

/// Codes of a matrix whose rows are divided by `rows`.
fn rows_divided(codes: Codes, rows: Option<&[f32]>) -> Codes {
    let Some(rows) = rows else { return codes };
    let divide = |scales: &mut [f32]| {
        let per_row = scales.len() / rows.len().max(1);
        for (scales, factor) in scales.chunks_mut(per_row.max(1)).zip(rows) {
            for scale in scales {
                *scale /= factor;
            }
        }
    };
    match codes {
        Codes::Grouped(mut codes) => {
            divide(&mut codes.scales);
            Codes::Grouped(codes)
        }
        Codes::Int8(mut codes) => {
            divide(&mut codes.scales);
            Codes::Int8(codes)
        }
    }
}

/// A norm's weight or a bias, number by number divided, in its own element type; `None` where that is no float.
fn divided_as(bytes: &[u8], dtype: Dtype, shape: &[usize], factors: &[f32]) -> Option<Piece> {
    let (pairs, quads) = (bytes.as_chunks::<2>().0, bytes.as_chunks::<4>().0);
    let bytes = match dtype {
        Dtype::F32 => quads.iter().zip(factors).flat_map(|(&quad, factor)| (f32::from_le_bytes(quad) / factor).to_le_bytes()).collect(),
        Dtype::F16 => {
            let divide = |(&pair, factor): (&[u8; 2], &f32)| f16::from_f32(f16::from_le_bytes(pair).to_f32() / factor).to_le_bytes();
            pairs.iter().zip(factors).flat_map(divide).collect()
        }
        Dtype::BF16 => {
            let divide = |(&pair, factor): (&[u8; 2], &f32)| bf16::from_f32(bf16::from_le_bytes(pair).to_f32() / factor).to_le_bytes();
            pairs.iter().zip(factors).flat_map(divide).collect()
        }
        _ => return None,
    };
    Some(Piece::plain(dtype, shape.to_vec(), bytes))
}

/// Patterns of the modules that stay in float: parts of the model without any packed layer by their name, layers of the decoder one by one.
fn left<'a>(weights: impl Iterator<Item = &'a str>, packed: &[Packed]) -> Vec<String> {
    let mut left = vec!["lm_head".to_owned()];
    let is_linear = |part: &str| ["self_attn.", "mlp."].iter().any(|of| part.contains(of));
    for name in weights {
        let part = match name.strip_prefix("language_model.") {
            Some(part) if is_linear(part) && !packed.iter().any(|layer| layer.name == name) => part,
            Some(_) => continue,
            None => name.split('.').next().unwrap_or(name),
        };
        if part != "lm_head" && !left.iter().any(|known| known == part) {
            left.push(part.to_owned());
        }
    }
    left
}

/// A tensor on its way into the file.
enum Tensor<'a> {
    Made(Piece),
    Copied { dtype: Dtype, shape: &'a [usize], len: usize, read: Box<dyn Fn() -> Vec<u8> + 'a> },
}

impl Tensor<'_> {
    fn stored(&self) -> Stored {
        match self {
            Tensor::Made(piece) => piece.stored,
            Tensor::Copied { dtype, .. } => Stored::Plain(*dtype),
        }
    }
}

impl View for &Tensor<'_> {
    fn dtype(&self) -> Dtype {
        match self.stored() {
            Stored::Plain(dtype) => dtype,
            Stored::Blocks(_) => Dtype::U8,
        }
    }

    fn shape(&self) -> &[usize] {
        match self {
            Tensor::Made(piece) => &piece.shape,
            Tensor::Copied { shape, .. } => shape,
        }
    }

    fn data(&self) -> Cow<'_, [u8]> {
        match self {
            Tensor::Made(piece) => Cow::Borrowed(&piece.bytes),
            Tensor::Copied { read, .. } => Cow::Owned(read()),
        }
    }

    fn data_len(&self) -> usize {
        match self {
            Tensor::Made(piece) => piece.bytes.len(),
            Tensor::Copied { len, .. } => *len,
        }
    }
}
