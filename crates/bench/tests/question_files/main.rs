//! Benchmarks out of files: what is read, and what is refused, with the words that it is refused in.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bad_input;
mod easy_vqa;
mod elsewhere;
mod layouts;
mod official;
mod own;
mod support;
