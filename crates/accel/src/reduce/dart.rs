//! DART as TensorRT-Edge-LLM ships it: a few pivots, and the visual tokens that resemble them least.
//!
//! Wen et al., EMNLP 2025 (arXiv 2502.11494): duplication matters more than importance. The paper prunes after the second decoder layer and
//! finds its pivots by that layer's keys. What is deployed is the variant on input embeddings, which this is, read in
//! NVIDIA/TensorRT-Edge-LLM, `dartPruner.cpp`, `visualTokenPruner.h` and the reference in their unit test; nothing is copied.
//!
//! - **Pivots**: the `image` visual tokens whose embeddings have the largest L1 norm, which stay, then the `text` tokens of the prompt that
//!   have; all text counts, before the image and behind it.
//! - **Growth**: pivot by pivot, in that order, the visual tokens whose cosine with the pivot is lowest stay, so many that what is missing
//!   is shared out evenly between the pivots to come, rounded up.
//! - Shares of the visual tokens are rounded up. Images of fewer than 16 visual tokens are left as they are.
//! - Kept tokens keep their positions.
//!
//! Looks at the embedded prompt, so it runs once per question, in front of the decoder. The defaults are the vendor's: a quarter is dropped,
//! 4 and 4 pivots. There it computes with fp16 embeddings and serves Qwen2.5-VL and Qwen3-VL alone; nothing in it depends on the family.

use std::sync::Arc;

use steady_methods::{DART, Keep, Positions, Value};
use steady_vlm::{Evidence, HostMatrix, Needs, Reduction, Site, Step, TokenReducer, VlmError};

use super::direction::dot;
use super::rank::{highest, others, ranked};
use super::{missing, policy};
use crate::implementation::{Built, Implementation};

pub(crate) const IMPLEMENTATION: Implementation = Implementation {
    method: &DART,
    build: |values| match *values {
        [Value::Keep(keep), Value::Count(image), Value::Count(text), Value::Positions(positions)] => {
            Some(Built::Reducer(Arc::new(Dart { keep, image, text, positions })))
        }
        _ => None,
    },
};

/// Fewer visual tokens are not worth it.
const LEAST: usize = 16;
/// What a product of lengths counts as at least.
const EPSILON: f32 = 1e-8;

/// Keeps pivots and the visual tokens that resemble them least.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dart {
    /// How many stay.
    pub keep: Keep,
    /// Pivots among the visual tokens.
    pub image: usize,
    /// Pivots among the text.
    pub text: usize,
    /// Positions of what is left.
    pub positions: Positions,
}

impl TokenReducer for Dart {
    fn name(&self) -> String {
        let [image, text] = [self.image, self.text].map(Value::Count);
        DART.spell(&[Value::Keep(self.keep), image, text, Value::Positions(self.positions)])
    }

    fn steps(&self) -> Vec<Step> {
        let needs = Needs { prompt: true, ..Needs::default() };
        vec![Step::at(Site::AfterProjector, policy(self.positions)).seeing(needs)]
    }

    fn reduce(&self, _: usize, evidence: &Evidence<'_>) -> Result<Reduction, VlmError> {
        let prompt = evidence.prompt.ok_or_else(|| missing(DART.name, "prompt's embeddings"))?;
        let visual = &prompt.visual;
        let keep = match self.keep {
            Keep::Share(share) => ((visual.rows as f64 * share).ceil() as usize).max(1),
            Keep::Count(count) => count,
        };
        if keep >= visual.rows || visual.rows < LEAST {
            return Ok(Reduction::keep((0..visual.rows).collect()));
        }
        let text: Vec<&[f32]> = prompt.before.iter_rows().chain(prompt.behind.iter_rows()).collect();
        let lengths: Vec<f32> = visual.iter_rows().map(length).collect();
        let mut kept = ranked(&visual.iter_rows().map(magnitude).collect::<Vec<_>>());
        kept.truncate(self.image.min(keep));
        let mut pivots: Vec<&[f32]> = kept.iter().map(|&row| visual.row(row)).collect();
        pivots.extend(ranked(&text.iter().map(|row| magnitude(row)).collect::<Vec<_>>()).into_iter().take(self.text).map(|row| text[row]));
        if pivots.is_empty() {
            let problem = "has no pivot: `image` and `text` are 0, or there is no text; expected at least one";
            return Err(VlmError::Invalid { what: format!("token reducer {}", DART.name), problem: problem.to_owned() });
        }
        let mut candidates = others(visual.rows, &kept);
        for (done, pivot) in pivots.iter().enumerate() {
            let share = (keep - kept.len()).div_ceil(pivots.len() - done);
            let chosen = least_alike(visual, &lengths, &candidates, pivot, share);
            candidates.retain(|row| chosen.binary_search(row).is_err());
            kept.extend(chosen);
        }
        kept.sort_unstable();
        Ok(Reduction::keep(kept))
    }
}

/// The `count` rows among `candidates`, which ascend, whose cosine with `pivot` is lowest, ascending.
fn least_alike(visual: &HostMatrix, lengths: &[f32], candidates: &[usize], pivot: &[f32], count: usize) -> Vec<usize> {
    let length = length(pivot);
    let unlike = |&row: &usize| -(dot(pivot, visual.row(row)) / (length * lengths[row]).max(EPSILON));
    let scores: Vec<f32> = candidates.iter().map(unlike).collect();
    highest(&scores, count).into_iter().map(|index| candidates[index]).collect()
}

/// L1 norm.
fn magnitude(row: &[f32]) -> f32 {
    row.iter().map(|value| value.abs()).sum()
}

/// L2 norm.
fn length(row: &[f32]) -> f32 {
    dot(row, row).sqrt()
}
