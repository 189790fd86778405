//! How fast devices were found to be, in a file: so that the same work stays on the same device.

use std::{collections::BTreeMap, fs, path::PathBuf};

use pollster::FutureExt;

use super::{OpenDevice, Pace};
use crate::{VlmError, files::cache_home};

/// Paces by the identity of the device.
type Paces = BTreeMap<String, Pace>;

/// As it was found to be before, else as it is now.
pub(super) fn remembered(device: &OpenDevice) -> Result<Pace, VlmError> {
    match file().map(read).and_then(|paces| paces.get(&name(device)).copied()) {
        Some(pace) => Ok(pace),
        None => measured(device),
    }
}

/// As it is now, which is remembered.
pub(super) fn measured(device: &OpenDevice) -> Result<Pace, VlmError> {
    let pace = Pace::measure(&device.device).block_on()?;
    if let Some(file) = file() {
        let mut paces = read(file.clone());
        paces.insert(name(device), pace);
        // Whoever cannot keep it finds out again.
        drop(write(&file, &paces));
    }
    Ok(pace)
}

/// What makes it as fast as it is.
fn name(device: &OpenDevice) -> String {
    format!("{}, {} threads, steady {}", device.identity, rayon::current_num_threads(), env!("CARGO_PKG_VERSION"))
}

fn file() -> Option<PathBuf> {
    Some(cache_home()?.join("steady").join("paces.json"))
}

/// Nothing where there is no such file, or it is broken.
fn read(file: PathBuf) -> Paces {
    fs::read(file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

fn write(file: &std::path::Path, paces: &Paces) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or(std::path::Path::new("."));
    fs::create_dir_all(folder)?;
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    serde_json::to_writer_pretty(&mut new, paces)?;
    new.persist(file)?;
    Ok(())
}
