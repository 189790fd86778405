//! Where the pictures of questions lie: in a folder, in a zip archive, or in the rows of a table.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use data_encoding::HEXLOWER;
use image::RgbImage;
use sha2::{Digest, Sha256};

#[cfg(feature = "files")]
use super::archive::Archive;
use super::table::{At, Table};
use super::{Cell, FileSystem};
use crate::BenchError;

/// Where pictures that rows name are.
pub(crate) enum Images {
    /// Names are paths from this folder.
    Folder(Arc<dyn FileSystem>, PathBuf),
    /// Names are those of entries.
    #[cfg(feature = "files")]
    Archive(Archive),
}

impl Images {
    /// A folder, or a zip archive on a disk.
    ///
    /// # Errors
    /// [`BenchError::File`] for what is neither.
    pub(crate) fn open(files: &Arc<dyn FileSystem>, path: &Path) -> Result<Self, BenchError> {
        match files.on_disk(path) {
            Some(path) if !path.is_dir() => archive(&path),
            // elsewhere there are files and no folders
            _ => Ok(Self::Folder(Arc::clone(files), path.to_owned())),
        }
    }

    /// The bytes of the picture of this name, or what is wrong with it.
    fn read(&self, name: &str) -> Result<Vec<u8>, String> {
        match self {
            Self::Folder(files, folder) => {
                let path = folder.join(name);
                files.read(&path).map_err(|error| format!("picture {}: {error}", path.display()))
            }
            #[cfg(feature = "files")]
            Self::Archive(archive) => archive.read(name),
        }
    }
}

#[cfg(feature = "files")]
fn archive(path: &Path) -> Result<Images, BenchError> {
    Archive::open(path).map(Images::Archive)
}

#[cfg(not(feature = "files"))]
fn archive(path: &Path) -> Result<Images, BenchError> {
    Err(BenchError::File { path: path.to_owned(), problem: "expected a folder of pictures".to_owned() })
}

/// Where one picture lies.
#[derive(Clone, Debug)]
enum Lies {
    /// Among the [`Images`], under this name.
    Named(String),
    /// In a cell of one of the tables, or in an item of its list.
    Cell { table: usize, at: At, column: usize, item: Option<usize> },
}

/// A picture as it was found.
struct Known {
    lies: Lies,
    size: (u32, u32),
    sha256: [u8; 32],
}

/// All pictures of a benchmark, by id: the name that a row gives them, or the beginning of their hash where they lie in rows.
pub(crate) struct Pictures {
    images: Images,
    tables: Vec<Arc<dyn Table>>,
    known: HashMap<String, Known>,
}

/// What a cell says of a picture.
enum Said {
    Named(String),
    Inside(Vec<u8>),
}

impl Pictures {
    pub(crate) fn new(images: Images, tables: Vec<Arc<dyn Table>>) -> Self {
        Self { images, tables, known: HashMap::new() }
    }

    pub(crate) fn table(&self, index: usize) -> Arc<dyn Table> {
        Arc::clone(&self.tables[index])
    }

    /// Takes note of the pictures in a cell of a row, and looks at each: ids in order.
    ///
    /// # Errors
    /// What is wrong, without row and column.
    pub(crate) fn note(&mut self, cell: &Cell, (table, at, column): (usize, At, usize)) -> Result<Vec<String>, String> {
        let items: Vec<(Option<usize>, &Cell)> = match cell {
            Cell::List(items) => items.iter().enumerate().map(|(item, cell)| (Some(item), cell)).collect(),
            cell => vec![(None, cell)],
        };
        let listed = |cell: &Cell| cell.as_text().is_some_and(|text| text.starts_with('[') && text.ends_with(']'));
        if let [(None, names)] = items.as_slice()
            && listed(names)
        {
            return names.texts()?.into_iter().map(|name| self.named(name)).collect();
        }
        let mut ids = Vec::new();
        for (item, cell) in items {
            ids.push(match said(cell)? {
                Said::Named(name) => self.named(name)?,
                Said::Inside(bytes) => {
                    let sha256: [u8; 32] = Sha256::digest(&bytes).into();
                    let id = HEXLOWER.encode(&sha256[..8]);
                    if !self.known.contains_key(&id) {
                        let size = looked_at(&bytes, &id)?;
                        self.known.insert(id.clone(), Known { lies: Lies::Cell { table, at, column, item }, size, sha256 });
                    }
                    id
                }
            });
        }
        if ids.is_empty() { Err("has no picture".to_owned()) } else { Ok(ids) }
    }

