//! What crosses crates: parity with transformers, the CLI as a process.

pub mod reference;
