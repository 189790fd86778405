//! Which way up a picture is, from every place that Pillow's `ImageOps.exif_transpose` looks at: Exif data in a JPEG's, PNG's or
//! WebP's own segment, hexadecimal in a PNG's text (`Raw profile type exif`), and XMP where those say nothing.

use std::io::Read;

use image::DynamicImage;
use image::metadata::Orientation;

use crate::Kind;

/// Most bytes that compressed text of a PNG may unfold to, as in Pillow.
const MOST_TEXT: u64 = 1 << 20;
/// The tag, in Exif and in TIFF.
const TAG: u16 = 0x0112;
const EXIF: &[u8] = b"Exif\0\0";
const XMP: &[u8] = b"XML:com.adobe.xmp";

/// What a file says about itself beside its pixels.
#[derive(Default)]
struct Notes {
    exif: Option<Vec<u8>>,
    /// Hexadecimal, as ImageMagick writes it.
    profile: Option<Vec<u8>>,
    xmp: Option<Vec<u8>>,
    /// Whether a JPEG's own header gives a resolution in dots per inch or centimetre.
    density: bool,
}

/// Turns the picture upright as its file says.
///
/// # Errors
/// When Exif data are such that Pillow gives up.
pub(crate) fn apply(image: &mut DynamicImage, bytes: &[u8], kind: Kind) -> Result<(), String> {
    if let Some(orientation) = of(bytes, kind)? {
        image.apply_orientation(orientation);
    }
    Ok(())
}

/// Whether turning the picture upright makes its width its height.
///
/// # Errors
/// As [`apply`].
pub(crate) fn lies(bytes: &[u8], kind: Kind) -> Result<bool, String> {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    Ok(matches!(of(bytes, kind)?, Some(Rotate90 | Rotate90FlipH | Rotate270 | Rotate270FlipH)))
}

fn of(bytes: &[u8], kind: Kind) -> Result<Option<Orientation>, String> {
    let notes = match kind {
        Kind::Jpeg => of_jpeg(bytes),
        Kind::Png => of_png(bytes)?,
        Kind::WebP => of_webp(bytes),
    };
    Ok(notes.orientation(kind)?.and_then(Orientation::from_exif))
}

impl Notes {
    fn orientation(&self, kind: Kind) -> Result<Option<u8>, String> {
        let unfolded = match (&self.exif, &self.profile) {
            (Some(exif), _) => Some(exif.clone()),
            (None, Some(profile)) => Some(bytes_of(profile)?),
            (None, None) => None,
        };
        match unfolded.map_or(Ok(Tag::Absent), |exif| tag(&exif)) {
            Ok(Tag::Value(value)) => Ok(Some(value)),
            Ok(Tag::Other) => Ok(None),
            Ok(Tag::Absent) => Ok(self.xmp.as_deref().and_then(in_xmp)),
            // Pillow has then tried the Exif data before, in search of a resolution, and goes without from there on.
            Err(_) if kind == Kind::Jpeg && !self.density => Ok(None),
            Err(problem) => Err(problem),
        }
    }
}

/// What Exif data say of the orientation.
#[derive(Debug, PartialEq, Eq)]
enum Tag {
    /// Nothing.
    Absent,
    /// Something that is no number from 0 to 255.
    Other,
    Value(u8),
}

/// Reads the tag in the first directory, as Pillow's TIFF reader would.
fn tag(exif: &[u8]) -> Result<Tag, String> {
    let mut data = exif;
    for _ in 0..2 {
        data = data.strip_prefix(EXIF).unwrap_or(data);
    }
    if data.is_empty() {
        return Ok(Tag::Absent);
    }
    let big = match data {
        [b'M', b'M', 0, 42, ..] | [b'M', b'M', 42, 0, ..] => true,
        [b'I', b'I', 42, 0, ..] | [b'I', b'I', 0, 42, ..] => false,
        _ => return Err("has Exif data without the header of a TIFF file".to_owned()),
    };
    let tiff = Tiff { data, big };
    let start = tiff.number(4, 4).ok_or("has Exif data of less than a header")? as usize;
    Ok(tiff.tag(start))
}

/// Numbers of either byte order.
struct Tiff<'a> {
    data: &'a [u8],
    /// Whether the first byte of a number is its largest.
    big: bool,
}

