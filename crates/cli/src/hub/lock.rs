//! One process at a time fetches a file.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::Path;

use anyhow::{Context, Result};

/// Takes the lock on `path`, which the system lets go of when the file is closed, however the process ends. Where another process has it,
/// says so by `waiting` and waits.
///
/// It is the lock of the hub's own programs (`flock`, in the same place), so they and this one wait for each other.
pub(super) fn lock(path: &Path, waiting: impl FnOnce()) -> Result<File> {
    let cannot = || format!("cannot lock {}", path.display());
    fs::create_dir_all(path.parent().unwrap_or(path)).with_context(cannot)?;
    let mut waiting = Some(waiting);
    loop {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).with_context(cannot)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                if let Some(waiting) = waiting.take() {
                    waiting();
                }
                file.lock().with_context(cannot)?;
            }
            Err(TryLockError::Error(error)) => return Err(error).with_context(cannot),
        }
        if is_there(&file).with_context(cannot)? {
            return Ok(file);
        }
    }
}

/// Whether an open file still has a name: some programs remove the file when they let go of the lock, and then it locks nobody out.
#[cfg(unix)]
fn is_there(file: &File) -> std::io::Result<bool> {
    Ok(std::os::unix::fs::MetadataExt::nlink(&file.metadata()?) > 0)
}

/// A file that is open cannot be removed there.
#[cfg(not(unix))]
fn is_there(_: &File) -> std::io::Result<bool> {
    Ok(true)
}
