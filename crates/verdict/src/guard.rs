//! The guard: where the accelerated model is unsure, the baseline answers instead.
//!
//! The accelerated model answers first. If its first token leads by less than a threshold, in logits, its answer is dropped and the baseline is asked. The
//! higher the threshold, the less breaks and the less is saved. The threshold is the lowest that keeps what breaks under a limit on a calibration part of
//! the images, by a rule whose guarantee holds for every number of images and whatever the model ([`risk`]). It is then tried on the others.

mod curve;
mod risk;
mod split;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use steady_report::statistics::design::effect;
use steady_report::statistics::exact::at_most;
use steady_report::{AccelerationReport, Flag, Outcome, Report};

pub use risk::{Guarantee, Risk};

use crate::error::{VerdictError, there_are};

/// What a guard's file says it is.
const FORMAT: &str = "steady-guard/1";

/// Points that a curve is thinned to.
const POINTS: usize = 200;

/// What a guard is to do.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// The acceleration's spec.
    pub spec: String,
    /// What is to stay rare.
    pub risk: Risk,
    /// In at most this share of an image's questions.
    pub limit: f64,
    /// How that is guaranteed.
    pub guarantee: Guarantee,
    /// Share of the images that the threshold is chosen on; it is tried on the others.
    pub calibrate: f64,
    /// Seed of which images those are.
    pub seed: u64,
}

/// A threshold, what it was chosen for, and what it did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guard {
    /// Version of the file.
    format: String,
    /// The model.
    pub model: String,
    /// SHA-256 of its checkpoint.
    pub checkpoint_sha256: String,
    /// The acceleration's spec.
    pub spec: String,
    /// What weights were kept as and computed in.
    pub precision: String,
    /// What computed.
    pub device: String,
    /// The benchmark.
    pub benchmark: String,
    /// Its fingerprint.
    pub benchmark_fingerprint: String,
    /// SHA-256 of the plan; empty where it is not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub plan_sha256: String,
    /// What is to stay rare.
    pub risk: Risk,
    /// In at most this share of an image's questions.
    pub limit: f64,
    /// How that is guaranteed.
    pub guarantee: Guarantee,
    /// Seed of the split.
    pub seed: u64,
    /// Where the accelerated model's first token leads by less, in logits, the baseline answers.
    pub threshold: f32,
    /// What the guard does to the images that the threshold was chosen on.
    pub calibration: Part,
    /// And to the others.
    pub held_out: Part,
    /// What it saves, by the held-out images.
    pub cost: Cost,
    /// What other thresholds would do to the held-out images, from the one that keeps every answer to the one that keeps none.
    pub curve: Vec<Point>,
}

/// What the guard does to some images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Images.
    pub images: usize,
    /// Questions about them.
    pub questions: u64,
    /// Share of questions that the accelerated model answers.
    pub coverage: f64,
    /// Without a guard: the mean over the images of the share of an image's questions that break, or change.
    pub risk_without: f64,
    /// The same with the guard.
    pub risk: f64,
    /// With 95 % confidence it is no more with the guard, over questions (exact, by image); `None` without images.
    pub at_most: Option<f64>,
}

/// What a guarded question costs, as a multiple of one that the baseline answers. A question that is asked twice costs both.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// Floating-point operations, without the guard.
    pub flops_without: f64,
    /// With it.
    pub flops: f64,
    /// Time, without the guard, where it was measured.
    pub seconds_without: Option<f64>,
    /// With it.
    pub seconds: Option<f64>,
}

/// One threshold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// In logits; `None` above every lead.
    pub threshold: Option<f32>,
    /// Share of questions that the accelerated model answers.
    pub coverage: f64,
    /// As [`Part::risk`].
    pub risk: f64,
}

