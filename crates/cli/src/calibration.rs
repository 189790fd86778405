//! `--calibrate`: questions of somebody's own for quantizers that look at prompts.

use anyhow::{Context, Result, bail};
use steady_bench::{BENCHMARKS, Benchmark, PostPrompts};
use steady_study::{CalibrateWith, CalibrationQuestions};

use crate::args::CalibrationArgs;
use crate::commands::study::say_what_is_odd;

/// The benchmark that is to be calibrated with, if one is named.
pub(crate) struct Calibration(Option<Box<dyn Benchmark>>);

impl Calibration {
    /// Opens what the arguments name, in files: what the program draws itself is split in halves already, and of that nothing need be said.
    pub(crate) fn open(args: &CalibrationArgs) -> Result<Self> {
        let Some(spec) = &args.calibrate else { return Ok(Self(None)) };
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
        Ok(Self(Some(benchmark)))
    }

    /// Refuses a benchmark that `asked` is too: what was calibrated with what it is asked says nothing about other questions.
    pub(crate) fn apart_from(self, asked: &dyn Benchmark) -> Result<Self> {
        match &self.0 {
            Some(own) if own.fingerprint() == asked.fingerprint() => {
                bail!("--calibrate {}: these are the questions that are asked; calibrate with others", own.spec())
            }
            _ => Ok(self),
        }
    }

    /// Refuses a benchmark that nothing looks at: `prompts` is how many anything does.
    pub(crate) fn wanted_for(&self, prompts: usize) -> Result<()> {
        match &self.0 {
            Some(own) if prompts == 0 => {
                bail!(
                    "--calibrate {}: none of the accelerations looks at prompts; w4:gptq, w4:awq, w8a8:smooth and vtw:search do",
                    own.spec()
                )
            }
            _ => Ok(()),
        }
    }

    /// What to calibrate with, `post_prompts` behind the questions as they stand behind those that are asked.
    pub(crate) fn with<'a>(&'a self, post_prompts: &'a PostPrompts) -> CalibrateWith<'a> {
        let questions = self.0.as_deref().map_or(CalibrationQuestions::Embedded, CalibrationQuestions::Benchmark);
        CalibrateWith { questions, post_prompts: Some(post_prompts) }
    }
}
