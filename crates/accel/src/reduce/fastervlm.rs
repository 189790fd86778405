//! FasterVLM: keep the visual tokens that the vision tower's class token looks at most.
//!
//! Zhang et al., 2024 (arXiv 2412.01818). Read in the authors' repository Theia-4869/FasterVLM at commit f5d5f12,
//! `llava/model/llava_arch.py` and `multimodal_encoder/clip_encoder.py`; nothing is copied.
//!
//! The score is the class token's attention in the last but one layer, whose output LLaVA takes, mean over heads. What is left keeps the
//! image's order and is counted anew, as in the source, or keeps its positions. It asks no question. Published budgets are 144, 58 and 29 of
//! 576.

use std::sync::Arc;

use steady_methods::{FASTERVLM, Keep, Positions, Value};
use steady_vlm::{Evidence, Needs, Reduction, Site, Step, TokenReducer, VlmError};

use super::rank::highest;
use super::{missing, policy};
use crate::implementation::{Built, Implementation};

pub(crate) const IMPLEMENTATION: Implementation = Implementation {
    method: &FASTERVLM,
    build: |values| match *values {
        [Value::Keep(keep), Value::Positions(positions)] => Some(Built::Reducer(Arc::new(FasterVlm { keep, positions }))),
        _ => None,
    },
};

/// The layer looked at, counted from the end.
const LAYER: i32 = -2;

/// Keeps the visual tokens with the most attention from the class token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FasterVlm {
    /// How many stay.
    pub keep: Keep,
    /// Positions of what is left.
    pub positions: Positions,
}

impl TokenReducer for FasterVlm {
    fn name(&self) -> String {
        FASTERVLM.spell(&[Value::Keep(self.keep), Value::Positions(self.positions)])
    }

    fn steps(&self) -> Vec<Step> {
        let needs = Needs { cls_attention: [LAYER].into(), ..Needs::default() };
        vec![Step::at(Site::AfterTower, policy(self.positions)).seeing(needs)]
    }

    fn reduce(&self, _: usize, evidence: &Evidence<'_>) -> Result<Reduction, VlmError> {
        let attention = evidence.cls_attention(LAYER).ok_or_else(|| missing(FASTERVLM.name, "class token's attention"))?;
        Ok(Reduction::keep(highest(&attention.mean_over_rows(), self.keep.of(attention.cols))))
    }
}
