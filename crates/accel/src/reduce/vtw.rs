//! VTW, visual tokens withdrawal: from one decoder layer on there are no visual tokens at all.
//!
//! Lin et al., AAAI 2025 (arXiv 2405.05803). Read in the authors' repository lzhxmu/VTW at commit a3d8cfc,
//! `llava/model/language_model/VTW.py`; nothing is copied.
//!
//! Layers below `k` hold every visual token, those from `k` on none. The text keeps its positions, as in the authors' script, or is counted
//! anew. Nothing is looked at: no score, no question. The published layer of LLaVA-1.5-7B is 15 of 32; `k=auto` takes it at the same share
//! of any other depth.

use std::sync::Arc;

use steady_methods::{Layers, Positions, VTW, Value};
use steady_vlm::{Evidence, Reduction, Step, TokenReducer, VlmError};

use super::{policy, sites};
use crate::implementation::{Built, Implementation};

pub(crate) const IMPLEMENTATION: Implementation = Implementation {
    method: &VTW,
    build: |values| match *values {
        [Value::Layers(k), Value::Positions(positions)] => Some(Built::Reducer(Arc::new(Vtw { k, positions }))),
        _ => None,
    },
};

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
