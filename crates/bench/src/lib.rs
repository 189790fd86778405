//! What is asked: questions, scorers, and the embedded suite drawn from a seed.
//!
//! A [`Question`] carries everything a scorer needs; [`score`] judges a reply and [`same_answer`] compares two of them.
//! Both say "unparsed" where a reply cannot be read and never guess, since a guess that depends on anything but the reply
//! would show up as an answer that flipped. A [`Benchmark`] is a list of questions with their images, opened by its name out of a table
//! ([`BENCHMARKS`]); the one that needs no download is [`world::EmbeddedSuite`], drawn from seeds by [`world`]. [`perturb`] changes images on
//! their way to the model.

mod asked;
mod benchmark;
mod benchmarks;
mod error;
pub mod perturb;
mod question;
mod score;
mod thumbnails;
pub mod world;

pub use asked::{asked, suite_of};
pub use benchmark::{Benchmark, BenchmarkRow, Benchmarks, OpenBenchmark, select};
pub use benchmarks::BENCHMARKS;
pub use error::BenchError;
pub use question::{AnswerKind, Question};
pub use score::{Verdict, same_answer, score};
pub use thumbnails::{THUMBNAIL, thumbnail, thumbnails};
