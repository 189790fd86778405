//! Checkpoints by their id on the Hugging Face hub.
//!
//! hf-hub knows the hub's addresses and the layout of its cache, which other programs share. Files are fetched here, by the client that
//! hf-hub uses: its own download sends the user's token on to whatever host the hub redirects to, and calls a file finished without
//! comparing its length with what the hub said.

mod download;
mod listing;
mod refusal;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use hf_hub::api::sync::{Api, ApiBuilder};
use hf_hub::{Cache, CacheRepo, Repo, RepoType};
use steady_vlm::checkpoint::published::{self, INDEX, SETTINGS, SINGLE};

use crate::console;
use crate::hub_id::HubId;
use download::{Client, Remote};
use listing::{Listing, Sibling};

/// A checkpoint in the hub's cache.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// Its files.
    pub(crate) folder: PathBuf,
    /// The state that they are of.
    pub(crate) commit: String,
}

/// The checkpoint `id` with everything that it needs, fetched as far as the cache lacks it. One that is whole in the cache is used without
/// asking the hub: a study that goes on tomorrow must find the same model.
pub(crate) fn fetch(id: &HubId) -> Result<Snapshot> {
    let hub = Hub::from_environment()?;
    let snapshot = hub.repository(id, Weights::Needed)?;
    // In the LLaVA repository's layout the CLIP tower is a repository of its own.
    if let Some(tower) = published::second_folder(&snapshot.folder)?.as_deref().and_then(HubId::parse) {
        let weights = if published::holds_tower(&snapshot.folder)? { Weights::Elsewhere } else { Weights::Needed };
        hub.repository(&tower, weights).with_context(|| format!("vision tower of {id}"))?;
    }
    Ok(snapshot)
}

/// Whether a repository's weights are wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Weights {
    Needed,
    Elsewhere,
}

struct Hub {
    cache: Cache,
    api: Api,
    client: Client,
    endpoint: String,
    offline: bool,
}

impl Hub {
    /// As the hub's own programs read the environment: `HF_ENDPOINT`, `HF_TOKEN` or the file that logging in leaves, `HF_HUB_OFFLINE`, and
    /// the variables of the cache.
    fn from_environment() -> Result<Self> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let nowhere = || anyhow!("there is no place for the hub's cache: set HF_HOME");
        let cache = Cache::new(published::hub_cache().with_context(nowhere)?);
        let saved = || {
            let file = variable("HF_TOKEN_PATH").map(PathBuf::from).or_else(|| Some(published::hub_home()?.join("token")))?;
            Some(fs::read_to_string(file).ok()?.trim().to_owned()).filter(|token| !token.is_empty())
        };
        let token = variable("HF_TOKEN").or_else(saved);
        let endpoint = variable("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".to_owned()).trim_end_matches('/').to_owned();
        let api = ApiBuilder::from_cache(cache.clone())
            .with_endpoint(endpoint.clone())
            .with_token(token.clone())
            .with_user_agent("steady", env!("CARGO_PKG_VERSION"))
            .build()?;
        let offline = variable("HF_HUB_OFFLINE").is_some_and(|value| ["1", "true", "yes", "on"].contains(&value.to_lowercase().as_str()));
        Ok(Self { cache, api, client: Client::new(token), endpoint, offline })
    }

    fn repository(&self, id: &HubId, weights: Weights) -> Result<Snapshot> {
        let cached = Cached::new(&self.cache, id);
        if let Some(snapshot) = cached.snapshot(&id.revision)
            && cached.lacks(&snapshot, weights)?.is_none()
        {
            return Ok(snapshot);
        }
        if self.offline {
            return cached.as_it_is(id, weights, "HF_HUB_OFFLINE is set");
        }
        let listing = match Listing::ask(&self.api, &self.endpoint, id) {
            Ok(listing) => listing,
            // A cache that another program filled does not say which files the repository lacks; without the hub it must do.
            Err(listing::Failure::NoAnswer(reason)) => return cached.as_it_is(id, weights, &reason),
            Err(listing::Failure::Refused(error)) => return Err(error),
        };
        self.complete(id, &cached, &listing, weights)
    }

    /// Fetches what the cache lacks of the state that `listing` describes.
    fn complete(&self, id: &HubId, cached: &Cached, listing: &Listing, weights: Weights) -> Result<Snapshot> {
        let snapshot = cached.at(&listing.sha);
        if weights == Weights::Needed && ![SINGLE, INDEX].iter().any(|file| listing.find(file).is_some()) {
            bail!(
                "{id} has neither {SINGLE} nor {INDEX}: only weights in safetensors files are read; convert the checkpoint and give its folder"
            );
        }
        let settings: Vec<&Sibling> = SETTINGS.iter().filter_map(|file| listing.find(file)).collect();
        self.fetch(id, cached, &snapshot, &settings)?;
        if weights == Weights::Needed {
            let files = match listing.find(SINGLE) {
                Some(single) => vec![single],
                None => published::shards(&snapshot.folder)?
                    .unwrap_or_default()
                    .iter()
                    .map(|shard| listing.must_find(id, shard))
                    .collect::<Result<_>>()?,
            };
            self.fetch(id, cached, &snapshot, &files)?;
        }
        cached.note_absent(&snapshot, SETTINGS.iter().copied().filter(|file| listing.find(file).is_none()))?;
        cached.remember(&id.revision, &snapshot)?;
        Ok(snapshot)
    }

    fn fetch(&self, id: &HubId, cached: &Cached, snapshot: &Snapshot, files: &[&Sibling]) -> Result<()> {
        let missing: Vec<&Sibling> = files.iter().copied().filter(|file| !cached.holds(snapshot, file)).collect();
        let total = missing.iter().map(|file| file.size()).sum();
        let bar = console::byte_bar(total)?;
        if total > 0 {
            console::note(&format!("{id}: {} of {} files to fetch, {} MB", missing.len(), files.len(), total.div_ceil(1_000_000)));
        }
        let repository = self.api.repo(Repo::with_revision(id.repository.clone(), RepoType::Model, snapshot.commit.clone()));
        for file in missing {
            bar.set_message(file.rfilename.clone());
            let (blob, name) = (cached.blob(file), file.rfilename.as_str());
            let remote = Remote { id, name, url: repository.url(name), size: file.size(), sha256: file.sha256() };
            // Another revision may hold the same file.
            if !fs::metadata(&blob).is_ok_and(|held| held.len() == remote.size) {
                self.client.download(&remote, &blob, &bar)?;
            }
            Cached::link(&blob, &snapshot.folder, name)?;
        }
        bar.finish_and_clear();
        Ok(())
    }
}

