//! Packed layers on disk, so that what a calibration took minutes for is not done again.
//!
//! A file is named by a hash of everything that its numbers depend on: the model, the method as settled, the prompts as the model reads them, and the program
//! itself, so that another build trusts nothing that this one made. It is a safetensors file: the codes of each layer, two to a byte where they are of 4
//! bits, its scales, and whatever else it has. It holds a hash of all that, and one that is damaged counts for nothing.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::SystemTime;

use safetensors::{Dtype, SafeTensors, serialize_to_file, tensor::View};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use steady_kernels::{Codebook, Codes, GroupedCodes, Int8Codes, Intake, PackedLinear, Shift};

use crate::{AccelError, KeptLayers, LinearShape, Samples};

/// Another layout of the files is another number.
const FORMAT: &str = "steady packed layers 1";
/// Bytes that all files take together; those that were not read for longest make room.
const LIMIT: u64 = 8 << 30;
const ENDING: &str = "safetensors";

/// A folder of packed layers, and the model that is packed.
pub struct PackedFolder<'a> {
    folder: PathBuf,
    model: Box<dyn Fn() -> Result<String, String> + 'a>,
    say: fn(&str),
}

impl<'a> PackedFolder<'a> {
    /// Layers of one model in `folder`, which need not be there yet. `model` tells apart what packs or calibrates otherwise: the checkpoint's hash, the
    /// precision, the device; it is asked when a method first calibrates. `say` hears what is taken from the folder, and what is wrong with it.
    pub fn new(folder: PathBuf, say: fn(&str), model: impl Fn() -> Result<String, String> + 'a) -> Self {
        Self { folder, model: Box::new(model), say }
    }

    fn file(&self, key: &str) -> PathBuf {
        self.folder.join(key).with_extension(ENDING)
    }

    fn write(&self, key: &str, method: &str, packed: &BTreeMap<String, PackedLinear>) -> Result<(), String> {
        let (mut tensors, mut layers) = (BTreeMap::new(), BTreeMap::new());
        for (name, packed) in packed {
            layers.insert(name.clone(), taken_apart(name, packed, &mut tensors));
        }
        let layers = serde_json::to_string(&layers).map_err(|error| error.to_string())?;
        let size: u64 = tensors.values().map(|tensor| tensor.bytes.len() as u64).sum();
        if size > LIMIT {
            return Err(format!("{size} bytes are more than the {LIMIT} that all packed weights may take"));
        }
        let sha256 = sealed(&layers, tensors.iter().map(|(name, tensor)| (name.as_str(), tensor.bytes.as_slice())));
        let about = [("format", FORMAT), ("method", method), ("layers", &layers), ("sha256", &sha256)];
        let about = about.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let io = |error: std::io::Error| error.to_string();
        fs::create_dir_all(&self.folder).map_err(io)?;
        let new = tempfile::NamedTempFile::new_in(&self.folder).map_err(io)?;
        serialize_to_file(tensors, Some(about), new.path()).map_err(|error| error.to_string())?;
        let file = self.file(key);
        new.persist(&file).map_err(|error| error.to_string())?;
        self.make_room(&file, LIMIT).map_err(io)
    }

    /// Removes what was not read for longest, until all takes `limit` bytes at most; `newest` stays.
    fn make_room(&self, newest: &Path, limit: u64) -> std::io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry.path().extension().is_some_and(|ending| ending == ENDING) {
                let metadata = entry.metadata()?;
                files.push((metadata.modified()?, metadata.len(), entry.path()));
            }
        }
        files.sort();
        let mut held: u64 = files.iter().map(|(_, size, _)| size).sum();
        for (_, size, path) in files.iter().filter(|(.., path)| path != newest) {
            if held <= limit {
                break;
            }
            fs::remove_file(path)?;
            held -= size;
        }
        Ok(())
    }
}

