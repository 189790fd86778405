//! Whether there is memory for what is asked, before any of it is taken.

use anyhow::{Result, bail};
use steady_accel::Acceleration;
use steady_accel::memory::{Run, shortage};
use steady_vlm::{Checkpoint, OpenDevice, Precision};
use sysinfo::{MemoryRefreshKind, RefreshKind, System};

/// Refuses what would not fit, with numbers and with what would. `accelerations` are held at once, and `tokens` are remembered at once.
pub(crate) fn check(
    checkpoint: &Checkpoint,
    device: &OpenDevice,
    precision: Precision,
    accelerations: &[Acceleration],
    tokens: usize,
) -> Result<()> {
    let name = checkpoint.name();
    let footprint = checkpoint.footprint()?;
    let halves = Precision::F16.check(&device.device).is_ok();
    if let (Some(most), Some((layer, bytes))) = (device.max_binding, footprint.largest_linear(precision))
        && bytes > most
    {
        let half = halves && footprint.largest_linear(Precision::F16).is_some_and(|(_, bytes)| bytes <= most);
        let instead = if half { "--dtype f16 or --device cpu" } else { "--device cpu" };
        bail!(
            "model {name} does not fit: `{layer}` has {} MB in {precision}, and this device binds at most {} MB at once; use {instead}",
            bytes / 1_000_000,
            most / 1_000_000
        );
    }
    // How much memory of its own a GPU has left, wgpu does not say.
    let Some(available) = free().filter(|_| device.shares_memory) else { return Ok(()) };
    match shortage(&footprint, Run { precision, accelerations, tokens }, available, halves)? {
        Some(shortage) => bail!("model {name} does not fit: {shortage}"),
        None => Ok(()),
    }
}

/// Bytes that this process may still take; `None` where the system does not say.
fn free() -> Option<u64> {
    let system = System::new_with_specifics(RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram()));
    // A container may have less than the machine.
    let limited = system.cgroup_limits().map_or(u64::MAX, |limits| limits.free_memory);
    Some(system.available_memory().min(limited)).filter(|bytes| *bytes > 0)
}
