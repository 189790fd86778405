//! Checkpoints whose files are read by ranges, as those of a browser are: the same checkpoints, with no more than a tensor in memory.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::io::{Error, Result};
use std::path::Path;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use safetensors::Dtype;
use safetensors::tensor::{TensorView, serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use steady_vlm::Checkpoint;
use steady_vlm::files::ReadAt;

use super::folder::{Folder, reference, safetensors};

/// Lengths of all reads by file.
type Reads = Arc<Mutex<Vec<(String, usize)>>>;

/// A file that remembers how it was read.
#[derive(Debug)]
struct Watched {
    name: String,
    bytes: Vec<u8>,
    reads: Reads,
}

impl ReadAt for Watched {
    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<()> {
        self.reads.lock().unwrap().push((self.name.clone(), into.len()));
        let start = usize::try_from(offset).unwrap();
        into.copy_from_slice(&self.bytes[start..start + into.len()]);
        Ok(())
    }
}

/// The files of a folder, and of those below it.
fn files(folder: &Path, below: &str, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("{below}{}", path.file_name().unwrap().to_str().unwrap());
        if path.is_dir() {
            files(&path, &format!("{name}/"), found);
        } else {
            found.push((name, fs::read(&path).unwrap()));
        }
    }
}

fn watched(folder: &Path) -> (Checkpoint, Reads) {
    let (reads, mut found) = (Reads::default(), Vec::new());
    files(folder, "", &mut found);
    let reader = |(name, bytes): (String, Vec<u8>)| -> (String, Arc<dyn ReadAt>) {
        (name.clone(), Arc::new(Watched { name, bytes, reads: Arc::clone(&reads) }))
    };
    (Checkpoint::from_readers("picked", found.into_iter().map(reader).collect()).unwrap(), reads)
}

/// The longest read of a weight file since the last call.
fn longest(reads: &Reads) -> usize {
    let weights = |(name, length): (String, usize)| name.ends_with(".safetensors").then_some(length);
    std::mem::take(&mut *reads.lock().unwrap()).into_iter().filter_map(weights).max().unwrap_or(0)
}

#[test]
fn every_reference_checkpoint_is_itself() {
    for name in [
        "tiny-llava/checkpoint",
        "tiny-llava-published/checkpoint",
        "tiny-llava-next-mistral/checkpoint",
        "tiny-qwen2-vl/published",
        "tiny-qwen2-vl/resaved",
        "tiny-qwen2_5-vl/resaved",
    ] {
        let folder = reference().join(name);
        let (ours, _) = watched(&folder);
        let theirs = Checkpoint::open(&folder).unwrap();
        assert_eq!(
            (format!("{:?}", ours.architecture()), ours.generation_config()),
            (format!("{:?}", theirs.architecture()), theirs.generation_config()),
            "{name}"
        );
        assert_eq!(ours.sha256().unwrap(), theirs.sha256().unwrap(), "{name}");
        assert_eq!(format!("{:?}", ours.footprint().unwrap()), format!("{:?}", theirs.footprint().unwrap()), "{name}");
        let prompt = |checkpoint: &Checkpoint| {
            let prompt = checkpoint.chat_template().unwrap().prompt("is it red?").unwrap();
            checkpoint.processor().unwrap().prepare(&image::RgbImage::new(50, 50), &prompt).unwrap().input_ids
        };
        assert_eq!(prompt(&ours), prompt(&theirs), "{name}");
        assert_eq!(ours.name(), "picked");
    }
}

/// In a picked folder the tower's own folder is inside.
#[test]
fn a_vision_tower_may_be_a_folder_inside() {
    let med = reference().join("tiny-llava-med");
    let folder = Folder::copy_of("tiny-llava-med/checkpoint");
    let inside = folder.path().join("clip-tiny-patch8-24");
    fs::create_dir(&inside).unwrap();
    for file in fs::read_dir(med.join("clip-tiny-patch8-24")).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), inside.join(file.file_name())).unwrap();
    }
    let theirs = Checkpoint::open_with_tower(&med.join("checkpoint"), &med.join("clip-tiny-patch8-24")).unwrap();
    let (ours, _) = watched(folder.path());
    assert_eq!(ours.sha256().unwrap(), theirs.sha256().unwrap());
    assert_eq!(format!("{:?}", ours.footprint().unwrap()), format!("{:?}", theirs.footprint().unwrap()));
    fs::remove_dir_all(&inside).unwrap();
    let files = folder.path().read_dir().unwrap().map(|entry| {
        let entry = entry.unwrap();
        let reader: Arc<dyn ReadAt> =
            Arc::new(Watched { name: String::new(), bytes: fs::read(entry.path()).unwrap(), reads: Reads::default() });
        (entry.file_name().into_string().unwrap(), reader)
    });
    let error = Checkpoint::from_readers("picked", files.collect()).unwrap_err().to_string();
    assert!(error.contains("`mm_vision_tower`") && error.contains("picked/clip-tiny-patch8-24"), "{error}");
    assert!(error.contains("into the checkpoint's folder"), "{error}");
}

