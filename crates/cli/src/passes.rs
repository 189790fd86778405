//! Which variants of a study are in memory at once.

use std::collections::BTreeSet;

use anyhow::Result;
use steady_accel::Acceleration;
use steady_accel::memory::{Run, by_packing};
use steady_methods::{Change, Control};
use steady_study::{Held, controls};
use steady_vlm::{Extent, Footprint, Precision};

/// What is held at once beside the baseline.
pub(crate) struct Pass {
    pub(crate) held: Held,
    accelerations: Vec<Acceleration>,
    copies: Vec<Precision>,
    beside: u64,
}

impl Pass {
    /// Everything. `others` are other checkpoints, by their names in plans, with the bytes of their weights.
    pub(crate) fn of_all(accelerations: &[Acceleration], others: &[(String, u64)], controls: &[&'static Control]) -> Self {
        let beside = others.iter().map(|(_, bytes)| bytes).sum();
        Self { held: Held::All, accelerations: accelerations.to_vec(), copies: controls::copies(controls), beside }
    }

    /// One after the other: first what needs no weights of its own, and then each set of packed weights, each other checkpoint and each control that
    /// has the weights once more.
    pub(crate) fn one_at_a_time(
        footprint: &Footprint,
        accelerations: &[Acceleration],
        others: &[(String, u64)],
        controls: &[&'static Control],
    ) -> Result<Vec<Self>> {
        let mut passes: Vec<Self> = Vec::new();
        let copies = |control: &&'static Control| matches!(control.change, Change::Precision(_) | Change::Device(_));
        let (copying, light): (Vec<&'static Control>, Vec<&'static Control>) = controls.iter().copied().partition(copies);
        let mut free: Vec<String> = light.iter().map(|control| control.name.to_owned()).collect();
        for group in by_packing(footprint, accelerations)? {
            let names: Vec<String> = group.iter().map(ToString::to_string).collect();
            if group.iter().all(|acceleration| acceleration.quantizer().is_none()) {
                free.extend(names);
                passes.insert(0, Self::only(free.drain(..), group));
            } else {
                passes.push(Self::only(names, group));
            }
        }
        if !free.is_empty() {
            passes.insert(0, Self::only(free, Vec::new()));
        }
        passes.extend(others.iter().map(|(name, bytes)| Self { beside: *bytes, ..Self::only([name.clone()], Vec::new()) }));
        passes.extend(
            copying
                .into_iter()
                .map(|control| Self { copies: controls::copies(&[control]), ..Self::only([control.name.to_owned()], Vec::new()) }),
        );
        if passes.is_empty() {
            passes.push(Self::of_all(accelerations, others, controls));
        }
        Ok(passes)
    }

    fn only(names: impl IntoIterator<Item = String>, accelerations: Vec<Acceleration>) -> Self {
        Self { held: Held::Only(names.into_iter().collect::<BTreeSet<_>>()), accelerations, copies: Vec::new(), beside: 0 }
    }

    /// What it takes while an image is asked about.
    pub(crate) fn run(&self, precision: Precision, image: Extent, prompt: usize, tokens: usize) -> Run<'_> {
        let Self { accelerations, copies, beside, .. } = self;
        Run { precision, accelerations, copies, beside: *beside, image, prompt, tokens }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded;

    fn names(passes: &[Pass]) -> Vec<Vec<String>> {
        let names = |pass: &Pass| match &pass.held {
            Held::All => vec!["everything".to_owned()],
            Held::Only(names) => names.iter().cloned().collect(),
        };
        passes.iter().map(names).collect()
    }

    #[test]
    fn what_shares_weights_is_held_together() {
        let footprint = embedded::open("steady-llava").unwrap().footprint().unwrap();
        let specs = ["int8", "fastv:k=2,keep=0.5", "w4:rtn,g=32", "w4:rtn,g=32+fastv:k=2,keep=0.5"];
        let accelerations: Vec<Acceleration> = specs.iter().map(|spec| spec.parse().unwrap()).collect();
        let controls = controls::named(&["order", "bf16"]).unwrap();
        let others = [("checkpoint:awq".to_owned(), 7)];
        let passes = Pass::one_at_a_time(&footprint, &accelerations, &others, &controls).unwrap();
        assert_eq!(
            names(&passes),
            [
                vec!["fastv:k=2,keep=0.5", "order"],
                vec!["int8:threshold=6"],
                vec!["w4:rtn,g=32", "w4:rtn,g=32+fastv:k=2,keep=0.5"],
                vec!["checkpoint:awq"],
                vec!["bf16"]
            ]
        );
        assert_eq!((passes[3].beside, passes[4].copies.len(), passes[0].copies.len()), (7, 1, 0));
        // without any there is the baseline
        assert_eq!(names(&Pass::one_at_a_time(&footprint, &[], &[], &[]).unwrap()), [["everything"]]);
        assert_eq!(names(&Pass::one_at_a_time(&footprint, &[], &[], &controls[..1]).unwrap()), [["order"]]);
    }
}
