//! The pictures in a report.

use std::collections::{BTreeMap, BTreeSet};

use image::codecs::png::PngEncoder;
use steady_report::{Outcome, Report};

use crate::{BenchError, Benchmark};

/// Longest side of a thumbnail, in pixels.
pub const THUMBNAIL: u32 = 224;
/// Most thumbnails in a report: about 2 MB of the embedded world's.
const MOST: usize = 200;

/// PNG files, by image id, of the images of questions whose answer changed under at least one acceleration; broken ones first in case they are too many.
///
/// # Errors
/// As [`thumbnail`].
pub fn thumbnails(report: &Report, benchmark: &dyn Benchmark) -> Result<BTreeMap<String, Vec<u8>>, BenchError> {
    let mut wanted = BTreeSet::new();
    for outcome in [Outcome::Broken, Outcome::Repaired, Outcome::Changed] {
        for (index, question) in report.questions().iter().enumerate() {
            let became = report.accelerations().iter().any(|acceleration| acceleration.answers[index].outcome == Some(outcome));
            if became && wanted.len() < MOST {
                wanted.insert(question.image.as_str());
            }
        }
    }
    wanted.into_iter().map(|id| Ok((id.to_owned(), thumbnail(benchmark, id)?))).collect()
}

/// PNG file of one of a benchmark's images, at most [`THUMBNAIL`] pixels wide and high.
///
/// # Errors
/// [`BenchError::UnknownImage`] if the benchmark has no such image, [`BenchError::Png`] if it cannot be written.
pub fn thumbnail(benchmark: &dyn Benchmark, id: &str) -> Result<Vec<u8>, BenchError> {
    let mut picture = benchmark.image(id)?;
    let (width, height) = picture.dimensions();
    let longest = width.max(height);
    if longest > THUMBNAIL {
        let scaled = |side: u32| (side * THUMBNAIL / longest).max(1);
        picture = image::imageops::thumbnail(&picture, scaled(width), scaled(height));
    }
    let mut png = Vec::new();
    picture.write_with_encoder(PngEncoder::new(&mut png)).map_err(|reason| BenchError::Png { image: id.to_owned(), reason })?;
    Ok(png)
}
