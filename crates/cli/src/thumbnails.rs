//! The pictures in a report.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;

use anyhow::Result;
use image::ImageFormat;
use image::imageops::thumbnail;
use steady_bench::Benchmark;
use steady_report::{Outcome, Report};

/// Longest side of a thumbnail, in pixels.
const SIDE: u32 = 224;
/// Most thumbnails in a report: about 2 MB of the embedded world's.
const MOST: usize = 200;

/// PNG files, by image id, of the images of questions whose answer changed under at least one acceleration; broken ones first in case they are too many.
pub(crate) fn of(report: &Report, benchmark: &dyn Benchmark) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut wanted = BTreeSet::new();
    for outcome in [Outcome::Broken, Outcome::Repaired, Outcome::Changed] {
        for (index, question) in report.questions().iter().enumerate() {
            let became = report.accelerations().iter().any(|acceleration| acceleration.answers[index].outcome == Some(outcome));
            if became && wanted.len() < MOST {
                wanted.insert(question.image.as_str());
            }
        }
    }
    wanted.into_iter().map(|id| Ok((id.to_owned(), png(benchmark, id)?))).collect()
}

fn png(benchmark: &dyn Benchmark, id: &str) -> Result<Vec<u8>> {
    let mut image = benchmark.image(id)?;
    let (width, height) = image.dimensions();
    let longest = width.max(height);
    if longest > SIDE {
        let scaled = |side: u32| (side * SIDE / longest).max(1);
        image = thumbnail(&image, scaled(width), scaled(height));
    }
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, ImageFormat::Png)?;
    Ok(bytes.into_inner())
}
