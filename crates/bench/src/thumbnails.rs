//! The pictures in a report.

use std::collections::{BTreeMap, BTreeSet};

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use steady_report::{Outcome, Picture, Report};

use crate::perturb::{PerturbationSpec, SpecError};
use crate::{BenchError, Benchmark, side_by_side};

/// Longest side of a thumbnail, in pixels.
pub const THUMBNAIL: u32 = 224;
/// Most thumbnails under one perturbation, or none, in a report: about 2 MB of the embedded world's.
const MOST: usize = 200;
/// Of perturbed pictures: noise makes PNG files of them that are ten times as large.
const JPEG_QUALITY: u8 = 85;

/// Files of the pictures that a report is [`illustrated`] with.
///
/// # Errors
/// As [`thumbnail`].
pub fn thumbnails(report: &Report, benchmark: &dyn Benchmark) -> Result<BTreeMap<Picture, Vec<u8>>, BenchError> {
    let drawn = |picture: Picture| thumbnail(benchmark, &picture).map(|file| (picture, file));
    illustrated(report).into_iter().map(drawn).collect()
}

/// The pictures of questions whose answer changed under at least one acceleration; broken ones first in case they are too many. Pictures under
/// perturbations that this program does not know are left out.
pub fn illustrated(report: &Report) -> Vec<Picture> {
    let mut wanted = vec![BTreeSet::new(); 1 + report.perturbed().len()];
    for outcome in [Outcome::Broken, Outcome::Repaired, Outcome::Changed] {
        for (index, question) in report.questions().iter().enumerate() {
            let became = report.accelerations().iter().any(|acceleration| acceleration.answers[index].outcome == Some(outcome));
            let wanted = &mut wanted[report.condition(index)];
            if became && wanted.len() < MOST && spec(&question.picture()).is_ok() {
                wanted.insert(question.picture());
            }
        }
    }
    wanted.into_iter().flatten().collect()
}

/// A picture about one of a benchmark's images, at most [`THUMBNAIL`] pixels wide and high: a PNG file, or a JPEG file if something was done to the image.
///
/// # Errors
/// [`BenchError::UnknownImage`] if the benchmark has no such image, [`BenchError::Perturbation`] if what was done to it is not known,
/// [`BenchError::Encode`] if it cannot be written.
pub fn thumbnail(benchmark: &dyn Benchmark, picture: &Picture) -> Result<Vec<u8>, BenchError> {
    let Picture { image: id, perturbation } = picture;
    let spec = spec(picture)?;
    let shown: Vec<_> = benchmark.images(id)?.iter().map(|(id, image)| spec.apply(image, id)).collect();
    let mut image = side_by_side(&shown);
    let (width, height) = image.dimensions();
    let longest = width.max(height);
    if longest > THUMBNAIL {
        let scaled = |side: u32| (side * THUMBNAIL / longest).max(1);
        image = image::imageops::thumbnail(&image, scaled(width), scaled(height));
    }
    let mut file = Vec::new();
    let written = match perturbation {
        None => image.write_with_encoder(PngEncoder::new(&mut file)),
        Some(_) => image.write_with_encoder(JpegEncoder::new_with_quality(&mut file, JPEG_QUALITY)),
    };
    written.map_err(|reason| BenchError::Encode { image: id.clone(), reason })?;
    Ok(file)
}

/// What is done to the image on the picture.
fn spec(picture: &Picture) -> Result<PerturbationSpec, SpecError> {
    picture.perturbation.as_deref().map_or_else(|| Ok(PerturbationSpec::clean()), str::parse)
}
