//! Quantizers that calibrate do better than rounding at what they set out to do, on prompts that they did not see.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;

use pollster::FutureExt;
use steady_accel::Acceleration;
use steady_bench::Benchmark;
use steady_bench::world::EmbeddedSuite;
use steady_study::{CalibrateWith, CalibrationQuestions, quantize, reconstruct};
use steady_vlm::{Checkpoint, Device, Precision, Vlm};

#[test]
fn outputs_are_nearer_to_those_in_float() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/steady-qwen2.5-vl");
    let model = Vlm::load(&Checkpoint::open(&folder).unwrap(), &Device::Cpu, Precision::F32).unwrap();
    // of the suite's test half, which no calibration sees
    let asked = EmbeddedSuite::test(2);
    let mean = |spec: &str| {
        let packed = quantize(&Acceleration::parse(spec).unwrap(), &model, CalibrateWith::default()).block_on().unwrap().unwrap();
        let other = CalibrateWith { questions: CalibrationQuestions::Benchmark(&asked), ..CalibrateWith::default() };
        let layers = reconstruct(&model, &packed, other, asked.questions().len()).block_on().unwrap();
        assert_eq!(layers.len(), packed.packed_linears().len());
        layers.iter().map(|layer| layer.error).sum::<f64>() / layers.len() as f64
    };
    let rounded = mean("w4:rtn");
    assert!(mean("w8:rtn") < rounded / 100.0);
    assert!(mean("w4:gptq,asym,n=32") < 0.8 * rounded);
    assert!(mean("w4:awq,n=32") < rounded);
}
