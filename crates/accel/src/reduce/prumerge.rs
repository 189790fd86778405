//! PruMerge and PruMerge+: keep the visual tokens that stand out to the class token, and pour the others into them.
//!
//! Shang et al., ICCV 2025 (arXiv 2403.15388). Read in the authors' repository 42Shawn/LLaVA-PruMerge at commit 097c041,
//! `llava/model/multimodal_encoder/clip_encoder.py`; nothing is copied.
//!
//! Looks at queries and keys of the vision tower's last layer, all heads as one: `w` is the class token's attention to the patches, softmax
//! over class token and patches.
//!
//! - **How many** stay the image decides: as many as have a `w` above the third quartile by more than one and a half times the distance of
//!   the quartiles. With `plus`, every `floor(floor(1 / share) / 3)`-th patch from the first on joins them, the last one never, where share
//!   is theirs of all.
//! - **Merging**: to each that stays, the 32 patches of all others whose keys point most nearly its way are added, each times its `w`. The
//!   weights do not sum to one, in the source neither. One more token is the sum of all that did not stay, each times its `w`.
//! - **Order**: by `w`, the highest first, then what `plus` brought, then the one more. The source leaves it so, and counts positions anew.
//!
//! Where nothing stands out the source stops with a division by zero, and above a share of 1/3 with a step of zero. Here a share is at least
//! one patch's, and a step at least 1. Fewer than 33 patches are all each other's neighbours. Only LLaVA is defined in the source; it asks no
//! question.

use std::sync::Arc;

use rayon::prelude::*;
use steady_methods::{PRUMERGE, Value};
use steady_vlm::{Evidence, HostMatrix, Needs, PositionPolicy, Reduction, Site, Step, TokenReducer, VlmError};

use super::direction::{Cosines, dot};
use super::missing;
use super::rank::{others, ranked};
use crate::implementation::{Built, Implementation};

pub(crate) const IMPLEMENTATION: Implementation = Implementation {
    method: &PRUMERGE,
    build: |values| match *values {
        [Value::Flag(plus)] => Some(Built::Reducer(Arc::new(PruMerge { plus }))),
        _ => None,
    },
};

/// The layer looked at, counted from the end.
const LAYER: i32 = -1;
/// Neighbours that are added to a token.
const NEIGHBOURS: usize = 32;

/// Keeps what stands out and merges the rest into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PruMerge {
    /// Whether evenly spread patches join those that stand out.
    pub plus: bool,
}

impl TokenReducer for PruMerge {
    fn name(&self) -> String {
        PRUMERGE.spell(&[Value::Flag(self.plus)])
    }

    fn steps(&self) -> Vec<Step> {
        let layer = || [LAYER].into();
        let needs = Needs { features: true, class_projections: layer(), vision_keys: layer(), ..Needs::default() };
        vec![Step::at(Site::AfterTower, PositionPolicy::Renumber).seeing(needs)]
    }

    fn reduce(&self, _: usize, evidence: &Evidence<'_>) -> Result<Reduction, VlmError> {
        let missing = |what| missing(PRUMERGE.name, what);
        let features = evidence.features.ok_or_else(|| missing("vision features"))?;
        let class = evidence.class_projections(LAYER).ok_or_else(|| missing("class token's query and key"))?;
        let keys = evidence.vision_keys(LAYER).ok_or_else(|| missing("vision keys"))?;
        let weights = attention(class, keys);
        let stay = self.staying(&weights);
        let left = others(features.rows, &stay);
        let directions = Cosines::of(keys);
        let around: Vec<Vec<usize>> = stay.par_iter().map(|&row| neighbours(&directions, row)).collect();
        let poured = |(&row, neighbours): (&usize, &Vec<usize>)| poured(features, &weights, row, neighbours);
        let mut rows: Vec<f32> = stay.par_iter().zip(&around).flat_map(poured).collect();
        let rest = sum(features, &weights, &left);

        // Rows are handed over in the image's order, beside the places that they go to.
        let mut kept: Vec<usize> = (0..stay.len()).collect();
        kept.sort_by_key(|&place| stay[place]);
        rows = kept.iter().flat_map(|&place| rows[place * features.cols..][..features.cols].to_vec()).collect();
        let mut order = vec![0; stay.len() + 1];
        kept.iter().enumerate().for_each(|(index, &place)| order[place] = index);
        order[stay.len()] = stay.len();

        // A patch has the same weight wherever it is added, so it is said to be in that one which it is most alike.
        let mut into = vec![None; features.rows];
        for &token in &left {
            into[token] = Some(stay.len());
        }
        let mut alike = vec![f32::NEG_INFINITY; features.rows];
        for (index, &place) in kept.iter().enumerate() {
            for &token in &around[place] {
                let closer = directions.between(stay[place], token);
                if closer > alike[token] {
                    (into[token], alike[token]) = (Some(index), closer);
                }
            }
        }
        kept.iter().enumerate().for_each(|(index, &place)| into[stay[place]] = Some(index));
        Ok(Reduction {
            rewritten: Some(HostMatrix::new(stay.len(), features.cols, rows)),
            merged: Some(HostMatrix::new(1, features.cols, rest)),
            order: Some(order),
            kept: kept.into_iter().map(|place| stay[place]).collect(),
            into,
            ..Reduction::default()
        })
    }
}

