//! VisPruner: keep the visual tokens that the class token looks at most, and of the others those that no other resembles.
//!
//! Zhang et al., ICCV 2025 (arXiv 2412.01818v2). Read in the authors' repository Theia-4869/VisPruner at commit aefa01a,
//! `llava/model/llava_arch.py`; nothing is copied.
//!
//! `floor(keep * important)` tokens are kept by the class token's attention in the last but one layer, mean over heads. The rest, from the
//! most attended to the least, is thinned out: every second one is compared with all those between, and of the ones so compared the up to 8
//! that most resemble another go, until the budget is met. The ones that stay come out from the most to the least alike, in front of those
//! between, and the next round begins from there. It asks no question.
//!
//! The authors' code stops with an error where an odd number of tokens is to be thinned out (`important=0.75` with 58 of 576). Here the odd
//! one is compared like the others of its half. A round drops no more than it compares.

use std::sync::Arc;

use rayon::prelude::*;
use steady_methods::{Keep, Positions, VISPRUNER, Value};
use steady_vlm::{Evidence, Needs, Reduction, Site, Step, TokenReducer, VlmError};

use super::direction::Cosines;
use super::rank::ranked;
use super::{missing, policy};
use crate::implementation::{Built, Implementation};

pub(crate) const IMPLEMENTATION: Implementation = Implementation {
    method: &VISPRUNER,
    build: |values| match *values {
        [Value::Keep(keep), Value::Fraction(important), Value::Positions(positions)] => {
            Some(Built::Reducer(Arc::new(VisPruner { keep, important, positions })))
        }
        _ => None,
    },
};

/// The layer looked at, counted from the end.
const LAYER: i32 = -2;
/// Most tokens that a round drops.
const ROUND: usize = 8;

/// Keeps important and diverse visual tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VisPruner {
    /// How many stay.
    pub keep: Keep,
    /// What share of them by attention.
    pub important: f64,
    /// Positions of what is left.
    pub positions: Positions,
}

impl TokenReducer for VisPruner {
    fn name(&self) -> String {
        VISPRUNER.spell(&[Value::Keep(self.keep), Value::Fraction(self.important), Value::Positions(self.positions)])
    }

    fn steps(&self) -> Vec<Step> {
        let needs = Needs { features: true, cls_attention: [LAYER].into(), ..Needs::default() };
        vec![Step::at(Site::AfterTower, policy(self.positions)).seeing(needs)]
    }

    fn reduce(&self, _: usize, evidence: &Evidence<'_>) -> Result<Reduction, VlmError> {
        let features = evidence.features.ok_or_else(|| missing(VISPRUNER.name, "vision features"))?;
        let attention = evidence.cls_attention(LAYER).ok_or_else(|| missing(VISPRUNER.name, "class token's attention"))?;
        let keep = self.keep.of(features.rows);
        let mut kept = ranked(&attention.mean_over_rows());
        let residual = kept.split_off((keep as f64 * self.important) as usize);
        let diverse = keep - kept.len();
        kept.extend(thinned_out(&Cosines::of(features), residual, diverse));
        kept.sort_unstable();
        Ok(Reduction::keep(kept))
    }
}

/// `count` of the rows `residual` of `directions`.
fn thinned_out(directions: &Cosines<'_>, mut residual: Vec<usize>, count: usize) -> Vec<usize> {
    if count == 0 {
        return Vec::new();
    }
    while residual.len() > count && residual.len() > 1 {
        let compared: Vec<usize> = residual.iter().copied().step_by(2).collect();
        let between: Vec<usize> = residual.iter().copied().skip(1).step_by(2).collect();
        let alike = |&row: &usize| between.iter().map(|&other| directions.between(row, other)).fold(f32::MIN, f32::max);
        let scores: Vec<f32> = compared.par_iter().map(alike).collect();
        let drop = ROUND.min(residual.len() - count);
        residual = ranked(&scores).into_iter().skip(drop).map(|index| compared[index]).chain(between).collect();
    }
    residual
}
