use std::{collections::HashSet, fs, path::Path, sync::Mutex};

use pollster::FutureExt;
use steady_gpu::{
    Adapter, Gpu,
    kernels::{ALL, add, stack},
};

use crate::support::{gpu, numbers};

pub(crate) fn open(cache: Option<&Path>) -> Gpu {
    Adapter::best().block_on().unwrap().open(cache).block_on().unwrap()
}

/// The one file in `folder`, and what it holds.
fn only_file(folder: &Path) -> (std::path::PathBuf, Vec<u8>) {
    let files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    (files[0].clone(), fs::read(&files[0]).unwrap())
}

#[test]
fn kernels_are_few_and_small() {
    let names: HashSet<_> = ALL.iter().map(|kernel| kernel.name).collect();
    assert_eq!(names.len(), ALL.len(), "names are unique");
    assert!(ALL.len() <= 30, "{} kernels", ALL.len());
    let bytes: usize = ALL.iter().map(|kernel| kernel.text().len()).sum();
    assert!(bytes < 200_000, "{bytes} bytes of WGSL");
    // What WebGPU grants everywhere.
    assert!(ALL.iter().all(|kernel| kernel.reads + kernel.writes <= 8));
}

#[test]
fn what_is_prepared_is_compiled_once() {
    let gpu = open(None);
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
        let gpu = open(Some(&folder));
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
    let gpu = open(Some(&file.path().join("below a file")));
    gpu.prepare(&ALL[..1], &|_, _| {});
    assert_eq!(gpu.read(&gpu.rows(&[3.0], [1, 1])).block_on(), Ok(vec![3.0]));
}

#[test]
fn matrices_are_read_with_one_wait() {
    // Counts are a GPU's own: other tests read from the one they share.
    let gpu = open(None);
    let (a, b) = (numbers(7 * 5, 1), numbers(3, 2));
    let [x, y] = [gpu.rows(&a, [7, 5]), gpu.rows(&b, [1, 3])];
    let both = stack(&gpu, &[&x, &x]);
    let before = gpu.counts();
    let found = gpu.read_all(&[&both.slice(6..8), &y, &y.slice(1..1)]).block_on().unwrap();
    assert_eq!(found, [[&a[30..], &a[..5]].concat(), b, Vec::new()]);
    let after = gpu.counts();
    assert_eq!((after.reads, after.submissions), (before.reads + 1, before.submissions + 1));
    assert_eq!(gpu.read_all(&[]).block_on(), Ok(Vec::new()));
    assert_eq!(gpu.counts().reads, after.reads);
}

#[test]
fn words_come_back_as_they_were() {
    let words = gpu().words(&[0, u32::MAX, 0x7fc0_0001]);
    assert_eq!(gpu().request(&words).wait().block_on(), Ok(vec![0, u32::MAX, 0x7fc0_0001]));
    assert_eq!(gpu().request(&words.first(1)).wait().block_on(), Ok(vec![0]));
}
