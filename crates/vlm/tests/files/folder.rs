//! A copy of a reference checkpoint that a test may break.

use std::path::{Path, PathBuf};

use serde_json::Value;
use steady_vlm::Checkpoint;
use tempfile::TempDir;

/// The folder of reference cases.
pub(crate) fn reference() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference")
}

/// The rows of a reference file.
pub(crate) fn rows(file: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(reference().join(file)).expect("the reference cases are committed");
    let json: Value = serde_json::from_str(&text).expect("the reference cases are JSON");
    let cases = json["cases"].as_array().expect("a list of cases").clone();
    assert!(cases.len() >= 8, "{file} has {} cases", cases.len());
    cases
}

pub(crate) struct Folder(TempDir);

impl Folder {
    /// The tiny reference checkpoint.
    pub(crate) fn tiny() -> Self {
        Self::copy_of("tiny-llava/checkpoint")
    }

    /// Any reference checkpoint.
    pub(crate) fn copy_of(checkpoint: &str) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for entry in std::fs::read_dir(reference().join(checkpoint)).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
        folder
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn open(&self) -> Checkpoint {
        Checkpoint::open(self.path()).expect("the checkpoint opens")
    }

    pub(crate) fn write(&self, file: &str, content: impl AsRef<[u8]>) -> &Self {
        std::fs::write(self.path().join(file), content).unwrap();
        self
    }

    pub(crate) fn read(&self, file: &str) -> Vec<u8> {
        std::fs::read(self.path().join(file)).unwrap()
    }

    pub(crate) fn remove(&self, file: &str) -> &Self {
        std::fs::remove_file(self.path().join(file)).unwrap();
        self
    }

    /// Sets one field of a JSON file, given by its JSON pointer; `Value::Null` counts as absent.
    pub(crate) fn set(&self, file: &str, pointer: &str, value: Value) -> &Self {
        let mut json: Value = serde_json::from_slice(&self.read(file)).unwrap();
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        json.pointer_mut(parent).expect("the field's object is there")[field] = value;
        self.write(file, json.to_string())
    }

    /// Replaces the shards by one weight file.
    pub(crate) fn single(&self, bytes: impl AsRef<[u8]>) -> &Self {
        self.write("model.safetensors", bytes)
    }
}

/// A safetensors file from its header and data, right or wrong.
pub(crate) fn safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}
