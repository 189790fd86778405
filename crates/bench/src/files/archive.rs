//! Pictures in a zip archive.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use zip::ZipArchive;

use super::table::{LONGEST_ROW, unreadable};
use crate::BenchError;

/// An archive on the disk. Names are those of entries; the first folder of a name can be left out.
pub(crate) struct Archive {
    path: PathBuf,
    opened: Mutex<ZipArchive<File>>,
    entries: HashMap<String, usize>,
}

impl Archive {
    /// # Errors
    /// [`BenchError::File`] for a file that is none.
    pub(crate) fn open(path: &Path) -> Result<Self, BenchError> {
        let fail = |problem: String| BenchError::File { path: path.to_owned(), problem };
        if path.extension().is_none_or(|ending| ending != "zip") {
            return Err(fail("expected a folder of pictures or a .zip archive".to_owned()));
        }
        let archive = File::open(path).map_err(|error| unreadable(path, error))?;
        let archive = ZipArchive::new(archive).map_err(|error| fail(format!("is no zip archive that is read here: {error}")))?;
        let names: Vec<String> = archive.file_names().filter_map(Result::ok).map(Cow::into_owned).collect();
        let mut entries = HashMap::new();
        for name in names {
            let Some(index) = archive.index_for_name(&name) else { continue };
            if let Some((_, inside)) = name.split_once('/') {
                entries.entry(inside.to_owned()).or_insert(index);
            }
            entries.insert(name, index);
        }
        Ok(Self { path: path.to_owned(), opened: Mutex::new(archive), entries })
    }

    /// The bytes of the picture of this name, or what is wrong with it.
    pub(crate) fn read(&self, name: &str) -> Result<Vec<u8>, String> {
        let path = self.path.display();
        let index = *self.entries.get(name.trim_start_matches("./")).ok_or_else(|| format!("picture {name}: {path} has no such entry"))?;
        let mut archive = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = archive.by_index(index).map_err(|error| format!("picture {name}: {path}: {error}"))?;
        let mut bytes = Vec::new();
        entry.take(LONGEST_ROW).read_to_end(&mut bytes).map_err(|error| format!("picture {name}: {path}: {error}"))?;
        Ok(bytes)
    }
}
