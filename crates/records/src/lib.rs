//! What was answered, without a model: a [`Plan`] says what is asked of whom, [`Record`]s hold the answers, and [`report`] pairs them.
//!
//! The unit that is answered is the [`Group`]: all questions of one image under all accelerations, so that both sides of every pair come from the same
//! pass. [`Work`] is a plan with its questions, cut into groups, and knows a group's bytes; [`Growing`] collects groups in whatever order they come and
//! derives the report of what there is. Whoever computes sends groups, whoever shows derives.
//!
//! ```
//! use steady_bench::world::EmbeddedSuite;
//! use steady_bench::{Benchmark, PostPrompts};
//! use steady_records::plan::{AccelerationPlan, BenchmarkPlan, ControlPlan, FORMAT, ModelPlan, Versions, questions_sha256};
//! use steady_records::{BASELINE, CLEAN, Plan, Work};
//!
//! let suite = EmbeddedSuite::test(1);
//! let questions = suite.questions()[..4].to_vec();
//! let plan = Plan {
//!     format: FORMAT,
//!     command: "steady".into(),
//!     versions: Versions { steady: "0".into(), burn: "0".into() },
//!     model: ModelPlan { name: "mine".into(), architecture: "llava-1.5".into(), sha256: "1".repeat(64) },
//!     accelerations: [(BASELINE, "the model as it is"), ("int8:threshold=6", "eight bits")]
//!         .map(|(spec, describe)| AccelerationPlan { spec: spec.into(), describe: describe.into(), stored_bytes: None })
//!         .into(),
//!     left_out: Vec::new(),
//!     controls: vec![ControlPlan { spec: "order".into(), describe: "reversed order".into() }],
//!     benchmark: BenchmarkPlan {
//!         name: suite.name().into(),
//!         fingerprint: suite.fingerprint(),
//!         size: suite.questions().len(),
//!         questions: questions.len(),
//!         questions_sha256: questions_sha256(&questions)?,
//!         opened_by: None,
//!     },
//!     perturbations: vec![CLEAN.into(), "noise=20".into()],
//!     prompt: "USER: <image>\n{question} ASSISTANT:".into(),
//!     post_prompts: PostPrompts::default(),
//!     processor: [("crop".into(), "144x144".into())].into(),
//!     decoding: [("strategy".into(), "greedy".into())].into(),
//!     calibration: None,
//!     precision: "f32".into(),
//!     device: "flex".into(),
//!     elsewhere: None,
//!     groups_per_part: 8,
//! };
//! assert_eq!(plan.variants(), ["none", "int8:threshold=6", "order"]);
//!
//! // Four questions, of three variants, about clean and about noisy images.
//! let work = Work::new(plan, questions)?;
//! assert_eq!(work.total(), 4 * 3 * 2);
//! // It goes on as bytes, and who reads them checks them.
//! assert_eq!(Work::from_bytes(&work.to_bytes()?)?, work);
//! # Ok::<(), steady_records::RecordsError>(())
//! ```

mod error;
mod growing;
mod pairing;
pub mod plan;
pub mod record;
mod shard;
mod work;

pub use error::RecordsError;
pub use growing::{Growing, pause};
pub use pairing::{Answered, Pairing, Placed, candidates, report};
pub use plan::{BASELINE, CLEAN, Plan};
pub use record::{Record, Timing};
pub use shard::Shard;
pub use work::{Answers, Group, Work};
