//! FastV: from decoder layer `k` on, keep the visual tokens that the last prompt token looks at most.
//!
//! The score is the attention of layer `k − 1` from the last prompt token, mean over heads. Layers below `k` keep every
//! token; kept tokens keep their original positions. Needs the question, so it runs once per question.

use std::sync::Arc;

use steady_vlm::{Evidence, Needs, PositionPolicy, Reduction, Site, Step, TokenReducer, VlmError};

use super::{Keep, missing};
use crate::method::{Method, MethodKind, Parameter, ParameterKind, Part, Value};

pub(crate) const METHOD: Method = Method {
    name: "fastv",
    kind: MethodKind::TokenReducer,
    parameters: &[
        Parameter { name: "k", kind: ParameterKind::Layer, default: "2", meaning: "first decoder layer that sees fewer visual tokens" },
        Parameter { name: "keep", kind: ParameterKind::Keep, default: "0.5", meaning: "visual tokens that stay" },
    ],
    summary: "inside the decoder, keeps the visual tokens that the last prompt token attends to most",
    source: "FastV, ECCV 2024 (arXiv 2403.06764)",
    build: |values| match *values {
        [Value::Integer(k), Value::Keep(keep)] => Some(Part::Reducer(Arc::new(FastV { k: usize::try_from(k).ok()?, keep }))),
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
        METHOD.spell(&[Value::Integer(self.k as u64), Value::Keep(self.keep)])
    }

    fn steps(&self) -> Vec<Step> {
        let seeing = Needs { last_row_attention: true, ..Needs::default() };
        vec![Step::at(Site::BeforeLayer(self.k), PositionPolicy::Keep).seeing(seeing)]
    }

    fn reduce(&self, _: usize, evidence: &Evidence<'_>) -> Result<Reduction, VlmError> {
        let attention = evidence.last_row_attention.ok_or_else(|| missing(METHOD.name, "last prompt token's attention"))?;
        Ok(Reduction::keep(most_attended(attention, self.keep.of(attention.len()))))
    }
}

/// Indices of the `count` largest scores, ascending. Equal scores go to the lower index.
fn most_attended(scores: &[f32], count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
    order.truncate(count);
    order.sort_unstable();
    order
}
