//! The segments of a file, and the tables that they leave behind (`jdmarker.c`).

use super::frame::Frame;
use super::huffman::{Kind, Table};
use super::{Problem, truncated};

/// Where each coefficient of a block, in the order of the file, stands row by row.
pub(super) const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28, 35, 42, 49, 56,
    57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// The file up to where it has been read.
pub(super) struct Headers<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) position: usize,
    /// A marker that a scan ended at.
    pub(super) pending: Option<u8>,
    pub(super) dc: [Option<Table>; 4],
    pub(super) ac: [Option<Table>; 4],
    pub(super) quantization: [Option<[u16; 64]>; 4],
    /// Minimum coded units between restart markers, 0 for none.
    pub(super) restart: usize,
    jfif: bool,
    adobe_transform: Option<u8>,
}

/// What the next segment is.
pub(super) enum Segment {
    /// Something that the headers have taken in.
    Tables,
    Frame(Frame),
    /// The entropy-coded data begin at `position`.
    Scan(Scan),
    End,
}

/// A scan header.
pub(super) struct Scan {
    /// Component's id, and its tables for DC and AC.
    pub(super) parts: Vec<(u8, usize, usize)>,
    /// First and last coefficient, in the order of the file.
    pub(super) band: (usize, usize),
    /// Successive approximation: bit position before and now.
    pub(super) bits: (u32, u32),
}

impl<'a> Headers<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self, Problem> {
        if !bytes.starts_with(&[0xFF, 0xD8]) {
            return Err("does not begin as a JPEG file".to_owned());
        }
        Ok(Self {
            bytes,
            position: 2,
            pending: None,
            dc: [None, None, None, None],
            ac: [None, None, None, None],
            quantization: [None; 4],
            restart: 0,
            jfif: false,
            adobe_transform: None,
        })
    }

    pub(super) fn jfif(&self) -> bool {
        self.jfif
    }

    /// What Adobe's marker says about colour, where there is one.
    pub(super) fn adobe_transform(&self) -> Option<u8> {
        self.adobe_transform
    }

    pub(super) fn next(&mut self) -> Result<Segment, Problem> {
        let marker = match self.pending.take() {
            Some(marker) => marker,
            None => next_marker(self.bytes, &mut self.position)?,
        };
        match marker {
            0xD9 => return Ok(Segment::End),
            // restart markers and TEM stand alone
            0xD0..=0xD7 | 0x01 => return Ok(Segment::Tables),
            0xD8 => return Err("begins a second time".to_owned()),
            _ => {}
        }
        let content = self.content()?;
        match marker {
            0xC0..=0xC2 => return frame(content, marker == 0xC2).map(Segment::Frame),
            0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => return Err(unsupported(marker)),
            0xC4 => self.huffman_tables(content)?,
            0xDA => return scan(content).map(Segment::Scan),
            0xDB => self.quantization_tables(content)?,
            0xDD => match *content {
                [high, low] => self.restart = usize::from(u16::from_be_bytes([high, low])),
                _ => return Err(length("restart interval")),
            },
            0xE0 => self.jfif |= content.len() >= 12 && content.starts_with(b"JFIF\0"),
            0xEE if content.len() >= 12 && content.starts_with(b"Adobe") => self.adobe_transform = Some(content[11]),
            0xC8 | 0xF0..=0xFD | 0x02..=0xBF => return Err(format!("has an unknown marker {marker:#04x}")),
            _ => {}
        }
        Ok(Segment::Tables)
    }

    /// The content of a segment, behind its length.
    fn content(&mut self) -> Result<&'a [u8], Problem> {
        let rest = &self.bytes[self.position..];
        let [high, low, ..] = *rest else { return Err(truncated()) };
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length < 2 {
            return Err("has a segment without its own length".to_owned());
        }
        let content = rest.get(2..length).ok_or_else(truncated)?;
        self.position += length;
        Ok(content)
    }

    fn huffman_tables(&mut self, mut content: &[u8]) -> Result<(), Problem> {
        while let [which, rest @ ..] = content {
            let counts = rest.first_chunk::<16>().ok_or_else(|| length("Huffman table"))?;
            let total: usize = counts.iter().map(|count| usize::from(*count)).sum();
            let values = rest.get(16..16 + total).filter(|_| total <= 256).ok_or_else(|| length("Huffman table"))?;
            let (kind, tables) = if which & 0x10 == 0 { (Kind::Dc, &mut self.dc) } else { (Kind::Ac, &mut self.ac) };
            let slot = tables.get_mut(usize::from(which & !0x10)).ok_or_else(|| format!("has a Huffman table numbered {which}"))?;
            *slot = Some(Table::new(counts, values, kind)?);
            content = &rest[16 + total..];
        }
        Ok(())
    }

    fn quantization_tables(&mut self, mut content: &[u8]) -> Result<(), Problem> {
        while let [which, rest @ ..] = content {
            let wide = which >> 4 != 0;
            let bytes = rest.get(..if wide { 128 } else { 64 }).ok_or_else(|| length("quantization table"))?;
            let slot =
                self.quantization.get_mut(usize::from(which & 15)).ok_or_else(|| format!("has a quantization table numbered {which}"))?;
            let mut table = [0; 64];
            for (k, at) in ZIGZAG.iter().enumerate() {
                table[usize::from(*at)] = if wide { u16::from_be_bytes([bytes[2 * k], bytes[2 * k + 1]]) } else { u16::from(bytes[k]) };
            }
            *slot = Some(table);
            content = &rest[bytes.len()..];
        }
        Ok(())
    }
}

