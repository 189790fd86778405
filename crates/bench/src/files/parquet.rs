//! Parquet, as data sets on the hub are published: one file or several, pictures as a struct of `bytes` and `path`.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::Cell;
use super::table::{At, Row, Table, unreadable};
use crate::BenchError;

/// Rows that are held at a time while all are read: a picture may have megabytes.
const ROWS_AT_ONCE: usize = 8;

/// Files with the same columns, one behind the other.
pub(crate) struct Parquet {
    files: Vec<PathBuf>,
    columns: Vec<String>,
    /// Where a single cell was read last: rows are mostly asked for in order.
    cursor: Mutex<Option<Cursor>>,
}

/// Reads one column of one row group, row by row.
struct Cursor {
    file: u32,
    column: usize,
    /// The next row, and the one behind the row group's last.
    next: u64,
    end: u64,
    rows: ParquetRecordBatchReader,
}

impl Parquet {
    pub(crate) fn open(files: &[PathBuf]) -> Result<Self, BenchError> {
        let mut columns: Option<Vec<String>> = None;
        for path in files {
            let names = names(builder(path)?.schema());
            match &columns {
                Some(expected) if *expected != names => {
                    let problem = format!("has the columns {}; {} has {}", names.join(", "), files[0].display(), expected.join(", "));
                    return Err(BenchError::File { path: path.clone(), problem });
                }
                _ => columns = Some(names),
            }
        }
        Ok(Self { files: files.to_vec(), columns: columns.unwrap_or_default(), cursor: Mutex::new(None) })
    }

    fn path(&self, file: u32) -> &Path {
        &self.files[file as usize]
    }

    fn start(&self, at: At, column: usize) -> Result<Cursor, BenchError> {
        let path = self.path(at.file);
        let builder = builder(path)?;
        let mut first = 0;
        for (group, metadata) in builder.metadata().row_groups().iter().enumerate() {
            let end = first + metadata.num_rows() as u64;
            if at.place < end {
                let mask = ProjectionMask::roots(builder.parquet_schema(), [column]);
                let rows = builder.with_row_groups(vec![group]).with_projection(mask).with_batch_size(1);
                let rows = rows.with_offset((at.place - first) as usize).build().map_err(|error| broken(path, &error))?;
                return Ok(Cursor { file: at.file, column, next: at.place, end, rows });
            }
            first = end;
        }
        Err(BenchError::File { path: path.to_owned(), problem: format!("has {first} rows, and row {} is wanted", at.place + 1) })
    }
}

fn builder(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>, BenchError> {
    let file = File::open(path).map_err(|error| unreadable(path, error))?;
    ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| broken(path, &error))
}

fn broken(path: &Path, error: &dyn std::fmt::Display) -> BenchError {
    BenchError::File { path: path.to_owned(), problem: format!("is no parquet file that is read here: {error}") }
}

fn names(schema: &Schema) -> Vec<String> {
    schema.fields().iter().map(|field| field.name().clone()).collect()
}

impl Table for Parquet {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn each(&self, visit: &mut dyn FnMut(Row) -> Result<(), BenchError>) -> Result<(), BenchError> {
        let mut number = 0;
        for (file, path) in self.files.iter().enumerate() {
            let rows = builder(path)?.with_batch_size(ROWS_AT_ONCE).build().map_err(|error| broken(path, &error))?;
            let mut place = 0;
            for batch in rows {
                let batch = batch.map_err(|error| broken(path, &error))?;
                for row in 0..batch.num_rows() {
                    let cell =
                        |(array, name): (&ArrayRef, &String)| cell(array, row).map_err(|problem| format!("column {name}: {problem}"));
                    let cells = batch.columns().iter().zip(&self.columns).map(cell).collect();
                    number += 1;
                    visit(Row { name: format!("row {number}"), at: At { file: file as u32, place }, cells })?;
                    place += 1;
                }
            }
        }
        Ok(())
    }

    fn cell(&self, at: At, column: usize) -> Result<Cell, BenchError> {
        let path = self.path(at.file);
        let mut held = self.cursor.lock().unwrap_or_else(PoisonError::into_inner);
        let mut cursor = match held.take() {
            Some(cursor) if (cursor.file, cursor.column) == (at.file, column) && (cursor.next..cursor.end).contains(&at.place) => cursor,
            _ => self.start(at, column)?,
        };
        while let Some(batch) = cursor.rows.next() {
            let batch = batch.map_err(|error| broken(path, &error))?;
            let here = cursor.next;
            cursor.next += 1;
            if here == at.place {
                let found = cell(batch.column(0), 0).map_err(|problem| BenchError::File { path: path.to_owned(), problem })?;
                *held = Some(cursor);
                return Ok(found);
            }
        }
        Err(BenchError::File { path: path.to_owned(), problem: format!("ends before row {}", at.place + 1) })
    }
}

/// One value of a column.
fn cell(array: &ArrayRef, row: usize) -> Result<Cell, String> {
    if array.is_null(row) {
        return Ok(Cell::Missing);
    }
    match array.data_type() {
        DataType::Null => Ok(Cell::Missing),
        DataType::Utf8 => Ok(Cell::text(array.as_string::<i32>().value(row))),
        DataType::LargeUtf8 => Ok(Cell::text(array.as_string::<i64>().value(row))),
        DataType::Utf8View => Ok(Cell::text(array.as_string_view().value(row))),
        DataType::Binary => Ok(bytes(array.as_binary::<i32>().value(row))),
        DataType::LargeBinary => Ok(bytes(array.as_binary::<i64>().value(row))),
        DataType::BinaryView => Ok(bytes(array.as_binary_view().value(row))),
        DataType::FixedSizeBinary(_) => Ok(bytes(array.as_fixed_size_binary().value(row))),
        DataType::List(_) => list(&array.as_list::<i32>().value(row)),
        DataType::LargeList(_) => list(&array.as_list::<i64>().value(row)),
        DataType::FixedSizeList(..) => list(&array.as_fixed_size_list().value(row)),
        DataType::Struct(fields) => {
            let parts = fields.iter().zip(array.as_struct().columns());
            Ok(Cell::Parts(parts.map(|(field, part)| Ok((field.name().clone(), cell(part, row)?))).collect::<Result<_, String>>()?))
        }
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            let key = cast(&dictionary.keys().slice(row, 1), &DataType::UInt64).map_err(|error| error.to_string())?;
            let key = key.as_primitive::<arrow::datatypes::UInt64Type>().value(0) as usize;
            cell(dictionary.values(), key)
        }
        // numbers, truth values and times, as text
        other => {
            let text = cast(&array.slice(row, 1), &DataType::Utf8).map_err(|_| format!("holds {other}, which is not read"))?;
            Ok(Cell::text(text.as_string::<i32>().value(0)))
        }
    }
}

fn bytes(bytes: &[u8]) -> Cell {
    if bytes.is_empty() { Cell::Missing } else { Cell::Bytes(bytes.to_vec()) }
}

fn list(items: &ArrayRef) -> Result<Cell, String> {
    Ok(Cell::List((0..items.len()).map(|item| cell(items, item)).collect::<Result<_, _>>()?))
}
