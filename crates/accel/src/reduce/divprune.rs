//! DivPrune: keep the visual tokens that differ most from one another.
//!
//! The subset that maximises the smallest pairwise distance (the max–min diversity problem), found greedily: start with
//! the token whose nearest neighbour is farthest, then always add the token farthest from everything kept so far. The
//! distance is one minus the cosine of the projected features. Looks at neither question nor attention.

use std::sync::Arc;

use rayon::prelude::*;
use steady_methods::{DIVPRUNE, Keep, Value};
use steady_vlm::{Evidence, HostMatrix, Needs, PositionPolicy, Reduction, Site, Step, TokenReducer, VlmError};

use super::direction::{dot, unit};
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
    let directions = unit(features);
    let n = features.rows;
    // Distance of each token to the nearest one that it is compared with: first every other token, later the kept ones.
    let mut nearest = nearest_others(&directions);
    let mut kept: Vec<usize> = Vec::with_capacity(count);
    let mut is_kept = vec![false; n];
    while kept.len() < count {
        let candidates = (0..n).filter(|&i| !is_kept[i]);
        let Some(next) = candidates.reduce(|best, i| if nearest[i] > nearest[best] { i } else { best }) else {
            break;
        };
        if kept.is_empty() {
            nearest.fill(f32::INFINITY);
        }
        kept.push(next);
        is_kept[next] = true;
        for (index, nearest) in nearest.iter_mut().enumerate() {
            *nearest = nearest.min(distance(&directions, next, index));
        }
    }
    kept.sort_unstable();
    kept
}

/// The distance of each row to the nearest other one. No matrix of distances is kept: of 16,384 tokens it would be a gigabyte.
fn nearest_others(directions: &HostMatrix) -> Vec<f32> {
    let n = directions.rows;
    let none = || vec![f32::INFINITY; n];
    let with_row = |mut nearest: Vec<f32>, i: usize| {
        for j in i + 1..n {
            let between = distance(directions, i, j);
            nearest[i] = nearest[i].min(between);
            nearest[j] = nearest[j].min(between);
        }
        nearest
    };
    let both = |a: Vec<f32>, b: Vec<f32>| a.into_iter().zip(b).map(|(a, b)| a.min(b)).collect();
    (0..n).into_par_iter().fold(none, with_row).reduce(none, both)
}

/// One minus the cosine. A row without direction (all zeros) is at distance 1 from everything.
fn distance(directions: &HostMatrix, i: usize, j: usize) -> f32 {
    1.0 - dot(directions.row(i), directions.row(j))
}
