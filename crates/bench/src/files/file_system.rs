//! Where files are read from: a disk, or whatever a program holds in its place.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The content of a file, from any place on.
pub trait Content: Read + Seek + Send {}

impl<C: Read + Seek + Send> Content for C {}

/// Where the files of questions and pictures are. A browser has no disk that a program could look into, only the files that a visitor picked.
pub trait FileSystem: Send + Sync {
    /// Opens a file, to be read a piece at a time.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    fn open(&self, path: &Path) -> io::Result<Box<dyn Content>>;

    /// All of a file.
    ///
    /// # Errors
    /// As [`Self::open`].
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.open(path)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Where this is on the machine's own disk, for readers that look into folders and archives there; `None` if it is on none.
    fn on_disk(&self, path: &Path) -> Option<PathBuf>;
}

/// The machine's disk.
struct Disk;

/// The machine's disk.
pub(crate) fn disk() -> Arc<dyn FileSystem> {
    Arc::new(Disk)
}

impl FileSystem for Disk {
    fn open(&self, path: &Path) -> io::Result<Box<dyn Content>> {
        Ok(Box::new(File::open(path)?))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }

    fn on_disk(&self, path: &Path) -> Option<PathBuf> {
        Some(path.to_owned())
    }
}