/// One repository in the cache: `refs/` names commits, `snapshots/` holds a folder per commit, of links into `blobs/`; `.no_exist/` remembers
/// what a commit does not have.
struct Cached {
    layout: CacheRepo,
    root: PathBuf,
    repository: String,
    cache: Cache,
}

impl Cached {
    fn new(cache: &Cache, id: &HubId) -> Self {
        let repo = Repo::with_revision(id.repository.clone(), RepoType::Model, id.revision.clone());
        Self {
            root: cache.path().join(repo.folder_name()),
            layout: cache.repo(repo),
            repository: id.repository.clone(),
            cache: cache.clone(),
        }
    }

    fn at(&self, commit: &str) -> Snapshot {
        Snapshot { folder: self.layout.pointer_path(commit), commit: commit.to_owned() }
    }

    /// What the cache knows under this revision.
    fn snapshot(&self, revision: &str) -> Option<Snapshot> {
        let named = fs::read_to_string(self.root.join("refs").join(revision)).ok().map(|commit| commit.trim().to_owned());
        let commit = named.or_else(|| listing::is_hash(revision).then(|| revision.to_owned()))?;
        Some(self.at(&commit)).filter(|snapshot| snapshot.folder.is_dir())
    }

    /// A file that may be wanted and is neither there nor known not to exist.
    fn lacks(&self, snapshot: &Snapshot, weights: Weights) -> Result<Option<String>> {
        let absent = self.root.join(".no_exist").join(&snapshot.commit);
        let unknown = SETTINGS.iter().find(|file| !snapshot.folder.join(file).exists() && !absent.join(file).exists());
        Ok(match unknown {
            Some(file) => Some((*file).to_owned()),
            None => self.lacks_weights(snapshot, weights)?,
        })
    }

    fn lacks_weights(&self, snapshot: &Snapshot, weights: Weights) -> Result<Option<String>> {
        let there = |file: &str| snapshot.folder.join(file).exists();
        if weights == Weights::Elsewhere || there(SINGLE) {
            return Ok(None);
        }
        Ok(match published::shards(&snapshot.folder)? {
            Some(shards) => shards.into_iter().find(|shard| !there(shard)),
            None => Some(SINGLE.to_owned()),
        })
    }

    /// What the cache holds, where the hub cannot be asked and `why`.
    fn as_it_is(&self, id: &HubId, weights: Weights, why: &str) -> Result<Snapshot> {
        let Some(snapshot) = self.snapshot(&id.revision) else {
            bail!(
                "{id}: {why}, and the cache at {} does not hold it. A checkpoint folder can be given instead",
                self.cache.path().display()
            );
        };
        if let Some(file) = self.lacks_weights(&snapshot, weights)? {
            bail!("{id}: {why}, and the cache lacks {file} of it ({})", snapshot.folder.display());
        }
        console::note(&format!("{id}: {why}; used as it is in the cache, commit {}", snapshot.commit));
        Ok(snapshot)
    }

    fn blob(&self, file: &Sibling) -> PathBuf {
        self.layout.blob_path(file.etag())
    }

    /// Whether the snapshot has this file, and all of it.
    fn holds(&self, snapshot: &Snapshot, file: &Sibling) -> bool {
        fs::metadata(snapshot.folder.join(&file.rfilename)).is_ok_and(|held| held.len() == file.size())
    }

    /// Makes a blob the file `name` of the snapshot in `folder`.
    fn link(blob: &Path, folder: &Path, name: &str) -> Result<()> {
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

    fn note_absent<'a>(&self, snapshot: &Snapshot, files: impl Iterator<Item = &'a str>) -> Result<()> {
        let folder = self.root.join(".no_exist").join(&snapshot.commit);
        let cannot = || format!("cannot write into {}", folder.display());
        fs::create_dir_all(&folder).with_context(cannot)?;
        for file in files {
            fs::write(folder.join(file), []).with_context(cannot)?;
        }
        Ok(())
    }

    fn remember(&self, revision: &str, snapshot: &Snapshot) -> Result<()> {
        if revision == snapshot.commit {
            return Ok(());
        }
        self.layout.create_ref(&snapshot.commit).with_context(|| format!("{}: cannot write the cache's refs", self.repository))
    }
}
