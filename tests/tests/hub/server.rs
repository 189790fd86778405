//! A hub on this machine: the few answers of the Hugging Face hub that a download needs, and what can go wrong with them.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::json;
use steady_tests::reference::{git_sha1, sha256};

use crate::http::{Listening, head};

/// The commit of every repository.
pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// How a hub answers whatever it is asked, files in its store excepted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outage {
    /// With this status.
    Status(u16),
    /// It sends whoever asks to the same address again.
    Loop,
    /// With a page, as networks do before one has logged in.
    Page,
}

pub(crate) struct Hub {
    listening: Listening,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
pub(crate) struct State {
    /// By `org/name`.
    pub(crate) repositories: BTreeMap<String, Repository>,
    /// What was asked for, in order.
    pub(crate) log: Vec<Request>,
    pub(crate) outage: Option<Outage>,
}

#[derive(Default)]
pub(crate) struct Repository {
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    pub(crate) faults: BTreeMap<String, Fault>,
    /// Who may read the files; nobody else may.
    pub(crate) gated_for: Option<String>,
    /// Its commit, where it is another one.
    pub(crate) commit: Option<String>,
    /// Files that the listing names and says nothing else of.
    pub(crate) bare: Vec<String>,
}

/// What is wrong with a file.
#[derive(Clone, Copy)]
pub(crate) enum Fault {
    /// The connection ends after this many bytes of an answer, this many times.
    Cut { after: usize, times: usize },
    /// As `Cut`, but the answer does not say how long it is, so that it looks finished.
    Ends { after: usize, times: usize },
    /// The listing says that it has this many bytes.
    Listed(usize),
    /// The first byte is another one.
    Garbled,
    /// Asked for a part, the store sends everything; the first answer is cut after this many bytes.
    NoRanges { after: usize, times: usize },
    /// It is listed but not there.
    Gone,
}

#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) target: String,
    pub(crate) host: String,
    pub(crate) range: Option<String>,
    pub(crate) authorization: Option<String>,
}

impl Hub {
    /// A hub with one repository that holds the files of `folder` and some that no checkpoint needs.
    pub(crate) fn with(id: &str, folder: &Path) -> Self {
        let state = Arc::<Mutex<State>>::default();
        let served = Arc::clone(&state);
        let listening = Listening::start(move |asked, stream| {
            let header = |name: &str| asked.header(name);
            let request = Request {
                target: asked.target.clone(),
                host: header("host").unwrap_or_default(),
                range: header("range"),
                authorization: header("authorization"),
            };
            let reply = {
                let mut state = served.lock().unwrap();
                state.log.push(request.clone());
                reply(&mut state, &request)
            };
            stream.write_all(&reply)
        });
        let hub = Self { listening, state };
        hub.publish(id, folder);
        hub
    }

    pub(crate) fn publish(&self, id: &str, folder: &Path) {
        let mut repository = Repository::default();
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            repository.files.insert(entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap());
        }
        repository.files.insert("README.md".to_owned(), b"a card".to_vec());
        repository.files.insert("pytorch_model.bin".to_owned(), vec![0; 1000]);
        self.state().repositories.insert(id.to_owned(), repository);
    }

    /// To break things in.
    pub(crate) fn change(&self, id: &str, change: impl FnOnce(&mut Repository)) {
        change(self.state().repositories.get_mut(id).unwrap());
    }

    /// From now on something is wrong with `file`.
    pub(crate) fn damage(&self, id: &str, file: &str, fault: Fault) {
        self.change(id, |repository| repository.faults.extend([(file.to_owned(), fault)]));
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.listening.address)
    }

    /// Takes what was asked for since the last call.
    pub(crate) fn asked(&self) -> Vec<Request> {
        std::mem::take(&mut self.state().log)
    }
}

