//! One file per command.

pub(crate) mod ask;
pub(crate) mod benches;
pub(crate) mod benchmarks;
pub(crate) mod compare;
pub(crate) mod endpoint;
pub(crate) mod gate;
pub(crate) mod guard;
pub(crate) mod list;
pub(crate) mod locate;
pub(crate) mod merge;
pub(crate) mod plan_size;
pub(crate) mod quantize;
pub(crate) mod report;
pub(crate) mod runs;
pub(crate) mod share;
pub(crate) mod study;
