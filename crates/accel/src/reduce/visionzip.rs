//! VisionZip: keep the visual tokens that the class token looks at, and pour the others into a few tokens of context.
//!
//! Yang et al., CVPR 2025 (arXiv 2412.04467). Read in the authors' repository dvlab-research/VisionZip at commit 3151f6d,
//! `visionzip/clip_encoder.py` and `main.py`; nothing is copied.
//!
//! Looks at the last but one layer of the vision tower, whose output LLaVA takes: the class token's attention, summed over heads, and the
//! keys, averaged over heads. It asks no question, so it runs once per image.
//!
//! - **Dominant** tokens: the class token itself, which LLaVA otherwise leaves out, and the patches that it looks at most.
//! - **Contextual** tokens: of the patches that are left, in the image's order, every `floor(left / contextual)`-th is a target. Every other
//!   one goes to the target whose key points most nearly its way, and a target becomes itself plus the mean of what went to it.
//! - What is left stands as class token, dominant patches in the image's order, contextual tokens. Positions are counted anew.
//!
//! Published budgets are 54 + 10, 108 + 20 and 162 + 30 of 576, which is 27 to 5. Other budgets are split likewise, the contextual share
//! rounded: `keep=0.111`, `0.222` and `0.333` of 576 are the published ones, the class token among them. With `keep=1` nothing is done.
//!
//! Qwen's towers have no class token. There it is the port in EffiVLM-Bench (commit ab3ee18, `qwen2vl_model.py`): a visual token's score is the
//! attention that its patches receive, mean over heads and queries, merging comes after the tower's own merger, and contextual tokens stay in
//! their targets' places. Counts are those of this file on every family; the port rounds both down.

use std::sync::Arc;

use steady_methods::{Keep, VISIONZIP, Value};
use steady_vlm::{Evidence, HostMatrix, Needs, PositionPolicy, Reduction, Site, Step, TokenReducer, VlmError};

use super::direction::{dot, mean_key, unit};
use super::missing;
use super::rank::{best, highest, others};
use crate::implementation::{Built, Implementation};

pub(crate) const IMPLEMENTATION: Implementation = Implementation {
    method: &VISIONZIP,
    build: |values| match *values {
        [Value::Keep(keep)] => Some(Built::Reducer(Arc::new(VisionZip { keep }))),
        _ => None,
    },
};

/// The layer looked at, counted from the end.
const LAYER: i32 = -2;
/// Contextual tokens of so many in all: 5 to 27 dominant ones.
const CONTEXTUAL: (usize, usize) = (5, 32);

/// Keeps dominant tokens and merges the rest into contextual ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VisionZip {
    /// How many are left, class token and contextual tokens among them.
    pub keep: Keep,
}

impl TokenReducer for VisionZip {
    fn name(&self) -> String {
        VISIONZIP.spell(&[Value::Keep(self.keep)])
    }

    fn steps(&self) -> Vec<Step> {
        let layer = [LAYER].into();
        let needs = Needs { features: true, class_token: true, cls_attention: layer, vision_keys: [LAYER].into(), ..Needs::default() };
        vec![Step::at(Site::AfterTower, PositionPolicy::Renumber).seeing(needs)]
    }

