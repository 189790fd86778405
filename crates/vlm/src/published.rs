//! What a checkpoint consists of where it is published, for programs that fetch one: which files, and where the hub's cache is.

use std::path::Path;

use crate::VlmError;
use crate::families::{self, llava::original};
use crate::files::{self, CONFIG, Fields, Source, Weights};

pub use crate::files::{DECISIVE as SETTINGS, INDEX, SINGLE, hub_cache, hub_home};

/// The shards that the [`INDEX`] in `folder` names, sorted; `None` where there is no index.
///
/// # Errors
/// When the index is no index.
pub fn shards(folder: &Path) -> Result<Option<Vec<String>>, VlmError> {
    let source = Source::folder(folder)?;
    let Some(index) = source.json(INDEX)? else { return Ok(None) };
    let label = source.label_of(INDEX);
    let shards = files::shards(&Fields::root(&label, &index)?)?;
    Ok(Some(shards.into_keys().map(str::to_owned).collect()))
}

/// The hub id or path of the CLIP tower that the checkpoint in `folder` has in a second folder; `None` where it has none.
///
/// # Errors
/// When `config.json` is missing or broken.
pub fn second_folder(folder: &Path) -> Result<Option<String>, VlmError> {
    let source = Source::folder(folder)?;
    let json = source.json(CONFIG)?.ok_or_else(|| source.missing(CONFIG, "it names the architecture and its sizes"))?;
    let label = source.label_of(CONFIG);
    let root = Fields::root(&label, &json)?;
    Ok(original::vision_tower(&root)?.map(str::to_owned))
}

/// Whether the weights in `folder` include those of a vision tower, so that a second folder's are not needed.
///
/// # Errors
/// When there are no weights, or they are broken.
pub fn holds_tower(folder: &Path) -> Result<bool, VlmError> {
    Ok(Weights::open(&Source::folder(folder)?, families::llava::FAMILY.names, false)?.holds_tower())
}
