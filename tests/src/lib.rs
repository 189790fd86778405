//! What crosses crates: parity with transformers, the CLI as a process, the page in a browser.

pub mod reference;
