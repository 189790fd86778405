//! What reading a published benchmark takes: 9,000 rows with a picture each, in row groups of 1,000, in far less memory than the file has bytes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, RecordBatch, StringArray, StructArray};
use arrow::datatypes::{DataType, Field, Schema};
use image::codecs::jpeg::JpegEncoder;
use image::{Rgb, RgbImage};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use peak_alloc::PeakAlloc;
use steady_bench::BENCHMARKS;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const ROWS: usize = 9_000;
/// Of the megabytes that all pictures have together.
const MOST_MB: f32 = 60.0;

/// A photo-like file of about 40 kB, whose last bytes, behind its end, tell it from all others.
fn picture(jpeg: &[u8], n: usize) -> Vec<u8> {
    [jpeg, &n.to_le_bytes()].concat()
}

fn write(path: &Path) {
    let mut seed = 7u32;
    let noise = RgbImage::from_fn(200, 160, |x, y| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Rgb([(seed >> 24) as u8, (x + y) as u8, (seed >> 16) as u8])
    });
    let mut jpeg = Vec::new();
    noise.write_with_encoder(JpegEncoder::new_with_quality(&mut jpeg, 92)).unwrap();
    assert!((30_000..60_000).contains(&jpeg.len()), "{}", jpeg.len());
    let fields = vec![Field::new("bytes", DataType::Binary, true), Field::new("path", DataType::Utf8, true)];
    let names = ["id", "question", "answer", "category"].map(|name| Field::new(name, DataType::Utf8, true));
    let schema = Arc::new(Schema::new([&names[..], &[Field::new("image", DataType::Struct(fields.clone().into()), true)]].concat()));
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).set_max_row_group_row_count(Some(1_000)).build();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), Arc::clone(&schema), Some(properties)).unwrap();
    for start in (0..ROWS).step_by(100) {
        let rows = start..start + 100;
        let texts = |text: &dyn Fn(usize) -> String| Arc::new(StringArray::from_iter_values(rows.clone().map(text))) as ArrayRef;
        let bytes: ArrayRef = Arc::new(BinaryArray::from_iter_values(rows.clone().map(|n| picture(&jpeg, n))));
        let path: ArrayRef = Arc::new(StringArray::from(vec![None::<&str>; 100]));
        let columns = vec![
            texts(&|n| n.to_string()),
            texts(&|n| format!("Is there a thing like number {n} in the image?")),
            texts(&|n| if n % 2 == 0 { "yes" } else { "no" }.to_owned()),
            texts(&|n| ["random", "popular", "adversarial"][n / 3_000].to_owned()),
            Arc::new(StructArray::new(fields.clone().into(), vec![bytes, path], None)),
        ];
        writer.write(&RecordBatch::try_new(Arc::clone(&schema), columns).unwrap()).unwrap();
    }
    writer.close().unwrap();
}

#[test]
fn nine_thousand_pictures_are_never_held() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("test-00000-of-00001.parquet");
    write(&file);
    let whole = file.metadata().unwrap().len() as f32 / 1e6;
    assert!(whole > 2.0 * MOST_MB, "{whole} MB");
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage_as_mb();
    let bench = BENCHMARKS.find(&format!("pope:{}", place.path().display())).unwrap().open(0, &[]).unwrap();
    assert_eq!(bench.questions().len(), ROWS);
    let opened = MEMORY.peak_usage_as_mb() - before;
    for question in bench.questions().iter().step_by(30) {
        assert_eq!(bench.image(&question.image).unwrap().dimensions(), (200, 160));
    }
    let read = MEMORY.peak_usage_as_mb() - before;
    println!("a file of {whole:.0} MB: {opened:.1} MB to open it, {read:.1} MB with 300 of its pictures read");
    assert!(read < MOST_MB, "{read} MB");
}
