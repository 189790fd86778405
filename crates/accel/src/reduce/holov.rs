//! HoloV: shares the budget out between stretches of the image, so that no single spot takes it all.
//!
//! Zou et al., NeurIPS 2025 (arXiv 2510.02912). Read in the authors' repository obananas/HoloV at commit 1d2e65e, `llava/model/utils.py` and
//! `llava_arch.py`; nothing is copied.
//!
//! - The visual tokens are cut into `parts` stretches in reading order, the first ones a token longer where they do not divide evenly.
//! - **Score** of a token: a thousand times the class token's attention in the last but one layer, mean over heads, plus 0.09 times how much
//!   its cosines with the others of its stretch vary, brought to the same mean. A stretch's score is the mean of its tokens'; one of a single
//!   token has its bare attention.
//! - **Share** of a stretch: the budget in proportion to its score, rounded down; what is left goes to the highest scores, one each.
//! - **In a stretch** the tokens that the class token looks at most stay, the most attended first; a stretch that is given as many as it has
//!   keeps them all in the image's order.
//! - What a stretch is given beyond its tokens is lost: the source fills it with zero vectors, and so does this.
//!
//! The order is not the image's, so positions are counted anew and families whose positions say where a token is (Qwen) are refused, as are
//! several views, which the source scores as one. The authors' code for Qwen2.5-VL is another. Published is 64 of 576; `keep=1` does nothing.

use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;
use steady_methods::{HOLOV, Keep, Value};
use steady_vlm::{Evidence, HostMatrix, Needs, PositionPolicy, Reduction, Site, Step, TokenReducer, VlmError};

use super::direction::{dot, dots};
use super::missing;
use super::rank::ranked;
use crate::implementation::{Built, Implementation};

pub(crate) const IMPLEMENTATION: Implementation = Implementation {
    method: &HOLOV,
    build: |values| match *values {
        [Value::Keep(keep), Value::Count(parts)] => Some(Built::Reducer(Arc::new(HoloV { keep, parts }))),
        _ => None,
    },
};

/// The layer looked at, counted from the end.
const LAYER: i32 = -2;
/// What variance counts beside attention.
const ALPHA: f32 = 0.09;
/// What attention is multiplied by.
const SCALE: f32 = 1e3;
/// The source's guard against division by nothing.
const EPSILON: f32 = 1e-6;

/// Keeps attended tokens, stretch by stretch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HoloV {
    /// How many stay.
    pub keep: Keep,
    /// Stretches.
    pub parts: usize,
}

impl TokenReducer for HoloV {
    fn name(&self) -> String {
        HOLOV.spell(&[Value::Keep(self.keep), Value::Count(self.parts)])
    }

    fn steps(&self) -> Vec<Step> {
        let needs = Needs { features: true, cls_attention: [LAYER].into(), ..Needs::default() };
        vec![Step::at(Site::AfterProjector, PositionPolicy::Renumber).seeing(needs)]
    }

    fn reduce(&self, _: usize, evidence: &Evidence<'_>) -> Result<Reduction, VlmError> {
        let features = evidence.features.ok_or_else(|| missing(HOLOV.name, "projected features"))?;
        let attention = evidence.cls_attention(LAYER).ok_or_else(|| missing(HOLOV.name, "class token's attention"))?;
        let (n, attention) = (features.rows, attention.mean_over_rows());
        let keep = self.keep.of(n);
        if keep >= n {
            return Ok(Reduction::keep((0..n).collect()));
        }
        let parts = parts(n, self.parts.max(1));
        let scores: Vec<f32> = parts.par_iter().map(|part| score(features, &attention, part.clone())).collect();
        let mut standing = Vec::with_capacity(keep);
        for (part, share) in parts.into_iter().zip(shares(&scores, keep)) {
            if share >= part.len() {
                standing.extend(part);
            } else {
                standing.extend(ranked(&attention[part.clone()]).into_iter().take(share).map(|index| part.start + index));
            }
        }
        Ok(standing_as(standing, keep, features.cols))
    }
}

/// `n` tokens in `count` stretches, the first ones a token longer; none is empty.
fn parts(n: usize, count: usize) -> Vec<Range<usize>> {
    let (size, longer) = (n / count, n % count);
    let start = |part: usize| part * size + part.min(longer);
    (0..count).map(|part| start(part)..start(part + 1)).filter(|part| !part.is_empty()).collect()
}

/// Mean score of the tokens of a stretch.
fn score(features: &HostMatrix, attention: &[f32], part: Range<usize>) -> f32 {
    let size = part.len();
    if size == 1 {
        return attention[part.start];
    }
    let rows: Vec<Vec<f32>> = part
        .clone()
        .map(|row| {
            let norm = dot(features.row(row), features.row(row)).sqrt() + EPSILON;
            features.row(row).iter().map(|value| value / norm).collect()
        })
        .collect();
    let slices: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
    let others = (size - 1) as f32;
    // A token's cosine with itself counts as nothing, and as one of the numbers that vary. Of two tokens it is computed once.
    let mut alike = vec![0.0; size * size];
    for row in 0..size {
        let behind = row + 1;
        alike[row * size + behind..behind * size].copy_from_slice(&dots(slices[row], &slices[behind..]));
        for other in behind..size {
            alike[other * size + row] = alike[row * size + other];
        }
    }
    let variances: Vec<f32> = alike
        .chunks_exact(size)
        .map(|alike| {
            let mean = alike.iter().sum::<f32>() / others;
            alike.iter().map(|value| (value - mean) * (value - mean)).sum::<f32>() / others
        })
        .collect();
    let attention: Vec<f32> = attention[part].iter().map(|value| value * SCALE).collect();
    let mean = |values: &[f32]| values.iter().map(|value| value.abs()).sum::<f32>() / size as f32;
    let scale = mean(&attention) / (mean(&variances) + EPSILON);
    attention.iter().zip(&variances).map(|(attention, variance)| attention + ALPHA * (variance * scale)).sum::<f32>() / size as f32
}

/// `keep` in proportion to `scores`.
fn shares(scores: &[f32], keep: usize) -> Vec<usize> {
    let total = scores.iter().sum::<f32>() + EPSILON;
    let weights: Vec<f32> = scores.iter().map(|score| score / total).collect();
    let mut shares: Vec<usize> = weights.iter().map(|weight| (weight * keep as f32).floor() as usize).collect();
    let left = keep.saturating_sub(shares.iter().sum());
    ranked(&weights).into_iter().take(left).for_each(|part| shares[part] += 1);
    shares
}

/// The tokens `standing`, in that order, and zero vectors behind them, so that there are `keep`.
fn standing_as(mut standing: Vec<usize>, keep: usize, width: usize) -> Reduction {
    standing.truncate(keep);
    let mut kept = standing.clone();
    kept.sort_unstable();
    let empty = keep - kept.len();
    let places = standing.iter().map(|token| kept.partition_point(|other| other < token));
    let order = places.chain(kept.len()..keep).collect();
    let merged = (empty > 0).then(|| HostMatrix::new(empty, width, vec![0.0; empty * width]));
    Reduction { merged, order: Some(order), ..Reduction::keep(kept) }
}