    /// Takes note of the picture of this name among the images.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn named(&mut self, name: String) -> Result<String, String> {
        if !self.known.contains_key(&name) {
            let bytes = self.images.read(&name)?;
            let size = looked_at(&bytes, &name)?;
            let sha256 = Sha256::digest(&bytes).into();
            self.known.insert(name.clone(), Known { lies: Lies::Named(name.clone()), size, sha256 });
        }
        Ok(name)
    }

    /// Takes note of the one picture in a cell under an id that other rows name it by.
    ///
    /// # Errors
    /// As [`Self::note`].
    pub(crate) fn note_as(&mut self, id: &str, cell: &Cell, (table, at, column): (usize, At, usize)) -> Result<(), String> {
        let Said::Inside(bytes) = said(cell)? else { return Err("names a picture, and should hold it".to_owned()) };
        let (size, sha256) = (looked_at(&bytes, id)?, Sha256::digest(&bytes).into());
        self.known.insert(id.to_owned(), Known { lies: Lies::Cell { table, at, column, item: None }, size, sha256 });
        Ok(())
    }

    pub(crate) fn contains(&self, id: &str) -> bool {
        self.known.contains_key(id)
    }

    /// Lets go of all pictures but these.
    pub(crate) fn retain(&mut self, wanted: &std::collections::BTreeSet<String>) {
        self.known.retain(|id, _| wanted.contains(id));
    }

    pub(crate) fn size(&self, id: &str) -> Option<(u32, u32)> {
        self.known.get(id).map(|known| known.size)
    }

    /// SHA-256 of the picture's bytes.
    pub(crate) fn sha256(&self, id: &str) -> Option<[u8; 32]> {
        self.known.get(id).map(|known| known.sha256)
    }

    /// Reads and decodes a picture; `None` where there is none of this id.
    ///
    /// # Errors
    /// When it is not any more what it was.
    pub(crate) fn decode(&self, id: &str) -> Result<Option<RgbImage>, BenchError> {
        let Some(known) = self.known.get(id) else { return Ok(None) };
        let changed = |problem: String| BenchError::Picture { image: id.to_owned(), problem };
        let bytes = match &known.lies {
            Lies::Named(name) => self.images.read(name).map_err(changed)?,
            Lies::Cell { table, at, column, item } => {
                let cell = self.tables[*table].cell(*at, *column)?;
                let cell = match (cell, item) {
                    (Cell::List(mut items), Some(item)) if *item < items.len() => items.swap_remove(*item),
                    (cell, _) => cell,
                };
                match said(&cell).map_err(changed)? {
                    Said::Inside(bytes) => bytes,
                    Said::Named(_) => return Err(changed("the file has changed since it was opened".to_owned())),
                }
            }
        };
        let sha256: [u8; 32] = Sha256::digest(&bytes).into();
        if sha256 != known.sha256 {
            return Err(changed("the file has changed since it was opened".to_owned()));
        }
        steady_pixels::decode(&bytes, id).map(Some).map_err(|error| changed(error.to_string()))
    }
}

fn looked_at(bytes: &[u8], name: &str) -> Result<(u32, u32), String> {
    steady_pixels::size(bytes, name).map_err(|error| error.to_string())
}

fn said(cell: &Cell) -> Result<Said, String> {
    match cell {
        Cell::Missing => Err("is empty; expected a picture".to_owned()),
        Cell::Bytes(bytes) => Ok(Said::Inside(bytes.clone())),
        Cell::Parts(_) => match (cell.part("bytes"), cell.part("path")) {
            (Cell::Missing, Cell::Missing) => Err("has neither `bytes` nor `path`".to_owned()),
            (Cell::Missing, path) => said(path),
            (bytes, _) => said(bytes),
        },
        Cell::Text(text) => said_in(text),
        Cell::List(_) => Err("holds a list in a list".to_owned()),
    }
}

/// A data URL, base64, or a name.
fn said_in(text: &str) -> Result<Said, String> {
    if text.starts_with("http://") || text.starts_with("https://") {
        return Err(format!("is the address {text}; fetch the picture and give its path"));
    }
    if let Some((_, code)) = text.strip_prefix("data:").and_then(|url| url.split_once(";base64,")) {
        return decoded(code).map(Said::Inside);
    }
    // How JPEG, PNG and WebP begin. No path is as long.
    let begins = ["/9j/", "iVBOR", "UklGR"].iter().any(|start| text.starts_with(start));
    if begins && text.len() > 64 { decoded(text).map(Said::Inside) } else { Ok(Said::Named(text.to_owned())) }
}

fn decoded(code: &str) -> Result<Vec<u8>, String> {
    let code: String = code.split_ascii_whitespace().collect();
    STANDARD.decode(&code).or_else(|_| STANDARD_NO_PAD.decode(&code)).map_err(|error| format!("is no base64: {error}"))
}