fn reply(state: &mut State, request: &Request) -> Vec<u8> {
    if let Some(outage) = state.outage.filter(|_| !request.target.starts_with("/store/")) {
        return match outage {
            Outage::Status(status) => refusal(status, ""),
            Outage::Loop => head(302, &[("location", &request.target), ("content-length", "0")]),
            Outage::Page => {
                let mut reply = head(200, &[("content-type", "text/html"), ("content-length", "13")]);
                reply.extend(b"<p>Log in</p>");
                reply
            }
        };
    }
    let path = request.target.split('?').next().unwrap_or_default();
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let (owner, name) = match parts.as_slice() {
        ["api", "models", owner, name, ..] | ["store", owner, name, ..] | [owner, name, ..] => (*owner, *name),
        _ => return refusal(404, ""),
    };
    let Some(repository) = state.repositories.get_mut(&format!("{owner}/{name}")) else { return refusal(401, "RepoNotFound") };
    match parts.as_slice() {
        ["api", "models", _, _, "revision", revision] => {
            let commit = repository.commit.as_deref().unwrap_or(COMMIT);
            if ["main", "v1", commit].contains(revision) { listing(repository) } else { refusal(404, "RevisionNotFound") }
        }
        [_, _, "resolve", commit, file] if *commit == repository.commit.as_deref().unwrap_or(COMMIT) => {
            let known = request.authorization.as_deref().and_then(|value| value.strip_prefix("Bearer "));
            match &repository.gated_for {
                Some(_) if known.is_none() => refusal(401, "GatedRepo"),
                Some(reader) if known != Some(reader) => refusal(403, ""),
                // Large files are in a store on another host.
                _ if is_large(file) => {
                    let port = request.host.rsplit(':').next().unwrap_or_default();
                    let location = format!("http://localhost:{port}/store/{owner}/{name}/{file}?signed");
                    head(302, &[("location", &location)])
                }
                _ => content(repository, file, request.range.as_deref()),
            }
        }
        ["store", _, _, file] => content(repository, file, request.range.as_deref()),
        _ => refusal(404, "EntryNotFound"),
    }
}

fn is_large(file: &str) -> bool {
    Path::new(file).extension().is_some_and(|ending| ending == "safetensors" || ending == "bin")
}

fn listing(repository: &Repository) -> Vec<u8> {
    let siblings = repository.files.iter().map(|(name, bytes)| {
        let size = match repository.faults.get(name) {
            Some(Fault::Listed(size)) => *size,
            _ => bytes.len(),
        };
        if repository.bare.contains(name) {
            return json!({ "rfilename": name });
        }
        let mut sibling = json!({ "rfilename": name, "size": size, "blobId": git_sha1(bytes) });
        if is_large(name) {
            sibling["lfs"] = json!({ "sha256": sha256(bytes), "size": size, "pointerSize": 134 });
        }
        sibling
    });
    let body = json!({ "id": "x/y", "sha": repository.commit.as_deref().unwrap_or(COMMIT), "siblings": siblings.collect::<Vec<_>>(), "private": false }).to_string();
    let mut reply = head(200, &[("content-type", "application/json"), ("content-length", &body.len().to_string())]);
    reply.extend(body.into_bytes());
    reply
}

fn content(repository: &mut Repository, file: &str, range: Option<&str>) -> Vec<u8> {
    let Some(bytes) = repository.files.get(file) else { return refusal(404, "EntryNotFound") };
    let mut bytes = bytes.clone();
    let size = bytes.len();
    let first: usize = range.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()).unwrap_or(0);
    let fault = repository.faults.get_mut(file);
    let mut length = Some(size.saturating_sub(first));
    let mut sent = usize::MAX;
    match fault {
        Some(Fault::Gone) => return refusal(404, "EntryNotFound"),
        Some(Fault::Garbled) => bytes[0] ^= 1,
        Some(Fault::Cut { after, times }) if *times > 0 => (sent, *times) = (*after, *times - 1),
        Some(Fault::Ends { after, times }) if *times > 0 => (sent, length, *times) = (*after, None, *times - 1),
        Some(Fault::NoRanges { after, times }) => {
            let cut = *times > 0;
            *times = times.saturating_sub(1);
            let mut reply = head(200, &[("content-length", &size.to_string())]);
            reply.extend(&bytes[..if cut { *after } else { size }]);
            return reply;
        }
        _ => {}
    }
    if first >= size {
        return head(416, &[("content-range", &format!("bytes */{size}")), ("content-length", "0")]);
    }
    let content_range = format!("bytes {first}-{}/{size}", size - 1);
    let length = length.map(|length| length.to_string());
    let mut headers = vec![("content-range", content_range.as_str())];
    headers.extend(length.as_deref().map(|length| ("content-length", length)));
    let mut reply = head(206, &headers);
    reply.extend(&bytes[first..size.min(first.saturating_add(sent))]);
    reply
}

fn refusal(status: u16, code: &str) -> Vec<u8> {
    head(status, &[("x-error-code", code), ("content-length", "0")])
}
