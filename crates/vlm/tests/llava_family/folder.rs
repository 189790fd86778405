//! Copies of the reference checkpoints that a test may change.

use std::path::{Path, PathBuf};

use serde_json::Value;
use steady_vlm::image::{ImageOptions, PixelBackend};
use steady_vlm::{Checkpoint, DeviceChoice, Precision, Vlm, VlmError};
use tempfile::TempDir;

/// The reference cases of a checkpoint.
pub(crate) fn reference(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference").join(name)
}

/// A model on the CPU, with the pixels that the reference cases were made with.
pub(crate) fn load(checkpoint: &Path) -> Result<Vlm, VlmError> {
    let device = DeviceChoice::Cpu.open()?.device;
    Vlm::load(
        &Checkpoint::open(checkpoint)?.with_images(ImageOptions { backend: PixelBackend::Pil, ..ImageOptions::default() }),
        &device,
        Precision::F32,
    )
}

pub(crate) struct Folder(TempDir);

impl Folder {
    /// The folders of `name`'s checkpoint and, for LLaVA-Med, of its tower.
    pub(crate) fn copy_of(name: &str) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for part in ["checkpoint", "clip-tiny-patch8-24"] {
            let Ok(files) = std::fs::read_dir(reference(name).join(part)) else { continue };
            std::fs::create_dir(folder.0.path().join(part)).unwrap();
            for file in files {
                let file = file.unwrap();
                std::fs::copy(file.path(), folder.0.path().join(part).join(file.file_name())).unwrap();
            }
        }
        folder
    }

    pub(crate) fn root(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn checkpoint(&self) -> PathBuf {
        self.0.path().join("checkpoint")
    }

    pub(crate) fn file(&self, file: &str) -> PathBuf {
        self.checkpoint().join(file)
    }

    /// Sets one field of a JSON file of the checkpoint, given by its JSON pointer.
    pub(crate) fn set(&self, file: &str, pointer: &str, value: Value) -> &Self {
        let mut json: Value = serde_json::from_slice(&std::fs::read(self.file(file)).unwrap()).unwrap();
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        json.pointer_mut(parent).unwrap()[field] = value;
        std::fs::write(self.file(file), json.to_string()).unwrap();
        self
    }
}

/// The error that `result` must be; it has to contain all of `parts`.
pub(crate) fn says<T>(result: Result<T, VlmError>, parts: &[&str]) {
    let Err(error) = result else { panic!("expected an error with {parts:?}") };
    let error = error.to_string();
    assert!(parts.iter().all(|part| error.contains(part)), "expected {parts:?}: {error}");
}
