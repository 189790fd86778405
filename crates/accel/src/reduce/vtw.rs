//! VTW, visual tokens withdrawal: from one decoder layer on there are no visual tokens at all.
//!
//! Lin et al., AAAI 2025 (arXiv 2405.05803). Read in the authors' repository lzhxmu/VTW at commit a3d8cfc,
//! `llava/model/language_model/VTW.py`; nothing is copied.
//!
//! Layers below `k` hold every visual token, those from `k` on none. The text keeps its positions, as in the authors' script, or is counted
//! anew. Nothing is looked at: no score, no question. The published layer of LLaVA-1.5-7B is 15 of 32; `k=auto` takes it at the same share
//! of any other depth.
//!
//! `vtw:search` finds the layer as `findk` in that file does: on a few prompts it withdraws the tokens at each layer in turn, from 5 of 32 to the last, and
//! compares the next token's distribution with that of the whole model, by `KLDivLoss(log_softmax(whole), softmax(withdrawn))`, which is
//! KL(withdrawn || whole). The first layer whose mean is at most `eta` is taken; the repository has no code for where none is, and here it is the last.
//! Published are 20 prompts, and 0.003 for LLaVA-1.5-7B, 0.0005 for 13B, 0.0001 for LLaVA-1.6-7B. The authors' prompts are of the benchmark that they
//! then ask; here they are of the embedded world's training half, which no study asks.

use std::sync::Arc;

use steady_methods::{Layers, Positions, VTW, VTW_SEARCH, Value};
use steady_vlm::{Evidence, Reduction, Step, TokenReducer, VlmError};

use super::{policy, sites};
use crate::Search;
use crate::implementation::{Built, Implementation};

pub(crate) const IMPLEMENTATION: Implementation = Implementation {
    method: &VTW,
    build: |values| match *values {
        [Value::Layers(k), Value::Positions(positions)] => Some(Built::Reducer(Arc::new(Vtw { k, positions }))),
        _ => None,
    },
};

pub(crate) const SEARCH: Implementation = Implementation {
    method: &VTW_SEARCH,
    build: |values| match *values {
        [Value::Positive(eta), Value::Samples(samples), Value::Positions(positions)] => {
            Some(Built::Search(Arc::new(VtwSearch { eta, samples, positions })))
        }
        _ => None,
    },
};

/// Where the authors' search begins, in 32nds of the depth.
const SEARCHED_FROM: usize = 5;

/// Where the published layer is, in 32nds of the depth.
const PUBLISHED: [usize; 1] = [15];

/// Drops every visual token before one layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Vtw {
    /// The first layer without visual tokens.
    pub k: Layers,
    /// Positions of the text.
    pub positions: Positions,
}

impl TokenReducer for Vtw {
    fn name(&self) -> String {
        VTW.spell(&[Value::Layers(self.k), Value::Positions(self.positions)])
    }

    fn steps(&self) -> Vec<Step> {
        sites(self.k, PUBLISHED).into_iter().map(|site| Step::at(site, policy(self.positions))).collect()
    }

    fn reduce(&self, _: usize, _: &Evidence<'_>) -> Result<Reduction, VlmError> {
        Ok(Reduction { may_be_empty: true, ..Reduction::default() })
    }
}

/// [`Vtw`] at the first layer where it hardly changes the next token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VtwSearch {
    /// Most KL(withdrawn || whole) of the next token's distribution in nats, mean over the prompts.
    pub eta: f32,
    /// Prompts to search with.
    pub samples: usize,
    /// Positions of the text.
    pub positions: Positions,
}

impl Search for VtwSearch {
    fn name(&self) -> String {
        VTW_SEARCH.spell(&[Value::Positive(self.eta), Value::Samples(self.samples), Value::Positions(self.positions)])
    }

    fn samples(&self) -> usize {
        self.samples
    }

    fn most(&self) -> f32 {
        self.eta
    }

    fn candidates(&self, depth: usize) -> Vec<Arc<dyn TokenReducer>> {
        let first = ((depth * SEARCHED_FROM) as f64 / 32.0).round_ties_even() as usize;
        let at = |layer| Arc::new(Vtw { k: Layers::At([layer, 0, 0], 1), positions: self.positions }) as Arc<dyn TokenReducer>;
        (first.max(1)..depth.max(2)).map(at).collect()
    }
}
