//! Weight files: every tensor found by its canonical name, converted one at a time, and accounted for at the end.

use std::collections::BTreeMap;

use half::slice::HalfBitsSliceExt;
use half::{bf16, f16};
use safetensors::Dtype;
use steady_kernels::Floats;

use super::bytes::{Bytes, Place, Stretch, pieces};
use super::fields::Fields;
use super::gguf::{self, BlockKind, Gguf};
use super::header::Header;
use super::names::{canonical_name, is_harmless_leftover};
use super::source::Source;
use super::{INDEX, SINGLE};
use crate::{Precision, VlmError};

/// Most rows that llama.cpp's tables lack.
const SPARE_ROWS: usize = 128;
const TOWER: &str = "vision_tower.";
const HEAD: &str = "lm_head.weight";
const EMBEDDING: &str = "language_model.embed_tokens.weight";

/// A tensor in host memory, row-major f32.
#[derive(Clone, Debug, PartialEq)]
pub struct HostTensor {
    /// Sizes, outermost first.
    pub shape: Vec<usize>,
    /// The values.
    pub data: Vec<f32>,
}

/// A float tensor's values on the host, row-major: each of them is finite in what the model keeps them as.
#[derive(Debug)]
pub enum Values {
    /// As f32.
    F32(Vec<f32>),
    /// As they lie in their file.
    Stored(StoredFloats),
}

/// The numbers of a tensor in its file.
#[derive(Debug)]
pub struct StoredFloats {
    /// Whole numbers of `dtype`, which is one of f32, f16 and bf16, and aligned for it.
    bytes: Stretch,
    dtype: Dtype,
}

impl Values {
    /// What they are.
    pub fn floats(&self) -> Floats<'_> {
        match self {
            Self::F32(values) => Floats::F32(values),
            Self::Stored(stored) => stored.floats(),
        }
    }

    /// As f32, which loses nothing.
    pub fn into_f32(self) -> Vec<f32> {
        match self {
            Self::F32(values) => values,
            Self::Stored(stored) => stored.floats().to_f32(),
        }
    }
}

impl StoredFloats {
    /// `bytes` of a file as they are. `None` where the type is no float, or they do not lie where numbers of it may.
    fn new(bytes: Stretch, dtype: Dtype) -> Result<Self, Stretch> {
        let lie_well = match dtype {
            Dtype::F32 => bytemuck::try_cast_slice::<u8, f32>(&bytes).is_ok(),
            Dtype::F16 | Dtype::BF16 => bytemuck::try_cast_slice::<u8, u16>(&bytes).is_ok(),
            _ => false,
        };
        // Files are little-endian.
        if lie_well && cfg!(target_endian = "little") { Ok(Self { bytes, dtype }) } else { Err(bytes) }
    }

    fn floats(&self) -> Floats<'_> {
        match self.dtype {
            Dtype::F32 => Floats::F32(bytemuck::cast_slice(&self.bytes)),
            Dtype::F16 => Floats::F16(bytemuck::cast_slice::<u8, u16>(&self.bytes).reinterpret_cast()),
            _ => Floats::Bf16(bytemuck::cast_slice::<u8, u16>(&self.bytes).reinterpret_cast()),
        }
    }
}

/// A tensor's bytes as its file holds them, for formats that are no floats.
#[derive(Clone, Debug, PartialEq)]
pub struct RawTensor {
    /// Element type.
    pub dtype: Dtype,
    /// Sizes, outermost first.
    pub shape: Vec<usize>,
    /// The elements, little-endian, row-major.
    pub bytes: Vec<u8>,
}

/// The tensors of a checkpoint, handed out once each.
#[derive(Debug)]
pub struct Weights {
    checkpoint: String,
    files: Vec<WeightFile>,
    tensors: BTreeMap<String, Entry>,
    /// How names in files become canonical ones.
    names: Names,
    tied: bool,
    /// Whether they may leave out what no answer depends on, as llama.cpp's files do.
    partial: bool,
    /// What a model keeps them as.
    precision: Precision,
}

/// Prefixes and what they become.
type Names = &'static [(&'static str, &'static str)];

#[derive(Debug)]
struct WeightFile {
    label: String,
    bytes: Bytes,
}

