//! CDPruner: the visual tokens that are relevant to the question and unlike each other, by a determinantal point process.
//!
//! Zhang et al., NeurIPS 2025 (arXiv 2506.10967). Read in the authors' repository Theia-4869/CDPruner at commit 9541616,
//! `llava/model/llava_arch.py`, and as OpenVINO GenAI ships it, openvinotoolkit/openvino.genai, `src/cpp/src/visual_language/cdpruner`
//! (`kernel_builder.cpp` at 195290c, `fast_dpp.cpp` at 004607f); nothing is copied.
//!
//! - **Relevance** of a visual token: its cosine with the question, from 0 for the least to 1 for the most relevant one. The authors take CLIP's
//!   text tower, which LLaVA checkpoints lack. OpenVINO takes the mean of the decoder's embeddings of all text outside of the marks around
//!   the image, and so does this; relevance is then the cosine, where the authors' CLIP takes its negative.
//! - **Kernel**: relevance of one times cosine between both times relevance of the other, of the projected visual tokens.
//! - **Choice**: greedily the token that makes the determinant of the kernel of those chosen largest (Chen et al., 2018). Small numbers are
//!   guarded as OpenVINO guards them, by 1e-6.
//! - `halves` chooses half of them from each half of the image apart, and rounds an odd number of them up: what OpenVINO does unless its
//!   `CDPRUNER_SPLIT_THRESHOLD` is 0. Its GPU rounds up in any case.
//! - What is left keeps the image's order. On LLaVA it is counted anew, as the authors have it.
//!
//! OpenVINO drops nothing unless it is told a share, and its `relevance_weight` does not enter the kernel at these commits. The default here
//! is the authors' 64 of 576. Looks at the embedded prompt, so it runs once per question, in front of the decoder.

use std::sync::Arc;

use steady_methods::{CDPRUNER, Keep, Positions, Value};
use steady_vlm::{Evidence, HostMatrix, Needs, PromptStates, Reduction, Site, Step, TokenReducer, VlmError};

use super::direction::dot;
use super::rank::best;
use super::{missing, policy};
use crate::implementation::{Built, Implementation};

pub(crate) const IMPLEMENTATION: Implementation = Implementation {
    method: &CDPRUNER,
    build: |values| match *values {
        [Value::Keep(keep), Value::Flag(halves), Value::Positions(positions)] => {
            Some(Built::Reducer(Arc::new(CdPruner { keep, halves, positions })))
        }
        _ => None,
    },
};

/// OpenVINO's guard against division by nothing.
const THRESHOLD: f32 = 1e-6;

/// Keeps visual tokens that are relevant and diverse.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CdPruner {
    /// How many stay.
    pub keep: Keep,
    /// Whether each half of the image is chosen from apart.
    pub halves: bool,
    /// Positions of what is left.
    pub positions: Positions,
}

impl TokenReducer for CdPruner {
    fn name(&self) -> String {
        CDPRUNER.spell(&[Value::Keep(self.keep), Value::Flag(self.halves), Value::Positions(self.positions)])
    }

    fn steps(&self) -> Vec<Step> {
        let needs = Needs { prompt: true, ..Needs::default() };
        vec![Step::at(Site::AfterProjector, policy(self.positions)).seeing(needs)]
    }

    fn reduce(&self, _: usize, evidence: &Evidence<'_>) -> Result<Reduction, VlmError> {
        let prompt = evidence.prompt.ok_or_else(|| missing(CDPRUNER.name, "prompt's embeddings"))?;
        let n = prompt.visual.rows;
        let keep = self.keep.of(n);
        if keep >= n {
            return Ok(Reduction::keep((0..n).collect()));
        }
        let directions = guarded(&prompt.visual);
        let text = guarded(&question(prompt));
        let mut kept = if self.halves {
            let (half, keep) = (n / 2, keep.next_multiple_of(2).min(n));
            let halves = [(0..half, keep / 2), (half..n, keep - keep / 2)].map(|(rows, count)| {
                let relevance = relevance(&directions, rows.clone(), text.row(0));
                chosen(&directions, rows.start, &relevance, count.min(rows.len()))
            });
            halves.concat()
        } else {
            chosen(&directions, 0, &relevance(&directions, 0..n, text.row(0)), keep)
        };
        kept.sort_unstable();
        Ok(Reduction::keep(kept))
    }
}

