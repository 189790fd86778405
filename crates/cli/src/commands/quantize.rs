//! `steady quantize`: what an acceleration does to the weights, written as a checkpoint that other tools load.

use anyhow::{Context, Result, bail};
use pollster::FutureExt;
use steady_accel::Acceleration;
use steady_vlm::files::Layout;
use steady_vlm::{Checkpoint, DeviceChoice};

use crate::args::{LayoutArg, QuantizeArgs};
use crate::calibration::Calibration;
use crate::{console, embedded, model};

pub(crate) fn run(args: &QuantizeArgs) -> Result<()> {
    let spec = &args.acceleration;
    let acceleration = Acceleration::parse(spec).with_context(|| format!("--accel {spec}"))?;
    if acceleration.quantizer().is_none() || acceleration.reducer().is_some() || acceleration.cache_bits().is_some() {
        bail!("--accel {spec}: a checkpoint holds weights; give a quantizer alone, like w4:gptq");
    }
    let layout = match args.format {
        LayoutArg::CompressedTensors => Layout::CompressedTensors,
        LayoutArg::Awq => Layout::Awq,
        LayoutArg::Gptq => Layout::Gptq,
        LayoutArg::Gguf => Layout::Gguf,
    };
    let out = &args.out;
    if out.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
        bail!("--out {}: is not empty; give a folder that is, or a new one", out.display());
    }
    let calibration = Calibration::open(&args.calibration)?;
    let checkpoint = model::choose(&args.model)?.checkpoint;
    let (device, precision) = (DeviceChoice::Cpu.open()?, model::precision(args.dtype, &checkpoint)?);
    let base = model::load(&checkpoint, &device, precision)?;
    let prompts = acceleration.calibrates_with(&base)?;
    calibration.wanted_for(prompts)?;
    let knows_form = prompts == 0 || embedded::holds(&checkpoint.sha256()?)?;
    let (post_prompts, _) = args.post_prompt.chosen(knows_form);
    let kept = calibration.kept(&checkpoint, &device, precision);
    let packed = steady_study::quantize(&acceleration, &base, calibration.with(&post_prompts, kept.as_ref()))
        .block_on()?
        .with_context(|| format!("--accel {spec}: packs nothing"))?;
    checkpoint.publish(&packed, layout, out).with_context(|| format!("--format {} of {acceleration}", layout.name()))?;
    let written = Checkpoint::open(out).and_then(|written| written.footprint()).context("what was written")?;
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    console::result(&format!(
        "{}: {acceleration} as {}, {:.1} MB of {:.1} MB. What it does to answers: steady run --model {} --against {}",
        out.display(),
        layout.name(),
        megabytes(written.stored_bytes()),
        megabytes(checkpoint.footprint()?.stored_bytes()),
        args.model.model.as_deref().map_or_else(|| checkpoint.name().to_owned(), |model| model.display().to_string()),
        out.display(),
    ))
}
