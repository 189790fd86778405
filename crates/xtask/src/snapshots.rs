//! Snapshots of insta: a wrong one never passes, and one that no test looks at any more is refused.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use crate::shell::target_dir;
use crate::stages::in_ci;

/// Where the snapshots are.
const FOLDERS: [&str; 3] = ["crates", "tests", "web"];

/// The list that insta writes: a line for every snapshot that a test compared with.
fn list() -> PathBuf {
    target_dir().join("snapshots-in-use.txt")
}

/// Makes a run of tests write down which snapshots it compares with, and in CI change none.
pub(crate) fn watch(tests: &mut Command) -> anyhow::Result<&mut Command> {
    let list = std::path::absolute(list())?;
    if let Some(folder) = list.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    fs::write(&list, "").with_context(|| format!("cannot write {}", list.display()))?;
    tests.env("INSTA_SNAPSHOT_REFERENCES_FILE", list);
    if in_ci() {
        tests.env("INSTA_UPDATE", "no").env_remove("INSTA_FORCE_PASS");
    }
    Ok(tests)
}

/// Refuses snapshots that the whole run of tests did not look at.
pub(crate) fn check() -> anyhow::Result<()> {
    let list = list();
    let used = fs::read_to_string(&list).with_context(|| format!("cannot read {}", list.display()))?;
    let used = used.lines().map(|line| fs::canonicalize(line).with_context(|| line.to_owned())).collect::<anyhow::Result<_>>()?;
    let mut kept = BTreeSet::new();
    for folder in FOLDERS {
        collect(Path::new(folder), &mut kept)?;
    }
    compare(&kept, &used)
}

fn compare(kept: &BTreeSet<PathBuf>, used: &BTreeSet<PathBuf>) -> anyhow::Result<()> {
    ensure!(!used.is_empty(), "no test compared with any snapshot");
    let stale: Vec<String> = kept.difference(used).map(|path| path.display().to_string()).collect();
    ensure!(stale.is_empty(), "no test compares with these snapshots any more; delete them:\n{}", stale.join("\n"));
    Ok(())
}

/// Snapshot files in a folder and below it, by their full path.
fn collect(folder: &Path, found: &mut BTreeSet<PathBuf>) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, found)?;
        } else if path.extension().is_some_and(|ending| ending == "snap") {
            found.insert(fs::canonicalize(&path).with_context(|| path.display().to_string())?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(names: &[&str]) -> BTreeSet<PathBuf> {
        names.iter().map(PathBuf::from).collect()
    }

    #[test]
    fn a_snapshot_that_no_test_looks_at_is_named() {
        compare(&paths(&["a.snap"]), &paths(&["a.snap"])).unwrap();
        let error = compare(&paths(&["a.snap", "b.snap", "c.snap"]), &paths(&["b.snap"])).unwrap_err().to_string();
        assert!(error.ends_with(":\na.snap\nc.snap"), "{error}");
        assert!(compare(&paths(&[]), &paths(&[])).is_err(), "a run that wrote nothing proves nothing");
    }

    #[test]
    fn snapshots_are_found_in_folders_below() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("snapshots")).unwrap();
        for name in ["a.snap", "snapshots/b.snap", "snapshots/b.snap.new", "c.rs"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let mut found = BTreeSet::new();
        collect(folder.path(), &mut found).unwrap();
        let names: Vec<_> = found.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect();
        assert_eq!(names, ["a.snap", "b.snap"]);
    }
}