impl Guard {
    /// Chooses a threshold by the answers about clean images.
    ///
    /// # Errors
    /// [`VerdictError::Unknown`] for a spec that the run does not have, [`VerdictError::Runs`] where leads are not recorded, or where so few images
    /// cannot give the guarantee at any threshold: it says how many do.
    pub fn choose(report: &Report, run: &str, wanted: &Wanted) -> Result<Result<Self, TooFew>, VerdictError> {
        let Some(acceleration) = report.accelerations().iter().find(|acceleration| acceleration.spec == wanted.spec) else {
            let are = there_are(report.accelerations().iter().map(|acceleration| acceleration.spec.as_str()));
            let (rule, found) = ("--accel".to_owned(), wanted.spec.clone());
            return Err(VerdictError::Unknown { rule, what: "acceleration", found, run: run.to_owned(), are });
        };
        if wanted.risk == Risk::Ndr && !report.judged() {
            return Err(VerdictError::Runs(format!(
                "{run} has no right answers, so nothing is known to break; --max-dr is what a guard can keep"
            )));
        }
        let images = images(report, acceleration, wanted.risk).ok_or_else(|| {
            VerdictError::Runs(format!(
                "{run} does not hold by how much first tokens led: a guard needs the run itself or its report.json, not what a link carries"
            ))
        })?;
        let (calibration, held_out) = split::by_image(images, wanted.calibrate, wanted.seed);
        let Some(threshold) = risk::threshold(&calibration, wanted.limit, wanted.guarantee) else {
            return Ok(Err(TooFew { images: calibration.len(), needed: wanted.guarantee.images_needed(wanted.limit) }));
        };
        let plan = report.plan();
        let held = part(&held_out, threshold);
        Ok(Ok(Self {
            format: FORMAT.to_owned(),
            model: plan.model.clone(),
            checkpoint_sha256: plan.checkpoint_sha256.clone(),
            spec: wanted.spec.clone(),
            precision: plan.precision.clone(),
            device: plan.device.clone(),
            benchmark: plan.benchmark.clone(),
            benchmark_fingerprint: plan.benchmark_fingerprint.clone(),
            plan_sha256: plan.plan_sha256.clone(),
            risk: wanted.risk,
            limit: wanted.limit,
            guarantee: wanted.guarantee,
            seed: wanted.seed,
            threshold,
            calibration: part(&calibration, threshold),
            held_out: held,
            cost: cost(report, acceleration, if held.images > 0 { held.coverage } else { part(&calibration, threshold).coverage }),
            curve: points(if held_out.is_empty() { &calibration } else { &held_out }),
        }))
    }

    /// Reads a guard's file. `file` is its name for messages.
    ///
    /// # Errors
    /// [`VerdictError::Guard`] naming the field.
    pub fn read(text: &str, file: &str) -> Result<Self, VerdictError> {
        let wrong = |reason: String| VerdictError::Guard { file: file.to_owned(), reason };
        let guard: Self = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
        if guard.format != FORMAT {
            return Err(wrong(format!("`format` is {:?}, expected {FORMAT:?}", guard.format)));
        }
        if !(guard.threshold.is_finite() && guard.threshold >= 0.0) {
            return Err(wrong(format!("`threshold` is {}, expected a finite number >= 0", guard.threshold)));
        }
        Ok(guard)
    }

    /// Whether the accelerated model's answer stands, if its first token led by so many logits.
    pub fn keeps(&self, lead: f32) -> bool {
        lead >= self.threshold
    }

    /// Whether the held-out images keep the limit, as observed; `None` without any.
    pub fn holds(&self) -> Option<bool> {
        (self.held_out.images > 0).then_some(self.held_out.risk <= self.limit)
    }

    /// What it does, for people: a line each for the threshold, both parts of the images, and the cost.
    pub fn told(&self) -> String {
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        let risk = self.risk.label();
        let sure = match self.guarantee {
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
                self.spec,
                self.model,
                self.threshold,
                percent(self.limit)
            ),
            part("calibration", &self.calibration),
        ];
        match self.holds() {
            None => lines.push("held out: no images".to_owned()),
            Some(holds) => {
                let verdict = if holds { "under the limit" } else { "above the limit, as such images may be by chance" };
                lines.push(format!("{}; {verdict}", part("held out", &self.held_out)));
            }
        }
        let flops = format!("cost of a question, the baseline's = 1: FLOPs {:.2} -> {:.2}", self.cost.flops_without, self.cost.flops);
        let seconds = self.cost.seconds_without.zip(self.cost.seconds);
        let seconds = seconds.map_or_else(String::new, |(without, with)| format!(", time {without:.2} -> {with:.2}"));
        lines.push(format!("{flops}{seconds}; both models are in memory"));
        lines.join("\n")
    }

    /// The risk-coverage curve of the held-out images as an SVG file.
    pub fn curve_svg(&self) -> String {
        curve::svg(self)
    }
}

