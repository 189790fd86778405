//! Gates and guards over studies that are made up question by question.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in the functions that tests share as well")]

mod gate;
mod guard;
mod study;
