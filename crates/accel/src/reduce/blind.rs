//! The control without an image: no visual token reaches the decoder.
//!
//! A benchmark that can be answered blind hides what a reducer breaks: ScienceQA keeps 63 of 69.5 points without any visual token
//! (Theia-4869/FasterVLM at commit f5d5f12, `EVAL.md`). What is left of the prompt is counted anew on LLaVA; on Qwen the text behind the
//! image keeps its positions, as everywhere.

use std::sync::Arc;

use steady_methods::BLIND;
use steady_vlm::{Evidence, PositionPolicy, Reduction, Site, Step, TokenReducer, VlmError};

use crate::implementation::{Built, Implementation};

pub(crate) const IMPLEMENTATION: Implementation = Implementation {
    method: &BLIND,
    build: |values| match *values {
        [] => Some(Built::Reducer(Arc::new(Blind))),
        _ => None,
    },
};

/// Drops every visual token before the decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blind;

impl TokenReducer for Blind {
    fn name(&self) -> String {
        BLIND.name.to_owned()
    }

    fn steps(&self) -> Vec<Step> {
        vec![Step::at(Site::AfterProjector, PositionPolicy::Renumber)]
    }

    fn reduce(&self, _: usize, _: &Evidence<'_>) -> Result<Reduction, VlmError> {
        Ok(Reduction { may_be_empty: true, ..Reduction::default() })
    }
}
