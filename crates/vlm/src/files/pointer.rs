//! Pointers of Git LFS: what a clone holds in the place of a large file that was not fetched.
//!
//! Format: <https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md>.

use super::bytes::Bytes;
use crate::VlmError;

/// A pointer is shorter than this.
const LONGEST: u64 = 1024;
const BEGINNING: &[u8] = b"version https://git-lfs.github.com/spec/";

/// Refuses a file that is a pointer.
pub(super) fn refuse(label: &str, bytes: &Bytes) -> Result<(), VlmError> {
    if bytes.size() >= LONGEST || bytes.size() < BEGINNING.len() as u64 {
        return Ok(());
    }
    let io = |source| VlmError::Io { path: label.into(), source };
    if *bytes.stretch(0..BEGINNING.len() as u64).map_err(io)? != *BEGINNING {
        return Ok(());
    }
    let content = bytes.whole().map_err(io)?;
    let text = String::from_utf8_lossy(&content);
    let size = text.lines().find_map(|line| line.strip_prefix("size ")).unwrap_or("an unknown number of");
    let problem = format!("is a Git LFS pointer and not the file of {size} bytes that it stands for: fetch it with `git lfs pull`");
    Err(VlmError::NotItself { file: label.to_owned(), problem })
}
