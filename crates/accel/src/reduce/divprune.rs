//! DivPrune: keep the visual tokens that differ most from one another.
//!
//! The subset that maximises the smallest pairwise distance (the max–min diversity problem), found greedily: start with
//! the token whose nearest neighbour is farthest, then always add the token farthest from everything kept so far. The
//! distance is one minus the cosine of the projected features. Looks at neither question nor attention.

use std::sync::Arc;

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
    let n = features.rows;
    let distance = distances(features);
    // Distance of each token to the nearest one that it is compared with: first every other token, later the kept ones.
    let mut nearest: Vec<f32> =
        (0..n).map(|i| (0..n).filter(|&j| j != i).map(|j| distance[i * n + j]).fold(f32::INFINITY, f32::min)).collect();
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
        for (nearest, &to_next) in nearest.iter_mut().zip(&distance[next * n..][..n]) {
            *nearest = nearest.min(to_next);
        }
    }
    kept.sort_unstable();
    kept
}

/// `[n, n]` cosine distances. A row without direction (all zeros) is at distance 1 from everything.
fn distances(features: &HostMatrix) -> Vec<f32> {
    let unit = unit(features);
    let n = unit.rows;
    let mut distance = vec![0.0; n * n];
    for i in 0..n {
        for j in i + 1..n {
            let between = 1.0 - dot(unit.row(i), unit.row(j));
            distance[i * n + j] = between;
            distance[j * n + i] = between;
        }
    }
    distance
}
