//! The visitor's own questions. Table and pictures are read where they are: the page hands over which files these are, not what is in them.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, bail};
use send_wrapper::SendWrapper;
use steady_bench::{Benchmark, Content, FileSystem, own_questions, thumbnail};
use steady_protocol::{OwnQuestions, PictureForm, Pixels, Shown};
use steady_report::Picture;
use wasm_bindgen::JsValue;
use web_sys::File;

use crate::disk;
use crate::scope::said;

/// The questions in these files.
///
/// # Errors
/// What is wrong with them, in the words of the command line.
pub(crate) fn questions(OwnQuestions { folder, spec }: &OwnQuestions, files: Vec<File>) -> Result<Box<dyn Benchmark>> {
    if files.len() != folder.files.len() {
        bail!("of the {} files of {} {} came with the request", folder.files.len(), folder.name, files.len());
    }
    let paths = folder.files.iter().map(|file| PathBuf::from(&file.path));
    let files: Arc<dyn FileSystem> = Arc::new(Picked(paths.zip(files.into_iter().map(SendWrapper::new)).collect()));
    Ok(own_questions(&files, spec)?)
}

/// One of their pictures.
///
/// # Errors
/// When there is no such picture, it is several, or its file is not what it was.
pub(crate) fn picture(benchmark: &dyn Benchmark, image: &str, form: &PictureForm) -> Result<Shown> {
    match form {
        PictureForm::Thumbnail(perturbation) => {
            let picture = Picture { image: image.to_owned(), perturbation: perturbation.clone() };
            Ok(Shown::File(thumbnail(benchmark, &picture)?))
        }
        PictureForm::Whole => match benchmark.images(image)?.as_slice() {
            [(_, image)] => Ok(Shown::Pixels(Pixels { width: image.width(), height: image.height(), rgb: image.as_raw().clone() })),
            several => bail!("{} pictures are shown together", several.len()),
        },
    }
}

/// The files that a visitor picked, by their paths below the folder.
struct Picked(HashMap<PathBuf, SendWrapper<File>>);

impl Picked {
    fn find(&self, path: &Path) -> io::Result<&SendWrapper<File>> {
        self.0.get(&plain(path)).ok_or_else(|| io::Error::new(ErrorKind::NotFound, "is not among the files that were chosen"))
    }
}

/// A path without detours.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                plain.pop();
            }
            Component::Normal(name) => plain.push(name),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    plain
}

impl FileSystem for Picked {
    fn open(&self, path: &Path) -> io::Result<Box<dyn Content>> {
        let file = self.find(path)?.clone();
        Ok(Box::new(Opened { size: file.size() as u64, file, at: 0 }))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = self.find(path)?;
        bytes(file, 0, file.size() as u64)
    }

    fn on_disk(&self, _: &Path) -> Option<PathBuf> {
        None
    }
}

/// A file that is read a piece at a time.
struct Opened {
    file: SendWrapper<File>,
    size: u64,
    at: u64,
}

impl Read for Opened {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = (into.len() as u64).min(self.size.saturating_sub(self.at));
        let read = bytes(&self.file, self.at, length)?;
        into[..read.len()].copy_from_slice(&read);
        self.at += read.len() as u64;
        Ok(read.len())
    }
}

impl Seek for Opened {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        let at = match position {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| io::Error::new(ErrorKind::InvalidInput, "there is nothing before the beginning"))?;
        Ok(self.at)
    }
}

fn bytes(file: &File, offset: u64, length: u64) -> io::Result<Vec<u8>> {
    if length == 0 {
        return Ok(Vec::new());
    }
    let refused =
        |error: JsValue| io::Error::other(format!("the browser cannot read it any more ({}): choose the files again", said(&error)));
    Ok(disk::read(file, offset, length).map_err(refused)?.to_vec())
}
