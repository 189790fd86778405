//! A file that no row can make the reader hold whole.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Content;
use super::table::LONGEST_ROW;

/// A file whose reads fail once more than [`LONGEST_ROW`] bytes were read since the last row ended.
pub(crate) struct Capped {
    file: Box<dyn Content>,
    read: Arc<AtomicU64>,
}

/// Says that a row has ended.
#[derive(Clone)]
pub(crate) struct RowEnd(Arc<AtomicU64>);

impl Capped {
    pub(crate) fn new(file: Box<dyn Content>) -> (Self, RowEnd) {
        let read = Arc::new(AtomicU64::new(0));
        (Self { file, read: Arc::clone(&read) }, RowEnd(read))
    }
}

impl RowEnd {
    /// What is read from here on belongs to another row.
    pub(crate) fn reached(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

impl Read for Capped {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        let total = self.read.fetch_add(read as u64, Ordering::Relaxed) + read as u64;
        if total > LONGEST_ROW + (1 << 20) {
            let problem = format!("is longer than {} MiB; is a line break or a closing quote missing?", LONGEST_ROW >> 20);
            return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
        }
        Ok(read)
    }
}

impl Seek for Capped {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.file.seek(position)
    }
}
