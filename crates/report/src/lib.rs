//! What a stability report is: outcomes, rates, intervals, tests, and how they are shown.
//!
//! A vision-language model answers the same questions before and after it is accelerated. Each pair of answers has an [`Outcome`]; a [`Tally`] counts
//! them; rates, intervals and tests ([`statistics`]) follow; a [`Report`] holds the answers and what follows from them, and is shown as a finding in
//! words, a table for terminals, a `report.json` and a self-contained HTML page. No tensors and no files here: the crate also serves the page in the
//! browser.
//!
//! The measures are those of Sun et al., "Does Acceleration Cause Hidden Instability in Vision Language Models?" (EMNLP 2025), and their neighbours:
//!
//! | name | share of | which |
//! |---|---|---|
//! | DR, divergence ratio | all questions | the answer changed |
//! | NDR, negative | all questions | right before, wrong after |
//! | PDR, positive | all questions | wrong before, right after |
//! | flips | all questions | NDR + PDR |
//! | NDR given correct | questions the baseline got right | wrong after |
//! | NDR given change | questions whose answer changed | right before, wrong after |
//!
//! Accuracy before minus accuracy after is NDR - PDR: two accelerations with the same accuracy may differ in all the others.
//!
//! ```
//! use std::collections::BTreeMap;
//!
//! use steady_report::{Report, share};
//!
//! // the report.json of a study of ten questions
//! let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../bench/tests/version-1/report.json"));
//! let report = Report::from_json(text)?;
//! let summary = report.summary("divprune:keep=0.33").expect("the study has it");
//! assert_eq!((summary.accuracy_before.count, summary.accuracy_after.count), (9, 6));
//! assert_eq!(summary.ndr.count - summary.pdr.count, 3);
//!
//! // what follows from the answers is never stored apart from them
//! assert_eq!(Report::new(report.measurements().clone())?, report);
//!
//! // a page of its own, and a link that holds the same numbers
//! let page = report.html(&BTreeMap::new());
//! assert!(page.starts_with("<!DOCTYPE html>") && page.contains("divprune:keep=0.33"));
//! let opened = share::open(&report.share(None)?.payload, |_suite| None)?;
//! assert_eq!(opened.report.summaries()[0].tally, report.summaries()[0].tally);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod against_random;
mod answers;
mod assurance;
mod benchmarks;
mod beside;
mod brittle;
mod chance;
mod check;
mod counted;
mod csv;
mod deriving;
mod distribution;
mod error;
mod filter;
mod html;
mod json;
mod markdown;
mod measurements;
mod number;
mod outcome;
mod overview;
#[cfg(feature = "parquet")]
pub mod parquet;
mod printable;
mod rates;
mod report;
mod sensitivity;
pub mod share;
pub mod statistics;
mod summary;
mod sweep;
mod table;
mod together;
mod weighted;
mod worst;

pub use against_random::{AgainstRandom, Chance};
pub use answers::{Answers, Cells};
pub use assurance::{Agreement, Assurance, CONFIDENCE, Calibration, CalibrationShift, Clustered, Collapse, Diagnostic, POWER, Unparsed};
pub use benchmarks::{Benchmarks, OfBenchmark};
pub use beside::{Beside, Pair};
pub use brittle::Brittleness;
pub use chance::Guessing;
pub use counted::counted;
pub use deriving::Deriving;
pub use distribution::{DistributionError, kl_divergence, kl_of_likeliest, margin};
pub use error::ReportError;
pub use filter::{Became, Column, Filter, Order};
pub use html::{PICTURES, Page, Section, image_address, page_of};
pub use measurements::{
    AccelerationReport, AnswerRow, ControlReport, CostRow, FORMAT, FirstToken, Flag, Flagged, Measurements, Picture, PlanSummary,
    QuestionKind, QuestionRow, Ties, TokenLogit, is_usual_weight, usual_weight,
};
pub use outcome::{Contradiction, Outcome};
pub use overview::Reading;
pub use printable::one_line;
pub use rates::{Proportion, Rate, Tally};
pub use report::{Perturbed, Report};
pub use sensitivity::{Restored, Sensitivity};
pub use statistics::{Interval, PairedTest};
pub use summary::{Change, Condition, FamilySummary, Summary};
pub use sweep::{Amounts, Point, Sweep};
pub use together::{Overlap, Together};
pub use weighted::{Weighted, WeightedShare};
