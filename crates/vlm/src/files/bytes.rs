//! The bytes of a checkpoint's file: mapped, compiled in, fetched, or read piece by piece where they are. A weight file may be larger than
//! memory, so nothing here takes in a whole file unless it is asked to; places in it are 64 bits wide, also where addresses are not.

use std::fmt::Debug;
use std::fs::File;
use std::io::{Error, ErrorKind};
use std::ops::{Deref, Range};
use std::sync::Arc;

use memmap2::{Mmap, MmapOptions};

/// Longest stretch of a file that is taken in at once when the file is read from end to end.
const STRETCH: u64 = 1 << 22;

/// A file that is read by ranges, wherever it is: a browser's `File`, say.
pub trait ReadAt: Debug + Send + Sync {
    /// Bytes of the file.
    fn size(&self) -> u64;

    /// Fills `into` with the bytes from `offset` on; they are within the file.
    ///
    /// # Errors
    /// When the file cannot be read, or is not any more what it was.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> std::io::Result<()>;
}

/// The bytes of one file. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) enum Bytes {
    Mapped(Arc<MappedFile>),
    Static(&'static [u8]),
    Fetched(Arc<Vec<u8>>),
    Elsewhere(Arc<dyn ReadAt>),
}

/// A file on disk; its stretches are mapped one by one. What was read of a map stays in memory as long as the map does.
#[derive(Debug)]
pub(crate) struct MappedFile {
    file: File,
    size: u64,
}

/// Part of a file's bytes, held by itself.
#[derive(Debug)]
pub(crate) enum Stretch {
    Mapped(Mmap),
    Static(&'static [u8]),
    Shared(Arc<Vec<u8>>, Range<usize>),
    Read(Vec<u8>),
}

impl Bytes {
    pub(crate) fn of_file(file: File) -> std::io::Result<Self> {
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(Error::new(ErrorKind::IsADirectory, "a file was expected, this is a folder"));
        }
        Ok(Self::Mapped(Arc::new(MappedFile { file, size: metadata.len() })))
    }

    /// Bytes of the file.
    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::Mapped(mapped) => mapped.size,
            Self::Static(bytes) => bytes.len() as u64,
            Self::Fetched(bytes) => bytes.len() as u64,
            Self::Elsewhere(file) => file.size(),
        }
    }

    /// A stretch of the file by itself.
    pub(crate) fn stretch(&self, range: Range<u64>) -> std::io::Result<Stretch> {
        if range.start > range.end || range.end > self.size() {
            let problem = format!("bytes {} to {} were asked for, the file has {}", range.start, range.end, self.size());
            return Err(Error::new(ErrorKind::UnexpectedEof, problem));
        }
        let length = range.end - range.start;
        let addressed = |place: u64| {
            usize::try_from(place)
                .map_err(|_| Error::new(ErrorKind::OutOfMemory, format!("{length} bytes at once are more than can be addressed")))
        };
        if length == 0 {
            return Ok(Stretch::Static(&[]));
        }
        match self {
            Self::Mapped(mapped) => map(&mapped.file, range.start, addressed(length)?).map(Stretch::Mapped),
            Self::Static(bytes) => Ok(Stretch::Static(&bytes[addressed(range.start)?..addressed(range.end)?])),
            Self::Fetched(bytes) => Ok(Stretch::Shared(Arc::clone(bytes), addressed(range.start)?..addressed(range.end)?)),
            Self::Elsewhere(file) => {
                let mut bytes = Vec::new();
                bytes
                    .try_reserve_exact(addressed(length)?)
                    .map_err(|_| Error::new(ErrorKind::OutOfMemory, format!("there is no memory for {length} bytes of it")))?;
                bytes.resize(addressed(length)?, 0);
                file.read_at(range.start, &mut bytes)?;
                Ok(Stretch::Read(bytes))
            }
        }
    }

    /// What lies at a place, by itself.
    pub(crate) fn at(&self, place: &Place) -> std::io::Result<Stretch> {
        if let Some(stretch) = place.stretch() {
            return self.stretch(stretch);
        }
        let stretches = place.stretches.iter().map(|stretch| self.stretch(stretch.clone())).collect::<std::io::Result<Vec<_>>>()?;
        let (run, length) = (place.run as usize, stretches.first().map_or(0, |stretch| stretch.len()));
        let runs = (0..length).step_by(run.max(1));
        Ok(Stretch::Read(runs.flat_map(|at| stretches.iter().flat_map(move |stretch| &stretch[at..at + run])).copied().collect()))
    }

    /// All of it, for files that are small.
    pub(crate) fn whole(&self) -> std::io::Result<Vec<u8>> {
        Ok(match self.stretch(0..self.size())? {
            Stretch::Read(bytes) => bytes,
            stretch => stretch.to_vec(),
        })
    }
}

/// Where a tensor's bytes are in its file: in one stretch, or in several of one length that are taken in turns, `run` bytes of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    stretches: Vec<Range<u64>>,
    run: u64,
}

impl Place {
    /// One stretch.
    pub(crate) fn one(range: Range<u64>) -> Self {
        Self { run: range.end - range.start, stretches: vec![range] }
    }

    /// Several of one length, of which `run` divides it.
    pub(crate) fn in_turns(stretches: Vec<Range<u64>>, run: u64) -> Self {
        Self { stretches, run }
    }

    /// Bytes of all of it.
    pub(crate) fn size(&self) -> u64 {
        self.stretches.iter().map(|stretch| stretch.end - stretch.start).sum()
    }

    /// The stretch, if it is one.
    pub(crate) fn stretch(&self) -> Option<Range<u64>> {
        if let [stretch] = &self.stretches[..] { Some(stretch.clone()) } else { None }
    }
}

/// `range` in pieces that are short enough to be taken in one by one.
pub(crate) fn pieces(range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let end = range.end;
    (range.start..end).step_by(STRETCH as usize).map(move |start| start..end.min(start + STRETCH))
}

impl Deref for Stretch {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Static(bytes) => bytes,
            Self::Shared(bytes, range) => &bytes[range.clone()],
            Self::Read(bytes) => bytes,
        }
    }
}

fn map(file: &File, offset: u64, length: usize) -> std::io::Result<Mmap> {
    let mut options = MmapOptions::new();
    options.offset(offset).len(length);
    #[expect(
        unsafe_code,
        reason = "mapping is unsafe because another process may change the file meanwhile; a checkpoint that is \
                                    rewritten while it is read is out of scope, and every offset is checked before use"
    )]
    unsafe {
        options.map(file)
    }
}
