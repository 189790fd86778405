//! Compiled programs: made side by side, and kept in the user's cache folder. A browser keeps them as it sees fit.

use std::{fs, path::Path, sync::Mutex};

use pollster::FutureExt;
use steady_gpu::{
    Gpu,
    kernels::{ALL, add},
};

use crate::support::best;

fn open(cache: &Path) -> Gpu {
    async { best().await.open(Some(cache)).await }.block_on().unwrap()
}

/// The one file in `folder`, and what it holds.
fn only_file(folder: &Path) -> (std::path::PathBuf, Vec<u8>) {
    let files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    (files[0].clone(), fs::read(&files[0]).unwrap())
}

#[test]
fn what_is_prepared_is_compiled_once() {
    let gpu = best().block_on().open(None).block_on().unwrap();
    let heard = Mutex::new(Vec::new());
    gpu.prepare(ALL, &|ready, of| heard.lock().unwrap().push((ready, of)));
    let mut heard = heard.into_inner().unwrap();
    heard.sort_unstable();
    assert_eq!(heard, (1..=ALL.len()).map(|ready| (ready, ALL.len())).collect::<Vec<_>>());
    let counts = gpu.counts();
    assert_eq!(counts.pipelines, ALL.len() as u64);
    assert_eq!(counts.wgsl_bytes, ALL.iter().map(|kernel| kernel.text().len() as u64).sum::<u64>());

    gpu.prepare(ALL, &|_, _| {});
    let x = gpu.rows(&[1.0, 2.0], [1, 2]);
    // A text that does not compile shows here.
    assert_eq!(gpu.read(&add(&gpu, &x, &x)).block_on(), Ok(vec![2.0, 4.0]));
    assert_eq!(gpu.counts().pipelines, counts.pipelines);
}

#[test]
fn compiled_programs_outlive_the_process() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("made when needed");
    let prepared = || {
        let gpu = open(&folder);
        gpu.prepare(&ALL[..2], &|_, _| {});
        let x = gpu.rows(&[3.0], [1, 1]);
        assert_eq!(gpu.read(&add(&gpu, &x, &x)).block_on(), Ok(vec![6.0]));
        gpu
    };
    if !format!("{:?}", prepared().info().backend).eq_ignore_ascii_case("vulkan") {
        assert!(!folder.exists(), "there is nothing to keep");
        return;
    }
    let (file, first) = only_file(&folder);
    for broken in [Vec::new(), first[..first.len() / 2].to_vec(), vec![7; first.len()]] {
        fs::write(&file, &broken).unwrap();
        prepared();
        let (again, bytes) = only_file(&folder);
        assert_eq!(again, file);
        assert_ne!(bytes, broken, "what is broken is written anew");
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_no_failure() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let gpu = open(&file.path().join("below a file"));
    gpu.prepare(&ALL[..1], &|_, _| {});
    assert_eq!(gpu.read(&gpu.rows(&[3.0], [1, 1])).block_on(), Ok(vec![3.0]));
}