/// The next marker from `position` on; whatever stands before it is skipped, as libjpeg does.
pub(super) fn next_marker(bytes: &[u8], position: &mut usize) -> Result<u8, Problem> {
    loop {
        let rest = bytes.get(*position..).unwrap_or_default();
        let start = rest.iter().position(|byte| *byte == 0xFF).ok_or_else(truncated)?;
        let fill = rest[start..].iter().position(|byte| *byte != 0xFF).ok_or_else(truncated)?;
        *position += start + fill + 1;
        match rest[start + fill] {
            0 => {}
            marker => return Ok(marker),
        }
    }
}

fn length(what: &str) -> Problem {
    format!("has a {what} of the wrong length")
}

fn unsupported(marker: u8) -> Problem {
    let kind = match marker {
        0xC3 => "lossless",
        0xC9 | 0xCA => "arithmetic",
        _ => "hierarchical or lossless",
    };
    format!("is a JPEG with {kind} coding, which is not decoded here")
}

fn frame(content: &[u8], progressive: bool) -> Result<Frame, Problem> {
    let [precision, h1, h0, w1, w0, count, parts @ ..] = content else { return Err(length("frame header")) };
    if *precision != 8 {
        return Err(format!("has {precision} bits a sample, expected 8"));
    }
    if !matches!(count, 1 | 3 | 4) {
        return Err(format!("has {count} components, expected 1, 3 or 4"));
    }
    if parts.len() != 3 * usize::from(*count) {
        return Err(length("frame header"));
    }
    let size = (usize::from(u16::from_be_bytes([*w1, *w0])), usize::from(u16::from_be_bytes([*h1, *h0])));
    if size.0 == 0 || size.1 == 0 {
        return Err(format!("has no pixels ({}x{})", size.0, size.1));
    }
    let mut components: Vec<(u8, (usize, usize), usize)> = Vec::new();
    for part in parts.chunks_exact(3) {
        let sampling = (usize::from(part[1] >> 4), usize::from(part[1] & 15));
        if !(1..=4).contains(&sampling.0) || !(1..=4).contains(&sampling.1) {
            return Err(format!("has sampling factors {sampling:?}, expected 1 to 4"));
        }
        if components.iter().any(|(id, ..)| *id == part[0]) {
            return Err(format!("has two components {}", part[0]));
        }
        components.push((part[0], sampling, usize::from(part[2])));
    }
    Ok(Frame::new(progressive, size, &components))
}

fn scan(content: &[u8]) -> Result<Scan, Problem> {
    let [count, rest @ ..] = content else { return Err(length("scan header")) };
    let count = usize::from(*count);
    if !(1..=4).contains(&count) || rest.len() != 2 * count + 3 {
        return Err(length("scan header"));
    }
    let (parts, end) = rest.split_at(2 * count);
    let parts = parts.chunks_exact(2).map(|part| (part[0], usize::from(part[1] >> 4), usize::from(part[1] & 15)));
    Ok(Scan {
        parts: parts.collect(),
        band: (usize::from(end[0]), usize::from(end[1])),
        bits: (u32::from(end[2] >> 4), u32::from(end[2] & 15)),
    })
}
