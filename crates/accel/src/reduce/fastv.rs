//! FastV: from decoder layer `k` on, keep the visual tokens that the last prompt token looks at most.
//!
//! Chen et al., ECCV 2024 (arXiv 2403.06764). Read in the authors' repository pkunlp-icler/FastV at commit d165972,
//! `src/transformers/src/transformers/models/llama/modeling_llama.py`, the variant that drops tokens (`fast_v_inplace`); nothing is copied.
//!
//! The score is the attention of layer `k − 1` from the last prompt token, mean over heads. Layers below `k` keep every
//! token; kept tokens keep their original positions. Needs the question, so it runs once per question.

use std::sync::Arc;

use steady_methods::{FASTV, Keep, Value};
use steady_vlm::{Evidence, Needs, PositionPolicy, Reduction, Site, Step, TokenReducer, VlmError};

use super::missing;
use super::rank::highest;
use crate::implementation::{Built, Implementation};

pub(crate) const IMPLEMENTATION: Implementation = Implementation {
    method: &FASTV,
    build: |values| match *values {
        [Value::Layer(k), Value::Keep(keep)] => Some(Built::Reducer(Arc::new(FastV { k, keep }))),
        _ => None,
    },
};

/// Keeps the visual tokens with the most attention from the last prompt token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FastV {
    /// First decoder layer that sees fewer visual tokens, from 1 on.
    pub k: usize,
    /// How many stay.
    pub keep: Keep,
}

impl TokenReducer for FastV {
    fn name(&self) -> String {
        FASTV.spell(&[Value::Layer(self.k), Value::Keep(self.keep)])
    }

    fn steps(&self) -> Vec<Step> {
        let seeing = Needs { last_row_attention: true, ..Needs::default() };
        vec![Step::at(Site::BeforeLayer(self.k), PositionPolicy::Keep).seeing(seeing)]
    }

    fn reduce(&self, _: usize, evidence: &Evidence<'_>) -> Result<Reduction, VlmError> {
        let attention = evidence.last_row_attention.ok_or_else(|| missing(FASTV.name, "last prompt token's attention"))?;
        Ok(Reduction::keep(highest(attention, self.keep.of(attention.len()))))
    }
}
