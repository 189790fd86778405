//! Run folders in buckets, wherever a command takes a run folder.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::{Bucket, Mirror, StoreError};

/// What begins the address of a bucket.
pub const SCHEMES: [&str; 3] = ["s3://", "gs://", "az://"];

/// How often what is whole is sent while a command runs.
const EVERY: Duration = Duration::from_secs(20);

/// Mirrors of the buckets that a command names, each sent by a thread of its own while the command runs.
pub struct Places {
    sending: Vec<(Sender<()>, JoinHandle<Mirror>)>,
    say: fn(&str),
}

impl Places {
    /// Fetches what is in the buckets that `paths` name and puts their mirrors' folders in place of the addresses. Mirrors are below `root`; `say` tells somebody
    /// what is done.
    ///
    /// # Errors
    /// [`StoreError`] of the bucket or the disk.
    pub fn open<'a>(paths: impl IntoIterator<Item = &'a mut PathBuf>, root: &Path, say: fn(&str)) -> Result<Self, StoreError> {
        let mut mirrors: Vec<Mirror> = Vec::new();
        for path in paths {
            let address = path.to_string_lossy().trim_end_matches('/').to_owned();
            if !SCHEMES.iter().any(|scheme| address.starts_with(scheme)) {
                continue;
            }
            if let Some(known) = mirrors.iter().find(|mirror| mirror.address() == address) {
                *path = known.folder().to_path_buf();
                continue;
            }
            // an address that leads out of its bucket is none, so its parts lead nowhere else on the disk either
            let bucket = Bucket::open(&address)?;
            let folder = address.split("://").flat_map(|part| part.split('/')).fold(root.to_path_buf(), |folder, part| folder.join(part));
            let mut mirror = Mirror::new(bucket, &folder)?;
            let fetched = mirror.pull()?;
            say(&format!("{address}: {fetched} files fetched; it is mirrored in {}", mirror.folder().display()));
            *path = mirror.folder().to_path_buf();
            mirrors.push(mirror);
        }
        Ok(Self { sending: mirrors.into_iter().map(|mirror| keep_sending(mirror, say)).collect(), say })
    }

    /// Sends what is left, once the command is done, whether it failed or not.
    ///
    /// # Errors
    /// [`StoreError`] of the bucket or the disk. What is not sent by then is sent by the next command that names the bucket.
    pub fn finish(self) -> Result<(), StoreError> {
        for (done, thread) in self.sending {
            drop(done);
            // one that panicked has said so
            let Ok(mut mirror) = thread.join() else { continue };
            let pushed = mirror.push()?;
            (self.say)(&format!("{} is up to date; {} files sent at the end", mirror.address(), pushed.sent));
        }
        Ok(())
    }
}

/// Sends what is whole every now and then. What cannot be sent then may be at the end.
fn keep_sending(mut mirror: Mirror, say: fn(&str)) -> (Sender<()>, JoinHandle<Mirror>) {
    let (done, is_done) = channel();
    let thread = std::thread::spawn(move || {
        while is_done.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
            if let Err(error) = mirror.push() {
                say(&format!("{error}; trying again"));
            }
        }
        mirror
    });
    (done, thread)
}