impl Tiff<'_> {
    fn number(&self, at: usize, size: usize) -> Option<u64> {
        let bytes = self.data.get(at..at.checked_add(size)?)?;
        let join = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        Some(if self.big { bytes.iter().fold(0, join) } else { bytes.iter().rev().fold(0, join) })
    }

    /// The value of the orientation in the directory at `start`. What lies outside of the data ends the search, as in Pillow.
    fn tag(&self, start: usize) -> Tag {
        let count = self.number(start, 2).unwrap_or(0) as usize;
        let mut outside = 0_u64;
        for entry in 0..count {
            let at = start + 2 + 12 * entry;
            let fields = (self.number(at, 2), self.number(at + 2, 2), self.number(at + 4, 4), self.number(at + 8, 4));
            let (Some(tag), Some(kind), Some(values), Some(place)) = fields else { break };
            let Some(size) = size_of(kind) else { continue };
            let length = values * size;
            let from = if length > 4 {
                outside += length;
                if outside > self.data.len() as u64 {
                    continue;
                }
                if place + length > self.data.len() as u64 {
                    break;
                }
                place as usize
            } else {
                at + 8
            };
            if tag == u64::from(TAG) && length > 0 {
                return self.value(kind, from, size as usize);
            }
        }
        Tag::Absent
    }

    /// The first value: whatever equals a whole number counts.
    fn value(&self, kind: u64, at: usize, size: usize) -> Tag {
        let Some(bits) = self.number(at, size) else { return Tag::Absent };
        let value = match kind {
            3 | 4 | 13 | 16 => bits as f64,
            6 => f64::from(bits as i8),
            8 => f64::from(bits as i16),
            9 => f64::from(bits as i32),
            5 | 10 => {
                let part = |at| self.number(at, 4).map_or(f64::NAN, |bits| if kind == 5 { bits as f64 } else { f64::from(bits as i32) });
                part(at) / part(at + 4)
            }
            11 => f64::from(f32::from_bits(bits as u32)),
            12 => f64::from_bits(bits),
            // text and bytes
            _ => f64::NAN,
        };
        if value.fract() == 0.0 && (0.0..=255.0).contains(&value) { Tag::Value(value as u8) } else { Tag::Other }
    }
}

/// Bytes of a value of a TIFF type.
fn size_of(kind: u64) -> Option<u64> {
    Some(match kind {
        1 | 2 | 6 | 7 => 1,
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 | 16 => 8,
        _ => return None,
    })
}

/// `tiff:Orientation="6"` or `<tiff:Orientation>6`, the first of them.
fn in_xmp(text: &[u8]) -> Option<u8> {
    const NAME: &[u8] = b"tiff:Orientation";
    text.windows(NAME.len() + 3).find_map(|part| {
        let rest = part.strip_prefix(NAME)?;
        let ([b'=', b'"', digit] | [b'>', digit, _]) = *rest else { return None };
        digit.is_ascii_digit().then(|| digit - b'0')
    })
}

/// The bytes that the lines behind the third are in hexadecimal.
fn bytes_of(profile: &[u8]) -> Result<Vec<u8>, String> {
    let lines = profile.splitn(4, |byte| *byte == b'\n').nth(3).unwrap_or_default();
    let digits: Option<Vec<u8>> = lines.iter().filter(|byte| !byte.is_ascii_whitespace()).map(|byte| hexadecimal(*byte)).collect();
    match digits {
        Some(digits) if digits.len().is_multiple_of(2) => Ok(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()),
        _ => Err("has a `Raw profile type exif` that is not hexadecimal".to_owned()),
    }
}

