//! What a checkpoint consists of where it is published, for programs that fetch one: which files, and where the hub's cache is.

use std::path::{Path, PathBuf};

use super::config::FILE;
use super::fields::Fields;
use super::source::Source;
use super::{original, weights};
use crate::VlmError;

pub use super::decisive::DECISIVE as SETTINGS;
pub use super::weights::{INDEX, SINGLE};

/// The shards that the [`INDEX`] in `folder` names, sorted; `None` where there is no index.
///
/// # Errors
/// When the index is no index.
pub fn shards(folder: &Path) -> Result<Option<Vec<String>>, VlmError> {
    let source = Source::folder(folder)?;
    let Some(index) = source.json(INDEX)? else { return Ok(None) };
    let label = source.label_of(INDEX);
    let shards = weights::shards(&Fields::root(&label, &index)?)?;
    Ok(Some(shards.into_keys().map(str::to_owned).collect()))
}

/// The hub id or path of the CLIP tower that the checkpoint in `folder` has in a second folder; `None` where it has none.
///
/// # Errors
/// When `config.json` is missing or broken.
pub fn second_folder(folder: &Path) -> Result<Option<String>, VlmError> {
    let source = Source::folder(folder)?;
    let json = source.json(FILE)?.ok_or_else(|| source.missing(FILE, "it names the architecture and its sizes"))?;
    let label = source.label_of(FILE);
    let root = Fields::root(&label, &json)?;
    Ok(original::vision_tower(&root)?.map(str::to_owned))
}

/// Whether the weights in `folder` include those of a vision tower, so that a second folder's are not needed.
///
/// # Errors
/// When there are no weights, or they are broken.
pub fn holds_tower(folder: &Path) -> Result<bool, VlmError> {
    Ok(weights::Weights::open(&Source::folder(folder)?, false)?.holds_tower())
}

/// The hub's cache: `HF_HUB_CACHE`, else `hub` under `HF_HOME`, else `huggingface/hub` under `XDG_CACHE_HOME` or `~/.cache`. `None`
/// where none of them is set.
pub fn hub_cache() -> Option<PathBuf> {
    variable("HF_HUB_CACHE").or_else(|| Some(hub_home()?.join("hub")))
}

/// Where the hub's programs keep what is not of one repository, a token among it: `HF_HOME`, else as [`hub_cache`] says.
pub fn hub_home() -> Option<PathBuf> {
    let home = || Some(variable("HOME").or_else(|| variable("USERPROFILE"))?.join(".cache"));
    variable("HF_HOME").or_else(|| Some(variable("XDG_CACHE_HOME").or_else(home)?.join("huggingface")))
}

fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}
