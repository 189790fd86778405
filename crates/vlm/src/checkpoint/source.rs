//! Where a checkpoint's files come from: a folder, the program itself, or whoever fetched or picked them.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::bytes::Bytes;
use super::decisive::{decides, is_weights};
use super::weights::SINGLE;
use crate::VlmError;

/// A named set of files.
#[derive(Debug)]
pub(crate) enum Source {
    /// A folder on disk.
    Folder { path: PathBuf, name: String },
    /// Files by their paths below the checkpoint's folder, wherever they are.
    Files { name: String, files: Vec<(String, Bytes)> },
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

    pub(crate) fn of_files(name: &str, files: impl IntoIterator<Item = (String, Bytes)>) -> Self {
        Self::Files { name: name.to_owned(), files: files.into_iter().collect() }
    }

    /// The folder, if it is one.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::Folder { path, .. } => Some(path),
            Self::Files { .. } => None,
        }
    }

    pub(crate) fn rename(&mut self, to: &str) {
        match self {
            Self::Folder { name, .. } | Self::Files { name, .. } => to.clone_into(name),
        }
    }

    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Folder { name, .. } | Self::Files { name, .. } => name,
        }
    }

    /// The checkpoint as error messages show it.
    pub(crate) fn label(&self) -> String {
        match self {
            Self::Folder { path, .. } => path.display().to_string(),
            Self::Files { name, .. } => name.clone(),
        }
    }

    /// A file as error messages show it.
    pub(crate) fn label_of(&self, file: &str) -> String {
        match self {
            Self::Folder { path, .. } => path.join(file).display().to_string(),
            Self::Files { name, .. } => format!("{name}:{file}"),
        }
    }

    /// The folder `name` below this one, of files that lie in none of the file system's.
    pub(crate) fn below(&self, folder: &str) -> Option<Self> {
        let Self::Files { name, files } = self else { return None };
        let inside = |(path, bytes): &(String, Bytes)| Some((path.strip_prefix(folder)?.strip_prefix('/')?.to_owned(), bytes.clone()));
        let files: Vec<_> = files.iter().filter_map(inside).collect();
        (!files.is_empty()).then(|| Self::Files { name: format!("{name}/{folder}"), files })
    }

    /// The bytes of `file`, or `None` when the checkpoint has no such file.
    pub(crate) fn get(&self, file: &str) -> Result<Option<Bytes>, VlmError> {
        match self {
            Self::Folder { path, .. } => open(&path.join(file)),
            Self::Files { files, .. } => Ok(files.iter().find(|(name, _)| name == file).map(|(_, bytes)| bytes.clone())),
        }
    }

    /// The bytes of a file that must be there; `purpose` completes "has no FILE: ...".
    pub(crate) fn require(&self, file: &str, purpose: &str) -> Result<Bytes, VlmError> {
        self.get(file)?.ok_or_else(|| self.missing(file, purpose))
    }

    pub(crate) fn missing(&self, file: &str, purpose: &str) -> VlmError {
        VlmError::MissingFile { checkpoint: self.label(), file: file.to_owned(), purpose: purpose.to_owned() }
    }

    /// The content of a small file, or `None` when there is no such file.
    pub(crate) fn content(&self, file: &str) -> Result<Option<Vec<u8>>, VlmError> {
        let Some(bytes) = self.get(file)? else { return Ok(None) };
        bytes.whole().map(Some).map_err(|source| VlmError::Io { path: self.label_of(file).into(), source })
    }

    /// A JSON file's content, or `None` when there is no such file.
    pub(crate) fn json(&self, file: &str) -> Result<Option<Value>, VlmError> {
        let Some(bytes) = self.content(file)? else { return Ok(None) };
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
            Self::Files { files, .. } => files.iter().map(|(name, _)| name.clone()).collect(),
        };
        // The single weight file wins over whatever else a folder holds.
        let single = names.iter().any(|name| name == SINGLE);
        names.retain(|name| !name.contains('/') && decides(name) && (!single || name == SINGLE || !is_weights(name)));
        names.sort_unstable();
        Ok(names)
    }
}

/// A file on disk; `None` when there is none.
fn open(path: &Path) -> Result<Option<Bytes>, VlmError> {
    let io = |source| VlmError::Io { path: path.to_owned(), source };
    match File::open(path) {
        Ok(file) => Bytes::of_file(file).map(Some).map_err(io),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io(error)),
    }
}
