//! What the tests of the page need: a static server, a browser, the command line, reports whose numbers are known from paper.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc, reason = "a test that cannot go on fails")]

#[cfg(feature = "page")]
pub mod browser;
pub mod native;
pub mod sample;
pub mod scripted;
pub mod server;
