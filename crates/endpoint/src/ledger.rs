//! Every answer, written down as it comes: a run that breaks off asks nothing twice.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::EndpointError;
use crate::chat::Completion;

/// Its file in a run folder. It is gone when the run is over: then the records hold all.
const NAME: &str = "replies.jsonl";

/// Which answer it is: a hash over who was asked, which question and the whole request, picture included.
type Id = [u8; 32];

/// A line of the file.
#[derive(Serialize, Deserialize)]
struct Line<C> {
    id: String,
    seconds: f64,
    completion: C,
}

/// The answers to requests whose groups may not be recorded yet.
pub(crate) struct Ledger {
    path: PathBuf,
    inner: Mutex<Inner>,
}

struct Inner {
    file: File,
    end: u64,
    /// Where each answer's line begins, and how long it is.
    lines: HashMap<Id, (u64, usize)>,
}

/// What tells an answer from all others of a run.
pub(crate) fn id(asked: &str, question: &str, body: &str) -> Id {
    let mut hash = Sha256::new();
    for part in [asked, question, body] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

impl Ledger {
    /// The answers in `folder`. What a killed process left half-written is cut off.
    pub(crate) fn open(folder: &Path) -> Result<Self, EndpointError> {
        let path = folder.join(NAME);
        let named = &path;
        let cannot = |what: &'static str| move |source: std::io::Error| EndpointError::Io { path: named.clone(), what, source };
        let mut file =
            OpenOptions::new().read(true).append(true).create(true).open(&path).map_err(cannot("cannot open the answers so far"))?;
        let (mut lines, mut end) = (HashMap::new(), 0);
        let mut reader = BufReader::new(&file);
        let mut line = Vec::new();
        loop {
            line.clear();
            reader.read_until(b'\n', &mut line).map_err(cannot("cannot read the answers so far"))?;
            let Some(id) = whole(&line) else { break };
            lines.insert(id, (end, line.len()));
            end += line.len() as u64;
        }
        let length = file.seek(SeekFrom::End(0)).map_err(cannot("cannot read the answers so far"))?;
        if length > end {
            tracing::warn!("{}: {} bytes at its end are no answer; what was lost with them is asked again", path.display(), length - end);
            file.set_len(end).map_err(cannot("cannot cut off what is no answer"))?;
        }
        Ok(Self { path: path.clone(), inner: Mutex::new(Inner { file, end, lines }) })
    }

    /// An answer that is there, and how long it took.
    pub(crate) fn find(&self, id: &Id) -> Result<Option<(Completion, Duration)>, EndpointError> {
        let mut inner = self.inner();
        let Some(&(start, length)) = inner.lines.get(id) else { return Ok(None) };
        let mut line = vec![0; length];
        let read = inner.file.seek(SeekFrom::Start(start)).and_then(|_| inner.file.read_exact(&mut line));
        read.map_err(|source| self.cannot("cannot read the answers so far", source))?;
        let line: Line<Completion> = serde_json::from_slice(&line).map_err(|source| self.cannot("cannot read an answer", source.into()))?;
        Ok(Some((line.completion, Duration::try_from_secs_f64(line.seconds).unwrap_or_default())))
    }

    /// Writes an answer down.
    pub(crate) fn note(&self, id: Id, completion: &Completion, took: Duration) -> Result<(), EndpointError> {
        let line = Line { id: HEXLOWER.encode(&id), seconds: took.as_secs_f64(), completion };
        let mut bytes = serde_json::to_vec(&line).map_err(|source| self.cannot("cannot write an answer", source.into()))?;
        bytes.push(b'\n');
        let mut inner = self.inner();
        inner.file.write_all(&bytes).map_err(|source| self.cannot("cannot write an answer", source))?;
        let start = inner.end;
        inner.lines.insert(id, (start, bytes.len()));
        inner.end += bytes.len() as u64;
        Ok(())
    }

    /// Takes the file away, once the records hold all.
    pub(crate) fn forget(&self) -> Result<(), EndpointError> {
        std::fs::remove_file(&self.path).map_err(|source| self.cannot("cannot remove the answers, which are recorded", source))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cannot(&self, what: &'static str, source: std::io::Error) -> EndpointError {
        EndpointError::Io { path: self.path.clone(), what, source }
    }
}

/// Whose answer a line is, if it is whole.
fn whole(line: &[u8]) -> Option<Id> {
    let line: Line<Completion> = serde_json::from_slice(line.strip_suffix(b"\n")?).ok()?;
    HEXLOWER.decode(line.id.as_bytes()).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completion(text: &str) -> Completion {
        Completion { model: "m".into(), text: text.into(), cut: false, top: vec![("a".into(), -0.25)], prompt_tokens: 3, refused: None }
    }

    #[test]
    fn what_a_killed_process_left_is_found_and_half_a_line_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        let (first, second, took) = (id("none", "q1", "{}"), id("none", "q2", "{}"), Duration::from_millis(1500));
        let ledger = Ledger::open(folder.path()).unwrap();
        ledger.note(first, &completion("red\n\"blue\""), took).unwrap();
        assert_eq!(ledger.find(&first).unwrap(), Some((completion("red\n\"blue\""), took)));
        ledger.note(second, &completion("green"), took).unwrap();
        drop(ledger);
        // killed in the middle of the second
        let bytes = std::fs::read(&path).unwrap();
        for cut in 1..40 {
            std::fs::write(&path, &bytes[..bytes.len() - cut]).unwrap();
            let ledger = Ledger::open(folder.path()).unwrap();
            assert_eq!((ledger.find(&first).unwrap().is_some(), ledger.find(&second).unwrap()), (true, None), "{cut}");
            ledger.note(second, &completion("again"), took).unwrap();
            drop(ledger);
            assert_eq!(Ledger::open(folder.path()).unwrap().find(&second).unwrap().unwrap().0.text, "again");
        }
        Ledger::open(folder.path()).unwrap().forget().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn who_was_asked_what_about_which_picture_tells_answers_apart() {
        let ids = [id("none", "q", "b"), id("again", "q", "b"), id("none", "qb", ""), id("none", "q", "c")];
        assert!((0..4).all(|i| (0..i).all(|j| ids[i] != ids[j])));
    }
}
