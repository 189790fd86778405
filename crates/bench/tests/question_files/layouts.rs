//! Parquet as data sets on the hub are published: made here with the published schema.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Int64Array, ListArray, RecordBatch, StringArray, StringDictionaryBuilder, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Int32Type, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use crate::support::{Place, lines, open, picture, png};

/// A column of pictures: a struct of `bytes` and `path`.
fn pictures(files: &[Vec<u8>]) -> ArrayRef {
    let bytes: ArrayRef = Arc::new(BinaryArray::from_iter_values(files));
    let path: ArrayRef = Arc::new(StringArray::from(vec![None::<&str>; files.len()]));
    let fields = vec![Field::new("bytes", DataType::Binary, true), Field::new("path", DataType::Utf8, true)];
    Arc::new(StructArray::new(fields.into(), vec![bytes, path], None))
}

/// A column of texts that come again and again.
fn dictionary(texts: &[&str]) -> ArrayRef {
    let mut builder = StringDictionaryBuilder::<Int32Type>::new();
    for text in texts {
        builder.append_value(text);
    }
    Arc::new(builder.finish())
}

fn write(path: &Path, columns: Vec<(&str, ArrayRef)>, rows_per_group: usize) {
    let fields: Vec<Field> = columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.into_iter().map(|(_, array)| array).collect()).unwrap();
    let properties =
        WriterProperties::builder().set_compression(Compression::SNAPPY).set_max_row_group_row_count(Some(rows_per_group)).build();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn shard(path: &Path, first: u8) {
    let rows: Vec<u8> = (first..first + 5).collect();
    let texts: Vec<String> = rows.iter().map(|n| format!("Number {n}?")).collect();
    let options = StringArray::from(["red", "blue"].repeat(5));
    let options =
        ListArray::new(Arc::new(Field::new("item", DataType::Utf8, true)), OffsetBuffer::from_lengths([2; 5]), Arc::new(options), None);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from_iter_values(rows.iter().map(|n| i64::from(*n))))),
        ("image", pictures(&rows.iter().map(|n| png(*n / 2)).collect::<Vec<_>>())),
        ("question", Arc::new(StringArray::from(texts))),
        ("answer", dictionary(&["A", "B", "A", "B", "A"])),
        ("options", Arc::new(options)),
        ("category", dictionary(&["x", "x", "y", "y", "y"])),
    ];
    write(path, columns, 2);
}

#[test]
fn parquet_as_on_the_hub() {
    let place = Place::new();
    shard(&place.path("test-00000-of-00002.parquet"), 0);
    shard(&place.path("test-00001-of-00002.parquet"), 5);
    // one file
    let bench = open("file", &place.path("test-00001-of-00002.parquet")).unwrap();
    let first = &bench.questions()[0];
    assert_eq!((first.id.as_str(), first.family.as_str(), first.gold.concat()), ("5", "x", "A".to_owned()));
    assert!(first.text.starts_with("Number 5?\nA. red\nB. blue\n"), "{}", first.text);
    // all of a folder
    let bench = open("file", &place.path("")).unwrap();
    assert_eq!(
        bench.questions().iter().map(|question| question.id.parse::<u8>().unwrap()).collect::<Vec<_>>(),
        (0..10).collect::<Vec<_>>()
    );
    // equal pictures are one, whatever row they are in; in order, backwards, and again
    let forwards = bench.questions().iter().enumerate();
    for (n, question) in forwards.clone().chain(forwards.clone().rev()).chain(forwards) {
        assert_eq!(bench.image(&question.image).unwrap(), picture(n as u8 / 2), "{n}");
    }
    let images: std::collections::BTreeSet<&str> = bench.questions().iter().map(|question| question.image.as_str()).collect();
    assert_eq!(images.len(), 5);
}

#[test]
fn broken_rows_of_parquet_are_named() {
    let place = Place::new();
    let mut files: Vec<Vec<u8>> = (0..4).map(png).collect();
    files[1] = Vec::new();
    files[3] = b"GIF89a".to_vec();
    let columns: Vec<(&str, ArrayRef)> = vec![("image", pictures(&files)), ("question", dictionary(&["a?", "b?", "c?", "d?"]))];
    write(&place.path("q.parquet"), columns, 3);
    insta::assert_snapshot!(place.refused("q.parquet"), @r"
    q.parquet: 2 of 4 rows cannot be asked:
      row 2, column image: has neither `bytes` nor `path`
      row 4, column image: image 610f5ae4d76e3326: is not a PNG, JPEG or WebP file
    mend them, or leave them out with `,broken=skip`
    ");
    // files of one folder are one table
    shard(&place.path("r.parquet"), 0);
    let error = place.without_path(&open("file", &place.path("")).err().unwrap().to_string());
    assert_eq!(error, "r.parquet: has the columns id, image, question, answer, options, category; q.parquet has image, question");
    assert_eq!(lines(&*open("file", &place.path("r.parquet")).unwrap()).len(), 5);
}
