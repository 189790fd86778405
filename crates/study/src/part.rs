//! Part files: some records as parquet, equal in every byte for equal records.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float32Array, Float64Array, ListArray, ListBuilder, PrimitiveBuilder, RecordBatch, StringArray,
    StringBuilder, UInt32Array, UInt64Array,
};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Field, Float32Type, Float64Type, Schema, UInt32Type, UInt64Type};
use bytes::Bytes;
use data_encoding::HEXLOWER;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::{ArrowWriter, ProjectionMask};
use sha2::{Digest, Sha256};
use steady_records::{Answered, Record, candidates};
use steady_report::parquet::{PLAN_KEY, properties};

use crate::StudyError;

/// Records as the bytes of a parquet file. Its footer carries the hash of the plan.
///
/// # Errors
/// [`StudyError::Broken`] when the parquet library refuses, which would be a defect of the schema below.
pub(crate) fn encode(path: &Path, plan_sha256: &str, records: &[Record]) -> Result<Vec<u8>, StudyError> {
    let broken = |e: &dyn std::fmt::Display| StudyError::broken(path, format!("cannot be written: {e}"));
    let batch = to_batch(records).map_err(|e| broken(&e))?;
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties(plan_sha256))).map_err(|e| broken(&e))?;
    writer.write(&batch).map_err(|e| broken(&e))?;
    writer.into_inner().map_err(|e| broken(&e))
}

/// The line that goes beside a part, in the format of `sha256sum`.
pub(crate) fn checksum(path: &Path, part: &[u8]) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    format!("{}  {name}\n", HEXLOWER.encode(&Sha256::digest(part)))
}

/// Where a part lies, and what it is to be part of.
#[derive(Clone, Copy)]
pub(crate) struct Part<'a> {
    pub(crate) path: &'a Path,
    pub(crate) checksum: &'a Path,
    pub(crate) plan_sha256: &'a str,
}

impl Part<'_> {
    /// Reads its records back.
    ///
    /// # Errors
    /// As [`Part::batches`].
    pub(crate) fn records(self) -> Result<Vec<Record>, StudyError> {
        let mut records = Vec::new();
        for batch in self.batches(&[])? {
            records.extend(from_batch(&batch).map_err(|e| self.damaged(&e))?);
        }
        Ok(records)
    }

    /// Hands over what a report needs of its records; the rest is not even read.
    ///
    /// # Errors
    /// As [`Part::batches`].
    pub(crate) fn each_answered(self, mut taker: impl FnMut(&Answered<'_>)) -> Result<(), StudyError> {
        for batch in self.batches(&ANSWERED)? {
            each_answered(&batch, &mut taker).map_err(|e| self.damaged(&e))?;
        }
        Ok(())
    }

    /// Reads some columns, or all where none is named, and checks that the part belongs to the plan and that every byte is the one written. The checksum
    /// comes before anything else: the parquet library takes damaged pages for defects of its own and panics.
    ///
    /// # Errors
    /// [`StudyError::Io`] or [`StudyError::Broken`], naming the file.
    fn batches(self, columns: &[&str]) -> Result<Vec<RecordBatch>, StudyError> {
        let Self { path, checksum: checksum_path, plan_sha256 } = self;
        let bytes = std::fs::read(path).map_err(StudyError::io(path, "cannot read the record part"))?;
        let written =
            std::fs::read_to_string(checksum_path).map_err(StudyError::io(checksum_path, "cannot read the checksum of a record part"))?;
        if written != checksum(path, &bytes) {
            return Err(self.damaged(&format!("its {} bytes do not have the checksum in {}", bytes.len(), checksum_path.display())));
        }
        let mut reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes)).map_err(|e| self.damaged(&e))?;
        let footer = reader.metadata().file_metadata().key_value_metadata();
        match footer.and_then(|pairs| pairs.iter().find(|pair| pair.key == PLAN_KEY)).and_then(|pair| pair.value.as_deref()) {
            Some(found) if found == plan_sha256 => {}
            Some(_) => return Err(StudyError::broken(path, "was recorded under another plan than the plan.json beside it")),
            None => return Err(self.damaged(&format!("no `{PLAN_KEY}` in its footer"))),
        }
        if !columns.is_empty() {
            let mask = ProjectionMask::columns(reader.parquet_schema(), columns.iter().copied());
            reader = reader.with_projection(mask);
        }
        let batches = reader.build().map_err(|e| self.damaged(&e))?;
        batches.map(|batch| batch.map_err(|e| self.damaged(&e))).collect()
    }

    fn damaged(self, reason: &dyn std::fmt::Display) -> StudyError {
        StudyError::broken(self.path, format!("damaged record part: {reason}; delete it to have its questions asked again"))
    }
}

