//! Tables as Parquet. By the library's own columns and not by way of arrow, which would be most of a program that does nothing else.

use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FloatType};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::{Type, TypePtr};

use crate::answers::{Answers, Cells};

/// Where a file's footer says which plan was answered.
pub const PLAN_KEY: &str = "steady.plan";

/// How every Parquet file of this program is written: which plan was answered stands in its footer, where that is known.
pub fn properties(plan_sha256: &str) -> WriterProperties {
    WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_created_by(concat!("steady ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_key_value_metadata((!plan_sha256.is_empty()).then(|| vec![KeyValue::new(PLAN_KEY.to_owned(), plan_sha256.to_owned())]))
        .build()
}

impl Answers<'_> {
    /// The table as the bytes of a Parquet file. What is not known is null; a list is a list.
    ///
    /// # Errors
    /// When the Parquet library refuses, which is a defect of what is written here.
    pub fn parquet(&self) -> Result<Vec<u8>, ParquetError> {
        let fields = self.columns.iter().map(|(name, cells)| field(name, cells)).collect::<Result<_, _>>()?;
        let schema = Type::group_type_builder("answers").with_fields(fields).build()?;
        let mut file = SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties(self.plan_sha256)))?;
        let mut rows = file.next_row_group()?;
        for (_, cells) in &self.columns {
            let mut column = rows.next_column()?.ok_or_else(|| ParquetError::General("a column is missing".to_owned()))?;
            write(&mut column, cells)?;
            column.close()?;
        }
        rows.close()?;
        file.into_inner()
    }
}

fn field(name: &str, cells: &Cells<'_>) -> Result<TypePtr, ParquetError> {
    let one = |physical| Type::primitive_type_builder(name, physical).with_repetition(Repetition::OPTIONAL);
    let built = match cells {
        Cells::Texts(_) => one(Physical::BYTE_ARRAY).with_logical_type(Some(LogicalType::String)).build(),
        Cells::Lists(_) => {
            let item = Type::primitive_type_builder("element", Physical::BYTE_ARRAY).with_repetition(Repetition::REQUIRED);
            let item = item.with_logical_type(Some(LogicalType::String)).build()?;
            let list = Type::group_type_builder("list").with_repetition(Repetition::REPEATED).with_fields(vec![Arc::new(item)]).build()?;
            let list = Type::group_type_builder(name).with_repetition(Repetition::REQUIRED).with_fields(vec![Arc::new(list)]);
            list.with_logical_type(Some(LogicalType::List)).build()
        }
        Cells::Flags(_) => one(Physical::BOOLEAN).with_repetition(Repetition::REQUIRED).build(),
        Cells::Floats(_) => one(Physical::FLOAT).build(),
        Cells::Doubles(_) => one(Physical::DOUBLE).build(),
    };
    built.map(Arc::new)
}

fn write(column: &mut SerializedColumnWriter<'_>, cells: &Cells<'_>) -> Result<(), ParquetError> {
    match cells {
        Cells::Texts(cells) => optional::<ByteArrayType, _>(column, cells, |text| ByteArray::from(*text)),
        Cells::Lists(cells) => {
            let items: Vec<ByteArray> = cells.iter().flatten().map(|item| ByteArray::from(*item)).collect();
            // an empty list is a place without an item
            let places =
                cells.iter().flat_map(|items| (0..items.len().max(1)).map(|place| (place.min(1) as i16, items.len().min(1) as i16)));
            let (again, there): (Vec<i16>, Vec<i16>) = places.unzip();
            column.typed::<ByteArrayType>().write_batch(&items, Some(&there), Some(&again)).map(drop)
        }
        Cells::Flags(cells) => column.typed::<BoolType>().write_batch(cells, None, None).map(drop),
        Cells::Floats(cells) => optional::<FloatType, _>(column, cells, |number| *number),
        Cells::Doubles(cells) => optional::<DoubleType, _>(column, cells, |number| *number),
    }
}

/// What is known, and where.
fn optional<D: DataType, T>(
    column: &mut SerializedColumnWriter<'_>,
    cells: &[Option<T>],
    value: impl Fn(&T) -> D::T,
) -> Result<(), ParquetError> {
    let known: Vec<D::T> = cells.iter().flatten().map(value).collect();
    let there: Vec<i16> = cells.iter().map(|cell| i16::from(cell.is_some())).collect();
    column.typed::<D>().write_batch(&known, Some(&there), None).map(drop)
}
