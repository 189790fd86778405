//! Quantizers that calibrate do better than rounding at what they set out to do, on prompts that they did not see.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;

use pollster::FutureExt;
use steady_accel::{AccelError, Acceleration, Samples, reconstruction};
use steady_bench::Benchmark;
use steady_bench::world::EmbeddedSuite;
use steady_study::CalibrateWith;
use steady_vlm::{Checkpoint, Device, Precision, Prepared, Vlm};

/// Questions of the suite's test half, which no calibration sees.
struct Asked<'a>(EmbeddedSuite, &'a Vlm);

impl Samples for Asked<'_> {
    fn count(&self) -> usize {
        self.0.questions().len()
    }

    fn sample(&self, index: usize) -> Result<Prepared, AccelError> {
        let question = &self.0.questions()[index];
        Ok(self.1.prepare(&self.0.image(&question.image).unwrap(), &self.1.prompt(&question.text).unwrap()).unwrap())
    }
}

#[test]
fn outputs_are_nearer_to_those_in_float() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/steady-qwen2.5-vl");
    let model = Vlm::load(&Checkpoint::open(&folder).unwrap(), &Device::Cpu, Precision::F32).unwrap();
    let asked = Asked(EmbeddedSuite::test(2), &model);
    let mean = |spec: &str| {
        let packed =
            steady_study::quantize(&Acceleration::parse(spec).unwrap(), &model, CalibrateWith::default()).block_on().unwrap().unwrap();
        let layers = reconstruction(&model, &packed, &asked).block_on().unwrap();
        assert_eq!(layers.len(), packed.packed_linears().len());
        layers.iter().map(|layer| layer.error).sum::<f64>() / layers.len() as f64
    };
    let rounded = mean("w4:rtn");
    assert!(mean("w8:rtn") < rounded / 100.0);
    assert!(mean("w4:gptq,asym,n=32") < 0.8 * rounded);
    assert!(mean("w4:awq,n=32") < rounded);
}
