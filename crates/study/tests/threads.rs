//! However many threads a study has, it records the same.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use pollster::FutureExt;
use steady_accel::Acceleration;
use steady_bench::world::EMBEDDED;
use steady_study::{Folder, Subject, Variants, run};
use steady_vlm::{Checkpoint, Decoding, Device, Precision, Vlm};

/// Record parts of a study of so many threads.
fn records(model: &str, threads: usize) -> Vec<Vec<u8>> {
    let checkpoint = Checkpoint::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models").join(model)).unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| {
        let model = Vlm::load(&checkpoint, &Device::Cpu, Precision::F32).unwrap();
        let specs = ["w4:rtn", "int8", "divprune:keep=0.33", "fastv:k=2,keep=0.5", "kv4"];
        let accelerations = specs.map(|spec| Acceleration::parse(spec).unwrap());
        let variants = Variants::build(model, &accelerations, Decoding::default()).block_on().unwrap();
        assert_eq!(variants.lanes(threads), threads);
        let (suite, questions) = EMBEDDED.draw(24, &[]).unwrap();
        let clean = steady_records::plan::perturbations(&[]).unwrap();
        let plan = variants.plan(&[], &checkpoint.sha256().unwrap(), "cpu", &*suite, &questions, clean).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::create(dir.path(), &plan, &questions).unwrap();
        run(&folder, &*suite, &variants, &AtomicBool::new(false), &mut |_| ()).block_on().unwrap();
        let files = fs::read_dir(dir.path().join("records")).unwrap().map(|entry| entry.unwrap().path());
        let mut parts: Vec<_> = files.filter(|path| path.extension().is_some_and(|ending| ending == "parquet")).collect();
        parts.sort();
        parts.iter().map(|part| fs::read(part).unwrap()).collect()
    })
}

#[test]
fn records_do_not_depend_on_threads() {
    for model in ["steady-llava", "steady-qwen2.5-vl"] {
        let one = records(model, 1);
        assert!(!one.is_empty());
        for threads in [2, 5] {
            assert!(records(model, threads) == one, "{model} with {threads} threads");
        }
    }
}
