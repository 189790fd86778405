//! Whether there is memory for what is asked, before any of it is taken.

use anyhow::{Result, bail};
use steady_accel::memory::{Budget, Run, misfit};
use steady_vlm::{Checkpoint, OpenDevice, Precision};
use sysinfo::{MemoryRefreshKind, RefreshKind, System};

/// Refuses what would not fit, with numbers and with what would. The runs follow each other.
pub(crate) fn check<'a>(checkpoint: &Checkpoint, device: &OpenDevice, runs: impl IntoIterator<Item = Run<'a>>) -> Result<()> {
    let budget = Budget {
        free: if device.shares_memory { free() } else { None },
        host: None,
        binding: device.max_binding,
        halves: Precision::F16.check(&device.device).is_ok(),
    };
    let footprint = checkpoint.footprint()?;
    for run in runs {
        if let Some(misfit) = misfit(&footprint, run, budget)? {
            bail!("model {} does not fit: {misfit}", checkpoint.name());
        }
    }
    Ok(())
}

/// Bytes that this process may still take; `None` where the system does not say.
fn free() -> Option<u64> {
    let system = System::new_with_specifics(RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram()));
    // A container may have less than the machine. What it holds of files counts as taken there, but is given back when it is needed.
    let limited = system.cgroup_limits().map_or(u64::MAX, |limits| limits.total_memory.saturating_sub(limits.rss));
    Some(system.available_memory().min(limited)).filter(|bytes| *bytes > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_memory() {
        assert!(free().is_some_and(|free| free > 1_000_000));
    }
}
