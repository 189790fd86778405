//! How far the outputs of packed layers are from those in float, mean over layers, on prompts that calibration did not see: those of the embedded
//! suite's test half.
//!
//!     cargo run --release -p steady-study --example reconstruction -- models/steady-llava 64 w4:rtn w4:gptq,asym w4:awq
//!
//! A checkpoint, how many prompts, and specs of quantizers.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use pollster::FutureExt;
use steady_accel::Acceleration;
use steady_bench::world::EMBEDDED;
use steady_study::{CalibrateWith, CalibrationQuestions, quantize, reconstruct};
use steady_vlm::{Checkpoint, Device, Precision, Vlm};

#[expect(clippy::print_stdout, reason = "that is what it is for")]
fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().context("expected a checkpoint folder")?;
    let count = arguments.next().and_then(|count| count.parse().ok()).context("expected a number of prompts behind the folder")?;
    let model = Vlm::load(&Checkpoint::open(Path::new(&folder))?, &Device::Cpu, Precision::F32)?;
    let (suite, questions) = EMBEDDED.draw(count, &[])?;
    let other = CalibrateWith { questions: CalibrationQuestions::Benchmark(&*suite), ..CalibrateWith::default() };
    println!("{folder}, {} prompts: error of outputs in thousandths of their squares, mean over layers", questions.len());
    for spec in arguments {
        let acceleration = Acceleration::parse(&spec)?;
        let packed =
            quantize(&acceleration, &model, CalibrateWith::default()).block_on()?.with_context(|| format!("{spec} packs nothing"))?;
        let layers = reconstruct(&model, &packed, other, count).block_on()?;
        let mut kinds: BTreeMap<&str, (f64, usize)> = BTreeMap::new();
        for layer in &layers {
            let (sum, count) = kinds.entry(layer.linear.rsplit('.').next().unwrap_or_default()).or_default();
            (*sum, *count) = (*sum + layer.error, *count + 1);
        }
        let mean = layers.iter().map(|layer| layer.error).sum::<f64>() / layers.len().max(1) as f64;
        let kinds: Vec<String> = kinds.iter().map(|(kind, (sum, count))| format!("{kind} {:.2}", 1e3 * sum / *count as f64)).collect();
        println!("| `{spec}` | {:.2} | {} |", 1e3 * mean, kinds.join(", "));
    }
    Ok(())
}
