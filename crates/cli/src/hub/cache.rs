//! The hub's cache, in the layout that its own programs share.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Error, Result, bail};
use hf_hub::{Cache, CacheRepo};
use steady_vlm::published::{self, SETTINGS, SINGLE};

use super::listing::{self, Entry};
use super::{lock, repo};
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
    pub(super) fn holds(&self, file: &Entry) -> bool {
        is_whole(&self.folder.join(&file.name), file)
    }
}

/// Whether all of a file is at `path`.
fn is_whole(path: &Path, file: &Entry) -> bool {
    fs::metadata(path).is_ok_and(|held| held.len() == file.size)
}

/// Whether a repository's weights are wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Weights {
    Needed,
    Elsewhere,
}

/// One repository in the cache: `refs/` names commits, `snapshots/` holds a folder per commit, of links into `blobs/`; `.no_exist/` remembers
/// what a commit does not have. Beside the repositories, `.locks/` says what is being fetched.
pub(super) struct Cached {
    id: HubId,
    layout: CacheRepo,
    root: PathBuf,
    locks: PathBuf,
}

impl Cached {
    pub(super) fn new(cache: &Cache, id: &HubId) -> Self {
        let repo = repo(id);
        let (root, locks) = (cache.path(), cache.path().join(".locks"));
        Self { id: id.clone(), root: root.join(repo.folder_name()), locks: locks.join(repo.folder_name()), layout: cache.repo(repo) }
    }

    /// The files of one commit, wherever they are.
    pub(super) fn at(&self, commit: &str) -> Snapshot {
        Snapshot { folder: self.layout.pointer_path(commit), commit: commit.to_owned() }
    }

    /// What the cache knows under the id's revision.
    pub(super) fn snapshot(&self) -> Option<Snapshot> {
        let revision = self.id.revision.as_str();
        let named = fs::read_to_string(self.root.join("refs").join(revision)).ok().map(|commit| commit.trim().to_owned());
        let commit = named.or_else(|| listing::is_commit(revision).then(|| revision.to_owned()))?;
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

    /// What the cache holds, where the hub does not give more and `why`. A model that is whole here is used whatever the hub says.
    pub(super) fn as_it_is(&self, weights: Weights, why: &Error) -> Result<Snapshot> {
        let Some(snapshot) = self.snapshot() else {
            bail!("{why:#}; the cache does not hold it either ({}); a checkpoint folder can be given instead", self.root.display());
        };
        if let Some(file) = snapshot.lacks_weights(weights)? {
            bail!("{why:#}; the cache lacks {file} of it ({})", snapshot.folder.display());
        }
        console::note(&format!("{why:#}; {} is used as it is in the cache, commit {}", self.id, snapshot.commit));
        Ok(snapshot)
    }

    /// Where the content of a file is kept.
    pub(super) fn blob(&self, file: &Entry) -> PathBuf {
        self.layout.blob_path(file.hash.digits())
    }

    /// Whether the content of a file is kept: another revision may have the same.
    pub(super) fn keeps(&self, file: &Entry) -> bool {
        is_whole(&self.blob(file), file)
    }

    /// Keeps other processes from fetching a file until what is returned is dropped; while another one fetches it, says so and waits.
    pub(super) fn lock(&self, file: &Entry, waiting: impl FnOnce()) -> Result<File> {
        lock::lock(&self.locks.join(format!("{}.lock", file.hash.digits())), waiting)
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

    /// Remembers that the id's revision is this commit, and that it has no `absent` files.
    pub(super) fn remember<'a>(&self, snapshot: &Snapshot, absent: impl Iterator<Item = &'a str>) -> Result<()> {
        let folder = self.root.join(".no_exist").join(&snapshot.commit);
        let cannot = || format!("{}: cannot write into {}", self.id, self.root.display());
        fs::create_dir_all(&folder).with_context(cannot)?;
        for file in absent {
            fs::write(folder.join(file), []).with_context(cannot)?;
        }
        if self.id.revision != snapshot.commit {
            self.layout.create_ref(&snapshot.commit).with_context(cannot)?;
        }
        Ok(())
    }
}
