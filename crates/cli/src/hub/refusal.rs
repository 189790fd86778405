//! What the hub's refusals mean, and what to do about them.

use anyhow::{Error, anyhow};
use ureq::http::Response;

use crate::hub_id::HubId;

/// Says why the hub did not give a repository or, with `file`, one of its files.
pub(super) fn refusal<B>(response: &Response<B>, id: &HubId, file: Option<&str>) -> Error {
    let what = file.map_or_else(|| id.to_string(), |file| format!("{id}: {file}"));
    let code = response.headers().get("x-error-code").and_then(|code| code.to_str().ok()).unwrap_or_default();
    let page = format!("https://huggingface.co/{}", id.repository);
    let login = "set HF_TOKEN or log in with `hf auth login`";
    match (response.status().as_u16(), code) {
        (404, "RevisionNotFound") => anyhow!("{what}: the hub has no revision {:?} of it", id.revision),
        (404, _) if file.is_some() => anyhow!("{what}: the hub lists this file, but does not have it (404); try again later"),
        // Of a private repository the hub does not even say that it exists.
        (404, _) | (401, "RepoNotFound") => {
            anyhow!("{what}: there is no such folder here, and no such model on the hub; if it is private, {login}")
        }
        (401 | 403, "GatedRepo") => anyhow!("{what}: access is by request: accept the conditions at {page}, then {login}"),
        (401, _) => anyhow!("{what}: the hub wants to know who asks (401): {login}; the token may also be wrong or have expired"),
        (403, _) => anyhow!("{what}: the token that was sent may not read it (403): see {page}"),
        (status, _) => anyhow!("{what}: the hub answered with status {status}; try again later"),
    }
}
