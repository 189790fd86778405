//! Quantizers that calibrate do better than rounding at what they set out to do, on prompts that they did not see.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;

use pollster::FutureExt;
use steady_accel::{Acceleration, Reconstruction};
use steady_bench::Benchmark;
use steady_bench::world::EmbeddedSuite;
use steady_study::{CalibrateWith, CalibrationQuestions, quantize, reconstruct};
use steady_vlm::{Checkpoint, Device, Precision, Vlm};

fn model(name: &str) -> Vlm {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models").join(name);
    Vlm::load(&Checkpoint::open(&folder).unwrap(), &Device::Cpu, Precision::F32).unwrap()
}

/// What became of the layers that are packed, on prompts of the suite's test half, which no calibration sees.
fn reconstructed(model: &Vlm, spec: &str) -> Vec<Reconstruction> {
    let asked = EmbeddedSuite::test(2);
    let packed = quantize(&Acceleration::parse(spec).unwrap(), model, CalibrateWith::default()).block_on().unwrap().unwrap();
    let other = CalibrateWith { questions: CalibrationQuestions::Benchmark(&asked), ..CalibrateWith::default() };
    reconstruct(model, &packed, other, asked.questions().len()).block_on().unwrap()
}

/// Mean error of the `layers` that `chosen` picks, of which there are `count`.
fn mean(layers: &[Reconstruction], count: usize, chosen: impl Fn(&str) -> bool) -> f64 {
    let errors: Vec<f64> = layers.iter().filter(|layer| chosen(&layer.linear)).map(|layer| layer.error).collect();
    assert_eq!(errors.len(), count);
    errors.iter().sum::<f64>() / errors.len() as f64
}

#[test]
fn outputs_are_nearer_to_those_in_float() {
    let model = model("steady-qwen2.5-vl");
    let mean = |spec: &str| mean(&reconstructed(&model, spec), 28, |_| true);
    let rounded = mean("w4:rtn");
    assert!(mean("w8:rtn") < rounded / 100.0);
    assert!(mean("w4:gptq,asym,n=32") < 0.8 * rounded);
    assert!(mean("w4:awq,n=32") < rounded);
}

/// The tower's layers and the projector's, each kind of tower: separate queries, keys and values, or all in one; an MLP with a gate or without. Of
/// LLaVA's tower the last layer is passed by nothing.
#[test]
fn so_are_those_of_towers_and_projectors() {
    for (name, tower, projector) in [("steady-llava", 24, 2), ("steady-qwen2-vl", 16, 2), ("steady-qwen2.5-vl", 20, 2)] {
        let model = model(name);
        let of = |spec: &str| reconstructed(&model, &format!("{spec},vision,projector"));
        let [rounded, gptq, awq] = ["w4:rtn", "w4:gptq,asym,n=6", "w4:awq,n=6"].map(of);
        let in_projector = |linear: &str| linear.starts_with("multi_modal_projector.") || linear.starts_with("visual.merger.");
        for (part, count, projects) in [("tower", tower, false), ("projector", projector, true)] {
            let mean = |layers: &[Reconstruction]| {
                mean(layers, count, |linear| !linear.starts_with("language_model.") && in_projector(linear) == projects)
            };
            let [rounded, gptq, awq] = [&rounded, &gptq, &awq].map(|layers| mean(layers));
            assert!(gptq < 0.8 * rounded && awq < rounded, "{name}, {part}: {rounded} rounded, {gptq} by GPTQ, {awq} by AWQ");
        }
    }
}
