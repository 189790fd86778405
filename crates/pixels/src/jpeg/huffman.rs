//! Huffman tables and the bits that they are read from (`jdhuff.c`).

use super::markers::next_marker;
use super::{Problem, truncated};

/// Bits that are looked up at once.
const LOOKUP: u32 = 9;

/// What a table's values mean.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Dc,
    Ac,
}

/// Codes and their values.
pub(super) struct Table {
    /// By the next bits: length and value of the code, 0 where it is longer.
    lookup: Vec<(u8, u8)>,
    /// By length: one more than the largest code, left-aligned to 16 bits; 0 for none.
    limit: [u32; 17],
    /// By length: what is added to a code to find its value.
    offset: [i32; 17],
    values: Vec<u8>,
    kind: Kind,
}

impl Table {
    /// From the numbers of codes of 1 to 16 bits, and their values.
    pub(super) fn new(counts: &[u8; 16], values: &[u8], kind: Kind) -> Result<Self, Problem> {
        let mut table = Self { lookup: vec![(0, 0); 1 << LOOKUP], limit: [0; 17], offset: [0; 17], values: values.to_vec(), kind };
        let (mut code, mut next) = (0_u32, 0_usize);
        for (length, count) in (1_u32..).zip(counts) {
            table.offset[length as usize] = next as i32 - code as i32;
            for _ in 0..*count {
                if code >= 1 << length {
                    return Err("has a Huffman table with too many codes".to_owned());
                }
                if length <= LOOKUP {
                    let span = 1 << (LOOKUP - length);
                    let start = (code as usize) * span;
                    table.lookup[start..start + span].fill((length as u8, values[next]));
                }
                code += 1;
                next += 1;
            }
            if *count > 0 {
                table.limit[length as usize] = code << (16 - length);
            }
            code <<= 1;
        }
        Ok(table)
    }

    /// Whether its values are sizes of DC differences.
    pub(super) fn is_sound(&self) -> bool {
        self.kind == Kind::Ac || self.values.iter().all(|value| *value <= 15)
    }
}

/// The file ends in the middle of its data. Every symbol may say so: hence the small type.
#[derive(Debug)]
pub(super) struct Cut;

impl From<Cut> for Problem {
    fn from(_: Cut) -> Self {
        truncated()
    }
}

/// The bits of a scan, up to the next marker.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    pub(super) position: usize,
    buffer: u64,
    held: u32,
    /// The marker that ends the data, once it is met.
    pub(super) marker: Option<u8>,
    /// Whether more was asked for than stood before the marker: zeros were given instead.
    pub(super) starved: bool,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8], position: usize) -> Self {
        Self { bytes, position, buffer: 0, held: 0, marker: None, starved: false }
    }

    fn fill(&mut self) {
        while self.held <= 56 && self.marker.is_none() {
            let Some(byte) = self.bytes.get(self.position) else { return };
            if *byte == 0xFF {
                let rest = &self.bytes[self.position..];
                let Some(fill) = rest.iter().position(|byte| *byte != 0xFF) else { return };
                self.position += fill + 1;
                if rest[fill] != 0 {
                    self.marker = Some(rest[fill]);
                    return;
                }
            } else {
                self.position += 1;
            }
            self.buffer = self.buffer << 8 | u64::from(*byte);
            self.held += 8;
        }
    }

    /// Makes sure that `count` bits (at most 17) are held.
    fn need(&mut self, count: u32) -> Result<(), Cut> {
        if self.held >= count {
            return Ok(());
        }
        self.fill();
        if self.held >= count {
            return Ok(());
        }
        if self.marker.is_none() {
            return Err(Cut);
        }
        self.starved = true;
        self.buffer <<= 32;
        self.held += 32;
        Ok(())
    }

    /// The next 16 bits, zeros behind the last.
    fn peek(&mut self) -> u32 {
        if self.held < 16 {
            self.fill();
        }
        let bits = if self.held >= 16 { self.buffer >> (self.held - 16) } else { self.buffer << (16 - self.held) };
        (bits & 0xFFFF) as u32
    }

    /// `count` bits (at most 16) as a number.
    pub(super) fn take(&mut self, count: u32) -> Result<u32, Cut> {
        if count == 0 {
            return Ok(0);
        }
        self.need(count)?;
        self.held -= count;
        Ok((self.buffer >> self.held) as u32 & ((1 << count) - 1))
    }

    /// A number of `size` bits that is negative if it begins with 0.
    pub(super) fn signed(&mut self, size: u32) -> Result<i32, Cut> {
        let value = self.take(size)? as i32;
        Ok(if size > 0 && value < 1 << (size - 1) { value - (1 << size) + 1 } else { value })
    }

    /// The value of the next code; 0 for bits that are no code, as in libjpeg.
    pub(super) fn value(&mut self, table: &Table) -> Result<u8, Cut> {
        let bits = self.peek();
        let (length, value) = table.lookup[(bits >> (16 - LOOKUP)) as usize];
        if length != 0 {
            self.skip(u32::from(length))?;
            return Ok(value);
        }
        for length in LOOKUP + 1..=16 {
            if bits < table.limit[length as usize] {
                self.skip(length)?;
                let at = (bits >> (16 - length)) as i32 + table.offset[length as usize];
                return Ok(usize::try_from(at).ok().and_then(|at| table.values.get(at)).copied().unwrap_or(0));
            }
        }
        // libjpeg has read one bit more than the longest code when it gives up
        self.skip(17)?;
        Ok(0)
    }

    fn skip(&mut self, count: u32) -> Result<(), Cut> {
        self.need(count)?;
        self.held -= count;
        Ok(())
    }

    /// Passes the restart marker with this number, or does what libjpeg does where another stands (`jpeg_resync_to_restart`).
    pub(super) fn restart(&mut self, number: u8) -> Result<(), Problem> {
        (self.buffer, self.held) = (0, 0);
        let mut marker = match self.marker.take() {
            Some(marker) => marker,
            None => next_marker(self.bytes, &mut self.position)?,
        };
        let near = |steps: u8| 0xD0 + (number.wrapping_add(steps) & 7);
        loop {
            let wait = marker == near(1) || marker == near(2) || (marker >= 0xC0 && !(0xD0..=0xD7).contains(&marker));
            if wait {
                // Data up to here are lost: zeros until the marker's turn has come.
                self.marker = Some(marker);
                return Ok(());
            }
            if marker < 0xC0 || marker == near(6) || marker == near(7) {
                marker = next_marker(self.bytes, &mut self.position)?;
            } else {
                self.starved = false;
                return Ok(());
            }
        }
    }
}