/// A file that is gone by the time it is read.
#[derive(Debug)]
struct Gone;

impl ReadAt for Gone {
    fn size(&self) -> u64 {
        100
    }

    fn read_at(&self, _: u64, _: &mut [u8]) -> Result<()> {
        Err(Error::other("the folder was moved"))
    }
}

#[test]
fn what_cannot_be_read_is_named() {
    let gone = |name: &str| -> (String, Arc<dyn ReadAt>) { (name.to_owned(), Arc::new(Gone)) };
    let error = Checkpoint::from_readers("picked", vec![gone("config.json")]).unwrap_err().to_string();
    assert_eq!(error, "cannot read picked:config.json: the folder was moved");
    let error = Checkpoint::from_readers("picked", vec![gone("README.md")]).unwrap_err().to_string();
    assert!(error.starts_with("picked has no config.json"), "{error}");
}

/// A weight file of 5 GB: what its header says is there, and nothing else.
#[derive(Debug)]
struct Huge(Vec<u8>, u64);

const HUGE: u64 = 5_000_000_000;

impl ReadAt for Huge {
    fn size(&self) -> u64 {
        self.0.len() as u64 + self.1
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<()> {
        assert!(into.len() <= self.0.len(), "{} bytes at once", into.len());
        for (at, byte) in (usize::try_from(offset).unwrap()..).zip(into) {
            *byte = self.0.get(at).copied().unwrap_or(0);
        }
        Ok(())
    }
}

#[test]
fn a_header_beyond_four_gigabytes_is_read_by_itself() {
    // The tiny model with an embedding of 2.5 million rows of 1,000, which is its head too.
    let folder = Folder::tiny();
    for (field, value) in
        [("/tie_word_embeddings", json!(true)), ("/text_config/vocab_size", json!(2_500_000)), ("/text_config/hidden_size", json!(1000))]
    {
        folder.set("config.json", field, value);
    }
    let wider = |size: usize| {
        if size == 40 {
            1000
        } else if size == 416 {
            2_500_000
        } else {
            size
        }
    };
    let (mut end, mut elements, mut header) = (0, 0, serde_json::Map::new());
    for shard in (1..=4).map(|shard| folder.read(&format!("model-0000{shard}-of-00004.safetensors"))) {
        for (name, tensor) in ::safetensors::SafeTensors::deserialize(&shard).unwrap().tensors() {
            if name.contains("lm_head") {
                continue;
            }
            let shape: Vec<usize> = tensor.shape().iter().copied().map(wider).collect();
            let size: usize = shape.iter().product();
            // What only the pooled output passes through is known and not loaded.
            elements += if name.contains("post_layernorm") { 0 } else { size as u64 };
            header.insert(name, json!({"dtype": "BF16", "shape": shape, "data_offsets": [end, end + 2 * size]}));
            end += 2 * size;
        }
    }
    assert!(end as u64 > HUGE && elements > HUGE / 2);
    let header = serde_json::Value::Object(header).to_string();
    let config = folder.read("config.json");
    let config: Arc<dyn ReadAt> = Arc::new(Watched { name: String::new(), bytes: config, reads: Reads::default() });
    let weights: Arc<dyn ReadAt> = Arc::new(Huge(safetensors(&header, &[]), end as u64));
    let files = vec![("config.json".to_owned(), config), ("model.safetensors".to_owned(), weights)];
    let footprint = Checkpoint::from_readers("huge", files).unwrap().footprint().unwrap();
    // 4 bytes each in f32; the embedding alone is 2.5 thousand million
    assert_eq!(
        (footprint.weight_bytes(steady_vlm::Precision::F32), footprint.passing_bytes(steady_vlm::Precision::F32)),
        (4 * elements, 2 * HUGE)
    );
}

/// By the definition: of every file that decides, in the order of their names, name and content, each after its length.
fn hash(files: &BTreeMap<&str, &[u8]>) -> String {
    let mut hash = Sha256::new();
    for (name, content) in files {
        for part in [name.as_bytes(), content] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
    }
    hash.finalize().iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

/// 12 MiB in three tensors: the file is never in memory, whatever is done with it.
#[test]
fn a_hash_takes_in_no_more_than_the_largest_tensor() {
    const SIDE: usize = 1024;
    let data = vec![7_u8; 4 * SIDE * SIDE];
    let view = || TensorView::new(Dtype::F32, vec![SIDE, SIDE], &data).unwrap();
    let weights = serialize([("a", view()), ("b", view()), ("c", view())], None).unwrap();
    let config = Folder::tiny().read("config.json");
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("config.json"), &config).unwrap();
    fs::write(folder.path().join("model.safetensors"), &weights).unwrap();
    let (checkpoint, reads) = watched(folder.path());
    let expected = hash(&BTreeMap::from([("config.json", config.as_slice()), ("model.safetensors", weights.as_slice())]));
    assert_eq!(checkpoint.sha256().unwrap(), expected);
    assert_eq!(Checkpoint::open(folder.path()).unwrap().sha256().unwrap(), expected);
    let longest = longest(&reads);
    assert!(longest <= data.len(), "{longest}");
}

fn tensors() -> impl Strategy<Value = Vec<(Dtype, Vec<usize>)>> {
    let dtype = prop::sample::select(vec![Dtype::F32, Dtype::F16, Dtype::BF16]);
    prop::collection::vec((dtype, prop::collection::vec(1_usize..24, 1..4)), 1..9)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn any_checkpoint_is_that_of_its_folder(tensors in tensors(), shards in 1_usize..4, seed in any::<u8>()) {
        let folder = Folder::tiny();
        for file in fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()) {
            if file.to_str().unwrap().contains(".safetensors") {
                fs::remove_file(file).unwrap();
            }
        }
        let bytes = |dtype: Dtype, shape: &[usize]| shape.iter().product::<usize>() * dtype.bitsize() / 8;
        // Small bytes make finite numbers in every element type.
        let content = |i: usize, length: usize| (0..length).map(|at| (at as u8).wrapping_mul(31).wrapping_add(seed).wrapping_add(i as u8) & 0x3F).collect();
        let data: Vec<Vec<u8>> = tensors.iter().enumerate().map(|(i, (dtype, shape))| content(i, bytes(*dtype, shape))).collect();
        let file = |shard: usize| {
            let mine = tensors.iter().zip(&data).enumerate().filter(|(i, _)| i % shards == shard);
            let views = mine.map(|(i, ((dtype, shape), data))| (format!("t{i}"), TensorView::new(*dtype, shape.clone(), data).unwrap()));
            serialize(views, None).unwrap()
        };
        let mut header = 0;
        if shards == 1 {
            folder.single(file(0));
        } else {
            let name = |i: usize| format!("model-{}.safetensors", i % shards);
            let map: serde_json::Map<_, _> = (0..tensors.len()).map(|i| (format!("t{i}"), json!(name(i)))).collect();
            folder.write("model.safetensors.index.json", json!({"weight_map": map}).to_string());
            for shard in 0..shards.min(tensors.len()) {
                folder.write(&name(shard), file(shard));
            }
        }
        for shard in 0..shards.min(tensors.len()) {
            header = header.max(u64::from_le_bytes(*file(shard).first_chunk().unwrap()) as usize);
        }
        let (ours, reads) = watched(folder.path());
        let theirs = folder.open();
        prop_assert_eq!(ours.sha256().unwrap(), theirs.sha256().unwrap());
        longest(&reads);
        let (mut a, mut b) = (ours.weights().unwrap(), theirs.weights().unwrap());
        prop_assert!(longest(&reads) <= header.max(8));
        for (i, (_, shape)) in tensors.iter().enumerate() {
            prop_assert_eq!(a.take(&format!("t{i}"), shape).unwrap(), b.take(&format!("t{i}"), shape).unwrap());
        }
        let largest = tensors.iter().map(|(dtype, shape)| bytes(*dtype, shape)).max().unwrap();
        prop_assert_eq!(longest(&reads), largest);
        a.finish().unwrap();
    }
}
