//! Whether there is memory for what is asked, before any of it is taken.

use std::sync::Once;

use anyhow::{Result, bail};
use steady_accel::memory::{Budget, Misfit, Run, misfit};
use steady_vlm::families::PixelRange;
use steady_vlm::{Checkpoint, DeviceMemory, Footprint, OpenDevice};
use sysinfo::{MemoryRefreshKind, RefreshKind, System};

use crate::console;

/// Refuses what would not fit, with numbers and with what would. `runs` gives what is to be run, one after the other, when images are scaled to at
/// most so many pixels, or as the checkpoint says. Where nobody says what is free, that is said, once.
pub(crate) fn check<'a>(checkpoint: &Checkpoint, device: &OpenDevice, runs: &dyn Fn(Option<usize>) -> Result<Vec<Run<'a>>>) -> Result<()> {
    static UNCHECKED: Once = Once::new();
    let Room { free, .. } = Room::of(device.memory);
    if device.memory == DeviceMemory::Unknown {
        UNCHECKED.call_once(|| {
            let unknown = "memory unknown: the driver does not say";
            console::note(&format!("{}: {unknown}, so whether the model fits is not checked before it is loaded", device.identity));
        });
    }
    let host = if device.memory == DeviceMemory::Shared { None } else { Room::of(DeviceMemory::Shared).free };
    let budget = Budget { free, host };
    refuse(checkpoint, &checkpoint.footprint()?.on(&device.device), budget, runs)
}

fn refuse<'a>(
    checkpoint: &Checkpoint,
    footprint: &Footprint,
    budget: Budget,
    runs: &dyn Fn(Option<usize>) -> Result<Vec<Run<'a>>>,
) -> Result<()> {
    let misfit = |max_pixels| -> Result<Option<Misfit>> {
        for run in runs(max_pixels)? {
            if let Some(misfit) = misfit(footprint, run, budget)? {
                return Ok(Some(misfit));
            }
        }
        Ok(None)
    };
    let Some(found) = misfit(None)? else { return Ok(()) };
    let range = checkpoint.processor()?.pixel_range().filter(|_| matches!(found, Misfit::Shortage(_)));
    let smaller = match range {
        Some(range) => largest_that_fits(range, |max_pixels| Ok(misfit(Some(max_pixels))?.is_none()))?,
        None => None,
    };
    let instead = smaller.map_or_else(String::new, |limit| format!("; with images scaled to fewer pixels it fits: --max-pixels {limit}"));
    bail!("model {} does not fit: {found}{instead}", checkpoint.name())
}

