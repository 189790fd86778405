//! A checkpoint on the visitor's disk. Its files are read where they are, piece by piece: the page hands over which they are, not what is in them.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use anyhow::{Result, bail};
use js_sys::{Array, Function, Reflect, Uint8Array};
use send_wrapper::SendWrapper;
use steady_protocol::{Folder, FolderFile, Loading, Response};
use steady_vlm::Checkpoint;
use steady_vlm::files::ReadAt;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::File;

use crate::port;
use crate::scope::{said, scope};

/// Bytes between two reports of how far reading is.
const STEP: u64 = 8_000_000;

/// The checkpoint in `folder`, whose files are `files`. The page is told as they are read.
pub(crate) fn checkpoint(folder: &Folder, files: Vec<File>) -> Result<Checkpoint> {
    if files.len() != folder.files.len() {
        bail!("of the {} files of the folder {} {} came with the request", folder.files.len(), folder.name, files.len());
    }
    let weights = folder.files.iter().filter(|file| file.path.ends_with(".safetensors"));
    let reading = Rc::new(Reading { total: weights.map(|file| file.bytes).sum(), ..Reading::default() });
    let reader = |(FolderFile { path, bytes }, file): (&FolderFile, File)| -> (String, Arc<dyn ReadAt>) {
        let inner = SendWrapper::new((file, Rc::clone(&reading)));
        (path.clone(), Arc::new(DiskFile { path: path.clone(), bytes: *bytes, inner }))
    };
    let readers = folder.files.iter().zip(files).map(reader).collect();
    Ok(Checkpoint::from_readers(&folder.name, readers)?)
}

/// How far reading is, over all files.
#[derive(Debug, Default)]
struct Reading {
    /// Bytes of all weights.
    total: u64,
    read: Cell<u64>,
    told: Cell<u64>,
}

impl Reading {
    fn advance(&self, file: &str, bytes: u64) {
        self.read.set(self.read.get() + bytes);
        if self.read.get() - self.told.get() >= STEP {
            self.told.set(self.read.get());
            // A study reads the weights a second time, for their hash.
            let received = self.read.get() % self.total.max(1);
            port::send(&Response::Loading(Loading { file: file.to_owned(), received, total: Some(self.total) }));
        }
    }
}

/// A file that the visitor picked. A worker has one thread, which is all that the wrapper asks for.
#[derive(Debug)]
struct DiskFile {
    path: String,
    bytes: u64,
    inner: SendWrapper<(File, Rc<Reading>)>,
}

impl ReadAt for DiskFile {
    fn size(&self) -> u64 {
        self.bytes
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        let (file, reading) = &*self.inner;
        let refused =
            |error: JsValue| io::Error::other(format!("the browser cannot read it any more ({}): choose the folder again", said(&error)));
        let read = read(file, offset, into.len() as u64).map_err(refused)?;
        if read.length() as usize != into.len() {
            let problem = format!("{} bytes were asked for at {offset}, {} came: the file has changed", into.len(), read.length());
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, problem));
        }
        read.copy_to(into);
        reading.advance(&self.path, into.len() as u64);
        Ok(())
    }
}

/// Bytes of a file, at once, which a browser allows in a worker alone. Asked without bindings, which would compile everything that uses any anew.
pub(crate) fn read(file: &File, offset: u64, length: u64) -> Result<Uint8Array, JsValue> {
    // A double holds every place up to 9 PB.
    let slice = file.slice_with_f64_and_f64(offset as f64, (offset + length) as f64)?;
    let reader: Function = Reflect::get(&scope(), &"FileReaderSync".into())?.dyn_into()?;
    let reader = Reflect::construct(&reader, &Array::new())?;
    let method: Function = Reflect::get(&reader, &"readAsArrayBuffer".into())?.dyn_into()?;
    Ok(Uint8Array::new(&method.call1(&reader, &slice)?))
}
