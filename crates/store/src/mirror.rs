//! A folder of this machine that stands for a place in a bucket.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use futures_util::TryStreamExt;
use object_store::path::Path as Place;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use serde::{Deserialize, Serialize};
use tokio::runtime::{Builder, Runtime};

use crate::{Bucket, StoreError};

/// Folders of a run in the making, and endings of names, that stay on this machine.
const STAYS: [&str; 1] = ["journal"];
const STAYS_BY_END: [&str; 2] = [".unfinished", ".lock"];

/// A folder, and the place in a bucket that it stands for.
#[derive(Debug)]
pub struct Mirror {
    bucket: Bucket,
    folder: PathBuf,
    /// Where it is written down what is known to be alike, beside the folder.
    state: PathBuf,
    /// Files that are here as they are there, by their names.
    alike: BTreeMap<String, Alike>,
    runtime: Runtime,
}

/// A file as it was when it was last sent or fetched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Alike {
    bytes: u64,
    modified_ns: u128,
    e_tag: Option<String>,
}

/// What a push did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pushed {
    /// Files that were sent.
    pub sent: usize,
    /// Files that were removed, since they are gone here.
    pub removed: usize,
}

impl Mirror {
    /// The mirror of a bucket's place in `folder`, which is created.
    ///
    /// # Errors
    /// [`StoreError::Io`] where that cannot be.
    pub fn new(bucket: Bucket, folder: &Path) -> Result<Self, StoreError> {
        let io = |what| move |source| StoreError::Io { path: folder.to_path_buf(), what, source };
        fs::create_dir_all(folder).map_err(io("cannot create the mirror"))?;
        let mut state = folder.as_os_str().to_owned();
        state.push(".mirror.json");
        let state = PathBuf::from(state);
        // one that cannot be read says nothing: then all is compared anew
        let alike = fs::read(&state).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        let runtime = Builder::new_current_thread().enable_all().build().map_err(io("cannot start what speaks to the bucket"))?;
        Ok(Self { bucket, folder: folder.to_path_buf(), state, alike, runtime })
    }

    /// Where it is on this machine.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The bucket's address.
    pub fn address(&self) -> &str {
        self.bucket.address()
    }

    /// Fetches what the bucket has and the mirror lacks, or has as it was before somebody else changed it. What was changed here and not sent yet stays. Gives
    /// the number of files.
    ///
    /// # Errors
    /// [`StoreError`] of the bucket or the disk; what was fetched by then is whole.
    pub fn pull(&mut self) -> Result<usize, StoreError> {
        let listed: Vec<object_store::ObjectMeta> = self
            .runtime
            .block_on(self.bucket.store.list(Some(&self.bucket.prefix)).try_collect())
            .map_err(self.bucket.failed("cannot list what is there"))?;
        let mut fetched = 0;
        for there in listed {
            let Some(name) = self.name_of(&there.location) else { continue };
            let path = self.folder.join(&name);
            let known = self.alike.get(&name);
            let unchanged_here =
                known.is_some_and(|known| stamp(&path).is_some_and(|(bytes, at)| (bytes, at) == (known.bytes, known.modified_ns)));
            let unchanged_there = known.is_some_and(|known| known.bytes == there.size && known.e_tag == there.e_tag);
            if path.exists() && (unchanged_there || !unchanged_here) {
                continue;
            }
            let get = async { self.bucket.store.get(&there.location).await?.bytes().await };
            let bytes = self.runtime.block_on(get).map_err(self.bucket.failed(format!("cannot fetch {name}")))?;
            write_whole(&path, &bytes)?;
            self.note(&name, &path, there.e_tag);
            fetched += 1;
        }
        self.save()?;
        Ok(fetched)
    }

