//! The checkpoints compiled into the program.

use anyhow::{Context, Result, anyhow};
use steady_vlm::Checkpoint;

mod files {
    include!(concat!(env!("OUT_DIR"), "/checkpoints.rs"));

    /// Files of a checkpoint as `(name, content)`.
    pub(super) type Files = &'static [(&'static str, &'static [u8])];

    pub(super) fn all() -> &'static [(&'static str, Files)] {
        CHECKPOINTS
    }
}

/// Names of the embedded checkpoints, sorted.
pub(crate) fn names() -> Vec<&'static str> {
    files::all().iter().map(|(name, _)| *name).collect()
}

/// The checkpoint of the embedded study: the first there is.
pub(crate) fn default_checkpoint() -> Result<Checkpoint> {
    let (name, _) = files::all().first().ok_or_else(|| {
        anyhow!("no model is compiled into this program (cargo feature `embedded`, folder models/); give one with --model DIR")
    })?;
    open(name)?.with_context(|| format!("no embedded model {name}"))
}

/// The embedded checkpoint of this name, if there is one.
pub(crate) fn open(name: &str) -> Result<Option<Checkpoint>> {
    let Some((name, files)) = files::all().iter().find(|(known, _)| *known == name) else { return Ok(None) };
    let checkpoint = Checkpoint::from_files(name, files).with_context(|| format!("embedded model {name}"))?;
    Ok(Some(checkpoint))
}

/// One file of an embedded checkpoint.
pub(crate) fn file(checkpoint: &str, name: &str) -> Option<&'static [u8]> {
    let (_, files) = files::all().iter().find(|(known, _)| *known == checkpoint)?;
    files.iter().find(|(known, _)| *known == name).map(|(_, bytes)| *bytes)
}

/// Bytes of all files of an embedded checkpoint.
pub(crate) fn size(checkpoint: &str) -> usize {
    let files = files::all().iter().find(|(known, _)| *known == checkpoint).map_or(&[][..], |(_, files)| files);
    files.iter().map(|(_, bytes)| bytes.len()).sum()
}
