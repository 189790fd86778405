//! What a report says, and what it refuses to read.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in the functions that tests share as well")]

mod assurance;
mod benchmarks;
mod beside;
mod copied;
mod filter;
mod finding;
mod fixture;
mod json;
mod page;
mod perturbed;
mod sensitivity;
mod share;
mod statistics;
mod together;
mod unjudged;
mod weighted;