#[derive(Debug)]
struct Entry {
    /// As written in the file.
    name: String,
    file: usize,
    dtype: Dtype,
    shape: Vec<usize>,
    place: Place,
    taken: bool,
    /// Of ggml's blocks their kind; then `dtype` is that of bytes.
    blocks: Option<BlockKind>,
}

impl Entry {
    fn stored_bytes(&self) -> u64 {
        self.place.size()
    }
}

impl WeightFile {
    fn at(&self, place: &Place) -> Result<Stretch, VlmError> {
        self.bytes.at(place).map_err(|source| VlmError::Io { path: self.label.clone().into(), source })
    }
}

impl Weights {
    pub(crate) fn open(source: &Source, names: Names, tied: bool) -> Result<Self, VlmError> {
        let mut weights = Self {
            checkpoint: source.label(),
            files: Vec::new(),
            tensors: BTreeMap::new(),
            names,
            tied,
            partial: false,
            precision: Precision::F32,
        };
        weights.add_folder(source)?;
        if tied {
            weights.tie()?;
        }
        Ok(weights)
    }

    /// Adds the vision tower of a second folder, unless these weights hold one: a tower that was trained on is published with the
    /// checkpoint, and then that one is meant. The rest of a CLIP (text side, projections) is no part of the model.
    pub(crate) fn add_tower(&mut self, tower: &Source) -> Result<(), VlmError> {
        if self.holds_tower() {
            return Ok(());
        }
        let ours: Vec<String> = self.tensors.keys().cloned().collect();
        self.add_folder(tower)?;
        self.tensors.retain(|name, _| name.starts_with(TOWER) || ours.binary_search(name).is_ok());
        Ok(())
    }

    pub(crate) fn holds_tower(&self) -> bool {
        self.tensors.keys().any(|name| name.starts_with(TOWER))
    }

    /// Whether the head is the token embedding. A configuration that says so is believed as far as the files allow it.
    pub(crate) fn tied(&self) -> bool {
        self.tied
    }

    /// Makes one of head and embedding, as transformers 5 does (`PreTrainedModel.tie_weights`): where only the head was saved it is the
    /// embedding too, and where both were saved and differ they stay two.
    fn tie(&mut self) -> Result<(), VlmError> {
        let Some(head) = self.tensors.remove(HEAD) else { return Ok(()) };
        let Some(embedding) = self.tensors.get(EMBEDDING) else {
            self.tensors.insert(EMBEDDING.to_owned(), head);
            return Ok(());
        };
        if self.equal(embedding, &head)? {
            return Ok(());
        }
        tracing::warn!(
            "{}: `{}` differs from the token embedding, though the configuration ties the two (`tie_word_embeddings`): as in transformers \
             they are not tied",
            self.files[head.file].label,
            head.name
        );
        self.tied = false;
        self.tensors.insert(HEAD.to_owned(), head);
        Ok(())
    }

