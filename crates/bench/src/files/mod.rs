//! Benchmarks out of files that somebody has.
//!
//! A [`table::Table`] gives rows, whatever kind of file it is: CSV, TSV, JSON, JSON lines, parquet. A benchmark says what a row asks ([`Draft`]), and [`read()`]
//! makes a benchmark of all of them. Rows pass by one at a time; what is kept of a picture is where it lies, and it is read again when it is asked about.
//! So nobody holds all pictures, however many there are. Tables of text and pictures beside them are read from any [`FileSystem`] (feature `tables`);
//! what is published, parquet and archives, from a disk (feature `files`).

#![cfg_attr(not(feature = "files"), allow(dead_code, reason = "some of it published benchmarks alone need"))]

#[cfg(feature = "files")]
mod archive;
mod capped;
mod cell;
mod delimited;
mod file_system;
mod json;
#[cfg(feature = "files")]
mod parquet;
mod pictures;
#[cfg(feature = "files")]
pub(crate) mod published;
mod read;
pub(crate) mod roles;
mod table;

use cell::Cell;
pub(crate) use delimited::delimiter;
pub(crate) use file_system::disk;
pub use file_system::{Content, FileSystem};
#[cfg(feature = "files")]
pub(crate) use json::each_item;
pub(crate) use pictures::{Images, Pictures};
#[cfg(feature = "files")]
pub(crate) use read::finish;
pub(crate) use read::{Draft, Fields, Refusal, read};
pub(crate) use table::open;