fn to_batch(records: &[Record]) -> Result<RecordBatch, arrow::error::ArrowError> {
    let text = |of: fn(&Record) -> &str| Arc::new(StringArray::from_iter_values(records.iter().map(of))) as ArrayRef;
    let uint32 = |of: fn(&Record) -> u32| Arc::new(UInt32Array::from_iter_values(records.iter().map(of))) as ArrayRef;
    let uint64 = |of: fn(&Record) -> u64| Arc::new(UInt64Array::from_iter_values(records.iter().map(of))) as ArrayRef;
    let float = |of: fn(&Record) -> f32| Arc::new(Float32Array::from_iter_values(records.iter().map(of))) as ArrayRef;
    let columns: Vec<(&str, bool, ArrayRef)> = vec![
        ("question", false, text(|r| &r.question)),
        ("family", false, text(|r| &r.family)),
        ("image", false, text(|r| &r.image)),
        ("perturbation", false, text(|r| &r.perturbation)),
        ("acceleration", false, text(|r| &r.acceleration)),
        ("answer", false, text(|r| &r.answer)),
        ("output_ids", false, lists::<UInt32Type>(records.iter().map(|r| Some(r.output_ids.as_slice())))),
        ("cut", true, Arc::new(records.iter().map(|r| r.cut).collect::<BooleanArray>())),
        ("parsed", true, Arc::new(records.iter().map(|r| r.parsed.as_deref()).collect::<StringArray>())),
        (NO_ANSWER, true, Arc::new(records.iter().map(|r| r.no_answer.as_deref()).collect::<StringArray>())),
        ("correct", false, Arc::new(BooleanArray::from(records.iter().map(|r| r.correct).collect::<Vec<_>>()))),
        ("score", false, float(|r| r.score)),
        ("top_ids", false, lists::<UInt32Type>(records.iter().map(|r| Some(r.top_ids.as_slice())))),
        ("top_tokens", false, texts(records.iter().map(|r| r.top_tokens.as_slice()))),
        ("top_logits", false, lists::<Float32Type>(records.iter().map(|r| Some(r.top_logits.as_slice())))),
        ("margin", true, Arc::new(records.iter().map(|r| r.margin).collect::<Float32Array>())),
        ("kl", true, Arc::new(records.iter().map(|r| r.kl).collect::<Float64Array>())),
        ("visual_tokens", false, uint32(|r| r.visual_tokens)),
        ("kept", true, lists::<UInt32Type>(records.iter().map(|r| r.kept.as_deref()))),
        ("kept_by_step", true, nested(records.iter().map(|r| r.kept_by_step.as_deref()))),
        ("prompt_tokens", false, uint32(|r| r.prompt_tokens)),
        ("decoder_visual_tokens", false, float(|r| r.decoder_visual_tokens)),
        ("kv_bytes", false, uint64(|r| r.kv_bytes)),
        ("weight_bytes", false, uint64(|r| r.weight_bytes)),
        ("flops", false, uint64(|r| r.flops)),
    ];
    let fields: Vec<Field> =
        columns.iter().map(|(name, nullable, array)| Field::new(*name, array.data_type().clone(), *nullable)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.into_iter().map(|(_, _, array)| array).collect())
}

fn lists<'a, T: ArrowPrimitiveType>(rows: impl Iterator<Item = Option<&'a [T::Native]>>) -> ArrayRef {
    let item = Field::new("item", T::DATA_TYPE, false);
    let mut builder = ListBuilder::new(PrimitiveBuilder::<T>::new()).with_field(item);
    for row in rows {
        if let Some(values) = row {
            builder.values().append_slice(values);
        }
        builder.append(row.is_some());
    }
    Arc::new(builder.finish())
}

fn nested<'a>(rows: impl Iterator<Item = Option<&'a [Vec<u32>]>>) -> ArrayRef {
    let item = Arc::new(Field::new("item", DataType::UInt32, false));
    let inner = ListBuilder::new(PrimitiveBuilder::<UInt32Type>::new()).with_field(Arc::clone(&item));
    let mut builder = ListBuilder::new(inner).with_field(Field::new("item", DataType::List(item), false));
    for row in rows {
        for values in row.unwrap_or_default() {
            builder.values().values().append_slice(values);
            builder.values().append(true);
        }
        builder.append(row.is_some());
    }
    Arc::new(builder.finish())
}

