//! A file of llama.cpp's as it is written: header, metadata, what tensors there are, then the tensors one by one.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use super::{ALIGNMENT, MAGIC, Stored};
use crate::VlmError;

const VERSION: u32 = 3;

/// A value of the metadata, in the type that llama.cpp reads it in.
#[derive(Clone, Debug, PartialEq)]
pub enum GgufValue {
    /// Text.
    Text(String),
    /// A number that counts, in 32 bits without a sign.
    Count(usize),
    /// A number, in `f32`.
    Real(f64),
    /// Yes or no.
    Flag(bool),
    /// Texts.
    Texts(Vec<String>),
    /// Whole numbers, in 32 bits with a sign.
    Wholes(Vec<i32>),
    /// Numbers, in `f32`.
    Reals(Vec<f32>),
}

/// A tensor that is written.
#[derive(Debug)]
pub(crate) struct Outline {
    pub(crate) name: String,
    pub(crate) stored: Stored,
    /// Outermost first.
    pub(crate) shape: Vec<usize>,
}

impl Outline {
    /// Bytes of it.
    pub(crate) fn size(&self) -> usize {
        let count: usize = self.shape.iter().product();
        match self.stored {
            Stored::Plain(dtype) => count * dtype.bitsize() / 8,
            Stored::Blocks(kind) => count / kind.weights() * kind.bytes(),
        }
    }
}

/// Writes the file `path` under another name until it is whole. `bytes` gives those of each tensor, in the order of `tensors`.
///
/// # Errors
/// What `bytes` gives, or when the file cannot be written.
pub(crate) fn write(
    path: &Path,
    metadata: &[(String, GgufValue)],
    tensors: &[Outline],
    mut bytes: impl FnMut(usize) -> Result<Vec<u8>, VlmError>,
) -> Result<(), VlmError> {
    let partial = path.with_extension("gguf.partial");
    let io = |source| VlmError::Io { path: partial.clone(), source };
    let mut file = BufWriter::new(File::create(&partial).map_err(io)?);
    let header = header(metadata, tensors);
    file.write_all(&header).map_err(io)?;
    pad(&mut file, header.len()).map_err(io)?;
    for (at, outline) in tensors.iter().enumerate() {
        let bytes = bytes(at)?;
        if bytes.len() != outline.size() {
            let problem = format!("has {} bytes where {} were to be written", bytes.len(), outline.size());
            return Err(VlmError::tensor(&partial.display().to_string(), &outline.name, problem));
        }
        file.write_all(&bytes).map_err(io)?;
        pad(&mut file, bytes.len()).map_err(io)?;
    }
    file.into_inner().map_err(|error| io(error.into_error()))?;
    std::fs::rename(&partial, path).map_err(|source| VlmError::Io { path: path.to_owned(), source })
}

/// Zeros up to the next place where a tensor may begin.
fn pad(file: &mut impl Write, written: usize) -> std::io::Result<()> {
    file.write_all(&vec![0; written.next_multiple_of(ALIGNMENT as usize) - written])
}

fn header(metadata: &[(String, GgufValue)], tensors: &[Outline]) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend(VERSION.to_le_bytes());
    out.extend((tensors.len() as u64).to_le_bytes());
    out.extend((metadata.len() as u64).to_le_bytes());
    for (key, value) in metadata {
        text(&mut out, key);
        value.put(&mut out);
    }
    let mut offset = 0u64;
    for outline in tensors {
        text(&mut out, &outline.name);
        out.extend((outline.shape.len() as u32).to_le_bytes());
        for &size in outline.shape.iter().rev() {
            out.extend((size as u64).to_le_bytes());
        }
        out.extend((outline.stored.number() as u32).to_le_bytes());
        out.extend(offset.to_le_bytes());
        offset += (outline.size() as u64).next_multiple_of(ALIGNMENT);
    }
    out
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

impl GgufValue {
    /// The numbers of types of values.
    const UNSIGNED: u32 = 4;
    const SIGNED: u32 = 5;
    const REAL: u32 = 6;
    const FLAG: u32 = 7;
    const TEXT: u32 = 8;
    const LIST: u32 = 9;

    fn put(&self, out: &mut Vec<u8>) {
        let list = |out: &mut Vec<u8>, kind: u32, count: usize| {
            out.extend(Self::LIST.to_le_bytes());
            out.extend(kind.to_le_bytes());
            out.extend((count as u64).to_le_bytes());
        };
        match self {
            Self::Text(value) => {
                out.extend(Self::TEXT.to_le_bytes());
                text(out, value);
            }
            Self::Count(value) => {
                out.extend(Self::UNSIGNED.to_le_bytes());
                out.extend((*value as u32).to_le_bytes());
            }
            Self::Real(value) => {
                out.extend(Self::REAL.to_le_bytes());
                out.extend((*value as f32).to_le_bytes());
            }
            Self::Flag(value) => {
                out.extend(Self::FLAG.to_le_bytes());
                out.push(u8::from(*value));
            }
            Self::Texts(values) => {
                list(out, Self::TEXT, values.len());
                for value in values {
                    text(out, value);
                }
            }
            Self::Wholes(values) => {
                list(out, Self::SIGNED, values.len());
                out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            }
            Self::Reals(values) => {
                list(out, Self::REAL, values.len());
                out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            }
        }
    }

    /// As a number, if it is one.
    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Self::Count(value) => Some(*value as f64),
            Self::Real(value) => Some(*value),
            _ => None,
        }
    }
}
