//! Plain loops with the widest vectors that this CPU has.

use pulp::Arch;

/// What `work` gives, compiled for the vectors of the CPU that it runs on: what a program for every CPU of a kind does number by number (rounding, on
/// x86-64) is done for many at once. The numbers are the same. What `work` calls must be inlined into it.
pub fn vectorized<T>(work: impl FnOnce() -> T) -> T {
    Arch::new().dispatch(work)
}