impl PruMerge {
    /// The patches that stay, in the order in which they stand.
    fn staying(self, weights: &[f32]) -> Vec<usize> {
        let n = weights.len();
        let outliers = outliers(weights);
        let mut stay = ranked(weights);
        stay.truncate(outliers);
        if self.plus {
            let step = (n / outliers.max(1) / 3).max(1);
            let more = (0..n.saturating_sub(1)).step_by(step).filter(|row| !stay.contains(row));
            stay = stay.iter().copied().chain(more).collect();
        }
        stay
    }
}

/// The class token's attention to the patches, all heads as one: `class` has its query and its key.
fn attention(class: &HostMatrix, keys: &HostMatrix) -> Vec<f32> {
    let (query, scale) = (class.row(0), (class.cols as f32).powf(-0.5));
    let itself = dot(query, class.row(1)) * scale;
    let scores: Vec<f32> = keys.iter_rows().map(|key| dot(query, key) * scale).collect();
    let highest = scores.iter().copied().fold(itself, f32::max);
    let total: f32 = scores.iter().map(|score| (score - highest).exp()).sum::<f32>() + (itself - highest).exp();
    scores.iter().map(|score| (score - highest).exp() / total).collect()
}

/// How many of `weights` are above the third quartile by more than one and a half times the distance of the quartiles.
fn outliers(weights: &[f32]) -> usize {
    let mut sorted: Vec<f64> = weights.iter().map(|&weight| f64::from(weight)).collect();
    sorted.sort_by(f64::total_cmp);
    let quartile = |quarter: f64| {
        let at = quarter * (sorted.len().max(1) - 1) as f64;
        let below = sorted.get(at as usize).copied().unwrap_or_default();
        let above = sorted.get(at as usize + 1).copied().unwrap_or(below);
        below + (above - below) * at.fract()
    };
    let (first, third) = (quartile(0.25), quartile(0.75));
    sorted.iter().filter(|weight| **weight > third + 1.5 * (third - first)).count()
}

/// The rows that are most alike row `row`.
fn neighbours(directions: &Cosines<'_>, row: usize) -> Vec<usize> {
    let rest = others(directions.rows.rows, &[row]);
    let alike: Vec<f32> = rest.iter().map(|&other| directions.between(row, other)).collect();
    ranked(&alike).into_iter().take(NEIGHBOURS).map(|index| rest[index]).collect()
}

/// Row `row` of `features` with its neighbours added to it.
fn poured(features: &HostMatrix, weights: &[f32], row: usize, neighbours: &[usize]) -> Vec<f32> {
    let mut poured = sum(features, weights, neighbours);
    poured.iter_mut().zip(features.row(row)).for_each(|(sum, own)| *sum += own);
    poured
}

/// The sum of `rows` of `features`, each times its weight.
fn sum(features: &HostMatrix, weights: &[f32], rows: &[usize]) -> Vec<f32> {
    let mut sum = vec![0.0; features.cols];
    for &row in rows {
        sum.iter_mut().zip(features.row(row)).for_each(|(sum, value)| *sum += weights[row] * value);
    }
    sum
}
