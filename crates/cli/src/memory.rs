//! Whether there is memory for what is asked, before any of it is taken.

use anyhow::{Result, bail};
use steady_accel::memory::{Run, shortage};
use steady_vlm::{Checkpoint, Footprint, OpenDevice, Precision};
use sysinfo::{MemoryRefreshKind, RefreshKind, System};

/// What a device has to offer.
#[derive(Clone, Copy, Debug)]
struct Budget {
    /// Free bytes; `None` where nobody says. wgpu does not say it of a GPU's own memory.
    free: Option<u64>,
    /// Most bytes that are bound at once.
    binding: Option<u64>,
    /// Whether it computes in `f16`.
    halves: bool,
}

/// Refuses what would not fit, with numbers and with what would. The runs follow each other.
pub(crate) fn check<'a>(checkpoint: &Checkpoint, device: &OpenDevice, runs: impl IntoIterator<Item = Run<'a>>) -> Result<()> {
    let budget = Budget {
        free: if device.shares_memory { free() } else { None },
        binding: device.max_binding,
        halves: Precision::F16.check(&device.device).is_ok(),
    };
    let footprint = checkpoint.footprint()?;
    runs.into_iter().try_for_each(|run| within(budget, checkpoint.name(), &footprint, run))
}

fn within(budget: Budget, name: &str, footprint: &Footprint, run: Run<'_>) -> Result<()> {
    if let (Some(most), Some((layer, bytes))) = (budget.binding, footprint.largest_linear(run.precision))
        && bytes > most
    {
        let half = budget.halves && footprint.largest_linear(Precision::F16).is_some_and(|(_, bytes)| bytes <= most);
        let instead = if half { "--dtype f16 or --device cpu" } else { "--device cpu" };
        bail!(
            "model {name} does not fit: `{layer}` takes {} kB in {}, and this device binds at most {} kB at once; use {instead}",
            bytes / 1000,
            run.precision,
            most / 1000
        );
    }
    match budget.free.map(|free| shortage(footprint, run, free, budget.halves)).transpose()?.flatten() {
        Some(shortage) => bail!("model {name} does not fit: {shortage}"),
        None => Ok(()),
    }
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
    use std::path::Path;

    use super::*;

    fn refused(budget: Budget, precision: Precision) -> Option<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference/tiny-qwen2-vl/resaved");
        let footprint = Checkpoint::open(&folder).unwrap().footprint().unwrap();
        let run = Run { precision, accelerations: &[], tokens: 100 };
        within(budget, "tiny", &footprint, run).err().map(|error| error.to_string())
    }

    /// The largest layer has 96 x 96 weights: 36,864 bytes in f32.
    #[test]
    fn a_layer_must_be_bound_whole() {
        let budget = |binding, halves| Budget { free: None, binding: Some(binding), halves };
        assert_eq!(refused(budget(36_864, true), Precision::F32), None);
        assert_eq!(refused(budget(20_000, true), Precision::F16), None);
        let message = refused(budget(20_000, true), Precision::F32).unwrap();
        for part in ["model tiny does not fit", "visual.merger.mlp.0", "36 kB in f32", "at most 20 kB", "--dtype f16 or --device cpu"] {
            assert!(message.contains(part), "{message}");
        }
        assert!(refused(budget(20_000, false), Precision::F32).unwrap().ends_with("use --device cpu"));
        assert!(refused(budget(10_000, true), Precision::F16).unwrap().ends_with("use --device cpu"));
    }

    #[test]
    fn what_is_free_is_compared_where_it_is_known() {
        let budget = |free| Budget { free, binding: None, halves: true };
        assert_eq!(refused(budget(None), Precision::F32), None);
        assert_eq!(refused(budget(Some(10_000_000)), Precision::F32), None);
        let message = refused(budget(Some(200_000)), Precision::F32).unwrap();
        assert!(message.contains("model tiny does not fit") && message.contains("200 kB are free"), "{message}");
    }

    #[test]
    fn this_machine_has_memory() {
        assert!(free().is_some_and(|free| free > 1_000_000));
    }
}
