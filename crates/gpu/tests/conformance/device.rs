use std::collections::HashSet;

use steady_gpu::{
    Gpu,
    kernels::{ALL, stack},
};

use crate::support::{best, gpu, numbers};

/// One of its own: tests count what it has.
async fn open() -> Gpu {
    best().await.open(None).await.unwrap()
}

async fn kernels_are_few_and_small() {
    let names: HashSet<_> = ALL.iter().map(|kernel| kernel.name).collect();
    assert_eq!(names.len(), ALL.len(), "names are unique");
    // Of every format that weights are kept in. What a study takes of them is counted in `tests/tests/gpu.rs`, and is 30 at most.
    assert!(ALL.len() <= 40, "{} kernels", ALL.len());
    let bytes: usize = ALL.iter().map(|kernel| kernel.text().len()).sum();
    assert!(bytes < 200_000, "{bytes} bytes of WGSL");
    // What WebGPU grants everywhere.
    assert!(ALL.iter().all(|kernel| kernel.reads + kernel.writes <= 8));
}

async fn matrices_are_read_with_one_wait() {
    // Counts are a GPU's own: other tests read from the one they share.
    let gpu = open().await;
    let (a, b) = (numbers(7 * 5, 1), numbers(3, 2));
    let [x, y] = [gpu.rows(&a, [7, 5]), gpu.rows(&b, [1, 3])];
    let both = stack(&gpu, &[&x, &x]);
    let before = gpu.counts();
    let found = gpu.read_all(&[&both.slice(6..8), &y, &y.slice(1..1)]).await.unwrap();
    assert_eq!(found, [[&a[30..], &a[..5]].concat(), b, Vec::new()]);
    let after = gpu.counts();
    assert_eq!((after.reads, after.submissions), (before.reads + 1, before.submissions + 1));
    assert_eq!(gpu.read_all(&[]).await, Ok(Vec::new()));
    assert_eq!(gpu.counts().reads, after.reads);
}

async fn words_come_back_as_they_were() {
    let words = gpu().words(&[0, u32::MAX, 0x7fc0_0001]);
    assert_eq!(gpu().request(&words).wait().await, Ok(vec![0, u32::MAX, 0x7fc0_0001]));
    assert_eq!(gpu().request(&words.first(1)).wait().await, Ok(vec![0]));
}

crate::suite! {
    kernels_are_few_and_small,
    matrices_are_read_with_one_wait,
    words_come_back_as_they_were,
}
