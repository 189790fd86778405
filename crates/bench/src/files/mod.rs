//! Benchmarks out of files that somebody has.
//!
//! A [`table::Table`] gives rows, whatever kind of file it is: CSV, TSV, JSON, JSON lines, parquet. A benchmark says what a row asks ([`Draft`]), and [`read()`]
//! makes a benchmark of all of them. Rows pass by one at a time; what is kept of a picture is where it lies, and it is read again when it is asked about.
//! So nobody holds all pictures, however many there are.

mod capped;
mod cell;
mod delimited;
mod json;
mod parquet;
mod pictures;
pub(crate) mod published;
mod read;
pub(crate) mod roles;
mod table;

use cell::Cell;
pub(crate) use delimited::delimiter;
pub(crate) use json::each_item;
pub(crate) use pictures::{Images, Pictures};
pub(crate) use read::{Draft, Fields, Refusal, finish, read};
pub(crate) use table::open;
