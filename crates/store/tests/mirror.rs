//! Folders and buckets: what goes where, what stays, and what happens when two machines have changed something.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use steady_store::{Bucket, Mirror, Places, Pushed};

fn bucket(store: &Arc<dyn ObjectStore>) -> Bucket {
    Bucket::of("s3://tests/runs/first", Arc::clone(store), "runs/first".into())
}

fn write(folder: &Path, files: &[(&str, &str)]) {
    for (name, content) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

/// Names and contents below a folder.
fn read(folder: &Path) -> BTreeMap<String, String> {
    fn walk(root: &Path, folder: &Path, files: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                walk(root, &entry, files);
            } else {
                let name = entry.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
                files.insert(name, fs::read_to_string(entry).unwrap());
            }
        }
    }
    let mut files = BTreeMap::new();
    walk(folder, folder, &mut files);
    files
}

const RUN: [(&str, &str); 5] = [
    ("plan.json", "{}"),
    ("questions.json", "[]"),
    ("records/part-00000.parquet", "rows"),
    ("records/part-00000.parquet.sha256", "sum"),
    ("timings/part-00000.jsonl", "ms"),
];

#[test]
fn another_machine_goes_on_where_this_one_was_lost() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let dir = tempfile::tempdir().unwrap();
    let [here, there] = ["here", "there"].map(|name| dir.path().join(name));
    let mut mirror = Mirror::new(bucket(&store), &here).unwrap();
    assert_eq!(mirror.pull().unwrap(), 0);
    write(&here, &RUN);
    write(&here, &[("journal/group-00008", "in the making"), (".lock", ""), ("records/part-00001.parquet.x.unfinished", "ro")]);
    assert_eq!(mirror.push().unwrap(), Pushed { sent: 5, removed: 0 });
    assert_eq!(mirror.push().unwrap(), Pushed::default(), "nothing is sent twice");
    // a process that was killed knows what it sent
    assert_eq!(Mirror::new(bucket(&store), &here).unwrap().push().unwrap(), Pushed::default());
    let mut other = Mirror::new(bucket(&store), &there).unwrap();
    assert_eq!(other.pull().unwrap(), 5);
    assert_eq!(read(&there), RUN.map(|(name, content)| (name.to_owned(), content.to_owned())).into());
    assert_eq!(other.pull().unwrap(), 0, "nothing is fetched twice");
    write(&there, &[("records/part-00001.parquet", "more"), ("report.json", "v1")]);
    assert_eq!(other.push().unwrap(), Pushed { sent: 2, removed: 0 });
    // what changed there comes here, what changed here and is not sent stays
    assert_eq!(mirror.pull().unwrap(), 2);
    write(&here, &[("report.json", "this is mine")]);
    write(&there, &[("report.json", "v2, theirs"), ("plan.json", "{ }")]);
    other.push().unwrap();
    assert_eq!(mirror.pull().unwrap(), 1);
    let now = read(&here);
    assert_eq!((now["report.json"].as_str(), now["plan.json"].as_str()), ("this is mine", "{ }"));
}

#[test]
fn what_is_gone_here_is_removed_there_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let shelf = dir.path().join("shelf");
    fs::create_dir(&shelf).unwrap();
    let store: Arc<dyn ObjectStore> = Arc::new(LocalFileSystem::new_with_prefix(&shelf).unwrap());
    write(&shelf, &[("runs/first-of-all/plan.json", "another run"), ("runs/first/by-somebody-else.txt", "kept")]);
    let here = dir.path().join("here");
    let mut mirror = Mirror::new(bucket(&store), &here).unwrap();
    write(&here, &RUN);
    write(&here, &[("pass-1-of-2/plan.json", "{}"), ("pass-1-of-2/journal/group-00000", "x")]);
    assert_eq!(mirror.push().unwrap(), Pushed { sent: 6, removed: 0 });
    fs::remove_dir_all(here.join("pass-1-of-2")).unwrap();
    assert_eq!(mirror.push().unwrap(), Pushed { sent: 0, removed: 1 });
    let names: Vec<String> = read(&shelf).into_keys().collect();
    assert!(names.contains(&"runs/first-of-all/plan.json".to_owned()) && names.contains(&"runs/first/by-somebody-else.txt".to_owned()));
    assert_eq!(names.len(), 2 + RUN.len(), "{names:?}");
}

#[test]
fn an_address_that_is_none_is_refused_with_what_was_expected() {
    let refused = |address: &str| Bucket::open(address).unwrap_err().to_string();
    assert!(refused("ftp://bucket/x").contains("expected s3://, gs:// or az://"));
    assert!(refused("s3:///x").contains("expected s3://BUCKET/PREFIX"));
    assert!(refused("s3://bucket/a/../b").contains("s3://bucket/a/../b"));
    assert!(refused("runs/first").contains("no address"));
}

/// With the address of a bucket on a server that speaks S3 in `STEADY_TEST_BUCKET`, and what it takes to get there in the environment.
#[test]
fn a_real_server_keeps_what_it_is_sent() {
    let Ok(address) = std::env::var("STEADY_TEST_BUCKET") else {
        eprintln!("LEFT OUT: no server that speaks S3; docs/scale.md says how one is started");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    // as a command does it: addresses become folders, and when it is done the bucket has what is in them
    let mut paths = [PathBuf::from(&address), PathBuf::from("runs/other"), PathBuf::from(format!("{address}/"))];
    let places = Places::open(&mut paths, &dir.path().join("mirrors"), |said| eprintln!("{said}")).unwrap();
    assert!(paths[0].is_dir() && paths[0] == paths[2] && paths[1] == Path::new("runs/other"), "{paths:?}");
    write(&paths[0], &[("plan.json", "of a command")]);
    places.finish().unwrap();
    let [here, there] = ["here", "there"].map(|name| dir.path().join(name));
    let mut mirror = Mirror::new(Bucket::open(&address).unwrap(), &here).unwrap();
    assert_eq!(mirror.pull().unwrap(), 1);
    assert_eq!(read(&here), BTreeMap::from([("plan.json".to_owned(), "of a command".to_owned())]));
    write(&here, &RUN);
    write(&here, &[("records/with space & #.parquet", "odd")]);
    assert_eq!(mirror.push().unwrap().sent, 6);
    let mut other = Mirror::new(Bucket::open(&address).unwrap(), &there).unwrap();
    assert_eq!(other.pull().unwrap(), 6);
    assert_eq!(read(&there), read(&here));
    fs::remove_file(here.join("plan.json")).unwrap();
    assert_eq!(mirror.push().unwrap(), Pushed { sent: 0, removed: 1 });
}