impl KeptLayers for PackedFolder<'_> {
    fn key(&self, method: &str, samples: &dyn Samples, count: usize) -> Result<Option<String>, AccelError> {
        let model = match (self.model)() {
            Ok(model) => model,
            Err(problem) => {
                (self.say)(&format!("packed weights are not kept: {problem}"));
                return Ok(None);
            }
        };
        let mut hash = Sha256::new();
        for text in [FORMAT, env!("CARGO_PKG_VERSION"), &PROGRAM, &model, method] {
            put(&mut hash, text.as_bytes());
        }
        for index in 0..count {
            let sample = samples.sample(index)?;
            put(&mut hash, bytemuck::cast_slice(&sample.input_ids));
            let about = format!("{:?} {:?} {:?} {:?}", sample.layout, sample.pixels.shape, sample.pixels.original, sample.pixels.grid);
            put(&mut hash, about.as_bytes());
            put(&mut hash, bytemuck::cast_slice(&sample.pixels.data));
        }
        Ok(Some(hex(hash)))
    }

    fn find(&self, key: &str, method: &str, layers: &[LinearShape]) -> Option<HashMap<String, PackedLinear>> {
        let file = self.file(key);
        let bytes = fs::read(&file).ok()?;
        match read(&bytes, layers) {
            Ok(packed) => {
                // So that it is not the first to make room.
                let read = File::options().write(true).open(&file).and_then(|file| file.set_modified(SystemTime::now()));
                drop(read);
                (self.say)(&format!("{method}: packed weights from the cache ({})", file.display()));
                Some(packed)
            }
            Err(problem) => {
                (self.say)(&format!("{}: {problem}; {method} is packed anew", file.display()));
                None
            }
        }
    }

    /// Who cannot keep it packs again the next time.
    fn keep(&self, key: &str, method: &str, packed: &BTreeMap<String, PackedLinear>) {
        if let Err(problem) = self.write(key, method, packed) {
            (self.say)(&format!("{}: {problem}; {method} is not kept", self.folder.display()));
        }
    }
}

/// A hash of this program's file, read once; empty where it cannot be read.
static PROGRAM: LazyLock<String> = LazyLock::new(|| {
    let bytes = std::env::current_exe().and_then(fs::read);
    bytes.map_or_else(|_| String::new(), |bytes| hex(Sha256::new().chain_update(bytes)))
});

fn put(hash: &mut Sha256, bytes: &[u8]) {
    hash.update((bytes.len() as u64).to_le_bytes());
    hash.update(bytes);
}

fn hex(hash: Sha256) -> String {
    data_encoding::HEXLOWER.encode(&hash.finalize())
}

/// The hash of what a file holds; `tensors` in the order of their names.
fn sealed<'a>(layers: &str, tensors: impl Iterator<Item = (&'a str, &'a [u8])>) -> String {
    let mut hash = Sha256::new();
    put(&mut hash, layers.as_bytes());
    for (name, bytes) in tensors {
        put(&mut hash, name.as_bytes());
        put(&mut hash, bytes);
    }
    hex(hash)
}

/// A layer but for its tensors. Floats are their bits, which JSON keeps.
#[derive(Serialize, Deserialize)]
struct Layer {
    out: usize,
    input: usize,
    form: Form,
    /// Activations are rounded to FP8.
    e4m3: bool,
}

#[derive(Serialize, Deserialize)]
enum Form {
    Grouped { group: usize, book: String, shift: String },
    Int8 { divisor: u32, threshold: u32 },
}

