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

/// The row whose nearest other row is farthest, of equals the first. A row is compared with all others only while it may still be that one, and no
/// matrix of distances is kept: of 16,384 tokens it would be a gigabyte.
fn most_alone(n: usize, distance: &(impl Fn(usize, usize) -> f32 + Sync)) -> usize {
    // How far each row's nearest other one is at most.
    let mut at_most = vec![f32::INFINITY; n];
    let mut open = vec![true; n];
    let mut most: Option<(f32, usize)> = None;
    let more = |(value, index): (f32, usize), (other, at): (f32, usize)| value > other || value >= other && index < at;
    loop {
        let candidates = (0..n).filter(|&row| open[row]).map(|row| (at_most[row], row));
        let Some((bound, row)) = candidates.reduce(|best, next| if next.0 > best.0 { next } else { best }) else { break };
        if most.is_some_and(|most| !more((bound, row), most)) {
            break;
        }
        open[row] = false;
        let look = |(other, at_most): (usize, &mut f32)| {
            if other == row {
                return f32::INFINITY;
            }
            let between = distance(row.min(other), row.max(other));
            *at_most = at_most.min(between);
            between
        };
        let nearest = at_most.par_iter_mut().enumerate().map(look).reduce(|| f32::INFINITY, f32::min);
        if most.is_none_or(|most| more((nearest, row), most)) {
            most = Some((nearest, row));
        }
    }
    most.map_or(0, |(_, row)| row)
}
