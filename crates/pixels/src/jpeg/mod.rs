//! JPEG as libjpeg-turbo decodes it in Pillow, to the bit.
//!
//! Baseline, extended sequential and progressive Huffman coding of 8 bits (ITU-T T.81), any order of scans, restart markers,
//! accurate integer inverse DCT, fancy upsampling, and the colour spaces that Pillow turns into RGB. What libjpeg repairs in a
//! damaged file is repaired the same way; what ends too early is refused, because Pillow refuses it.

mod colour;
mod frame;
mod huffman;
mod idct;
mod markers;
mod scan;
mod smoothing;
mod standard;
mod upsample;

use image::RgbImage;

use self::frame::Frame;
use self::markers::{Headers, Segment};
use self::upsample::Upsampled;

/// Why a file is refused: Pillow's words where it has some.
pub(crate) type Problem = String;

/// Pillow's words for a file that ends before its end marker.
pub(crate) fn truncated() -> Problem {
    "image file is truncated".to_owned()
}

/// The size that the first frame header names, `(width, height)`.
///
/// # Errors
/// When there is no such header.
pub(crate) fn size(bytes: &[u8]) -> Result<(u32, u32), Problem> {
    let mut headers = Headers::new(bytes)?;
    loop {
        match headers.next()? {
            Segment::Frame(frame) => return Ok((frame.width as u32, frame.height as u32)),
            Segment::Scan(_) | Segment::End => return Err("has no frame header".to_owned()),
            Segment::Tables => {}
        }
    }
}

/// Decodes the first picture of a file.
///
/// # Errors
/// When the file is cut, is broken in a way that libjpeg does not repair, or is of a kind not decoded here.
pub(crate) fn decode(bytes: &[u8]) -> Result<RgbImage, Problem> {
    let mut headers = Headers::new(bytes)?;
    let mut frame: Option<Frame> = None;
    loop {
        match headers.next()? {
            Segment::Tables => {}
            Segment::Frame(_) if frame.is_some() => return Err("has two frame headers".to_owned()),
            Segment::Frame(header) => frame = Some(header),
            Segment::Scan(scan) => {
                let frame = frame.as_mut().ok_or("has a scan before its frame header")?;
                scan::decode(frame, &scan, &mut headers)?;
            }
            Segment::End => break,
        }
    }
    let mut frame = frame.ok_or("has no frame header")?;
    if !frame.scanned() {
        return Err("has no scan".to_owned());
    }
    frame.finish()?;
    let space = colour::Space::of(&frame, &headers)?;
    let upsampled = frame.components.iter().map(|part| Upsampled::new(&frame, part)).collect::<Result<Vec<_>, _>>()?;
    let mut rgb = vec![0; frame.width * frame.height * 3];
    let mut rows = vec![vec![0; frame.width]; frame.components.len()];
    for (y, out) in rgb.chunks_exact_mut(frame.width * 3).enumerate() {
        for (from, row) in upsampled.iter().zip(&mut rows) {
            from.row(y, row);
        }
        space.convert(&rows, out);
    }
    RgbImage::from_raw(frame.width as u32, frame.height as u32, rgb).ok_or_else(|| "is too large".to_owned())
}