fn hexadecimal(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

/// Segments before the first scan.
fn of_jpeg(bytes: &[u8]) -> Notes {
    let mut notes = Notes::default();
    let mut at = 2;
    while let Some(start) = bytes.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == 0xFF)) {
        at += start + 1;
        let marker = match bytes.get(at) {
            Some(0xFF) => continue,
            Some(marker) => *marker,
            None => break,
        };
        at += 1;
        match marker {
            0xDA | 0xD9 => break,
            0 | 1 | 0xD0..=0xD8 => continue,
            _ => {}
        }
        let Some(length) = bytes.get(at..at + 2).map(|pair| usize::from(u16::from_be_bytes([pair[0], pair[1]]))) else { break };
        let Some(content) = bytes.get(at + 2..at + length.max(2)) else { break };
        at += length;
        if marker == 0xE0 && content.starts_with(b"JFIF") && content.len() >= 12 {
            notes.density |= matches!(content[7], 1 | 2);
        }
        if marker != 0xE1 {
            continue;
        }
        if content.starts_with(EXIF) {
            match &mut notes.exif {
                // A long one goes on in further segments.
                Some(exif) => exif.extend_from_slice(&content[EXIF.len()..]),
                None => notes.exif = Some(content.to_vec()),
            }
        } else if let Some(text) = content.strip_prefix(b"http://ns.adobe.com/xap/1.0/\0") {
            notes.xmp = Some(text.to_vec());
        }
    }
    notes
}

/// Chunks on either side of the pixels.
fn of_png(bytes: &[u8]) -> Result<Notes, String> {
    let mut notes = Notes::default();
    let mut rest = bytes.get(8..).unwrap_or_default();
    while let Some((head, behind)) = rest.split_first_chunk::<8>() {
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let Some(content) = behind.get(..length) else { break };
        match &head[4..] {
            b"IEND" => break,
            b"eXIf" => notes.exif = Some(content.to_vec()),
            b"tEXt" => {
                let (key, text) = cut(content);
                notes.take(key, text.to_vec());
            }
            b"zTXt" => {
                let (key, text) = cut(content);
                if let Some((0, packed)) = text.split_first().map(|(method, packed)| (*method, packed)) {
                    let text = unfolded(packed)?.unwrap_or_default();
                    notes.take(key, text);
                }
            }
            b"iTXt" => {
                let (key, text) = cut(content);
                if let [packed, method, text @ ..] = text {
                    let text = cut(cut(text).1).1;
                    let text = match (packed, method) {
                        (0, _) => Some(text.to_vec()),
                        (_, 0) => unfolded(text)?,
                        _ => None,
                    };
                    if let Some(text) = text {
                        notes.take(key, text);
                    }
                }
            }
            _ => {}
        }
        rest = behind.get(length + 4..).unwrap_or_default();
    }
    Ok(notes)
}

impl Notes {
    fn take(&mut self, key: &[u8], text: Vec<u8>) {
        match key {
            b"exif" => self.exif = Some(text),
            b"Raw profile type exif" => self.profile = Some(text),
            XMP => self.xmp = Some(text),
            _ => {}
        }
    }
}

/// What stands before the first zero byte, and behind it.
fn cut(text: &[u8]) -> (&[u8], &[u8]) {
    text.iter().position(|byte| *byte == 0).map_or((text, &[]), |at| (&text[..at], &text[at + 1..]))
}

/// zlib's content, `None` where it is broken.
fn unfolded(packed: &[u8]) -> Result<Option<Vec<u8>>, String> {
    let mut text = Vec::new();
    let read = flate2::read::ZlibDecoder::new(packed).take(MOST_TEXT + 1).read_to_end(&mut text);
    if text.len() as u64 > MOST_TEXT {
        return Err(format!("has compressed text of more than {MOST_TEXT} bytes"));
    }
    Ok(read.is_ok().then_some(text))
}

fn of_webp(bytes: &[u8]) -> Notes {
    let mut notes = Notes::default();
    let mut rest = bytes.get(12..).unwrap_or_default();
    while let Some((head, behind)) = rest.split_first_chunk::<8>() {
        let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let Some(content) = behind.get(..length) else { break };
        match &head[..4] {
            b"EXIF" => notes.exif = notes.exif.or_else(|| Some(content.to_vec())),
            b"XMP " => notes.xmp = notes.xmp.or_else(|| Some(content.to_vec())),
            _ => {}
        }
        // chunks begin at even places
        rest = behind.get(length + length % 2..).unwrap_or_default();
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_digit_in_xmp_counts() {
        for (text, value) in [
            (r#"<x tiff:Orientation="6"/>"#, Some(6)),
            ("<tiff:Orientation>8</tiff:Orientation>", Some(8)),
            (r#"tiff:Orientation="x" tiff:Orientation="3""#, Some(3)),
            (r#"tiff:Orientation = "6""#, None),
            ("", None),
        ] {
            assert_eq!(in_xmp(text.as_bytes()), value, "{text}");
        }
    }
}
