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

use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;
use steady_methods::{CDPRUNER, Keep, Positions, Value};
use steady_vlm::{Evidence, Needs, PromptStates, Reduction, Site, Step, TokenReducer, VlmError};

use super::direction::{Cosines, as_four, dot, four_dots, scale};
use super::greedy::{Worth, greedily};
use super::{missing, policy};
use crate::dot::subtract;
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
/// Directions that tokens are compared with while those are in a core's cache.
const TILE: usize = 32;
/// Tokens whose remainders are made together, so that the directions are read once for all of them.
const AHEAD: usize = 128;
/// Of these, those that a thread makes at once.
const SHARE: usize = 16;
/// A remainder is made together with others again when so many were chosen since.
const NEAR: usize = 64;

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
        let directions = Cosines::guarded(&prompt.visual, THRESHOLD);
        let text = question(prompt);
        let mut kept = if self.halves {
            let (half, keep) = (n / 2, keep.next_multiple_of(2).min(n));
            let halves = [(0..half, keep / 2), (half..n, keep - keep / 2)].map(|(rows, count)| {
                let relevance = relevance(&directions, rows.clone(), &text);
                chosen(&directions, rows.start, &relevance, count.min(rows.len()))
            });
            halves.concat()
        } else {
            chosen(&directions, 0, &relevance(&directions, 0..n, &text), keep)
        };
        kept.sort_unstable();
        Ok(Reduction::keep(kept))
    }
}

/// The mean embedding of the prompt's text without the marks around the image, `[d]` at length 1; zeros without text.
fn question(prompt: &PromptStates) -> Vec<f32> {
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
    let scale = scale(&mean, THRESHOLD);
    for value in &mut mean {
        *value *= scale;
    }
    mean
}

/// Cosines of `rows` with `text`, from 0 for the least to nearly 1 for the most.
fn relevance(of: &Cosines<'_>, rows: Range<usize>, text: &[f32]) -> Vec<f32> {
    let cosines: Vec<f32> = rows.map(|row| dot(of.rows.row(row), text) * of.scales[row]).collect();
    let (least, most) =
        cosines.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(least, most), value| (least.min(*value), most.max(*value)));
    cosines.iter().map(|value| (value - least) / (most - least + THRESHOLD)).collect()
}

/// `count` rows from `first` on, one for each of `relevance`, in the order of the choice.
///
/// What a token adds to the determinant is what is left of it, relevance times direction, beside those chosen. Of each of these the direction is kept
/// that it added, `[d]`. The kernel's Cholesky factor is the products of tokens with those, and need not be kept for all tokens.
fn chosen(of: &Cosines<'_>, first: usize, relevance: &[f32], count: usize) -> Vec<usize> {
    let scaled = |index: usize| (of.rows.row(first + index), relevance[index] * of.scales[first + index]);
    let gain = |index: usize| {
        let (row, scale) = scaled(index);
        dot(row, row) * scale * scale
    };
    let gains: Vec<f32> = (0..relevance.len()).map(gain).collect();
    let mut ahead: Vec<Remainder<'_>> = Vec::new();
    let added = |worth: Worth, before: &[Vec<f32>], values: &mut [f32]| {
        if !ahead.iter().any(|token| token.index == worth.index && before.len() - token.seen <= NEAR) {
            // Those that are worth most are likely to be next.
            let next = likeliest(values, AHEAD.min(count - before.len()), worth.index);
            ahead.retain(|token| next.contains(&token.index));
            let known: Vec<usize> = ahead.iter().map(|token| token.index).collect();
            ahead.extend(next.into_iter().filter(|index| !known.contains(index)).map(|index| {
                let (row, scale) = scaled(index);
                Remainder { index, row, scale, left: row.iter().map(|value| value * scale).collect(), seen: 0 }
            }));
            ahead.sort_unstable_by_key(|token| token.seen);
            ahead.par_chunks_mut(SHARE).for_each(|some| take_from(some, before));
        }
        let at = ahead.iter().position(|token| token.index == worth.index).unwrap_or_default();
        let mut token = ahead.swap_remove(at);
        take_from(std::slice::from_mut(&mut token), before);
        values[worth.index] = f32::NEG_INFINITY;
        let length = 1.0 / (worth.value.max(0.0) + THRESHOLD).sqrt();
        for value in &mut token.left {
            *value *= length;
        }
        token.left
    };
    let again = |some: &mut [Worth], added: &[Vec<f32>]| {
        let first = some.first().map_or(0, |worth| worth.seen);
        for start in (first..added.len()).step_by(TILE) {
            for four in some.chunks_mut(4) {
                let rows = as_four(four).map(|worth| scaled(worth.index).0);
                let end = added.len().min(start + TILE);
                for (at, added) in added.iter().enumerate().take(end).skip(start.max(four[0].seen)) {
                    let products = four_dots(added, rows);
                    for (worth, product) in four.iter_mut().zip(products).filter(|(worth, _)| worth.seen <= at) {
                        let along = product * scaled(worth.index).1;
                        worth.value -= along * along;
                    }
                }
            }
        }
    };
    // Behind as many tokens as they are wide nothing adds to the determinant. What rounding makes of that may not be finite, and is the least of all.
    greedily(gains, count, added, again).into_iter().map(|index| first + index).collect()
}

/// What is left of a token beside some of those chosen.
struct Remainder<'a> {
    index: usize,
    row: &'a [f32],
    scale: f32,
    left: Vec<f32>,
    /// How many of those chosen were taken from it.
    seen: usize,
}

/// Takes from tokens the directions that they were not freed of yet. Those that were `seen` first stand in front.
fn take_from(some: &mut [Remainder<'_>], directions: &[Vec<f32>]) {
    let first = some.first().map_or(0, |token| token.seen);
    for start in (first..directions.len()).step_by(TILE) {
        let end = directions.len().min(start + TILE);
        for four in some.chunks_mut(4) {
            let from = start.max(four[0].seen);
            let rows = [0, 1, 2, 3].map(|at| four[at.min(four.len() - 1)].row);
            let products: Vec<[f32; 4]> = directions.iter().take(end).skip(from).map(|direction| four_dots(direction, rows)).collect();
            for (at, token) in four.iter_mut().enumerate() {
                let alongs = products.iter().zip(from..).filter(|(_, direction)| *direction >= token.seen);
                let alongs = alongs.map(|(products, direction)| (products[at] * token.scale, directions[direction].as_slice()));
                let taken: Vec<_> = alongs.filter(|(along, _)| along.abs() >= THRESHOLD).collect();
                subtract(&mut token.left, &taken);
            }
        }
    }
    for token in some {
        token.seen = directions.len();
    }
}

/// The `count` tokens of the highest values, and `one` among them.
fn likeliest(values: &[f32], count: usize, one: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).filter(|&index| index != one && values[index] > f32::NEG_INFINITY).collect();
    let others = count.saturating_sub(1).min(order.len());
    if others < order.len() {
        order.select_nth_unstable_by(others, |&a, &b| values[b].total_cmp(&values[a]).then(a.cmp(&b)));
        order.truncate(others);
    }
    order.push(one);
    order
}
