//! Whether there is memory for what is asked, before any of it is taken.

use std::sync::Once;

use anyhow::{Result, bail};
use steady_accel::memory::{Budget, Run, misfit};
use steady_vlm::{Checkpoint, DeviceMemory, OpenDevice, Precision};
use sysinfo::{MemoryRefreshKind, RefreshKind, System};

use crate::console;

/// Refuses what would not fit, with numbers and with what would. The runs follow each other. Where nobody says what is free, that is
/// said, once.
pub(crate) fn check<'a>(checkpoint: &Checkpoint, device: &OpenDevice, runs: impl IntoIterator<Item = Run<'a>>) -> Result<()> {
    static UNCHECKED: Once = Once::new();
    let Room { free, .. } = Room::of(device.memory);
    if device.memory == DeviceMemory::Unknown {
        UNCHECKED.call_once(|| {
            let unknown = "memory unknown: the driver does not say";
            console::note(&format!("{}: {unknown}, so whether the model fits is not checked before it is loaded", device.identity));
        });
    }
    let host = if device.memory == DeviceMemory::Shared { None } else { Room::of(DeviceMemory::Shared).free };
    let budget = Budget { free, host, binding: device.max_binding, halves: Precision::F16.check(&device.device).is_ok() };
    let footprint = checkpoint.footprint()?;
    for run in runs {
        if let Some(misfit) = misfit(&footprint, run, budget)? {
            bail!("model {} does not fit: {misfit}", checkpoint.name());
        }
    }
    Ok(())
}

/// Where a model would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    /// Bytes that may still be taken; `None` where nobody says.
    pub(crate) free: Option<u64>,
    /// Bytes that there are; `None` where nobody says.
    pub(crate) total: Option<u64>,
}

impl Room {
    pub(crate) fn of(memory: DeviceMemory) -> Self {
        match memory {
            DeviceMemory::Own { free, total } => Self { free: Some(free), total: Some(total) },
            DeviceMemory::Unknown => Self { free: None, total: None },
            DeviceMemory::Shared => Self::of_machine(),
        }
    }

    /// What the system leaves to this process.
    fn of_machine() -> Self {
        let system = System::new_with_specifics(RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram()));
        let (mut free, mut total) = (system.available_memory(), system.total_memory());
        // A container may have less than the machine. What it holds of files counts as taken there, but is given back when it is needed.
        if let Some(limits) = system.cgroup_limits() {
            free = free.min(limits.total_memory.saturating_sub(limits.rss));
            total = total.min(limits.total_memory);
        }
        let known = |bytes: u64| Some(bytes).filter(|bytes| *bytes > 0);
        Self { free: known(free), total: known(total) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_memory() {
        let Room { free: Some(free), total: Some(total) } = Room::of(DeviceMemory::Shared) else { panic!("nobody says") };
        assert!(1_000_000 < free && free <= total, "{free} of {total}");
    }

    #[test]
    fn a_card_has_what_its_driver_says_or_nobody_knows() {
        assert_eq!(Room::of(DeviceMemory::Own { free: 7, total: 8 }), Room { free: Some(7), total: Some(8) });
        assert_eq!(Room::of(DeviceMemory::Unknown), Room { free: None, total: None });
    }
}
