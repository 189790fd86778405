//! PyramidDrop: at three decoder layers, keep half of the visual tokens that are left, those that the last prompt token looks at most.
//!
//! Xing et al., CVPR 2025 (arXiv 2410.17247). Read in the authors' repository Cooperx521/PyramidDrop at commit 6444f30,
//! `llava/model/modeling_llama_pdrop.py`; nothing is copied.
//!
//! Just before a layer runs, its own norm, queries, keys and rotary positions are applied to the states that enter it. The score is the
//! attention of the last prompt token, softmax over the whole row, mean over heads. Of `n` visual tokens at first, `floor(n * ratio)`,
//! `floor(n * ratio²)` and `floor(n * ratio³)` stay, at least one, in the image's order. What is left is counted anew, as in the source, or
//! keeps its positions.
//!
//! The published layers are 8, 16 and 24 of 32. `layers=auto` takes a quarter, half and three quarters of any other depth; layers that fall
//! together move up by one, and those beyond the last are left out. The source has LLaVA alone; nothing in it depends on the family but the
//! positions, which Qwen keeps. Needs the question.

use std::sync::Arc;

use steady_methods::{Layers, PYRAMIDDROP, Positions, Value};
use steady_vlm::{Evidence, Needs, Reduction, Step, TokenReducer, VlmError};

use super::rank::highest;
use super::{missing, policy, sites};
use crate::implementation::{Built, Implementation};

pub(crate) const IMPLEMENTATION: Implementation = Implementation {
    method: &PYRAMIDDROP,
    build: |values| match *values {
        [Value::Layers(layers), Value::Fraction(ratio), Value::Positions(positions)] => {
            Some(Built::Reducer(Arc::new(PyramidDrop { layers, ratio, positions })))
        }
        _ => None,
    },
};

/// Where the published layers are, in 32nds of the depth.
const PUBLISHED: [usize; 3] = [8, 16, 24];

/// Drops visual tokens in three stages.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PyramidDrop {
    /// Before which layers.
    pub layers: Layers,
    /// What share of the visual tokens each stage leaves.
    pub ratio: f64,
    /// Positions of what is left.
    pub positions: Positions,
}

impl TokenReducer for PyramidDrop {
    fn name(&self) -> String {
        PYRAMIDDROP.spell(&[Value::Layers(self.layers), Value::Fraction(self.ratio), Value::Positions(self.positions)])
    }

    fn steps(&self) -> Vec<Step> {
        let needs = || Needs { own_attention: true, ..Needs::default() };
        sites(self.layers, PUBLISHED).into_iter().map(|site| Step::at(site, policy(self.positions)).seeing(needs())).collect()
    }

    fn reduce(&self, step: usize, evidence: &Evidence<'_>) -> Result<Reduction, VlmError> {
        let attention = evidence.own_attention.ok_or_else(|| missing(PYRAMIDDROP.name, "last prompt token's attention"))?;
        let n = evidence.cells.tokens() as f64;
        // The authors type every stage's share, 0.49 for the second of 0.7. A power may be a rounding below that.
        let keep = (n * self.ratio.powi(step as i32 + 1) + 1e-9) as usize;
        Ok(Reduction::keep(highest(attention, keep.max(1))))
    }
}
