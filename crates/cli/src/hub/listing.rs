//! What the hub says a repository holds.

use anyhow::{Context, Error, Result, anyhow};
use serde::Deserialize;

use super::client::Client;
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

/// One file.
#[derive(Debug, Deserialize)]
pub(super) struct Sibling {
    /// Its path in the repository.
    pub(super) rfilename: String,
    size: Option<u64>,
    #[serde(rename = "blobId")]
    blob_id: Option<String>,
    lfs: Option<LargeFile>,
}

#[derive(Debug, Deserialize)]
struct LargeFile {
    sha256: String,
}

/// Why there is no listing.
#[derive(Debug)]
pub(super) enum Failure {
    /// Nothing came back, and why.
    NoAnswer(String),
    /// The hub said no.
    Refused(Error),
}

impl Listing {
    /// Asks the hub, sizes and hashes of all files included.
    pub(super) fn ask(client: &Client, id: &HubId) -> Result<Self, Failure> {
        let endpoint = &client.endpoint;
        let mut response =
            client.listing(&repo(id)).call().map_err(|error| Failure::NoAnswer(format!("{endpoint} cannot be reached ({error})")))?;
        if !response.status().is_success() {
            return Err(Failure::Refused(refusal(&response, id, None)));
        }
        let text = response.body_mut().read_to_string().map_err(Error::from);
        let read = text.and_then(|text| Ok(serde_json::from_str::<Self>(&text)?)).and_then(Self::checked);
        read.with_context(|| format!("{id}: the answer of {endpoint} is no listing of a repository")).map_err(Failure::Refused)
    }

    /// Commit and hashes become names of files here, so they must be hashes; a size must be known, or no one could tell half a file.
    fn checked(self) -> Result<Self> {
        let usable = |file: &Sibling| file.size.is_some() && is_hash(file.etag());
        if !is_hash(&self.sha) {
            return Err(anyhow!("its commit is {:?}", self.sha));
        }
        match self.siblings.iter().find(|file| !usable(file)) {
            Some(file) => Err(anyhow!("it states no size and hash of {}", file.rfilename)),
            None => Ok(self),
        }
    }

    pub(super) fn find(&self, file: &str) -> Option<&Sibling> {
        self.siblings.iter().find(|sibling| sibling.rfilename == file)
    }

    pub(super) fn must_find(&self, id: &HubId, file: &str) -> Result<&Sibling> {
        self.find(file).ok_or_else(|| anyhow!("{id}: its index of shards names {file}, which the repository does not hold"))
    }
}

impl Sibling {
    pub(super) fn size(&self) -> u64 {
        self.size.unwrap_or_default()
    }

    /// The hash that names the file in the cache.
    pub(super) fn etag(&self) -> &str {
        self.sha256().or(self.blob_id.as_deref()).unwrap_or_default()
    }

    /// Of its content, where it is a large file.
    pub(super) fn sha256(&self) -> Option<&str> {
        self.lfs.as_ref().map(|lfs| lfs.sha256.as_str())
    }
}

/// Of git (40 digits) or of a large file (64).
pub(super) fn is_hash(text: &str) -> bool {
    [40, 64].contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
