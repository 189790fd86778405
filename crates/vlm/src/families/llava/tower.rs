//! Where the CLIP tower of a checkpoint in the LLaVA repository's layout is: in a second folder.

use std::path::{Path, PathBuf};

use crate::VlmError;
use crate::files::{CONFIG as FILE, Fields, Source, hub_cache};

/// The folder of tower `id`: `given` if the user names one, else in or beside the `checkpoint`'s (by the id's last part or by the whole
/// id), else in the hub's cache.
pub(crate) fn find(id: &str, checkpoint: &Source, given: Option<&Path>, config: &Fields<'_>) -> Result<Source, VlmError> {
    let name = id.rsplit('/').next().unwrap_or(id);
    if let Some(tower) = checkpoint.below(name).or_else(|| checkpoint.below(id)) {
        return Ok(tower);
    }
    let candidates = match given {
        Some(given) => vec![given.to_owned()],
        None => places(id, name, checkpoint.path()),
    };
    for candidate in &candidates {
        let config = candidate.join(FILE);
        // A link to nothing is named when it is read.
        if config.is_file() || config.is_symlink() {
            return Source::folder(candidate);
        }
    }
    let looked: Vec<String> = candidates.iter().map(|place| place.display().to_string()).collect();
    let problem = format!(
        "names the vision tower `{id}`, a folder with its own {FILE}, preprocessor_config.json and, unless this checkpoint holds the \
         tower's weights, model.safetensors; it is none of {}. Download it {}",
        if looked.is_empty() { format!("{}/{name}", checkpoint.name()) } else { looked.join(", ") },
        if checkpoint.path().is_some() { "beside the checkpoint" } else { "into the checkpoint's folder" },
    );
    Err(config.error("mm_vision_tower", problem))
}

/// Folders to look at, the nearest first.
fn places(id: &str, name: &str, folder: Option<&Path>) -> Vec<PathBuf> {
    let mut places = Vec::new();
    if let Some(folder) = folder {
        places.extend([folder.join(name), folder.join("..").join(name), folder.join("..").join(id), folder.join("../..").join(id)]);
        places.push(folder.join(id));
    }
    places.extend(cached(id));
    places
}

/// The snapshot that the hub's cache holds of `owner/name`.
fn cached(id: &str) -> Option<PathBuf> {
    let repository = hub_cache()?.join(format!("models--{}", id.replace('/', "--")));
    let commit = std::fs::read_to_string(repository.join("refs/main")).ok()?;
    Some(repository.join("snapshots").join(commit.trim()))
}
