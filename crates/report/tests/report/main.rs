//! What a report says, and what it refuses to read.

mod finding;
mod fixture;
mod json;
mod page;
