//! One file: resumed where it was cut, and taken for whole only when it is.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Error, Result, anyhow, bail};
use hf_hub::Repo;
use indicatif::ProgressBar;
use ureq::Body;
use ureq::http::StatusCode;

use super::client::Client;
use super::listing::Entry;
use super::refusal::refusal;
use crate::hub_id::HubId;

/// How often a cut connection is taken up again before giving up.
const RESUMES: u32 = 4;
/// Before the first of them; doubles with each.
const PAUSE: Duration = Duration::from_millis(250);

/// A file on the hub.
pub(super) struct Remote<'a> {
    pub(super) id: &'a HubId,
    /// The repository in one state.
    pub(super) repo: &'a Repo,
    pub(super) entry: &'a Entry,
}

impl fmt::Display for Remote<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.id, self.entry.name)
    }
}

/// Why a file is not whole.
enum Cut {
    /// The connection ended early; the rest can be asked for.
    Resumable(Error),
    Final(Error),
}

/// Fetches a file to `blob`, which exists afterwards if it is whole and not otherwise. What came of it so far stays beside it and is
/// continued by the next call. Nobody else may fetch it meanwhile.
pub(super) fn download(client: &Client, remote: &Remote<'_>, blob: &Path, bar: &ProgressBar) -> Result<()> {
    let part = blob.with_extension("part");
    let cannot = || format!("{remote}: cannot write {}", part.display());
    fs::create_dir_all(blob.parent().unwrap_or(blob)).with_context(cannot)?;
    let mut file = OpenOptions::new().read(true).append(true).create(true).open(&part).with_context(cannot)?;
    let begun = bar.position();
    for resumes in 0.. {
        let held = file.metadata().with_context(cannot)?.len();
        bar.set_position(begun + held);
        if held >= remote.entry.size {
            break;
        }
        match fill(client, remote, &mut file, held, bar) {
            Ok(()) => {}
            Err(Cut::Resumable(error)) if resumes < RESUMES => {
                tracing::info!("{}: {error:#}; resuming", remote);
                thread::sleep(PAUSE * 2_u32.pow(resumes));
            }
            Err(Cut::Resumable(error) | Cut::Final(error)) => return Err(error),
        }
    }
    if let Err(error) = check(remote, &part) {
        // Nothing in it can be trusted.
        fs::remove_file(&part).with_context(cannot)?;
        return Err(error);
    }
    file.sync_all().with_context(cannot)?;
    fs::rename(&part, blob).with_context(cannot)?;
    bar.set_position(begun + remote.entry.size);
    Ok(())
}

/// Asks for what is behind the first `held` bytes and appends it.
fn fill(client: &Client, remote: &Remote<'_>, file: &mut File, held: u64, bar: &ProgressBar) -> Result<(), Cut> {
    let request = client.file(remote.repo, &remote.entry.name).header("Range", format!("bytes={held}-"));
    let response = request.call().map_err(|error| Cut::Resumable(incomplete(remote, held, &error)))?;
    match response.status() {
        StatusCode::PARTIAL_CONTENT => {}
        // A server that does not resume sends everything again.
        StatusCode::OK => {
            file.set_len(0).map_err(|error| Cut::Final(error.into()))?;
            bar.set_position(bar.position().saturating_sub(held));
        }
        StatusCode::RANGE_NOT_SATISFIABLE => {
            return Err(Cut::Final(anyhow!(
                "{}: {held} bytes came and the server has no more, but the hub says that it has {}",
                remote,
                remote.entry.size
            )));
        }
        status => {
            let error = refusal(&response, remote.id, Some(&remote.entry.name));
            return Err(if status.is_server_error() { Cut::Resumable(error) } else { Cut::Final(error) });
        }
    }
    copy(remote, response.into_body(), file, bar)
}

fn copy(remote: &Remote<'_>, body: Body, file: &mut File, bar: &ProgressBar) -> Result<(), Cut> {
    let mut reader = body.into_reader();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => {
                file.write_all(&buffer[..read]).with_context(|| format!("{remote}: cannot write it")).map_err(Cut::Final)?;
                bar.inc(read as u64);
            }
            Err(error) => {
                let held = file.metadata().map_or(0, |metadata| metadata.len());
                return Err(Cut::Resumable(incomplete(remote, held, &error)));
            }
        }
    }
    let held = file.metadata().map_err(|error| Cut::Final(error.into()))?.len();
    // Without a length of its own an answer that was cut looks like one that ended.
    if held < remote.entry.size { Err(Cut::Resumable(incomplete(remote, held, &"the server sent no more"))) } else { Ok(()) }
}

fn incomplete(remote: &Remote<'_>, held: u64, error: &dyn std::fmt::Display) -> Error {
    anyhow!(
        "{remote}: the download broke off after {held} of {} bytes ({error}); run the same command again to continue it",
        remote.entry.size
    )
}

/// Length and hash.
fn check(remote: &Remote<'_>, part: &Path) -> Result<()> {
    let cannot = || format!("{remote}: cannot read {}", part.display());
    let Entry { size, hash, .. } = remote.entry;
    let file = File::open(part).with_context(cannot)?;
    let held = file.metadata().with_context(cannot)?.len();
    if held != *size {
        bail!("{remote}: {held} bytes came, the hub says that it has {size}; it was not taken for whole, try again later");
    }
    let found = hash.of(file, held).with_context(cannot)?;
    if !found.digits().eq_ignore_ascii_case(hash.digits()) {
        bail!("{remote}: {found} came, the hub says {}; it was thrown away, try again", hash.digits());
    }
    Ok(())
}