/// So few images cannot give a guarantee at any threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TooFew {
    /// Images that a threshold was to be chosen on.
    pub images: usize,
    /// How many it takes at least, if nothing breaks.
    pub needed: u64,
}

/// The answers about an image, as far as a guard looks at them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Image {
    /// By question: the lead of the accelerated model's first token, in logits, and whether what is to stay rare became of it.
    pub(crate) answers: Vec<(f32, bool)>,
}

/// By image in the order of their names; `None` where a lead is not known.
fn images(report: &Report, acceleration: &AccelerationReport, risk: Risk) -> Option<Vec<Image>> {
    let mut images: BTreeMap<&str, Image> = BTreeMap::new();
    for (i, (question, answer)) in report.questions().iter().zip(&acceleration.answers).enumerate() {
        if report.condition(i) > 0 {
            break;
        }
        let outcome = answer.outcome.unwrap_or(Outcome::Same);
        // an answer without finite logits has no lead, and is never kept
        let lost = report.flag(i, &acceleration.spec) == Some(Flag::NoAnswer);
        let lead = if lost { f32::NEG_INFINITY } else { answer.margin? };
        images.entry(&question.image).or_insert_with(|| Image { answers: Vec::new() }).answers.push((lead, risk.is(outcome)));
    }
    Some(images.into_values().collect())
}

fn part(images: &[Image], threshold: f32) -> Part {
    let questions: usize = images.iter().map(|image| image.answers.len()).sum();
    let kept: usize = images.iter().flat_map(|image| &image.answers).filter(|(lead, _)| *lead >= threshold).count();
    let harms: Vec<(f64, f64)> = images.iter().map(|image| (image.harmed(threshold) as f64, image.answers.len() as f64)).collect();
    let (count, effect) = (harms.iter().map(|harm| harm.0).sum::<f64>(), effect(&harms));
    Part {
        images: images.len(),
        questions: questions as u64,
        coverage: if questions == 0 { 0.0 } else { kept as f64 / questions as f64 },
        risk_without: risk::mean(images, f32::NEG_INFINITY),
        risk: risk::mean(images, threshold),
        at_most: at_most(count / effect, questions as f64 / effect, 0.95),
    }
}

fn cost(report: &Report, acceleration: &AccelerationReport, coverage: f64) -> Cost {
    let (base, ours) = (&report.measurements().baseline_cost, &acceleration.cost);
    let ratio = |ours: f64, base: f64| if base > 0.0 { ours / base } else { 1.0 };
    let flops = ratio(ours.flops, base.flops);
    let seconds = ours.seconds.zip(base.seconds).map(|(ours, base)| ratio(ours, base));
    let guarded = |ours: f64| ours + 1.0 - coverage;
    Cost { flops_without: flops, flops: guarded(flops), seconds_without: seconds, seconds: seconds.map(guarded) }
}

/// Every threshold at which something changes, thinned.
fn points(images: &[Image]) -> Vec<Point> {
    let mut thresholds: Vec<f32> = images.iter().flat_map(|image| &image.answers).map(|(lead, _)| lead.max(0.0)).collect();
    thresholds.push(0.0);
    thresholds.sort_by(f32::total_cmp);
    thresholds.dedup();
    let step = thresholds.len().div_ceil(POINTS).max(1);
    let mut points: Vec<Point> = thresholds
        .into_iter()
        .step_by(step)
        .map(|threshold| {
            let Part { coverage, risk, .. } = part(images, threshold);
            Point { threshold: Some(threshold), coverage, risk }
        })
        .collect();
    points.push(Point { threshold: None, coverage: 0.0, risk: 0.0 });
    points
}
