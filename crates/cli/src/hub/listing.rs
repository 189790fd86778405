//! What the hub says a repository holds.

use anyhow::{Context, Result, anyhow, bail};
use serde::Deserialize;

use super::client::Client;
use super::hash::{Hash, is_hexadecimal};
use super::refusal::refusal;
use super::repo;
use crate::hub_id::HubId;

/// A repository in one state.
#[derive(Debug, Deserialize)]
pub(super) struct Listing {
    /// The commit.
    pub(super) sha: String,
    siblings: Vec<Sibling>,
}

/// One file as it is listed. What nobody needs may lack all but its name.
#[derive(Debug, Deserialize)]
struct Sibling {
    /// Its path in the repository.
    rfilename: String,
    size: Option<u64>,
    #[serde(rename = "blobId")]
    blob_id: Option<String>,
    lfs: Option<LargeFile>,
}

#[derive(Debug, Deserialize)]
struct LargeFile {
    sha256: String,
}

/// A file of which it can be told whether all of it is there.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Its path in the repository.
    pub(super) name: String,
    pub(super) size: u64,
    pub(super) hash: Hash,
}

impl Listing {
    /// Asks the hub, sizes and hashes of all files included.
    pub(super) fn ask(client: &Client, id: &HubId) -> Result<Self> {
        let endpoint = &client.endpoint;
        let mut response = client.listing(&repo(id)).call().map_err(|error| anyhow!("{id}: {endpoint} cannot be reached ({error})"))?;
        if !response.status().is_success() {
            return Err(refusal(&response, id, None));
        }
        let no_listing = || format!("{id}: the answer of {endpoint} is no listing of a repository");
        let text = response.body_mut().read_to_string().with_context(no_listing)?;
        let listing: Self = serde_json::from_str(&text).with_context(no_listing)?;
        // It becomes the name of a folder here.
        if !is_commit(&listing.sha) {
            return Err(anyhow!("its commit is {:?}", listing.sha)).with_context(no_listing);
        }
        Ok(listing)
    }

    fn find(&self, file: &str) -> Option<&Sibling> {
        self.siblings.iter().find(|sibling| sibling.rfilename == file)
    }

    /// Whether the repository holds this file.
    pub(super) fn holds(&self, file: &str) -> bool {
        self.find(file).is_some()
    }

    /// A file that is to be fetched; `None` where the repository does not hold it.
    pub(super) fn entry(&self, id: &HubId, file: &str) -> Result<Option<Entry>> {
        let Some(sibling) = self.find(file) else { return Ok(None) };
        let large = sibling.lfs.as_ref().map(|large| Hash::Large(large.sha256.clone()));
        let hash = large.or_else(|| sibling.blob_id.clone().map(Hash::Git)).filter(Hash::is_one);
        match (sibling.size, hash) {
            (Some(size), Some(hash)) => Ok(Some(Entry { name: file.to_owned(), size, hash })),
            // Without them nobody could tell half a file from a whole one.
            _ => bail!("{id}: the hub states no size and hash of {file}"),
        }
    }

    /// A shard that the index names.
    pub(super) fn shard(&self, id: &HubId, file: &str) -> Result<Entry> {
        let lacking = || anyhow!("{id}: its index of shards names {file}, which the repository does not hold");
        self.entry(id, file)?.ok_or_else(lacking)
    }
}

/// Whether a text is a commit's hash: of git's older kind, or of the newer.
pub(super) fn is_commit(text: &str) -> bool {
    is_hexadecimal(text, 40) || is_hexadecimal(text, 64)
}
