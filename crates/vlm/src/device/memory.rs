//! The memory that a device computes in, and what its driver says of it.

#[cfg(any(test, all(feature = "gpu", not(target_family = "wasm"))))]
use std::{fs, path::Path};

/// The memory that a device computes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceMemory {
    /// The machine's own.
    Shared,
    /// Its own.
    Own {
        /// Bytes that nobody held when the device was opened: this program had nothing in it yet.
        free: u64,
        /// Bytes that there are.
        total: u64,
    },
    /// Its own, and nobody says how much of it there is.
    Unknown,
}

impl DeviceMemory {
    /// What the drivers of the graphics card at this address on the PCI bus say of it: the kernel's for AMD's, NVML for NVIDIA's.
    #[cfg(all(feature = "gpu", not(target_family = "wasm")))]
    pub(super) fn of_card(bus_id: &str) -> Self {
        of_amdgpu(Path::new("/sys/bus/pci/devices"), bus_id).or_else(|| of_nvml(bus_id)).unwrap_or(Self::Unknown)
    }
}

/// What Linux's driver for AMD's cards says below `devices`, the kernel's folder of all that is on the PCI bus.
#[cfg(any(test, all(feature = "gpu", not(target_family = "wasm"))))]
fn of_amdgpu(devices: &Path, bus_id: &str) -> Option<DeviceMemory> {
    // Without an address the folder itself would be meant.
    let card = devices.join(Some(bus_id).filter(|id| !id.is_empty())?);
    let bytes = |name: &str| fs::read_to_string(card.join(name)).ok()?.trim().parse::<u64>().ok();
    let (total, used) = (bytes("mem_info_vram_total")?, bytes("mem_info_vram_used")?);
    Some(DeviceMemory::Own { free: total.saturating_sub(used), total })
}

/// What NVIDIA's management library says. It comes with the driver and is looked for when it is asked; a machine without it has no such card.
#[cfg(all(feature = "gpu", not(target_family = "wasm")))]
fn of_nvml(bus_id: &str) -> Option<DeviceMemory> {
    let said = nvml_wrapper::Nvml::init().and_then(|nvml| nvml.device_by_pci_bus_id(bus_id)?.memory_info());
    said.ok().map(|memory| DeviceMemory::Own { free: memory.free, total: memory.total })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CARD: &str = "0000:03:00.0";

    /// The folder of a card with these files in it, and the folder of all cards around it.
    fn devices(files: &[(&str, &str)]) -> tempfile::TempDir {
        let devices = tempfile::tempdir().unwrap();
        fs::create_dir(devices.path().join(CARD)).unwrap();
        for (name, text) in files {
            fs::write(devices.path().join(CARD).join(name), text).unwrap();
        }
        devices
    }

    #[test]
    fn the_kernel_tells_what_is_there_and_what_is_taken() {
        let devices = devices(&[("mem_info_vram_total", "17163091968\n"), ("mem_info_vram_used", "163091968\n")]);
        let expected = DeviceMemory::Own { free: 17_000_000_000, total: 17_163_091_968 };
        assert_eq!(of_amdgpu(devices.path(), CARD), Some(expected));
        assert_eq!(of_amdgpu(devices.path(), "0000:04:00.0"), None);
    }

    #[test]
    fn a_card_of_another_kind_or_half_an_answer_says_nothing() {
        for files in [
            &[][..],
            &[("mem_info_vram_total", "17163091968\n")],
            &[("mem_info_vram_total", "17163091968\n"), ("mem_info_vram_used", "much\n")],
        ] {
            assert_eq!(of_amdgpu(devices(files).path(), CARD), None, "{files:?}");
        }
        // An adapter that is on no bus has no address.
        let devices = devices(&[]);
        fs::write(devices.path().join("mem_info_vram_total"), "1").unwrap();
        fs::write(devices.path().join("mem_info_vram_used"), "0").unwrap();
        assert_eq!(of_amdgpu(devices.path(), ""), None);
    }
}
