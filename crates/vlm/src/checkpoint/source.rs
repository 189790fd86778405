//! Where a checkpoint's files come from: a folder, the program itself, or whoever fetched them.

use std::fs::File;
use std::io::ErrorKind;
use std::ops::{Deref, Range};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memmap2::{Mmap, MmapOptions};
use serde_json::Value;

use super::decisive::{decides, is_weights};
use super::weights::SINGLE;
use crate::VlmError;

/// A named set of files.
#[derive(Debug)]
pub(crate) enum Source {
    /// A folder on disk.
    Folder { path: PathBuf, name: String },
    /// Files in memory.
    Memory { name: String, files: Vec<(String, Bytes)> },
}

/// The bytes of one file: mapped, compiled in, or fetched. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) enum Bytes {
    Mapped(Arc<Map>),
    Static(&'static [u8]),
    Fetched(Arc<Vec<u8>>),
}

/// A whole file, mapped.
#[derive(Debug)]
pub(crate) struct Map {
    file: File,
    bytes: Mmap,
}

/// Part of a file's bytes.
#[derive(Debug)]
pub(crate) enum Stretch<'a> {
    Mapped(Mmap),
    Held(&'a [u8]),
}

impl Bytes {
    /// A stretch of the file by itself. What was read of a map stays in memory as long as the map does, so whoever reads a large file
    /// from end to end does it stretch by stretch.
    pub(crate) fn stretch(&self, range: Range<usize>) -> std::io::Result<Stretch<'_>> {
        match self {
            Self::Mapped(map) if !range.is_empty() => map_range(&map.file, range).map(Stretch::Mapped),
            held => Ok(Stretch::Held(&held[range])),
        }
    }
}

impl Deref for Stretch<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Held(bytes) => bytes,
        }
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => &map.bytes,
            Self::Static(bytes) => bytes,
            Self::Fetched(bytes) => bytes,
        }
    }
}

impl Source {
    pub(crate) fn folder(path: &Path) -> Result<Self, VlmError> {
        let folder = path.canonicalize().map_err(|source| VlmError::Io { path: path.to_owned(), source })?;
        if !folder.is_dir() {
            let source = std::io::Error::new(ErrorKind::NotADirectory, "a checkpoint is a folder");
            return Err(VlmError::Io { path: path.to_owned(), source });
        }
        let name = folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy().into_owned();
        Ok(Self::Folder { path: path.to_owned(), name })
    }

    pub(crate) fn memory(name: &str, files: impl IntoIterator<Item = (String, Bytes)>) -> Self {
        Self::Memory { name: name.to_owned(), files: files.into_iter().collect() }
    }

    /// The folder, if it is one.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::Folder { path, .. } => Some(path),
            Self::Memory { .. } => None,
        }
    }

    pub(crate) fn rename(&mut self, to: &str) {
        match self {
            Self::Folder { name, .. } | Self::Memory { name, .. } => to.clone_into(name),
        }
    }

    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Folder { name, .. } | Self::Memory { name, .. } => name,
        }
    }

    /// The checkpoint as error messages show it.
    pub(crate) fn label(&self) -> String {
        match self {
            Self::Folder { path, .. } => path.display().to_string(),
            Self::Memory { name, .. } => name.clone(),
        }
    }

    /// A file as error messages show it.
    pub(crate) fn label_of(&self, file: &str) -> String {
        match self {
            Self::Folder { path, .. } => path.join(file).display().to_string(),
            Self::Memory { name, .. } => format!("{name}:{file}"),
        }
    }

    /// The bytes of `file`, or `None` when the checkpoint has no such file.
    pub(crate) fn get(&self, file: &str) -> Result<Option<Bytes>, VlmError> {
        match self {
            Self::Folder { path, .. } => map(&path.join(file)),
            Self::Memory { files, .. } => Ok(files.iter().find(|(name, _)| name == file).map(|(_, bytes)| bytes.clone())),
        }
    }

    /// The bytes of a file that must be there; `purpose` completes "has no FILE: ...".
    pub(crate) fn require(&self, file: &str, purpose: &str) -> Result<Bytes, VlmError> {
        self.get(file)?.ok_or_else(|| self.missing(file, purpose))
    }

    pub(crate) fn missing(&self, file: &str, purpose: &str) -> VlmError {
        VlmError::MissingFile { checkpoint: self.label(), file: file.to_owned(), purpose: purpose.to_owned() }
    }

    /// A JSON file's content, or `None` when there is no such file.
    pub(crate) fn json(&self, file: &str) -> Result<Option<Value>, VlmError> {
        let Some(bytes) = self.get(file)? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|source| VlmError::Json { file: self.label_of(file), source })
    }

    /// The files that decide the model's behaviour: see [`decides`]. Sorted by name.
    pub(crate) fn files(&self) -> Result<Vec<String>, VlmError> {
        let mut names: Vec<String> = match self {
            Self::Folder { path, .. } => {
                let io = |source| VlmError::Io { path: path.clone(), source };
                std::fs::read_dir(path)
                    .map_err(io)?
                    .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()).map_err(io))
                    .collect::<Result<_, _>>()?
            }
            Self::Memory { files, .. } => files.iter().map(|(name, _)| name.clone()).collect(),
        };
        // The single weight file wins over whatever else a folder holds.
        let single = names.iter().any(|name| name == SINGLE);
        names.retain(|name| decides(name) && (!single || name == SINGLE || !is_weights(name)));
        names.sort_unstable();
        Ok(names)
    }
}

/// Maps a file into memory, so that a 14 GB checkpoint costs address space and not memory.
fn map(path: &Path) -> Result<Option<Bytes>, VlmError> {
    let io = |source| VlmError::Io { path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(error)),
    };
    let metadata = file.metadata().map_err(io)?;
    if metadata.is_dir() {
        return Err(io(std::io::Error::new(ErrorKind::IsADirectory, "a file was expected, this is a folder")));
    }
    let length = usize::try_from(metadata.len()).map_err(|error| io(std::io::Error::other(error)))?;
    if length == 0 {
        return Ok(Some(Bytes::Static(&[])));
    }
    let bytes = map_range(&file, 0..length).map_err(io)?;
    Ok(Some(Bytes::Mapped(Arc::new(Map { file, bytes }))))
}

fn map_range(file: &File, range: Range<usize>) -> std::io::Result<Mmap> {
    let mut options = MmapOptions::new();
    options.offset(range.start as u64).len(range.len());
    #[expect(
        unsafe_code,
        reason = "mapping is unsafe because another process may change the file meanwhile; a checkpoint that is \
                                    rewritten while it is read is out of scope, and every offset is checked before use"
    )]
    unsafe {
        options.map(file)
    }
}