    /// Sends what is new or changed here, in an order in which a reader of the bucket never sees a record part without what belongs to it, and removes what was there
    /// alike and is gone here.
    ///
    /// # Errors
    /// [`StoreError`] of the bucket or the disk; what was sent by then is not sent again.
    pub fn push(&mut self) -> Result<Pushed, StoreError> {
        let mut names = Vec::new();
        gather(&self.folder, "", &mut names)?;
        names.sort_by_cached_key(|name| (rank(name), name.clone()));
        let mut pushed = Pushed::default();
        for name in &names {
            let path = self.folder.join(name);
            // what a run lets go of while this goes through the list is no fault
            let Some((bytes, modified_ns)) = stamp(&path) else { continue };
            if self.alike.get(name).is_some_and(|known| (known.bytes, known.modified_ns) == (bytes, modified_ns)) {
                continue;
            }
            let Ok(content) = fs::read(&path) else { continue };
            let place = self.place_of(name);
            let put = self.bucket.store.put(&place, PutPayload::from(content));
            let e_tag = self.runtime.block_on(put).map_err(self.bucket.failed(format!("cannot send {name}")))?.e_tag;
            self.alike.insert(name.clone(), Alike { bytes, modified_ns, e_tag });
            self.save()?;
            pushed.sent += 1;
        }
        let here: BTreeSet<&String> = names.iter().collect();
        for name in self.alike.keys().filter(|name| !here.contains(name)).cloned().collect::<Vec<_>>() {
            match self.runtime.block_on(self.bucket.store.delete(&self.place_of(&name))) {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(self.bucket.failed(format!("cannot remove {name}"))(error)),
            }
            self.alike.remove(&name);
            pushed.removed += 1;
        }
        self.save()?;
        Ok(pushed)
    }

    fn place_of(&self, name: &str) -> Place {
        // as it is called, where it can be called so
        let inside = Place::parse(name).unwrap_or_else(|_| Place::from(name));
        self.bucket.prefix.parts().chain(inside.parts()).collect()
    }

    /// A file's name in the folder; `None` for what stays out of it.
    fn name_of(&self, place: &Place) -> Option<String> {
        let name = place.prefix_match(&self.bucket.prefix)?.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/");
        (!name.is_empty() && !stays(&name)).then_some(name)
    }

    fn note(&mut self, name: &str, path: &Path, e_tag: Option<String>) {
        if let Some((bytes, modified_ns)) = stamp(path) {
            self.alike.insert(name.to_owned(), Alike { bytes, modified_ns, e_tag });
        }
    }

    fn save(&self) -> Result<(), StoreError> {
        let io = |source| StoreError::Io { path: self.state.clone(), what: "cannot write down what is alike", source };
        write_whole(&self.state, &serde_json::to_vec(&self.alike).map_err(|error| io(error.into()))?)
    }
}

/// Length, and when it was written, in nanoseconds.
fn stamp(path: &Path) -> Option<(u64, u128)> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.len(), metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?.as_nanos()))
}

/// Whether a file is of a run in the making and stays on this machine.
fn stays(name: &str) -> bool {
    STAYS_BY_END.iter().any(|end| name.ends_with(end)) || name.split('/').any(|part| STAYS.contains(&part))
}

/// What a reader needs first is sent first: plan, checksums and times before record parts, reports last.
fn rank(name: &str) -> u8 {
    match name.rsplit('/').next().unwrap_or_default() {
        "questions.json" | "shard.json" | "plan.json" => 0,
        file if file.starts_with("report") => 3,
        file if Path::new(file).extension().is_some_and(|end| end == "parquet") => 2,
        _ => 1,
    }
}

fn gather(folder: &Path, inside: &str, names: &mut Vec<String>) -> Result<(), StoreError> {
    let io = |source| StoreError::Io { path: folder.to_path_buf(), what: "cannot list the mirror", source };
    for entry in fs::read_dir(folder).map_err(io)? {
        let entry = entry.map_err(io)?;
        let name = format!("{inside}{}", entry.file_name().to_string_lossy());
        if stays(&name) {
            continue;
        }
        if entry.file_type().map_err(io)?.is_dir() {
            // it may be gone by now, with what was in it
            if entry.path().exists() {
                gather(&entry.path(), &format!("{name}/"), names)?;
            }
        } else {
            names.push(name);
        }
    }
    Ok(())
}

/// Writes a file whole or not at all.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let io = |source| StoreError::Io { path: path.to_path_buf(), what: "cannot write the file", source };
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(io)?;
    let mut file = tempfile::Builder::new().suffix(".unfinished").tempfile_in(folder).map_err(io)?;
    file.write_all(bytes).map_err(io)?;
    file.persist(path).map_err(|refused| io(refused.error))?;
    Ok(())
}
