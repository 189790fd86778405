//! `steady locate`: the layers in which a quantizer breaks answers, and which of them are worth leaving in float or in 8 bits.

use anyhow::{Result, bail};
use steady_accel::memory::stored_bytes;
use steady_accel::{Acceleration, Grain};
use steady_bench::BENCHMARKS;
use steady_methods::W4_RTN;
use steady_report::Report;
use steady_vlm::Checkpoint;

use crate::args::{GrainArg, LocateArgs};
use crate::commands::report::Published;
use crate::commands::study::{Beside, asked_for, study};
use crate::model;

pub(crate) fn run(args: &LocateArgs) -> Result<()> {
    let grain = match args.by {
        GrainArg::Block => Grain::Block,
        GrainArg::Kind => Grain::Kind,
        GrainArg::Layer => Grain::Layer,
    };
    let wholes = asked_for(&args.study, &[W4_RTN.name])?;
    let (bench, choose) = (BENCHMARKS.find(&args.bench)?, || model::choose(&args.model));
    let located = |checkpoint: &Checkpoint| {
        let footprint = checkpoint.footprint()?;
        for whole in &wholes {
            let stored = stored_bytes(&footprint, whole)?;
            if let Some(size) = args.mixed.filter(|size| *size < stored) {
                bail!("--mixed {size}: {whole} takes {stored} bytes with no more layers in float; give more");
            }
        }
        let mut each = Vec::new();
        for whole in &wholes {
            each.extend(whole.with_each_in_float(&footprint, grain)?);
            if args.mixed.is_some() {
                each.extend(whole.with_each_in_eight_bits(&footprint, grain)?);
            }
        }
        Ok(each)
    };
    let published = study(choose, &located, Beside::default(), &bench, args.study.out.clone(), &args.study)?;
    let (Some(Published { report, file }), Some(size)) = (published, args.mixed) else { return Ok(()) };
    let mixed = wholes.iter().map(|whole| Ok([whole.clone(), mixed(&report, whole, size)?])).collect::<Result<Vec<_>>>()?.concat();
    let folder = file.parent().map(|folder| folder.join("mixed"));
    study(choose, &|_| Ok(mixed.clone()), Beside::default(), &bench, folder, &args.study).map(drop)
}

/// `whole` with the layers in float or in 8 bits that bring most back, as many as fit into files of `size` bytes.
fn mixed(report: &Report, whole: &Acceleration, size: u64) -> Result<Acceleration> {
    let spec = whole.to_string();
    let packed = report.accelerations().iter().find(|acceleration| acceleration.spec == spec);
    let stored = packed.and_then(|acceleration| acceleration.cost.stored_bytes).unwrap_or_default();
    let more = size.saturating_sub(stored);
    let sensitivities = report.sensitivities();
    let of_spec = sensitivities.iter().filter(|sensitivity| sensitivity.whole.spec == spec);
    let chosen: Vec<_> = of_spec.flat_map(|sensitivity| sensitivity.within(more)).collect();
    if chosen.is_empty() {
        bail!(
            "--mixed {size}: {spec} takes {stored} bytes, and no layers that bring answers back fit into the rest; give more, or try --by layer"
        );
    }
    let float: Vec<&str> = chosen.iter().map(|part| part.layers).filter(|layers| !layers.is_empty()).collect();
    let eight: Vec<&str> = chosen.iter().map(|part| part.eight).filter(|layers| !layers.is_empty()).collect();
    Ok(whole.mixed(&float, &eight)?)
}
