//! A public data set, whole: the test half of easy-VQA, asked of an embedded model that was trained on the other half beside its own world.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod process;

use std::fs;
use std::path::PathBuf;

use process::{succeed, text};
use serde_json::Value;

/// Names the folder that the package is unpacked in.
const PACKAGE: &str = "STEADY_EASY_VQA";

#[test]
#[ignore = "takes the package easy-vqa from PyPI, which `cargo xtask test` fetches"]
fn a_public_data_set_is_asked_whole() {
    let package = PathBuf::from(std::env::var_os(PACKAGE).unwrap_or_else(|| panic!("{PACKAGE} names no folder")));
    let dir = tempfile::tempdir().unwrap();
    let (out, bench) = (dir.path().join("run"), format!("easy-vqa:{}", text(&package)));
    let study = ["run", "--model", "steady-llava", "--device", "cpu", "--bench", &bench, "--questions", "9673", "--control", "none"];
    let accelerations =
        ["--accel", "w4:rtn", "--accel", "int8", "--accel", "divprune:keep=0.33", "--accel", "fastv:k=2,keep=0.5", "--accel", "blind"];
    succeed(&[&study[..], &accelerations, &["--out", text(&out)]].concat());
    let report: Value = serde_json::from_slice(&fs::read(out.join("report.json")).unwrap()).unwrap();
    assert_eq!(report["questions"].as_array().unwrap().len(), 9673);
    let of = |spec: &str, figure: &str| {
        let all = report["summary"]["accelerations"].as_object().unwrap();
        let (_, one) = all.iter().find(|(name, _)| name.starts_with(spec)).unwrap();
        one[figure]["value"].as_f64().unwrap()
    };
    let before = of("w4:rtn", "accuracy_before");
    assert!(before >= 0.95, "{before}");
    // without its eyes it hardly says what can be read
    assert!(of("blind", "accuracy_after") < 0.5);
    // packed weights leave what it knows; a third of the visual tokens does not
    for (spec, least, most) in [("w4:rtn", 0.99, 1.0), ("int8", 0.99, 1.0), ("divprune", 0.7, 0.95), ("fastv", 0.9, 0.99)] {
        let after = of(spec, "accuracy_after");
        println!("{spec}: accuracy {:.2} -> {:.2} %, {:.2} % of the answers change", 100.0 * before, 100.0 * after, 100.0 * of(spec, "dr"));
        assert!((least..=most).contains(&after), "{spec}: {after}");
    }
}
