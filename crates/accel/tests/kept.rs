//! Layers that were packed with prompts are kept on disk: the same model comes of them, and of nothing that is damaged or was made otherwise.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::cell::{Cell, RefCell};
use std::fs;
use std::path::{Path, PathBuf};

use pollster::FutureExt;
use steady_accel::{AccelError, Acceleration, KeptLayers, PackedFolder, Samples};
use steady_vlm::{Checkpoint, Decoding, Device, Precision, Prepared, Vlm};

fn reference() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference/tiny-llava")
}

/// Questions about a reference picture, which count how often one is read.
struct Pictures<'a> {
    model: &'a Vlm,
    kept: Option<PackedFolder<'a>>,
    question: &'a str,
    read: Cell<usize>,
}

const PROMPTS: usize = 4;

impl Samples for Pictures<'_> {
    fn count(&self) -> usize {
        PROMPTS
    }

    fn sample(&self, index: usize) -> Result<Prepared, AccelError> {
        self.read.set(self.read.get() + 1);
        let picture = ["larger.png", "tiny.png"][index % 2];
        let image = steady_vlm::image::load(&reference().join("images").join(picture)).unwrap();
        Ok(self.model.prepare(&image, &self.model.prompt(self.question).unwrap()).unwrap())
    }

    fn kept(&self) -> Option<&dyn KeptLayers> {
        self.kept.as_ref().map(|kept| kept as &dyn KeptLayers)
    }
}

thread_local! {
    static SAID: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

fn say(text: &str) {
    SAID.with_borrow_mut(|said| said.push(text.to_owned()));
}

/// What a packing took and gave.
struct Packed {
    logits: Vec<f32>,
    bytes: usize,
    /// Prompts that were read.
    read: usize,
    said: Vec<String>,
}

fn pack(model: &Vlm, spec: &str, folder: Option<&Path>, question: &str, told: &str) -> Packed {
    let kept = folder.map(|folder| PackedFolder::new(folder.to_owned(), say, move || Ok(told.to_owned())));
    let samples = Pictures { model, kept, question, read: Cell::new(0) };
    let packed = Acceleration::parse(spec).unwrap().quantize_seeing(model, Some(&samples)).block_on().unwrap().unwrap();
    let read = samples.read.get();
    let asked = samples.sample(0).unwrap();
    let logits = packed.ask(&asked, None, &Decoding { max_new_tokens: 1, ..Decoding::default() }).block_on().unwrap().first_logits;
    Packed { logits, bytes: packed.weight_bytes(), read, said: SAID.take() }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn what_is_kept_is_what_was_packed() {
    let model = Vlm::load(&Checkpoint::open(&reference().join("checkpoint")).unwrap(), &Device::Cpu, Precision::F32).unwrap();
    for spec in ["w4:gptq,g=8,n=4", "w3:gptq,g=8,asym,act,n=4", "w4:awq,g=8,n=4", "w8a8:smooth,n=4"] {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("not/there/yet");
        let pack = |folder: Option<&Path>, question: &str, told: &str| pack(&model, spec, folder, question, told);
        let without = pack(None, "how many circles?", "this model");
        let first = pack(Some(&folder), "how many circles?", "this model");
        assert_eq!(first.said, [] as [&str; 0], "{spec}");
        let kept = files(&folder);
        assert_eq!(kept.len(), 1, "{spec}: one file, and no half one");
        let second = pack(Some(&folder), "how many circles?", "this model");
        assert_eq!(second.read, PROMPTS, "{spec}: prompts are read for the key alone");
        assert!(first.read > second.read, "{spec}");
        assert!(second.said.len() == 1 && second.said[0].contains("packed weights from the cache"), "{:?}", second.said);
        for other in [&first, &second] {
            assert_eq!((&other.logits, other.bytes), (&without.logits, without.bytes), "{spec}");
        }
        // Another question and another model are packed by themselves.
        assert!(pack(Some(&folder), "read the word", "this model").read > PROMPTS, "{spec}");
        assert!(pack(Some(&folder), "how many circles?", "another model").read > PROMPTS, "{spec}");
        assert_eq!(files(&folder).len(), 3, "{spec}");
        // A byte that is another, in the numbers and in the header, and an end that is missing.
        let whole = fs::read(&kept[0]).unwrap();
        let header = 8 + usize::try_from(u64::from_le_bytes(whole[..8].try_into().unwrap())).unwrap();
        for (at, length) in [(header + 5, whole.len()), (header / 2, whole.len()), (9, whole.len()), (0, header + 3), (0, 0)] {
            let mut damaged = whole[..length].to_vec();
            if let Some(byte) = damaged.get_mut(at).filter(|_| at > 0) {
                *byte ^= 1;
            }
            fs::write(&kept[0], &damaged).unwrap();
            let again = pack(Some(&folder), "how many circles?", "this model");
            assert_eq!(again.logits, without.logits, "{spec}: byte {at} of {length}");
            assert!(again.read > PROMPTS && again.said.len() == 1, "{spec}: byte {at} of {length}: {:?}", again.said);
            assert!(again.said[0].contains("packed anew"), "{:?}", again.said);
            let last = pack(Some(&folder), "how many circles?", "this model");
            assert_eq!((last.read, &last.logits), (PROMPTS, &without.logits), "{spec}: it is written anew");
        }
    }
}

#[test]
fn who_cannot_keep_it_packs_all_the_same() {
    let model = Vlm::load(&Checkpoint::open(&reference().join("checkpoint")).unwrap(), &Device::Cpu, Precision::F32).unwrap();
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("a file");
    fs::write(&file, "").unwrap();
    let spec = "w4:gptq,g=8,n=4";
    let without = pack(&model, spec, None, "read the word", "");
    let with = pack(&model, spec, Some(&file), "read the word", "");
    assert_eq!(with.logits, without.logits);
    assert!(with.said.len() == 1 && with.said[0].contains("is not kept"), "{:?}", with.said);
}
