//! `--calibrate`: questions of somebody's own for quantizers that look at prompts.

use anyhow::{Context, Result, bail};
use steady_accel::{KeptLayers, PackedFolder};
use steady_bench::{BENCHMARKS, Benchmark, PostPrompts};
use steady_study::{CalibrateWith, CalibrationQuestions};
use steady_vlm::files::cache_home;
use steady_vlm::{Checkpoint, OpenDevice, Precision};

use crate::args::CalibrationArgs;
use crate::commands::study::say_what_is_odd;
use crate::console;

/// What the arguments say about calibrating.
pub(crate) struct Calibration {
    /// The benchmark that is to be calibrated with, if one is named.
    own: Option<Box<dyn Benchmark>>,
    /// Whether what comes of it is kept.
    keep: bool,
}

impl Calibration {
    /// Opens what the arguments name, in files: what the program draws itself is split in halves already, and of that nothing need be said.
    pub(crate) fn open(args: &CalibrationArgs) -> Result<Self> {
        let keep = !args.no_packed_cache;
        let Some(spec) = &args.calibrate else { return Ok(Self { own: None, keep }) };
        let of = || format!("--calibrate {spec}");
        let chosen = BENCHMARKS.find(spec).with_context(of)?;
        if !spec.contains(':') {
            bail!(
                "{}: name a benchmark with its files, like pope:DIR; without --calibrate the embedded world's training half is taken",
                of()
            );
        }
        let benchmark = chosen.open(0, &[]).with_context(of)?;
        say_what_is_odd(&*benchmark);
        Ok(Self { own: Some(benchmark), keep })
    }

    /// Refuses a benchmark that `asked` is too: what was calibrated with what it is asked says nothing about other questions.
    pub(crate) fn apart_from(self, asked: &dyn Benchmark) -> Result<Self> {
        match &self.own {
            Some(own) if own.fingerprint() == asked.fingerprint() => {
                bail!("--calibrate {}: these are the questions that are asked; calibrate with others", own.spec())
            }
            _ => Ok(self),
        }
    }

    /// Refuses a benchmark that nothing looks at: `prompts` is how many anything does.
    pub(crate) fn wanted_for(&self, prompts: usize) -> Result<()> {
        match &self.own {
            Some(own) if prompts == 0 => {
                bail!(
                    "--calibrate {}: none of the accelerations looks at prompts; w4:gptq, w4:awq, w8a8:smooth and vtw:search do",
                    own.spec()
                )
            }
            _ => Ok(()),
        }
    }

    /// Where packed layers of `checkpoint` are kept on this machine, if they are to be: `steady/packed` in the user's cache folder.
    pub(crate) fn kept<'a>(&self, checkpoint: &'a Checkpoint, device: &'a OpenDevice, precision: Precision) -> Option<PackedFolder<'a>> {
        let folder = cache_home().filter(|_| self.keep)?.join("steady").join("packed");
        let model = move || {
            let sha256 = checkpoint.sha256().map_err(|error| error.to_string())?;
            Ok(format!("{sha256} in {precision} on {}", device.identity))
        };
        Some(PackedFolder::new(folder, console::note, model))
    }

    /// What to calibrate with, `post_prompts` behind the questions as they stand behind those that are asked, and where what comes of it is kept.
    pub(crate) fn with<'a>(&'a self, post_prompts: &'a PostPrompts, kept: Option<&'a PackedFolder<'a>>) -> CalibrateWith<'a> {
        let questions = self.own.as_deref().map_or(CalibrationQuestions::Embedded, CalibrationQuestions::Benchmark);
        CalibrateWith { questions, post_prompts: Some(post_prompts), kept: kept.map(|kept| kept as &dyn KeptLayers) }
    }
}