fn texts<'a>(rows: impl Iterator<Item = &'a [String]>) -> ArrayRef {
    let mut builder = ListBuilder::new(StringBuilder::new()).with_field(Field::new("item", DataType::Utf8, false));
    for row in rows {
        for text in row {
            builder.values().append_value(text);
        }
        builder.append(true);
    }
    Arc::new(builder.finish())
}

/// Reads columns by name; any further column of a later version is ignored.
fn from_batch(batch: &RecordBatch) -> Result<Vec<Record>, String> {
    let columns = Columns(batch);
    let (question, family, image) = (columns.text("question")?, columns.text("family")?, columns.text("image")?);
    let (perturbation, acceleration) = (columns.text("perturbation")?, columns.text("acceleration")?);
    let (answer, parsed) = (columns.text("answer")?, columns.text("parsed")?);
    let (output_ids, top_ids) = (columns.lists::<UInt32Type>("output_ids")?, columns.lists::<UInt32Type>("top_ids")?);
    let (top_logits, kept) = (columns.lists::<Float32Type>("top_logits")?, columns.lists::<UInt32Type>("kept")?);
    let top_tokens = columns.list("top_tokens", &DataType::Utf8)?;
    let tokens = top_tokens.values().as_string::<i32>();
    // Parts that were written before reducers had steps lack it.
    let kept_by_step = batch
        .column_by_name("kept_by_step")
        .map(|column| column.as_list_opt::<i32>().ok_or("column `kept_by_step` is no list"))
        .transpose()?;
    let (cut, no_answer, correct) = (columns.cut()?, columns.no_answer()?, columns.flags("correct")?);
    let (score, margin) = (columns.numbers::<Float32Type>("score")?, columns.numbers::<Float32Type>("margin")?);
    let kl = columns.numbers::<Float64Type>("kl")?;
    let (visual_tokens, prompt_tokens) = (columns.numbers::<UInt32Type>("visual_tokens")?, columns.numbers::<UInt32Type>("prompt_tokens")?);
    let decoder_visual_tokens = columns.numbers::<Float32Type>("decoder_visual_tokens")?;
    let (kv_bytes, weight_bytes, flops) = (
        columns.numbers::<UInt64Type>("kv_bytes")?,
        columns.numbers::<UInt64Type>("weight_bytes")?,
        columns.numbers::<UInt64Type>("flops")?,
    );
    Ok((0..batch.num_rows())
        .map(|row| Record {
            question: question.value(row).to_owned(),
            family: family.value(row).to_owned(),
            image: image.value(row).to_owned(),
            perturbation: perturbation.value(row).to_owned(),
            acceleration: acceleration.value(row).to_owned(),
            answer: answer.value(row).to_owned(),
            output_ids: list::<UInt32Type>(output_ids, row),
            cut: cut.filter(|cut| cut.is_valid(row)).map(|cut| cut.value(row)),
            parsed: parsed.is_valid(row).then(|| parsed.value(row).to_owned()),
            no_answer: no_answer.filter(|reasons| reasons.is_valid(row)).map(|reasons| reasons.value(row).to_owned()),
            correct: correct.value(row),
            score: score.value(row),
            top_ids: list::<UInt32Type>(top_ids, row),
            top_tokens: items(top_tokens, row).map(|item| tokens.value(item).to_owned()).collect(),
            top_logits: list::<Float32Type>(top_logits, row),
            margin: margin.is_valid(row).then(|| margin.value(row)),
            kl: kl.is_valid(row).then(|| kl.value(row)),
            visual_tokens: visual_tokens.value(row),
            kept: kept.is_valid(row).then(|| list::<UInt32Type>(kept, row)),
            kept_by_step: kept_by_step.filter(|steps| steps.is_valid(row)).and_then(|steps| {
                let inner = steps.values().as_list_opt::<i32>()?;
                Some(items(steps, row).map(|step| list::<UInt32Type>(inner, step)).collect())
            }),
            prompt_tokens: prompt_tokens.value(row),
            decoder_visual_tokens: decoder_visual_tokens.value(row),
            kv_bytes: kv_bytes.value(row),
            weight_bytes: weight_bytes.value(row),
            flops: flops.value(row),
        })
        .collect())
}

/// The column that says why there is no answer, and what it was called before.
const NO_ANSWER: &str = "no_answer";
const BEFORE: &str = "not_finite";

