//! The groups of the part in the making, so that a run that is killed loses the one in flight and no more.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use sha2::{Digest, Sha256};
use steady_records::{Answers, Work};

use super::{UNFINISHED, write_whole};
use crate::StudyError;

/// Bytes in front of a group, which are the SHA-256 of the rest.
const HASH: usize = 32;

/// Answered groups that are in no part yet, a file for each. Part files are cut by count, which keeps their bytes the same however a run was
/// interrupted; these files come and go.
pub(crate) struct Journal<'a> {
    pub(super) path: PathBuf,
    pub(super) work: &'a Work,
}

impl Journal<'_> {
    /// Indices of the groups there are, ascending. What is being written is passed over.
    pub(crate) fn groups(&self) -> Result<BTreeSet<usize>, StudyError> {
        let mut groups = BTreeSet::new();
        for (name, path) in self.files()? {
            // The others are what desktops and file servers leave behind.
            if !name.ends_with(UNFINISHED) && !name.starts_with('.') {
                let group = name.strip_prefix("group-").and_then(|digits| digits.parse().ok());
                groups.insert(group.ok_or_else(|| StudyError::broken(&path, "is no group; expected names like group-00000"))?);
            }
        }
        Ok(groups)
    }

    /// Names and paths of all files there are.
    fn files(&self) -> Result<Vec<(String, PathBuf)>, StudyError> {
        let entries = fs::read_dir(&self.path).and_then(Iterator::collect::<std::io::Result<Vec<_>>>);
        match entries {
            Ok(entries) => Ok(entries.iter().map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path())).collect()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(StudyError::io(&self.path, "cannot list the groups of the part in the making")(error)),
        }
    }

    /// Reads a group back and checks that it belongs to the plan and that every byte is the one written.
    pub(crate) fn read(&self, group: usize) -> Result<Answers, StudyError> {
        let path = self.file(group);
        let damaged = |reason: &dyn std::fmt::Display| {
            StudyError::broken(&path, format!("damaged group: {reason}; delete it to have its questions asked again"))
        };
        let bytes = fs::read(&path).map_err(StudyError::io(&path, "cannot read the group"))?;
        let (hash, sealed) = bytes.split_at_checked(HASH).ok_or_else(|| damaged(&"it is cut short"))?;
        if hash != Sha256::digest(sealed).as_slice() {
            return Err(damaged(&format!("its {} bytes do not have the checksum in front of them", sealed.len())));
        }
        match self.work.open(sealed).map_err(|error| damaged(&error))? {
            (found, answers) if found == group => Ok(answers),
            (found, _) => Err(damaged(&format!("it holds group {found}"))),
        }
    }

    /// Keeps a group; it is on disk when this returns.
    pub(crate) fn write(&self, group: usize, answers: &Answers) -> Result<(), StudyError> {
        fs::create_dir_all(&self.path).map_err(StudyError::io(&self.path, "cannot create the folder"))?;
        let sealed = self.work.seal(group, answers)?;
        write_whole(&self.file(group), &[Sha256::digest(&sealed).as_slice(), &sealed].concat())
    }

    /// Lets go of groups whose part is written.
    pub(crate) fn forget(&self, groups: &[usize]) -> Result<(), StudyError> {
        for &group in groups {
            let path = self.file(group);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(StudyError::io(&path, "cannot remove a group whose part is written")(error));
                }
                _ => {}
            }
        }
        // Where something is left in it the folder stays, and where it never was there is nothing to do.
        drop(fs::remove_dir(&self.path));
        Ok(())
    }

    pub(crate) fn file(&self, group: usize) -> PathBuf {
        self.path.join(format!("group-{group:05}"))
    }
}
