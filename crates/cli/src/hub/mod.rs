//! Checkpoints by their id on the Hugging Face hub.
//!
//! hf-hub knows the hub's addresses and the layout of its cache, which other programs share. Files are fetched here, with the HTTP client
//! that hf-hub uses: its own download sends the user's token on to whatever host the hub redirects to, and calls a file finished without
//! comparing its length with what the hub said.

mod cache;
mod client;
mod download;
mod hash;
mod listing;
mod lock;
mod refusal;

use anyhow::{Context, Result, anyhow, bail};
use hf_hub::{Cache, Repo, RepoType};
use steady_vlm::published::{self, INDEX, SETTINGS, SINGLE};

use crate::console;
use crate::hub_id::HubId;
use cache::{Cached, Snapshot, Weights};
use client::{Client, offline};
use download::{Remote, download};
use listing::{Entry, Listing};

/// The checkpoint `id` with everything that it needs, fetched as far as the cache lacks it. One that is whole in the cache is used without
/// asking the hub: a study that goes on tomorrow must find the same model. `own_tower`: the user names a second folder.
pub(crate) fn fetch(id: &HubId, own_tower: bool) -> Result<Snapshot> {
    let hub = Hub::from_environment()?;
    let snapshot = hub.repository(id, Weights::Needed)?;
    // In the LLaVA repository's layout the CLIP tower is a repository of its own.
    let tower = if own_tower { None } else { published::second_folder(&snapshot.folder)? };
    if let Some(tower) = tower.as_deref().and_then(HubId::parse) {
        let weights = if published::holds_tower(&snapshot.folder)? { Weights::Elsewhere } else { Weights::Needed };
        hub.repository(&tower, weights).with_context(|| format!("vision tower of {id}"))?;
    }
    Ok(snapshot)
}

/// A model as hf-hub names it.
fn repo(id: &HubId) -> Repo {
    Repo::with_revision(id.repository.clone(), RepoType::Model, id.revision.clone())
}

struct Hub {
    cache: Cache,
    client: Client,
    /// The variable that says not to ask.
    offline: Option<&'static str>,
}

impl Hub {
    /// As the hub's own programs read the environment: [`Client::from_environment`], [`offline`], and the variables of the cache.
    fn from_environment() -> Result<Self> {
        let folder = published::hub_cache().context("there is no place for the hub's cache: set HF_HOME")?;
        Ok(Self { cache: Cache::new(folder), client: Client::from_environment()?, offline: offline() })
    }

    fn repository(&self, id: &HubId, weights: Weights) -> Result<Snapshot> {
        let cached = Cached::new(&self.cache, id);
        if let Some(snapshot) = cached.snapshot()
            && cached.lacks(&snapshot, weights)?.is_none()
        {
            return Ok(snapshot);
        }
        if let Some(variable) = self.offline {
            return cached.as_it_is(weights, &anyhow!("{id}: {variable} is set"));
        }
        // A cache that another program filled does not say which files the repository lacks; without the hub it must do.
        let listing = match Listing::ask(&self.client, id) {
            Ok(listing) => listing,
            Err(why) => return cached.as_it_is(weights, &why),
        };
        match self.complete(id, &cached, &listing, weights) {
            // Of this state it is known now what is missing; an older one may be whole.
            Err(why) if cached.snapshot().is_some_and(|known| known.commit != listing.sha) => cached.as_it_is(weights, &why),
            completed => completed,
        }
    }

    /// Fetches what the cache lacks of the state that `listing` describes.
    fn complete(&self, id: &HubId, cached: &Cached, listing: &Listing, weights: Weights) -> Result<Snapshot> {
        let snapshot = cached.at(&listing.sha);
        if weights == Weights::Needed && ![SINGLE, INDEX].iter().any(|file| listing.holds(file)) {
            bail!(
                "{id} has neither {SINGLE} nor {INDEX}: only weights in safetensors files are read; convert the checkpoint and give its folder"
            );
        }
        let settings: Vec<Entry> = SETTINGS.iter().filter_map(|file| listing.entry(id, file).transpose()).collect::<Result<_>>()?;
        self.fetch(id, cached, &snapshot, &settings)?;
        if weights == Weights::Needed {
            let files = match listing.entry(id, SINGLE)? {
                Some(single) => vec![single],
                None => published::shards(&snapshot.folder)?
                    .unwrap_or_default()
                    .iter()
                    .map(|shard| listing.shard(id, shard))
                    .collect::<Result<_>>()?,
            };
            self.fetch(id, cached, &snapshot, &files)?;
        }
        // Nothing but another question to the hub depends on it, and a cache may be closed to this user.
        if let Err(error) = cached.remember(&snapshot, SETTINGS.iter().copied().filter(|file| !listing.holds(file))) {
            tracing::info!("{error:#}; the hub will be asked again");
        }
        Ok(snapshot)
    }

    fn fetch(&self, id: &HubId, cached: &Cached, snapshot: &Snapshot, files: &[Entry]) -> Result<()> {
        let missing: Vec<&Entry> = files.iter().filter(|file| !snapshot.holds(file)).collect();
        let total = missing.iter().map(|file| file.size).sum();
        let bar = console::byte_bar(total)?;
        if total > 0 {
            console::note(&format!("{id}: {} of {} files to fetch, {} MB", missing.len(), files.len(), total.div_ceil(1_000_000)));
        }
        let repo = repo(&id.at(&snapshot.commit));
        for file in missing {
            bar.set_message(file.name.clone());
            let waiting = || bar.suspend(|| console::note(&format!("{id}: another process is fetching {}; waiting for it", file.name)));
            let _lock = cached.lock(file, waiting)?;
            // Whoever held the lock before may have fetched it.
            if snapshot.holds(file) || cached.keeps(file) {
                bar.inc(file.size);
            } else {
                download(&self.client, &Remote { id, repo: &repo, entry: file }, &cached.blob(file), &bar)?;
            }
            if !snapshot.holds(file) {
                Cached::link(&cached.blob(file), &snapshot.folder, &file.name)?;
            }
        }
        bar.finish_and_clear();
        Ok(())
    }
}