/// The columns that [`Answered`] is read from.
const ANSWERED: [&str; 17] = [
    "question",
    "perturbation",
    "acceleration",
    "answer",
    "cut",
    NO_ANSWER,
    BEFORE,
    "correct",
    "top_tokens",
    "top_logits",
    "margin",
    "kl",
    "prompt_tokens",
    "decoder_visual_tokens",
    "kv_bytes",
    "weight_bytes",
    "flops",
];

fn each_answered(batch: &RecordBatch, taker: &mut impl FnMut(&Answered<'_>)) -> Result<(), String> {
    let columns = Columns(batch);
    let (question, perturbation) = (columns.text("question")?, columns.text("perturbation")?);
    let (acceleration, answer) = (columns.text("acceleration")?, columns.text("answer")?);
    let (cut, no_answer, correct) = (columns.cut()?, columns.no_answer()?, columns.flags("correct")?);
    let top_tokens = columns.list("top_tokens", &DataType::Utf8)?;
    let top_logits = columns.lists::<Float32Type>("top_logits")?;
    let (tokens, logits) = (top_tokens.values().as_string::<i32>(), top_logits.values().as_primitive::<Float32Type>().values());
    let (margin, kl) = (columns.numbers::<Float32Type>("margin")?, columns.numbers::<Float64Type>("kl")?);
    let decoder_visual_tokens = columns.numbers::<Float32Type>("decoder_visual_tokens")?;
    let (kv_bytes, weight_bytes) = (columns.numbers::<UInt64Type>("kv_bytes")?, columns.numbers::<UInt64Type>("weight_bytes")?);
    let (prompt_tokens, flops) = (columns.numbers::<UInt32Type>("prompt_tokens")?, columns.numbers::<UInt64Type>("flops")?);
    for row in 0..batch.num_rows() {
        taker(&Answered {
            question: question.value(row),
            perturbation: perturbation.value(row),
            acceleration: acceleration.value(row),
            answer: answer.value(row),
            lost: no_answer.is_some_and(|reasons| reasons.is_valid(row)),
            cut: cut.filter(|cut| cut.is_valid(row)).map(|cut| cut.value(row)),
            correct: correct.value(row),
            margin: margin.is_valid(row).then(|| margin.value(row)),
            kl: kl.is_valid(row).then(|| kl.value(row)),
            top: candidates(items(top_tokens, row).map(|item| tokens.value(item)), &logits[items(top_logits, row)]),
            top_logits: &logits[items(top_logits, row)],
            decoder_visual_tokens: decoder_visual_tokens.value(row),
            weight_bytes: weight_bytes.value(row),
            kv_bytes: kv_bytes.value(row),
            prompt_tokens: prompt_tokens.value(row),
            flops: flops.value(row),
        });
    }
    Ok(())
}

struct Columns<'a>(&'a RecordBatch);

impl<'a> Columns<'a> {
    fn get(&self, name: &str) -> Result<&'a ArrayRef, String> {
        self.0.column_by_name(name).ok_or_else(|| format!("column `{name}` is missing"))
    }

    fn text(&self, name: &str) -> Result<&'a StringArray, String> {
        let column = self.get(name)?;
        column.as_string_opt().ok_or_else(|| format!("column `{name}` is {}, expected text", column.data_type()))
    }

    fn flags(&self, name: &str) -> Result<&'a BooleanArray, String> {
        self.get(name)?.as_boolean_opt().ok_or_else(|| format!("column `{name}` is not boolean"))
    }

    /// Parts that were written before cut answers were told apart lack it.
    fn cut(&self) -> Result<Option<&'a BooleanArray>, String> {
        self.0.column_by_name("cut").map(|_| self.flags("cut")).transpose()
    }

    /// Parts that were written before it was noted lack it, and older ones call it by the one reason that there was.
    fn no_answer(&self) -> Result<Option<&'a StringArray>, String> {
        let name = [NO_ANSWER, BEFORE].into_iter().find(|name| self.0.column_by_name(name).is_some());
        name.map(|name| self.text(name)).transpose()
    }

    fn numbers<T: ArrowPrimitiveType>(&self, name: &str) -> Result<&'a arrow::array::PrimitiveArray<T>, String> {
        let column = self.get(name)?;
        column.as_primitive_opt().ok_or_else(|| format!("column `{name}` is {}, expected {}", column.data_type(), T::DATA_TYPE))
    }

    fn lists<T: ArrowPrimitiveType>(&self, name: &str) -> Result<&'a ListArray, String> {
        self.list(name, &T::DATA_TYPE)
    }

    fn list(&self, name: &str, of: &DataType) -> Result<&'a ListArray, String> {
        let column = self.get(name)?;
        let of_right_type = matches!(column.data_type(), DataType::List(item) if item.data_type() == of);
        column
            .as_list_opt()
            .filter(|_| of_right_type)
            .ok_or_else(|| format!("column `{name}` is {}, expected a list of {of}", column.data_type()))
    }
}

