//! The benchmarks that this program brings.

use crate::Benchmarks;
use crate::world::EMBEDDED;

/// What the command line and the page offer, and what reports that name a benchmark are read with. The first one is the default.
pub const BENCHMARKS: Benchmarks<'static> = Benchmarks(&[EMBEDDED]);
