//! The hub's cache, in the layout that its own programs share.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use hf_hub::{Cache, CacheRepo};
use steady_vlm::published::{self, SETTINGS, SINGLE};

use super::listing::{self, Sibling};
use super::repo;
use crate::console;
use crate::hub_id::HubId;

/// A checkpoint in the hub's cache.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// Its files.
    pub(crate) folder: PathBuf,
    /// The state that they are of.
    pub(crate) commit: String,
}

impl Snapshot {
    /// A weight file that is wanted and not there.
    fn lacks_weights(&self, weights: Weights) -> Result<Option<String>> {
        let there = |file: &str| self.folder.join(file).exists();
        if weights == Weights::Elsewhere || there(SINGLE) {
            return Ok(None);
        }
        Ok(match published::shards(&self.folder)? {
            Some(shards) => shards.into_iter().find(|shard| !there(shard)),
            None => Some(SINGLE.to_owned()),
        })
    }

    /// Whether this file is there, and all of it.
    pub(super) fn holds(&self, file: &Sibling) -> bool {
        fs::metadata(self.folder.join(&file.rfilename)).is_ok_and(|held| held.len() == file.size())
    }
}

/// Whether a repository's weights are wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Weights {
    Needed,
    Elsewhere,
}

/// One repository in the cache: `refs/` names commits, `snapshots/` holds a folder per commit, of links into `blobs/`; `.no_exist/` remembers
/// what a commit does not have.
pub(super) struct Cached {
    id: HubId,
    layout: CacheRepo,
    root: PathBuf,
}

impl Cached {
    pub(super) fn new(cache: &Cache, id: &HubId) -> Self {
        let repo = repo(id);
        Self { id: id.clone(), root: cache.path().join(repo.folder_name()), layout: cache.repo(repo) }
    }

    /// The files of one commit, wherever they are.
    pub(super) fn at(&self, commit: &str) -> Snapshot {
        Snapshot { folder: self.layout.pointer_path(commit), commit: commit.to_owned() }
    }

    /// What the cache knows under the id's revision.
    pub(super) fn snapshot(&self) -> Option<Snapshot> {
        let revision = self.id.revision.as_str();
        let named = fs::read_to_string(self.root.join("refs").join(revision)).ok().map(|commit| commit.trim().to_owned());
        let commit = named.or_else(|| listing::is_hash(revision).then(|| revision.to_owned()))?;
        Some(self.at(&commit)).filter(|snapshot| snapshot.folder.is_dir())
    }

    /// A file that may be wanted and is neither there nor known not to exist.
    pub(super) fn lacks(&self, snapshot: &Snapshot, weights: Weights) -> Result<Option<String>> {
        let absent = self.root.join(".no_exist").join(&snapshot.commit);
        let unknown = SETTINGS.iter().find(|file| !snapshot.folder.join(file).exists() && !absent.join(file).exists());
        Ok(match unknown {
            Some(file) => Some((*file).to_owned()),
            None => snapshot.lacks_weights(weights)?,
        })
    }

    /// What the cache holds, where the hub cannot be asked and `why`.
    pub(super) fn as_it_is(&self, weights: Weights, why: &str) -> Result<Snapshot> {
        let id = &self.id;
        let Some(snapshot) = self.snapshot() else {
            bail!("{id}: {why}, and the cache does not hold it ({}). A checkpoint folder can be given instead", self.root.display());
        };
        if let Some(file) = snapshot.lacks_weights(weights)? {
            bail!("{id}: {why}, and the cache lacks {file} of it ({})", snapshot.folder.display());
        }
        console::note(&format!("{id}: {why}; used as it is in the cache, commit {}", snapshot.commit));
        Ok(snapshot)
    }

    /// Where the content of a file is kept.
    pub(super) fn blob(&self, file: &Sibling) -> PathBuf {
        self.layout.blob_path(file.etag())
    }

    /// Makes a blob the file `name` of the snapshot in `folder`.
    pub(super) fn link(blob: &Path, folder: &Path, name: &str) -> Result<()> {
        let pointer = folder.join(name);
        let cannot = || format!("cannot write {}", pointer.display());
        fs::create_dir_all(folder).with_context(cannot)?;
        match fs::remove_file(&pointer) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error).with_context(cannot),
            _ => {}
        }
        #[cfg(unix)]
        {
            let target = Path::new("../../blobs").join(blob.file_name().unwrap_or_default());
            std::os::unix::fs::symlink(target, &pointer).with_context(cannot)
        }
        #[cfg(not(unix))]
        {
            // Links need a right there that few users have.
            fs::rename(blob, &pointer).with_context(cannot)
        }
    }

    /// Remembers that this commit has no such `files`.
    pub(super) fn note_absent<'a>(&self, snapshot: &Snapshot, files: impl Iterator<Item = &'a str>) -> Result<()> {
        let folder = self.root.join(".no_exist").join(&snapshot.commit);
        let cannot = || format!("cannot write into {}", folder.display());
        fs::create_dir_all(&folder).with_context(cannot)?;
        for file in files {
            fs::write(folder.join(file), []).with_context(cannot)?;
        }
        Ok(())
    }

    /// Remembers that the id's revision is this commit.
    pub(super) fn remember(&self, snapshot: &Snapshot) -> Result<()> {
        if self.id.revision == snapshot.commit {
            return Ok(());
        }
        self.layout.create_ref(&snapshot.commit).with_context(|| format!("{}: cannot write into {}", self.id, self.root.display()))
    }
}
