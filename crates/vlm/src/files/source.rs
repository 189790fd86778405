//! Where a checkpoint's files come from: a folder, the program itself, or whoever fetched or picked them.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::SINGLE;
use super::bytes::Bytes;
use super::decisive::{decides, is_weights};
use super::gguf::is_gguf;
use super::pointer;
use crate::VlmError;

/// A named set of files: what a checkpoint is made of, wherever it is.
#[derive(Debug)]
pub struct Source {
    name: String,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// A folder on disk.
    Folder(PathBuf),
    /// Files by their paths below the checkpoint's folder, wherever they are.
    Files(Vec<(String, Bytes)>),
}

impl Source {
    pub(crate) fn folder(path: &Path) -> Result<Self, VlmError> {
        let folder = path.canonicalize().map_err(|source| VlmError::Io { path: path.to_owned(), source })?;
        if !folder.is_dir() {
            let source = std::io::Error::new(ErrorKind::NotADirectory, "a checkpoint is a folder");
            return Err(VlmError::Io { path: path.to_owned(), source });
        }
        let name = folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy().into_owned();
        Ok(Self { name, place: Place::Folder(path.to_owned()) })
    }

    pub(crate) fn of_files(name: &str, files: impl IntoIterator<Item = (String, Bytes)>) -> Self {
        Self { name: name.to_owned(), place: Place::Files(files.into_iter().collect()) }
    }

    /// The folder, if it is one.
    pub fn path(&self) -> Option<&Path> {
        match &self.place {
            Place::Folder(path) => Some(path),
            Place::Files(_) => None,
        }
    }

    pub(crate) fn rename(&mut self, to: &str) {
        to.clone_into(&mut self.name);
    }

    /// The folder's name, or the one that was given to it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The checkpoint as error messages show it.
    pub fn label(&self) -> String {
        self.path().map_or_else(|| self.name.clone(), |path| path.display().to_string())
    }

    /// A file as error messages show it.
    pub fn label_of(&self, file: &str) -> String {
        self.path().map_or_else(|| format!("{}:{file}", self.name), |path| path.join(file).display().to_string())
    }

    /// The folder `name` below this one, of files that lie in none of the file system's.
    pub(crate) fn below(&self, folder: &str) -> Option<Self> {
        let Place::Files(files) = &self.place else { return None };
        let inside = |(path, bytes): &(String, Bytes)| Some((path.strip_prefix(folder)?.strip_prefix('/')?.to_owned(), bytes.clone()));
        let files: Vec<_> = files.iter().filter_map(inside).collect();
        (!files.is_empty()).then(|| Self { name: format!("{}/{folder}", self.name), place: Place::Files(files) })
    }

    /// The bytes of `file`, or `None` when the checkpoint has no such file.
    pub(crate) fn get(&self, file: &str) -> Result<Option<Bytes>, VlmError> {
        let bytes = match &self.place {
            Place::Folder(path) => open(&path.join(file))?,
            Place::Files(files) => files.iter().find(|(name, _)| name == file).map(|(_, bytes)| bytes.clone()),
        };
        if let Some(bytes) = &bytes {
            pointer::refuse(&self.label_of(file), bytes)?;
        }
        Ok(bytes)
    }

    /// Whether the checkpoint has such a file, whatever is in it.
    pub(crate) fn holds(&self, file: &str) -> bool {
        match &self.place {
            Place::Folder(path) => path.join(file).symlink_metadata().is_ok(),
            Place::Files(files) => files.iter().any(|(name, _)| name == file),
        }
    }

    /// The bytes of a file that must be there; `purpose` completes "has no FILE: ...".
    pub(crate) fn require(&self, file: &str, purpose: &str) -> Result<Bytes, VlmError> {
        self.get(file)?.ok_or_else(|| self.missing(file, purpose))
    }