/// The mean embedding of the prompt's text without the marks around the image, `[1, d]`; zeros without text.
fn question(prompt: &PromptStates) -> HostMatrix {
    let marks = usize::from(prompt.marked);
    let before = prompt.before.iter_rows().take(prompt.before.rows.saturating_sub(marks));
    let text: Vec<&[f32]> = before.chain(prompt.behind.iter_rows().skip(marks)).collect();
    let mut mean = vec![0.0; prompt.visual.cols];
    for row in &text {
        mean.iter_mut().zip(*row).for_each(|(sum, value)| *sum += value);
    }
    for sum in &mut mean {
        *sum /= text.len().max(1) as f32;
    }
    HostMatrix::new(1, prompt.visual.cols, mean)
}

/// Rows at length 1, guarded.
fn guarded(rows: &HostMatrix) -> HostMatrix {
    let data = rows.iter_rows().flat_map(|row| {
        let norm = (dot(row, row) + THRESHOLD).sqrt();
        row.iter().map(move |value| value / norm)
    });
    HostMatrix::new(rows.rows, rows.cols, data.collect())
}

/// Cosines of `rows` of `directions` with `text`, from 0 for the least to nearly 1 for the most.
fn relevance(directions: &HostMatrix, rows: std::ops::Range<usize>, text: &[f32]) -> Vec<f32> {
    let cosines: Vec<f32> = rows.map(|row| dot(directions.row(row), text)).collect();
    let (least, most) =
        cosines.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(least, most), value| (least.min(*value), most.max(*value)));
    cosines.iter().map(|value| (value - least) / (most - least + THRESHOLD)).collect()
}

/// `count` rows of `directions` from `first` on, one for each of `relevance`, in the order of the choice.
fn chosen(directions: &HostMatrix, first: usize, relevance: &[f32], count: usize) -> Vec<usize> {
    let n = relevance.len();
    let row = |index: usize| directions.row(first + index);
    let kernel = |i: usize, j: usize| relevance[i] * dot(row(i), row(j)) * relevance[j];
    // What each token would add to the logarithm of the determinant, exponentiated; and the rows of the Cholesky factor so far.
    let mut gains: Vec<f32> = (0..n).map(|index| kernel(index, index)).collect();
    let mut factor: Vec<Vec<f32>> = Vec::with_capacity(count);
    let mut chosen = Vec::with_capacity(count);
    let mut is_chosen = vec![false; n];
    while chosen.len() < count.min(n) {
        // Behind as many tokens as they are wide nothing adds to the determinant. What rounding makes of the factor then may not be finite, and is
        // the least of all.
        let of = |(gain, chosen): (&f32, &bool)| if *chosen || !gain.is_finite() { f32::NEG_INFINITY } else { *gain };
        let highest = best(gains.iter().zip(&is_chosen).map(of)).filter(|&next| !is_chosen[next]);
        let Some(next) = highest.or_else(|| is_chosen.iter().position(|chosen| !chosen)) else { break };
        is_chosen[next] = true;
        let scale = 1.0 / (gains[next].max(0.0) + THRESHOLD).sqrt();
        let mut row: Vec<f32> = (0..n).map(|index| kernel(next, index)).collect();
        for before in factor.iter().filter(|before| before[next].abs() >= THRESHOLD) {
            let at_next = before[next];
            row.iter_mut().zip(before).for_each(|(value, before)| *value -= at_next * before);
        }
        for value in &mut row {
            *value *= scale;
        }
        for (gain, value) in gains.iter_mut().zip(&row) {
            *gain -= value * value;
        }
        chosen.push(first + next);
        factor.push(row);
    }
    chosen
}