/// The largest limit below the one in `range` with which it fits, in whole visual tokens; `None` where there is none.
fn largest_that_fits(range: PixelRange, fits: impl Fn(usize) -> Result<bool>) -> Result<Option<usize>> {
    let PixelRange { least, most, step } = range;
    let (mut low, mut high) = (least.div_ceil(step), most.div_ceil(step));
    if low >= high || !fits(low * step)? {
        return Ok(None);
    }
    // It fits with `low` tokens and does not with `high`.
    while low + 1 < high {
        let middle = low.midpoint(high);
        if fits(middle * step)? {
            low = middle;
        } else {
            high = middle;
        }
    }
    Ok(Some(low * step))
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
    use std::fs;
    use std::path::Path;

    use pollster::FutureExt;
    use steady_vlm::image::ImageOptions;
    use steady_vlm::{Decoding, DeviceChoice, Precision, Vlm};

    use super::*;

    #[test]
    fn this_machine_has_memory() {
        let Room { free: Some(free), total: Some(total) } = Room::of(DeviceMemory::Shared) else { panic!("nobody says") };
        assert!(1_000_000 < free && free <= total, "{free} of {total}");
    }

    #[test]
    fn the_largest_limit_is_found_by_halves() {
        let range = PixelRange { least: 576, most: 8640, step: 144 };
        let found = |room: usize| largest_that_fits(range, |pixels| Ok(pixels <= room)).unwrap();
        // 4 to 60 tokens; with 60 it is known not to fit.
        assert_eq!(found(575), None);
        assert_eq!(found(576), Some(576));
        assert_eq!(found(719), Some(576));
        assert_eq!(found(720), Some(720));
        assert_eq!(found(100_000), Some(59 * 144));
    }

    /// A tiny Qwen2-VL that scales images to at most as many pixels as the published ones do, and takes prompts as long as they become.
    fn roomy() -> tempfile::TempDir {
        let (from, to) =
            (Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference/tiny-qwen2-vl/published"), tempfile::tempdir().unwrap());
        for entry in fs::read_dir(&from).unwrap() {
            let name = entry.unwrap().file_name();
            fs::copy(from.join(&name), to.path().join(&name)).unwrap();
        }
        for (name, field, value) in
            [("config.json", "max_position_embeddings", 1_000_000), ("preprocessor_config.json", "max_pixels", 12_845_056)]
        {
            let path = to.path().join(name);
            let mut json: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            json[field] = value.into();
            fs::write(path, json.to_string()).unwrap();
        }
        to
    }

    /// With 20 MB free a photo of twelve million pixels is refused, with the limit that makes it fit; with that limit it is answered.
    #[test]
    fn a_photo_that_does_not_fit_is_scaled_by_the_numbers() {
        const PHOTO: (u32, u32) = (4000, 3000);
        let folder = roomy();
        let checkpoint = Checkpoint::open(folder.path()).unwrap();
        let budget = Budget { free: Some(20_000_000), host: None };
        let prompt = checkpoint.chat_template().unwrap().prompt("What is in the picture?").unwrap();
        let refused = |checkpoint: &Checkpoint| {
            let processor = checkpoint.processor().unwrap();
            let text = processor.text_tokens(&prompt).unwrap();
            let runs = |limit: Option<usize>| {
                let image = processor.extent(PHOTO.0, PHOTO.1, limit)?;
                let prompt = text + image.tokens;
                Ok(vec![Run { precision: Precision::F32, accelerations: &[], copies: &[], beside: 0, image, prompt, tokens: prompt + 4 }])
            };
            refuse(checkpoint, &checkpoint.footprint().unwrap(), budget, &runs).err().map(|error| error.to_string())
        };
        let message = refused(&checkpoint).unwrap();
        for part in ["activations", "20.0 MB are free", "too few"] {
            assert!(message.contains(part), "{message}");
        }
        let (_, limit) = message.split_once("it fits: --max-pixels ").unwrap();
        let limit: usize = limit.parse().unwrap();
        assert!(limit.is_multiple_of(784) && limit > 37_632, "{message}");

        let limited = |max_pixels| {
            Checkpoint::open(folder.path()).unwrap().with_images(ImageOptions { max_pixels: Some(max_pixels), ..ImageOptions::default() })
        };
        assert_eq!(refused(&limited(limit)), None);
        assert!(refused(&limited(limit + 784)).is_some());

        let model = Vlm::load(&limited(limit), &DeviceChoice::Cpu.open().unwrap().device, Precision::F32).unwrap();
        let photo = image::RgbImage::from_fn(PHOTO.0, PHOTO.1, |x, y| image::Rgb([x as u8, y as u8, (x / 16) as u8]));
        let decoding = Decoding { max_new_tokens: 4, ..Decoding::default() };
        let answer = model.ask(&model.prepare(&photo, &prompt).unwrap(), None, &decoding).block_on().unwrap();
        assert!(answer.visual_tokens * 784 <= limit && answer.visual_tokens > 48, "{}", answer.visual_tokens);
    }

    #[test]
    fn a_card_has_what_its_driver_says_or_nobody_knows() {
        assert_eq!(Room::of(DeviceMemory::Own { free: 7, total: 8 }), Room { free: Some(7), total: Some(8) });
        assert_eq!(Room::of(DeviceMemory::Unknown), Room { free: None, total: None });
    }
}
