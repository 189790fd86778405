//! What is asked: questions, scorers, and the embedded suite drawn from a seed.
//!
//! A [`Question`] carries everything a scorer needs; [`score()`] judges a reply and [`same_answer`] compares two of them.
//! Both say "unparsed" where a reply cannot be read and never guess, since a guess that depends on anything but the reply
//! would show up as an answer that flipped. A [`Benchmark`] is a list of questions with their images, opened by its name out of a table
//! ([`BENCHMARKS`]); the one that needs no download is [`world::EmbeddedSuite`], drawn from seeds by [`world`]. Others are read out of files that
//! somebody has (feature `files`), one's own table of questions among them (feature `tables`). A [`FirstLook`] says how they are read. [`perturb`] changes images and words on their way to the
//! model, and a [`Posed`] question is what it is asked.
//!
//! ```
//! use steady_bench::perturb::PerturbationSpec;
//! use steady_bench::world::EmbeddedSuite;
//! use steady_bench::{AnswerKind, Benchmark, Question, same_answer, score};
//!
//! let question = Question {
//!     id: "counting/0".into(),
//!     benchmark: "by hand".into(),
//!     family: "counting".into(),
//!     image: "a".into(),
//!     text: "How many stars are there?".into(),
//!     gold: vec!["4".into()],
//!     kind: AnswerKind::Number,
//!     weight: 1.0,
//! };
//! assert!(score(&question, "four").correct && !score(&question, "5").correct);
//! assert!(same_answer(&question, "4", "four"));
//!
//! // a question of each of the ten families, and a worse picture of the first; the parts are put into the order in which they are applied
//! let suite = EmbeddedSuite::test(1);
//! assert_eq!(suite.questions().len(), 10);
//! let spec: PerturbationSpec = "jpeg=30+blur=1.0".parse()?;
//! assert_eq!(spec.to_string(), "blur=1+jpeg=30");
//! let first = &suite.questions()[0].image;
//! let image = suite.image(first)?;
//! assert_ne!(spec.apply(&image, first), image);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod asked;
mod benchmark;
mod benchmarks;
mod error;
#[cfg(feature = "tables")]
mod files;
mod first_look;
pub mod perturb;
mod posed;
mod post_prompt;
#[cfg(feature = "files")]
mod preset;
mod python_list;
mod question;
mod score;
mod thumbnails;
pub mod world;

pub use asked::{asked, suite_of};
pub use benchmark::{
    Benchmark, BenchmarkRow, Benchmarks, Chosen, DrawBenchmark, Origin, Place, ReadBenchmark, Understood, select, side_by_side,
};
pub use benchmarks::BENCHMARKS;
#[cfg(feature = "tables")]
pub use benchmarks::own_questions;
pub use error::BenchError;
#[cfg(feature = "tables")]
pub use files::{Content, FileSystem};
pub use first_look::{FirstLook, ShownQuestion};
pub use posed::Posed;
pub use post_prompt::PostPrompts;
#[cfg(feature = "files")]
pub use preset::{BENCHMARK_PRESETS, BenchmarkPreset, benchmarks_of};
pub use python_list::python_list;
pub use question::{AnswerKind, Question};
pub use score::{OfficialScorer, Verdict, same_answer, score};
pub use thumbnails::{THUMBNAIL, illustrated, thumbnail, thumbnails};