    fn reduce(&self, _: usize, evidence: &Evidence<'_>) -> Result<Reduction, VlmError> {
        let missing = |what| missing(VISIONZIP.name, what);
        let features = evidence.features.ok_or_else(|| missing("vision features"))?;
        let attention = evidence.cls_attention(LAYER).ok_or_else(|| missing("class token's attention"))?;
        let keys = evidence.vision_keys(LAYER).ok_or_else(|| missing("vision keys"))?;
        let n = features.rows;
        let keep = self.keep.of(n);
        if keep >= n {
            return Ok(Reduction::keep((0..n).collect()));
        }
        let contextual = (keep * CONTEXTUAL.0) as f64 / CONTEXTUAL.1 as f64;
        let contextual = contextual.round_ties_even() as usize;
        let directions = unit(&mean_key(keys, evidence.vision_heads));
        let Some(class_token) = evidence.class_token else {
            return Ok(in_place(features, &directions, highest(&sums(attention), keep - contextual), contextual));
        };
        // The class token is one of the dominant ones.
        let kept = highest(&sums(attention), keep - contextual - 1);
        let left = others(n, &kept);
        let (poured, mut into) = context(features, &directions, &left, &targets(&left, contextual));
        let merged = HostMatrix::new(1 + contextual, features.cols, [class_token.data.clone(), poured.data].concat());
        for row in into.iter_mut().flatten() {
            *row += kept.len() + 1;
        }
        kept.iter().enumerate().for_each(|(row, &token)| into[token] = Some(row));
        let order = std::iter::once(kept.len()).chain(0..kept.len()).chain(kept.len() + 1..keep).collect();
        Ok(Reduction { kept, merged: Some(merged), order: Some(order), into, ..Reduction::default() })
    }
}

/// The answer where there is no class token: contextual tokens take their targets' places.
fn in_place(features: &HostMatrix, directions: &HostMatrix, dominant: Vec<usize>, contextual: usize) -> Reduction {
    let left = others(features.rows, &dominant);
    let targets = targets(&left, contextual);
    let (poured, mut into) = context(features, directions, &left, &targets);
    let mut kept = [dominant, targets.clone()].concat();
    kept.sort_unstable();
    let mut rewritten = features.select_rows(&kept);
    for (target, row) in targets.iter().zip(poured.iter_rows()) {
        if let Ok(at) = kept.binary_search(target) {
            rewritten.data[at * features.cols..][..features.cols].copy_from_slice(row);
        }
    }
    for target in into.iter_mut().flatten() {
        *target = kept.partition_point(|token| *token < targets[*target]);
    }
    kept.iter().enumerate().for_each(|(row, &token)| into[token] = Some(row));
    Reduction { rewritten: Some(rewritten), into, ..Reduction::keep(kept) }
}

/// Every so many-th of the rows `left`, so that there are `count`.
fn targets(left: &[usize], count: usize) -> Vec<usize> {
    let step = (left.len() / count.max(1)).max(1);
    left.iter().copied().step_by(step).take(count).collect()
}

/// Sum over heads, as the authors have it.
fn sums(attention: &HostMatrix) -> Vec<f32> {
    let mut sums = vec![0.0; attention.cols];
    for head in attention.iter_rows() {
        sums.iter_mut().zip(head).for_each(|(sum, value)| *sum += value);
    }
    sums
}

/// The rows `left` of `features` poured into `targets`, which are among them: `[targets, d]`, and for each row of `features` which
/// of the targets it is in. `directions` are those of the keys.
fn context(features: &HostMatrix, directions: &HostMatrix, left: &[usize], targets: &[usize]) -> (HostMatrix, Vec<Option<usize>>) {
    let width = features.cols;
    let mut poured = vec![0.0; targets.len() * width];
    let mut counts = vec![0_usize; targets.len()];
    let mut into = vec![None; features.rows];
    targets.iter().enumerate().for_each(|(target, &row)| into[row] = Some(target));
    for &row in left.iter().filter(|row| !targets.contains(row)) {
        let alike = targets.iter().map(|&target| dot(directions.row(row), directions.row(target)));
        let Some(target) = best(alike) else { continue };
        counts[target] += 1;
        into[row] = Some(target);
        poured[target * width..][..width].iter_mut().zip(features.row(row)).for_each(|(sum, value)| *sum += value);
    }
    for ((sums, count), &target) in poured.chunks_exact_mut(width.max(1)).zip(counts).zip(targets) {
        for (sum, own) in sums.iter_mut().zip(features.row(target)) {
            *sum = own + *sum / count.max(1) as f32;
        }
    }
    (HostMatrix::new(targets.len(), width, poured), into)
}