    /// Whether two tensors hold the same numbers, each in its own element type. What is no float is equal to nothing.
    fn equal(&self, a: &Entry, b: &Entry) -> Result<bool, VlmError> {
        let size = |entry: &Entry| if converted(&[], entry.dtype, |value| value).is_some() { entry.dtype.bitsize() as u64 / 8 } else { 0 };
        let (wide, narrow) = (size(a), size(b));
        let (Some(of_a), Some(of_b)) = (a.place.stretch(), b.place.stretch()) else { return Ok(false) };
        if a.shape != b.shape || wide == 0 || narrow == 0 {
            return Ok(false);
        }
        for piece in pieces(0..a.stored_bytes() / wide) {
            let stretch = |entry: &Entry, start: u64, size: u64| {
                self.files[entry.file].at(&Place::one(start + piece.start * size..start + piece.end * size))
            };
            let (left, right) = (stretch(a, of_a.start, wide)?, stretch(b, of_b.start, narrow)?);
            let values = |bytes: &[u8], dtype| converted(bytes, dtype, |value| value);
            let same = if a.dtype == b.dtype { *left == *right } else { values(&left, a.dtype) == values(&right, b.dtype) };
            if !same {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn add_folder(&mut self, source: &Source) -> Result<(), VlmError> {
        if let Some(ggufs) = gguf::files(source)? {
            ggufs.into_iter().try_for_each(|(label, bytes)| self.add_gguf(label, bytes))
        } else if let Some(bytes) = source.get(SINGLE)? {
            self.add_file(source.label_of(SINGLE), bytes)
        } else if let Some(index) = source.json(INDEX)? {
            self.add_shards(source, &index)
        } else {
            let either = format!("{SINGLE} or {INDEX}");
            let pickled = ["pytorch_model.bin", "pytorch_model.bin.index.json", "consolidated.00.pth"];
            Err(match pickled.into_iter().find(|file| source.holds(file)) {
                Some(file) => source.missing(
                    &either,
                    &format!(
                        "the weights are read from safetensors files; {file} is the older kind, which transformers turns into them: \
                              AutoModelForImageTextToText.from_pretrained(FOLDER).save_pretrained(FOLDER)"
                    ),
                ),
                None => source.missing(&either, "the weights are read from safetensors files"),
            })
        }
    }

    /// Reads the shards that the index names, and checks that both agree on which tensor is where.
    fn add_shards(&mut self, source: &Source, index: &serde_json::Value) -> Result<(), VlmError> {
        let label = source.label_of(INDEX);
        let root = Fields::root(&label, index)?;
        for (shard, listed) in shards(&root)? {
            let bytes = source.require(shard, &format!("{INDEX} says it holds `{}`", listed[0]))?;
            self.add_file(source.label_of(shard), bytes)?;
            let file = self.files.len() - 1;
            let present: Vec<&str> = self.tensors.values().filter(|entry| entry.file == file).map(|entry| entry.name.as_str()).collect();
            if let Some(absent) = listed.iter().find(|name| !present.contains(name)) {
                let problem = format!("is listed in {INDEX} for this file, which does not hold it");
                return Err(VlmError::tensor(&self.files[file].label, absent, problem));
            }
            let unlisted = |name: &&&str| !listed.contains(*name) && !is_harmless_leftover(&canonical_name(self.names, name));
            if let Some(unlisted) = present.iter().find(unlisted) {
                let problem = format!("is in this file, but {INDEX} does not list it there");
                return Err(VlmError::tensor(&self.files[file].label, unlisted, problem));
            }
        }
        Ok(())
    }

    fn add_file(&mut self, label: String, bytes: Bytes) -> Result<(), VlmError> {
        let header = Header::read(&label, &bytes)?;
        let file = self.files.len();
        for (name, info) in &header.tensors {
            let canonical = canonical_name(self.names, name);
            let (dtype, shape, place) = (info.dtype, info.shape.clone(), Place::one(header.place(info)));
            self.add(&label, canonical, Entry { name: name.clone(), file, dtype, shape, place, taken: false, blocks: None })?;
        }
        self.files.push(WeightFile { label, bytes });
        Ok(())
    }

    fn add_gguf(&mut self, label: String, bytes: Bytes) -> Result<(), VlmError> {
        let named = Gguf::read(&label, &bytes)?.named().map_err(|problem| VlmError::Gguf { file: label.clone(), problem })?;
        let file = self.files.len();
        for gguf::Named { canonical, name, stored, shape, place } in named {
            let (dtype, blocks) = match stored {
                gguf::Stored::Plain(dtype) => (dtype, None),
                gguf::Stored::Blocks(kind) => (Dtype::U8, Some(kind)),
            };
            self.add(&label, canonical, Entry { name, file, dtype, shape, place, taken: false, blocks })?;
        }
        self.partial = true;
        self.files.push(WeightFile { label, bytes });
        Ok(())
    }

    /// Adds a tensor of the file `label`, which is the next one.
    fn add(&mut self, label: &str, canonical: String, entry: Entry) -> Result<(), VlmError> {
        if let Some(first) = self.tensors.get(&canonical) {
            let holder = self.files.get(first.file).map_or(label, |file| &file.label);
            let problem = format!("is also in {holder} as `{}`", first.name);
            return Err(VlmError::tensor(label, &entry.name, problem));
        }
        self.tensors.insert(canonical, entry);
        Ok(())
    }

    /// Whether nothing is there of what a name begins with, in files that leave out what no answer depends on.
    pub(crate) fn leaves_out(&self, prefix: &str) -> bool {
        self.partial && !self.tensors.keys().any(|name| name.starts_with(prefix))
    }

    /// Rows that a table of this shape lacks in files that leave out what no answer depends on: those of tokens that are never shown nor said.
    /// llama.cpp's have as many rows as the language model had tokens, transformers' some more, for the image's placeholder and to a round number.
    pub(crate) fn spare_rows(&self, name: &str, [rows, width]: [usize; 2]) -> usize {
        match self.shape(name) {
            Some(&[found, wide]) if self.partial && wide == width && found > 0 && found < rows && rows - found <= SPARE_ROWS => {
                rows - found
            }
            _ => 0,
        }
    }

    /// The kind of ggml's blocks that a tensor is stored in.
    pub(crate) fn blocks(&self, name: &str) -> Option<BlockKind> {
        self.tensors.get(name).and_then(|entry| entry.blocks)
    }

    /// Whether the files hold a tensor of this canonical name.
    pub fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// The shape in the file, for sizes that no configuration states.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|entry| entry.shape.as_slice())
    }

    /// The element type in the file.
    pub fn dtype(&self, name: &str) -> Option<Dtype> {
        self.tensors.get(name).map(|entry| entry.dtype)
    }

    /// Bytes of all tensors in the files, the unused ones included: what somebody downloads.
    pub fn stored_bytes(&self) -> u64 {
        self.tensors.values().map(Entry::stored_bytes).sum()
    }

    /// Bytes of one tensor in its file; `None` where there is none of this canonical name.
    pub fn stored_bytes_of(&self, name: &str) -> Option<u64> {
        self.tensors.get(name).map(Entry::stored_bytes)
    }

    /// What [`Weights::values`] are to be read as.
    pub(crate) fn keep_as(&mut self, precision: Precision) {
        self.precision = precision;
    }

    /// The precision that most of the weights are published in, counted in elements; the wider one of two that share the place.
    pub fn published(&self) -> Precision {
        let elements = |dtype: Dtype| -> u64 {
            let of_type = self.tensors.values().filter(|entry| entry.dtype == dtype);
            of_type.map(|entry| entry.shape.iter().map(|&size| size as u64).product::<u64>()).sum()
        };
        let counted = [(Dtype::F16, Precision::F16), (Dtype::BF16, Precision::Bf16), (Dtype::F32, Precision::F32)];
        counted.into_iter().max_by_key(|(dtype, _)| elements(*dtype)).map_or(Precision::F32, |(_, precision)| precision)
    }

    /// Reads one tensor as f32 and marks it as used.
    ///
    /// # Errors
    /// When it is missing, has another shape, is not f32, f16 or bf16, or holds a value that is not finite.
    pub fn take(&mut self, name: &str, shape: &[usize]) -> Result<HostTensor, VlmError> {
        let data = self.read(name, shape, Precision::F32)?.into_f32();
        Ok(HostTensor { shape: shape.to_vec(), data })
    }

    /// Opens one tensor of weights and marks it as used. Its numbers are as they lie in the file, if they can be; whoever puts them onto a device
    /// rounds them to the model's precision, which they survive.
    ///
    /// # Errors
    /// As [`Weights::take`], or when it holds a value that is finite, but not in the model's precision.
    pub fn values(&mut self, name: &str, shape: &[usize]) -> Result<Values, VlmError> {
        self.read(name, shape, self.precision)
    }

    /// Opens one tensor, whose numbers are to survive `precision`, and marks it as used.
    fn read(&mut self, canonical: &str, shape: &[usize], precision: Precision) -> Result<Values, VlmError> {
        let entry = self.claim(canonical, shape)?;
        let (name, file, dtype, place, blocks) = (entry.name.clone(), entry.file, entry.dtype, entry.place.clone(), entry.blocks);
        let file = &self.files[file];
        let stretch = file.at(&place)?;
        if let Some(kind) = blocks {
            let values = Values::F32(kind.floats(&stretch));
            return match values.floats().first_not_finite(precision.kept()) {
                None => Ok(values),
                Some(at) => Err(VlmError::tensor(&file.label, &name, format!("element {at} is not finite in {precision}"))),
            };
        }
        let values = match StoredFloats::new(stretch, dtype) {
            Ok(stored) => Values::Stored(stored),
            Err(stretch) => Values::F32(as_f32(&stretch, dtype).ok_or_else(|| {
                let packed =
                    self.packed(canonical).map(|(_, by)| format!(" (packed by {by}; use the float checkpoint)")).unwrap_or_default();
                VlmError::tensor(&file.label, &name, format!("element type {dtype:?} is not read{packed}; known: F32, F16, BF16"))
            })?),
        };
        let Some(at) = values.floats().first_not_finite(precision.kept()) else { return Ok(values) };
        let published = values.floats().slice(at..at + 1).to_f32();
        let problem = match published[..] {
            [value] if value.is_finite() => format!("element {at} is {value}, which is finite in f32 and not in {precision}"),
            [value] => format!("element {at} is {value}; weights must be finite"),
            _ => format!("element {at} is not finite"),
        };
        Err(VlmError::tensor(&file.label, &name, problem))
    }

    /// Reads one tensor as it is and marks it as used; what its type and shape should be is the caller's to check.
    ///
    /// # Errors
    /// When it is missing, or cannot be read.
    pub fn take_raw(&mut self, name: &str) -> Result<RawTensor, VlmError> {
        self.mark(name);
        let entry = self.find(name)?;
        let (dtype, shape) = (entry.dtype, entry.shape.clone());
        let bytes = self.files[entry.file].at(&entry.place)?.to_vec();
        Ok(RawTensor { dtype, shape, bytes })
    }

    /// Reads one tensor of 32-bit words and marks it as used.
    ///
    /// # Errors
    /// When it is missing, has another shape, or holds something else.
    pub fn take_words(&mut self, name: &str, shape: &[usize]) -> Result<Vec<u32>, VlmError> {
        let dtype = self.claim(name, shape)?.dtype;
        if dtype != Dtype::I32 && dtype != Dtype::U32 {
            return Err(self.error(name, format!("expected 32-bit integers (I32), found {dtype:?}")));
        }
        let RawTensor { bytes, .. } = self.take_raw(name)?;
        Ok(bytes.chunks_exact(4).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]])).collect())
    }

    /// Of every tensor its canonical name, its name in its file, type, shape and bytes.
    pub(crate) fn stored(&self) -> impl Iterator<Item = (&str, &str, Dtype, &[usize], usize)> {
        let of = |(canonical, entry)| {
            let (canonical, entry): (&String, &Entry) = (canonical, entry);
            (canonical.as_str(), entry.name.as_str(), entry.dtype, entry.shape.as_slice(), entry.stored_bytes() as usize)
        };
        self.tensors.iter().map(of)
    }

    /// A tensor's bytes, which are not counted as used.
    ///
    /// # Errors
    /// When it is missing, or cannot be read.
    pub(crate) fn peek(&self, name: &str) -> Result<Vec<u8>, VlmError> {
        let entry = self.find(name)?;
        Ok(self.files[entry.file].at(&entry.place)?.to_vec())
    }

    /// Whether every byte of a tensor is zero.
    pub(crate) fn peek_zeros(&self, name: &str) -> Result<bool, VlmError> {
        let entry = self.find(name)?;
        Ok(self.files[entry.file].at(&entry.place)?.iter().all(|&byte| byte == 0))
    }

    /// An error about a tensor, which names it as its file does.
    pub fn error(&self, name: &str, problem: impl Into<String>) -> VlmError {
        match self.tensors.get(name) {
            Some(entry) => VlmError::tensor(&self.files[entry.file].label, &entry.name, problem),
            None => VlmError::tensor(&self.checkpoint, name, problem),
        }
    }

    /// Marks a tensor as known but not needed (layers behind the feature layer, say): its shape is checked, its values are not read.
    ///
    /// # Errors
    /// When it is missing or has another shape.
    pub fn skip(&mut self, name: &str, shape: &[usize]) -> Result<(), VlmError> {
        self.claim(name, shape).map(|_| ())
    }

    fn find(&self, name: &str) -> Result<&Entry, VlmError> {
        self.tensors.get(name).ok_or_else(|| self.missing(name))
    }

    fn mark(&mut self, name: &str) {
        if let Some(entry) = self.tensors.get_mut(name) {
            entry.taken = true;
        }
    }

    fn missing(&self, name: &str) -> VlmError {
        if let Some((entry, by)) = self.packed(name) {
            let problem = format!(
                "stands in the place of `{name}`: the weights are packed by {by}, and config.json has no `quantization_config` that says how; \
                 use the float checkpoint"
            );
            return VlmError::tensor(&self.files[entry.file].label, &entry.name, problem);
        }
        VlmError::MissingTensor {
            checkpoint: self.checkpoint.clone(),
            tensor: name.to_owned(),
            files: self.files.iter().map(|file| base(&file.label)).collect::<Vec<_>>().join(", "),
        }
    }

    /// What a quantizer left in the place of a weight, or beside it, and which it was.
    fn packed(&self, name: &str) -> Option<(&Entry, &'static str)> {
        const TRACES: [(&str, &str); 8] = [
            ("g_idx", "GPTQ"),
            ("qweight", "AWQ or GPTQ"),
            ("qzeros", "AWQ or GPTQ"),
            ("weight_packed", "compressed-tensors"),
            ("weight_scale_inv", "FP8"),
            ("weight_scale", "compressed-tensors or FP8"),
            ("weight.absmax", "bitsandbytes"),
            ("SCB", "bitsandbytes"),
        ];
        let layer = name.strip_suffix("weight")?;
        TRACES.iter().find_map(|(trace, by)| Some((self.tensors.get(&format!("{layer}{trace}"))?, *by)))
    }

    fn claim(&mut self, name: &str, shape: &[usize]) -> Result<&Entry, VlmError> {
        let entry = self.find(name)?;
        if entry.shape != shape {
            let problem = format!("expected shape {shape:?} by the configuration, found {:?}", entry.shape);
            return Err(VlmError::tensor(&self.files[entry.file].label, &entry.name, problem));
        }
        self.mark(name);
        self.find(name)
    }

    /// Checks that nothing is left over, apart from buffers that older versions saved without need.
    ///
    /// # Errors
    /// When a tensor was never taken or skipped.
    pub fn finish(self) -> Result<(), VlmError> {
        let mut unused = Vec::new();
        for (canonical, entry) in &self.tensors {
            if entry.taken || is_harmless_leftover(canonical) {
                continue;
            }
            unused.push(format!("`{}` ({})", entry.name, base(&self.files[entry.file].label)));
        }
        if unused.is_empty() { Ok(()) } else { Err(VlmError::UnusedTensors { checkpoint: self.checkpoint, tensors: unused }) }
    }
}