    /// The files of its own folder, by name and in order.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub(crate) fn names(&self) -> Result<Vec<String>, VlmError> {
        let mut names: Vec<String> = match &self.place {
            Place::Folder(path) => {
                let io = |source| VlmError::Io { path: path.clone(), source };
                let entries = std::fs::read_dir(path).map_err(io)?.collect::<Result<Vec<_>, _>>().map_err(io)?;
                let files = entries.into_iter().filter(|entry| entry.path().is_file());
                files.filter_map(|entry| entry.file_name().into_string().ok()).collect()
            }
            Place::Files(files) => files.iter().map(|(name, _)| name.clone()).filter(|name| !name.contains('/')).collect(),
        };
        names.sort();
        Ok(names)
    }

    /// The error about a file that is not there; `purpose` completes "has no FILE: ...".
    pub fn missing(&self, file: &str, purpose: &str) -> VlmError {
        VlmError::MissingFile { checkpoint: self.label(), file: file.to_owned(), purpose: purpose.to_owned() }
    }

    /// The content of a small file, or `None` when there is no such file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn content(&self, file: &str) -> Result<Option<Vec<u8>>, VlmError> {
        let Some(bytes) = self.get(file)? else { return Ok(None) };
        bytes.whole().map(Some).map_err(|source| VlmError::Io { path: self.label_of(file).into(), source })
    }

    /// The content of a small JSON file, or `None` when there is no such file. A byte order mark in front of it is left away.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn json_text(&self, file: &str) -> Result<Option<Vec<u8>>, VlmError> {
        let Some(mut bytes) = self.content(file)? else { return Ok(None) };
        if bytes.starts_with(BYTE_ORDER_MARK) {
            tracing::warn!("{}: begins with a byte order mark, with which transformers does not read it", self.label_of(file));
            bytes.drain(..BYTE_ORDER_MARK.len());
        }
        Ok(Some(bytes))
    }

    /// A JSON file's content, or `None` when there is no such file.
    ///
    /// # Errors
    /// When it cannot be read, or is no JSON.
    pub fn json(&self, file: &str) -> Result<Option<Value>, VlmError> {
        let Some(bytes) = self.json_text(file)? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|source| VlmError::Json { file: self.label_of(file), source })
    }

    /// The files that decide the model's behaviour: see [`decides`]. Sorted by name.
    pub(crate) fn files(&self) -> Result<Vec<String>, VlmError> {
        let mut names: Vec<String> = match &self.place {
            Place::Folder(path) => {
                let io = |source| VlmError::Io { path: path.clone(), source };
                std::fs::read_dir(path)
                    .map_err(io)?
                    .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()).map_err(io))
                    .collect::<Result<_, _>>()?
            }
            Place::Files(files) => files.iter().map(|(name, _)| name.clone()).collect(),
        };
        // The single weight file wins over whatever else a folder holds.
        let single = names.iter().any(|name| name == SINGLE);
        names.retain(|name| !name.contains('/') && decides(name) && (!single || name == SINGLE || !is_weights(name)));
        // llama.cpp's files are read where there are no others.
        let others = names.iter().any(|name| is_weights(name) && !is_gguf(Path::new(name)));
        names.retain(|name| !others || !is_gguf(Path::new(name)));
        names.sort_unstable();
        Ok(names)
    }
}

/// What some editors put in front of UTF-8.
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A file on disk; `None` when there is none. A link to nothing is no absent file: whoever made it meant one to be there.
fn open(path: &Path) -> Result<Option<Bytes>, VlmError> {
    let io = |source| VlmError::Io { path: path.to_owned(), source };
    match File::open(path) {
        Ok(file) => Bytes::of_file(file).map(Some).map_err(io),
        Err(error) if error.kind() == ErrorKind::NotFound && path.is_symlink() => {
            let target = std::fs::read_link(path).map_err(io)?;
            let problem = format!("is a link to {}, which is not there: fetch the file anew, or remove the link", target.display());
            Err(VlmError::NotItself { file: path.display().to_string(), problem })
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io(error)),
    }
}
