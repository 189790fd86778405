//! Answers that other tools logged, without a model: lmms-eval, lm-evaluation-harness, VLMEvalKit, NeMo Evaluator, Inspect, OpenVINO's who-what benchmark,
//! LLaVA, plain tables, and our own runs.
//!
//! A run's files become [`source::File`]s, rows or a document, by what their bytes say. The [`FORMATS`] are a table: the first that recognises a file says
//! what its fields mean, which makes a [`Log`]. [`comparable`] says whether two logs were asked the same, [`compare()`] pairs their answers, and the rest is
//! [`steady_report::Report`].
//!
//! ```
//! use steady_logs::{Choices, FORMATS, Runs, Source, compare, read};
//!
//! let log = |name: &str, table: &str| {
//!     let source = Source { name: format!("{name}.csv"), bytes: table.as_bytes().to_vec() };
//!     read(name, &[source], &Choices::default(), FORMATS)
//! };
//! let before = log("before", "id,question,gold,prediction\n1,A cat?,yes,Yes\n2,A dog?,no,No.\n3,A bus?,yes,Yes\n")?;
//! let after = log("after", "id,question,gold,prediction\n1,A cat?,yes,yes\n2,A dog?,no,Yes\n3,A bus?,yes,I think so\n")?;
//! let runs = Runs { baseline: &before, others: &[&after], controls: &[] };
//! let compared = compare(runs, &[], "")?;
//! let summary = &compared.report.summaries()[0];
//! assert_eq!((summary.dr.count, summary.ndr.count, summary.dr.of), (2, 2, 3));
//!
//! // what was not asked the same is refused, and named
//! let other = log("other", "id,question,gold,prediction\n1,A cat?,yes,yes\n2,A dog?,no,Yes\n3,A train?,yes,Yes\n")?;
//! let refused = compare(Runs { others: &[&other], ..runs }, &[], "").unwrap_err();
//! assert!(refused.to_string().contains("prompt: differs in 1 of 3 questions"));
//! # Ok::<(), steady_logs::LogError>(())
//! ```

#[cfg(feature = "archives")]
mod archive;
pub mod comparable;
mod compare;
pub mod defects;
mod error;
pub mod format;
mod formats;
pub mod log;
#[cfg(feature = "archives")]
mod sheet;
pub mod source;

pub use compare::{Comparison, Runs, compare};
pub use error::LogError;
pub use format::{Choices, FORMATS, LogFormat, Run, format_of, read};
pub use formats::generic::ROLES;
pub use log::{Answer, Log, Read};
pub use source::Source;