/// The shards that an [`INDEX`] names, with the tensors that it says they hold.
pub(crate) fn shards<'a>(index: &Fields<'a>) -> Result<BTreeMap<&'a str, Vec<&'a str>>, VlmError> {
    let map = index.object("weight_map")?.ok_or_else(|| index.error("weight_map", "is missing"))?;
    let mut shards: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for tensor in map.keys() {
        let shard = map.text(tensor)?.ok_or_else(|| map.error(tensor, "expected a file name, found null"))?;
        if shard.contains(['/', '\\']) || !shard.ends_with(".safetensors") {
            return Err(map.error(tensor, format!("expected a safetensors file beside the index, found `{shard}`")));
        }
        shards.entry(shard).or_default().push(tensor);
    }
    Ok(shards)
}

/// Little-endian file bytes as f32; `None` for element types that are not read.
pub(super) fn as_f32(bytes: &[u8], dtype: Dtype) -> Option<Vec<f32>> {
    converted(bytes, dtype, |value| value)
}

/// Little-endian file bytes as f32, each through `keep`; `None` for element types that are not read.
fn converted<T>(bytes: &[u8], dtype: Dtype, keep: impl Fn(f32) -> T) -> Option<Vec<T>> {
    let halves = || bytes.chunks_exact(2).map(|pair| [pair[0], pair[1]]);
    match dtype {
        Dtype::F32 => Some(bytes.chunks_exact(4).map(|quad| keep(f32::from_le_bytes([quad[0], quad[1], quad[2], quad[3]]))).collect()),
        Dtype::F16 => Some(halves().map(|pair| keep(f16::from_le_bytes(pair).to_f32())).collect()),
        Dtype::BF16 => Some(halves().map(|pair| keep(bf16::from_le_bytes(pair).to_f32())).collect()),
        _ => None,
    }
}

/// The file without its folder.
fn base(label: &str) -> String {
    label.rsplit(['/', '\\']).next().unwrap_or(label).to_owned()
}