/// A tensor of the file.
struct Held {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl View for Held {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

const BOOKS: [(Codebook, &str); 5] =
    [(Codebook::Int4, "int4"), (Codebook::Int8, "int8"), (Codebook::Nf4, "nf4"), (Codebook::Fp4, "fp4"), (Codebook::E4m3, "e4m3")];
const MIDDLE: &str = "middle";
const ZEROS: &str = "zeros";
const OFFSETS: &str = "offsets";

/// Puts the tensors of a layer beside the others, and gives the rest.
fn taken_apart(name: &str, packed: &PackedLinear, tensors: &mut BTreeMap<String, Held>) -> Layer {
    let [out, input] = packed.shape();
    let mut add = |part: &str, dtype: Dtype, bytes: Vec<u8>| {
        let shape = vec![bytes.len() * 8 / dtype.bitsize()];
        tensors.insert(format!("{name}.{part}"), Held { dtype, shape, bytes });
    };
    let floats = |values: &[f32]| bytemuck::cast_slice(values).to_vec();
    let form = match packed.codes() {
        Codes::Grouped(codes) => {
            let book = codes.book;
            add("codes", Dtype::U8, if book.bits() == 4 { in_pairs(&codes.codes) } else { codes.codes });
            add("scales", Dtype::F32, floats(&codes.scales));
            let shift = match codes.shift {
                Shift::Middle => MIDDLE,
                Shift::Zeros(zeros) => {
                    add("shift", Dtype::F32, floats(&zeros));
                    ZEROS
                }
                Shift::Offsets(offsets) => {
                    add("shift", Dtype::F32, floats(&offsets));
                    OFFSETS
                }
            };
            let book = BOOKS.iter().find(|(of, _)| *of == book).map_or("", |(_, name)| name);
            Form::Grouped { group: codes.group, book: book.to_owned(), shift: shift.to_owned() }
        }
        Codes::Int8(codes) => {
            add("codes", Dtype::U8, bytemuck::cast_slice(&codes.codes).to_vec());
            add("scales", Dtype::F32, floats(&codes.scales));
            Form::Int8 { divisor: codes.divisor.to_bits(), threshold: codes.outlier_threshold.to_bits() }
        }
    };
    match packed.intake() {
        Intake::AsTheyAre | Intake::E4m3 => {}
        Intake::Ordered(order) => add("order", Dtype::U32, bytemuck::cast_slice(order).to_vec()),
        Intake::Scaled(inverses) => add("inverses", Dtype::F32, floats(inverses)),
    }
    Layer { out, input, form, e4m3: *packed.intake() == Intake::E4m3 }
}

/// The layers of a file, which are to be `expected`.
fn read(bytes: &[u8], expected: &[LinearShape]) -> Result<HashMap<String, PackedLinear>, String> {
    let damaged = |error: safetensors::SafeTensorError| format!("is damaged ({error})");
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
    let about = |name: &str| header.metadata().as_ref().and_then(|about| about.get(name)).map_or("", String::as_str);
    if about("format") != FORMAT {
        return Err(format!("is not of the format `{FORMAT}`"));
    }
    let file = SafeTensors::deserialize(bytes).map_err(damaged)?;
    let tensors: BTreeMap<&str, &[u8]> = file.iter().map(|(name, tensor)| (name, tensor.data())).collect();
    if sealed(about("layers"), tensors.iter().map(|(name, bytes)| (*name, *bytes))) != about("sha256") {
        return Err("is damaged (its hash is another)".to_owned());
    }
    let layers: BTreeMap<String, Layer> = serde_json::from_str(about("layers")).map_err(|error| format!("is damaged ({error})"))?;
    let mut packed = HashMap::with_capacity(expected.len());
    for LinearShape { name, out, input } in expected {
        let layer = layers.get(name).filter(|layer| [layer.out, layer.input] == [*out, *input]);
        let layer = layer.ok_or_else(|| format!("does not hold {name} as the model has it"))?;
        packed.insert(name.clone(), put_together(name, layer, &tensors)?);
    }
    Ok(packed)
}

fn put_together(name: &str, layer: &Layer, tensors: &BTreeMap<&str, &[u8]>) -> Result<PackedLinear, String> {
    let held = |part: &str| tensors.get(format!("{name}.{part}").as_str()).copied();
    let part = |part: &str| held(part).ok_or_else(|| format!("does not hold the {part} of {name}"));
    // A file's tensors need not lie where numbers may.
    let floats = |bytes: &[u8]| bytemuck::pod_collect_to_vec::<u8, f32>(bytes);
    let (out, input) = (layer.out, layer.input);
    let (codes, scales) = (part("codes")?, floats(part("scales")?));
    let codes = match &layer.form {
        Form::Grouped { group, book, shift } => {
            let book = BOOKS.iter().find(|(_, name)| name == book).ok_or_else(|| format!("{name} has the code book {book}"))?.0;
            let codes = if book.bits() == 4 { out_of_pairs(codes, out * input) } else { codes.to_vec() };
            let shift = match shift.as_str() {
                MIDDLE => Shift::Middle,
                ZEROS => Shift::Zeros(floats(part("shift")?)),
                OFFSETS => Shift::Offsets(floats(part("shift")?)),
                other => return Err(format!("{name} has the shift {other}")),
            };
            Codes::Grouped(GroupedCodes { out, input, group: *group, book, codes, scales, shift })
        }
        Form::Int8 { divisor, threshold } => {
            let (divisor, outlier_threshold) = (f32::from_bits(*divisor), f32::from_bits(*threshold));
            Codes::Int8(Int8Codes { out, input, codes: bytemuck::cast_slice(codes).to_vec(), scales, divisor, outlier_threshold })
        }
    };
    let intake = match (held("order"), held("inverses")) {
        (Some(order), _) => Intake::Ordered(bytemuck::pod_collect_to_vec(order)),
        (None, Some(inverses)) => Intake::Scaled(floats(inverses)),
        (None, None) if layer.e4m3 => Intake::E4m3,
        (None, None) => Intake::AsTheyAre,
    };
    PackedLinear::of(&codes, intake).map_err(|error| format!("{name}: {error}"))
}

/// Codes of 4 bits, two to a byte, the first in its low half.
fn in_pairs(codes: &[u8]) -> Vec<u8> {
    codes.chunks(2).map(|pair| pair.iter().rev().fold(0, |byte, code| (byte << 4) | code)).collect()
}

fn out_of_pairs(bytes: &[u8], count: usize) -> Vec<u8> {
    bytes.iter().flat_map(|byte| [byte & 15, byte >> 4]).take(count).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// Every layout, those that no method of today calibrates included.
    #[test]
    fn a_layer_that_was_taken_apart_is_put_together_again() {
        let codes = |book: Codebook, shift: Shift, last: u8| GroupedCodes {
            out: 3,
            input: 8,
            group: 8,
            book,
            codes: (0..24).map(|at| at * 7 % last).collect(),
            scales: vec![0.5, 2.0, 0.25],
            shift,
        };
        let grouped = [
            codes(Codebook::Int4, Shift::Zeros(vec![1.0, 7.0, 8.0]), 16),
            codes(Codebook::Int8, Shift::Offsets(vec![-0.1, 0.0, 3.0]), 251),
            codes(Codebook::Nf4, Shift::Middle, 16),
            codes(Codebook::Fp4, Shift::Middle, 16),
            codes(Codebook::E4m3, Shift::Middle, 127),
        ];
        let int8 = Int8Codes {
            out: 2,
            input: 5,
            codes: vec![1, -2, 3, -128, 127, 0, 0, 9, -9, 4],
            scales: vec![0.1, 0.3],
            divisor: 127.0,
            outlier_threshold: Int8Codes::NO_OUTLIERS,
        };
        let all = grouped.into_iter().map(Codes::Grouped).chain([Codes::Int8(int8)]);
        for codes in all {
            let [_, input] = PackedLinear::of(&codes, Intake::AsTheyAre).unwrap().shape();
            let order = (0..input as u32).rev().collect();
            let inverses = (0..input).map(|at| 1.0 / (3.0 + at as f32)).collect();
            for intake in [Intake::AsTheyAre, Intake::E4m3, Intake::Ordered(order), Intake::Scaled(inverses)] {
                let packed = PackedLinear::of(&codes, intake.clone()).unwrap();
                let mut tensors = BTreeMap::new();
                let layer = taken_apart("a", &packed, &mut tensors);
                let layer: Layer = serde_json::from_str(&serde_json::to_string(&layer).unwrap()).unwrap();
                let tensors = tensors.iter().map(|(name, held)| (name.as_str(), held.bytes.as_slice())).collect();
                let again = put_together("a", &layer, &tensors).unwrap();
                assert_eq!((again.codes(), again.intake()), (codes.clone(), &intake));
            }
        }
    }

    #[test]
    fn what_was_not_read_for_longest_makes_room() {
        let home = tempfile::tempdir().unwrap();
        let folder = PackedFolder::new(home.path().to_owned(), |_| {}, || Ok(String::new()));
        for (name, age) in [("a.safetensors", 30), ("b.safetensors", 10), ("c.safetensors", 20), ("other.txt", 40)] {
            let file = File::create(home.path().join(name)).unwrap();
            file.set_len(100).unwrap();
            file.set_modified(SystemTime::now() - std::time::Duration::from_secs(age)).unwrap();
        }
        folder.make_room(&home.path().join("b.safetensors"), 200).unwrap();
        assert_eq!(names(home.path()), ["b.safetensors", "c.safetensors", "other.txt"]);
        folder.make_room(&home.path().join("b.safetensors"), 1).unwrap();
        assert_eq!(names(home.path()), ["b.safetensors", "other.txt"]);
    }
}