fn list<T: ArrowPrimitiveType>(column: &ListArray, row: usize) -> Vec<T::Native> {
    column.values().as_primitive::<T>().values()[items(column, row)].to_vec()
}

/// Where the items of a row's list are among the items of all rows: looking there is cheaper than an array of them.
fn items(column: &ListArray, row: usize) -> Range<usize> {
    let ends = column.value_offsets();
    ends[row] as usize..ends[row + 1] as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(cut: Option<bool>) -> Record {
        Record {
            question: "q".into(),
            family: "f".into(),
            image: "i".into(),
            perturbation: "clean".into(),
            acceleration: "none".into(),
            answer: "red".into(),
            output_ids: vec![1],
            cut,
            parsed: None,
            no_answer: Some("a logit is infinite".into()),
            correct: true,
            score: 1.0,
            top_ids: vec![1],
            top_tokens: vec!["red".into()],
            top_logits: vec![1.0],
            margin: None,
            kl: None,
            visual_tokens: 1,
            kept: None,
            kept_by_step: Some(vec![vec![0]]),
            prompt_tokens: 1,
            decoder_visual_tokens: 1.0,
            kv_bytes: 1,
            weight_bytes: 1,
            flops: 1,
        }
    }

    /// What is read for a report is what it would take out of the records.
    #[test]
    fn columns_of_a_report_are_those_of_the_records() {
        let mut records =
            [record(Some(true)), record(None), Record { no_answer: None, kl: Some(0.5), margin: Some(2.5), ..record(Some(false)) }];
        records[1].top_tokens = (0..9).map(|n| format!("token {n}")).collect();
        records[1].top_logits = (0..9).map(|n| if n == 2 { f32::NEG_INFINITY } else { 9.0 - n as f32 }).collect();
        let dir = tempfile::tempdir().unwrap();
        let (path, checksum_path) = (dir.path().join("part-00000.parquet"), dir.path().join("sum"));
        let bytes = encode(&path, "plan", &records).unwrap();
        std::fs::write(&path, &bytes).unwrap();
        std::fs::write(&checksum_path, checksum(&path, &bytes)).unwrap();
        let part = Part { path: &path, checksum: &checksum_path, plan_sha256: "plan" };
        let mut read = Vec::new();
        part.each_answered(|answered| read.push(format!("{answered:?}"))).unwrap();
        assert_eq!(read, records.each_ref().map(|record| format!("{:?}", Answered::from(record))));
        assert!(read[1].contains("token 5") && !read[1].contains("token 2") && !read[1].contains("token 6"), "{}", read[1]);
        assert_eq!(part.records().unwrap(), records);
    }

    #[test]
    fn parts_of_versions_that_lack_a_column_are_read() {
        let records = [record(Some(true)), record(Some(false)), record(None)];
        let batch = to_batch(&records).unwrap();
        assert_eq!(from_batch(&batch).unwrap(), records);
        for (lacking, without) in [
            ("cut", Record { cut: None, ..record(None) }),
            ("no_answer", Record { no_answer: None, ..record(Some(true)) }),
            ("kept_by_step", Record { kept_by_step: None, ..record(Some(true)) }),
        ] {
            let columns: Vec<usize> =
                batch.schema().fields().iter().enumerate().filter(|(_, field)| field.name() != lacking).map(|(at, _)| at).collect();
            assert_eq!(from_batch(&batch.project(&columns).unwrap()).unwrap()[0], without, "{lacking}");
        }
        let before: Vec<_> = batch.schema().fields().iter().map(|field| field.name().replace(NO_ANSWER, BEFORE)).collect();
        let named = before.iter().map(String::as_str).zip(batch.columns().iter().cloned());
        assert_eq!(from_batch(&RecordBatch::try_from_iter(named).unwrap()).unwrap(), records);
        let columns: Vec<usize> = (1..batch.num_columns()).collect();
        assert_eq!(from_batch(&batch.project(&columns).unwrap()).unwrap_err(), "column `question` is missing");
    }
}
