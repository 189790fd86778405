//! A baseline that answered elsewhere: its records stand beside those of an accelerated form that answers here.

use std::collections::BTreeMap;
use std::path::Path;

use steady_records::plan::{AccelerationPlan, Elsewhere};
use steady_records::{BASELINE, Plan};

use crate::{Folder, Source, StudyError};

/// Fields of a plan that say who answers, on what, and what came of it: there they are the baseline's.
const ITS_OWN: [&str; 9] =
    ["accelerations", "controls", "model.name", "model.sha256", "versions", "device", "left_out", "calibration", "groups_per_part"];

/// A run whose baseline is taken over, with the controls that it was asked under.
#[derive(Debug)]
pub struct TakenOver {
    run: Folder,
}

impl TakenOver {
    /// Opens a run that is whole.
    ///
    /// # Errors
    /// [`StudyError::Broken`] where it is a shard, is not finished, or took its own baseline over from elsewhere.
    pub fn open(path: &Path) -> Result<Self, StudyError> {
        let run = Folder::open(path)?;
        run.is_whole()?;
        if !run.is_complete()? {
            return Err(StudyError::broken(
                path,
                "is not finished, so the baseline's answers are not all there; run it again, and it goes on",
            ));
        }
        if run.plan().elsewhere.is_some() {
            return Err(StudyError::broken(path, "has no baseline of its own; name the run from which it took it over"));
        }
        Ok(Self { run })
    }

    /// What forbids to put its baseline beside what `here` asks, as names of fields and how they differ: other questions, prompts, settings or precision.
    ///
    /// # Errors
    /// [`StudyError::Plan`] where both are of one checkpoint.
    pub fn differing(&self, here: &Plan) -> Result<Vec<(String, String)>, StudyError> {
        let there = self.run.plan();
        if there.model.sha256 == here.model.sha256 {
            return Err(StudyError::Plan(format!(
                "the model is the one that answered in {} already (sha256 {}); name its accelerated form",
                self.run.path().display(),
                there.model.sha256
            )));
        }
        let its_own = |name: &str| {
            ITS_OWN.iter().any(|own| name.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '['])))
        };
        Ok(there.differing(here).into_iter().filter(|(name, _)| !its_own(name)).collect())
    }

    /// What a reader should know: where else it was asked, and by what.
    pub fn remarks(&self, here: &Plan) -> Vec<String> {
        let there = self.run.plan();
        let mut remarks = Vec::new();
        if there.device != here.device {
            remarks.push(format!(
                "the baseline answered on {}, and this is {}: what differs by device is part of what is measured",
                there.device, here.device
            ));
        }
        if there.versions != here.versions {
            let of = |plan: &Plan| format!("steady {} with burn {}", plan.versions.steady, plan.versions.burn);
            remarks.push(format!("the baseline answered by {}, and this is {}", of(there), of(here)));
        }
        remarks
    }

    /// The plan of both together. The model of `here` is an acceleration in it, called `called`, and each acceleration of that is called after both.
    pub fn whole(&self, here: &Plan, called: &str) -> Plan {
        let there = self.run.plan();
        let beside = |acceleration: &AccelerationPlan| AccelerationPlan {
            spec: name_beside(called, &acceleration.spec),
            describe: format!(
                "another checkpoint, loaded as it is: {}, sha256 {}; {}. The baseline answered elsewhere: on {} in {}",
                here.model.name, here.model.sha256, acceleration.describe, there.device, there.precision
            ),
            stored_bytes: acceleration.stored_bytes,
        };
        let accelerations = there.accelerations.iter().take(1).cloned().chain(here.accelerations.iter().map(beside)).collect();
        Plan {
            elsewhere: Some(Elsewhere {
                plan_sha256: self.run.work().sha256().to_owned(),
                device: there.device.clone(),
                precision: there.precision.clone(),
                versions: there.versions.clone(),
                accelerated_sha256: here.model.sha256.clone(),
            }),
            model: there.model.clone(),
            accelerations,
            controls: there.controls.clone(),
            ..here.clone()
        }
    }

    /// The baseline's answers, and those under its controls.
    pub fn source(&self) -> Source<'_> {
        let plan = self.run.plan();
        let own = std::iter::once(BASELINE).chain(plan.controls.iter().map(|control| control.spec.as_str()));
        Source::of_baseline(&self.run, own.map(|name| (name.to_owned(), name.to_owned())).collect())
    }

    /// What `folder` holds of `here`, called as in [`TakenOver::whole`].
    pub fn beside<'a>(folder: &'a Folder, called: &str) -> Source<'a> {
        let names: BTreeMap<String, String> = folder
            .plan()
            .accelerations
            .iter()
            .map(|acceleration| (name_beside(called, &acceleration.spec), acceleration.spec.clone()))
            .collect();
        Source::beside(folder, names)
    }
}

fn name_beside(called: &str, spec: &str) -> String {
    if spec == BASELINE { called.to_owned() } else { format!("{called}+{spec}") }
}
