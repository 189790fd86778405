//! `steady guard`: a threshold below which the baseline answers instead.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use steady_study::Folder;
use steady_verdict::{Guarantee, Guard, Part, Risk, TooFew, Wanted};

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
        console::result(&format!("{}\nGuard: {}\nCurve: {}", told(&guard), args.out.display(), svg.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn told(guard: &Guard) -> String {
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    let risk = guard.risk.label();
    let sure = match guard.guarantee {
        Guarantee::ConformalRiskControl => "on average over choices like this one".to_owned(),
        Guarantee::LearnThenTest { confidence } => format!("with {} confidence", percent(confidence)),
    };
    let part = |name: &str, part: &Part| {
        let bound = part.at_most.map_or_else(String::new, |bound| format!(" (at most {}, 95 % sure)", percent(bound)));
        format!(
            "{name}: {} questions about {} images: the accelerated model answers {}, {risk} {} -> {}{bound}",
            part.questions,
            part.images,
            percent(part.coverage),
            percent(part.risk_without),
            percent(part.risk)
        )
    };
    let mut lines = vec![
        format!(
            "{} on {}: where its first token leads by less than {:.3} logits the baseline answers; {risk} stays under {} of a new image's questions, {sure}",
            guard.spec,
            guard.model,
            guard.threshold,
            percent(guard.limit)
        ),
        part("calibration", &guard.calibration),
    ];
    match guard.holds() {
        None => lines.push("held out: no images".to_owned()),
        Some(holds) => {
            let verdict = if holds { "under the limit" } else { "above the limit, as such images may be by chance" };
            lines.push(format!("{}; {verdict}", part("held out", &guard.held_out)));
        }
    }
    let flops = format!("cost of a question, the baseline's = 1: FLOPs {:.2} -> {:.2}", guard.cost.flops_without, guard.cost.flops);
    let seconds = guard.cost.seconds_without.zip(guard.cost.seconds);
    let seconds = seconds.map_or_else(String::new, |(without, with)| format!(", time {without:.2} -> {with:.2}"));
    lines.push(format!("{flops}{seconds}; both models are in memory"));
    lines.join("\n")
}

/// The guard in a file.
pub(crate) fn read(file: &Path) -> Result<Guard> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(Guard::read(&text, &file.display().to_string())?)
}
