//! Everything this crate reads from files, against what transformers and Pillow make of the same files
//! (`tests/reference`, made by its `make_cases.py`), and what it says when a file is broken.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "the helpers beside the tests fail the test by panicking, as the tests do")]
#![expect(clippy::float_cmp, reason = "settings read from a file are equal or wrong")]

#[path = "files/broken.rs"]
mod broken;
#[path = "files/configs.rs"]
mod configs;
#[path = "files/folder.rs"]
mod folder;
#[path = "files/fuzz.rs"]
mod fuzz;
#[path = "files/pictures.rs"]
mod pictures;
#[path = "files/published.rs"]
mod published;
#[path = "files/readers.rs"]
mod readers;
#[path = "files/templates.rs"]
mod templates;
#[path = "files/tokens.rs"]
mod tokens;
#[path = "files/weights.rs"]
mod weights;
