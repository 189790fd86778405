//! `steady guard`: a threshold below which the baseline answers instead.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use steady_study::Folder;
use steady_verdict::{Guarantee, Guard, Risk, TooFew, Wanted};

use crate::args::GuardArgs;
use crate::commands::gate::{INCONCLUSIVE, write};
use crate::commands::runs;
use crate::{console, model};

/// What `--json` prints where a guarantee takes more images.
#[derive(Serialize)]
struct Refused {
    too_few: TooFew,
}

pub(crate) fn run(args: &GuardArgs) -> Result<ExitCode> {
    let run = match &args.run {
        Some(run) => run.clone(),
        None => runs::newest()?,
    };
    let mut report = runs::read(&run)?;
    if run.is_dir() {
        // what is saved is told in seconds too, where they were measured
        let seconds = Folder::open(&run)?.seconds()?;
        report = report.timed(|acceleration| seconds.get(acceleration).copied())?;
    }
    let specs: Vec<&str> = report.accelerations().iter().map(|acceleration| acceleration.spec.as_str()).collect();
    let spec = match (&args.acceleration, specs.as_slice()) {
        (Some(spec), _) => model::spelt(spec),
        (None, [only]) => (*only).to_owned(),
        (None, _) => bail!("--accel is needed: {} has {}", run.display(), specs.join(", ")),
    };
    let (risk, limit) = match (args.max_ndr, args.max_dr) {
        (Some(limit), _) => (Risk::Ndr, limit.0),
        (None, Some(limit)) => (Risk::Dr, limit.0),
        (None, None) => bail!("one of --max-ndr and --max-dr is needed"),
    };
    let guarantee =
        args.confidence.map_or(Guarantee::ConformalRiskControl, |confidence| Guarantee::LearnThenTest { confidence: confidence.0 });
    let wanted = Wanted { spec, risk, limit, guarantee, calibrate: args.calibrate.0, seed: args.seed };
    let guard = match Guard::choose(&report, &run.display().to_string(), &wanted)? {
        Ok(guard) => guard,
        Err(too_few) => {
            if args.json {
                console::json(&Refused { too_few })?;
            } else {
                console::result(&format!(
                    "INCONCLUSIVE: {} images to choose a threshold on are too few for this guarantee, whatever they show; it takes {} at least",
                    too_few.images, too_few.needed
                ))?;
            }
            return Ok(ExitCode::from(INCONCLUSIVE));
        }
    };
    write(&args.out, &format!("{}\n", serde_json::to_string_pretty(&guard)?))?;
    let svg = args.out.with_extension("svg");
    write(&svg, &guard.curve_svg())?;
    if args.json {
        console::json(&guard)?;
    } else {
        console::result(&format!("{}\nGuard: {}\nCurve: {}", guard.told(), args.out.display(), svg.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The guard in a file.
pub(crate) fn read(file: &Path) -> Result<Guard> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(Guard::read(&text, &file.display().to_string())?)
}
