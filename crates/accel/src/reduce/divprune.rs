//! DivPrune: keep the visual tokens that differ most from one another.
//!
//! The subset that maximises the smallest pairwise distance (the max–min diversity problem), found greedily: start with
//! the token whose nearest neighbour is farthest, then always add the token farthest from everything kept so far. The
//! distance is one minus the cosine of the projected features. Looks at neither question nor attention.

use std::sync::Arc;

use rayon::prelude::*;
use steady_methods::{DIVPRUNE, Keep, Value};
use steady_vlm::{Evidence, HostMatrix, Needs, PositionPolicy, Reduction, Site, Step, TokenReducer, VlmError};

use super::direction::Cosines;
use super::greedy::{Worth, greedily};
use super::missing;
use crate::implementation::{Built, Implementation};

pub(crate) const IMPLEMENTATION: Implementation = Implementation {
    method: &DIVPRUNE,
    build: |values| match *values {
        [Value::Keep(keep)] => Some(Built::Reducer(Arc::new(DivPrune { keep }))),
        _ => None,
    },
};

/// Keeps the most diverse visual tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DivPrune {
    /// How many stay.
    pub keep: Keep,
}

impl TokenReducer for DivPrune {
    fn name(&self) -> String {
        DIVPRUNE.spell(&[Value::Keep(self.keep)])
    }

    fn steps(&self) -> Vec<Step> {
        let seeing = Needs { features: true, ..Needs::default() };
        vec![Step::at(Site::AfterProjector, PositionPolicy::Renumber).seeing(seeing)]
    }

    fn reduce(&self, _: usize, evidence: &Evidence<'_>) -> Result<Reduction, VlmError> {
        let features = evidence.features.ok_or_else(|| missing(DIVPRUNE.name, "projected features"))?;
        Ok(Reduction::keep(most_diverse(features, self.keep.of(features.rows))))
    }
}

/// Indices of `count` rows, ascending. Equal distances go to the lower index.
fn most_diverse(features: &HostMatrix, count: usize) -> Vec<usize> {
    if count == 0 || features.rows == 0 {
        return Vec::new();
    }
    let cosines = Cosines::of(features);
    let distance = |i: usize, j: usize| 1.0 - cosines.between(i, j);
    let first = most_alone(features.rows, &distance);
    // From the first on, what counts is the distance to the nearest of those kept.
    let alone = |index: usize| if index == first { f32::MAX } else { distance(first, index) };
    let values: Vec<f32> = (0..features.rows).into_par_iter().map(alone).collect();
    let again =
        |worth: Worth, kept: &[usize]| kept[worth.seen..].iter().fold(worth.value, |near, &other| near.min(distance(other, worth.index)));
    let mut kept = greedily(&values, count, |worth, _| worth.index, again);
    kept.sort_unstable();
    kept
}

/// Rows that are compared with every other one as it is read: they stay in a core's cache.
const BLOCK: usize = 64;

/// The row whose nearest other row is farthest, of equals the first. No matrix of distances is kept: of 16,384 tokens it would be a gigabyte.
fn most_alone(n: usize, distance: &(impl Fn(usize, usize) -> f32 + Sync)) -> usize {
    let none = || vec![f32::INFINITY; n];
    let block = |of: usize| of * BLOCK..((of + 1) * BLOCK).min(n);
    let blocks = n.div_ceil(BLOCK);
    let with_blocks = |mut nearest: Vec<f32>, of: usize| {
        for j in of * BLOCK..n {
            for i in block(of).take_while(|&i| i < j) {
                let between = distance(i, j);
                nearest[i] = nearest[i].min(between);
                nearest[j] = nearest[j].min(between);
            }
        }
        nearest
    };
    let both = |a: Vec<f32>, b: Vec<f32>| a.into_iter().zip(b).map(|(a, b)| a.min(b)).collect();
    let nearest = (0..blocks).into_par_iter().fold(none, with_blocks).reduce(none, both);
    (0..n).reduce(|best, row| if nearest[row] > nearest[best] { row } else { best }).unwrap_or(0)
}
