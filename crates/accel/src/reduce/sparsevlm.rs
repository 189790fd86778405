//! SparseVLM: at three decoder layers, keep the visual tokens that the words about them look at, and merge some of the rest.
//!
//! Zhang et al., ICML 2025 (arXiv 2410.04417). Read in the authors' repository Gumpest/SparseVLMs at commit 26a5f48,
//! `llava/model/language_model/modelling_sparse_llama.py`, `score.py` and `utils.py`, version `1_0`, which is their default; nothing is copied.
//!
//! - **Raters**: of the tokens behind the image, those to which the visual tokens are most alike as both enter the decoder: softmax over the
//!   text of the inner products, without a scale, mean over the visual tokens, above the mean of that.
//! - **Score**: after layers 2, 6 and 15 of 32, what the raters looked at in that layer, mean over heads and raters.
//! - **How many** stay: published are 300, 200, 110 of 576 for a mean of 192 over all layers; 303, 110, 36 for 128; 238, 48, 26 for 96; 66, 30,
//!   17 for 64. `keep` is that mean as a share of the visual tokens. Between two published ones counts are taken in between, below the lowest
//!   in proportion, above the highest in between to all. At least one goes, as in the source, unless `keep` is 1.
//! - **Recycling**: of those that go, the `floor(0.3 * gone) + 1` with the highest scores become `floor(that / 10) + 1` tokens behind the ones
//!   that stay: clusters around density peaks, each the mean of its members. The source computes densities in the model's precision, where
//!   those of like tokens are equal, and tells them apart by noise; here they are in f64, and of equal ones the lower index counts as denser.
//!   Clusters come on top of the counts.
//! - **Positions** are counted anew: the source cuts its list of positions at the new length.
//!
//! Layers of another depth lie at the same shares of it; those that fall together move up by one. Merged tokens have no position to keep, so
//! that where positions say where in the image a token is (Qwen) clusters are left out, as in the authors' version 2.0.

use std::sync::Arc;

use pulp::Arch;
use rayon::prelude::*;
use steady_methods::{Keep, Layers, SPARSEVLM, Value};
use steady_vlm::{Evidence, HostMatrix, Needs, PositionPolicy, PromptStates, Reduction, Step, TokenReducer, VlmError};

use super::direction::dot;
use super::rank::{highest, others, ranked};
use super::{missing, sites};
use crate::implementation::{Built, Implementation};

pub(crate) const IMPLEMENTATION: Implementation = Implementation {
    method: &SPARSEVLM,
    build: |values| match *values {
        [Value::Layers(layers), Value::Keep(keep)] => Some(Built::Reducer(Arc::new(SparseVlm { layers, keep }))),
        _ => None,
    },
};

/// The layers behind those that are looked at, in 32nds of the depth.
const PUBLISHED: [usize; 3] = [3, 7, 16];
/// Mean budgets of 576 visual tokens, and what each step leaves.
const BUDGETS: [(f64, [f64; 3]); 6] = [
    (0.0, [0.0, 0.0, 0.0]),
    (64.0, [66.0, 30.0, 17.0]),
    (96.0, [238.0, 48.0, 26.0]),
    (128.0, [303.0, 110.0, 36.0]),
    (192.0, [300.0, 200.0, 110.0]),
    (576.0, [576.0, 576.0, 576.0]),
];
/// What the budgets are of.
const TOKENS: f64 = 576.0;

/// Keeps what the raters look at and recycles some of the rest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SparseVlm {
    /// Before which layers tokens go; the ones below are looked at.
    pub layers: Layers,
    /// How many there are in the mean over all layers.
    pub keep: Keep,
}

impl TokenReducer for SparseVlm {
    fn name(&self) -> String {
        SPARSEVLM.spell(&[Value::Layers(self.layers), Value::Keep(self.keep)])
    }

    fn steps(&self) -> Vec<Step> {
        let needs = || Needs { features: true, prompt: true, text_attention: true, ..Needs::default() };
        sites(self.layers, PUBLISHED).into_iter().map(|site| Step::at(site, PositionPolicy::Renumber).seeing(needs())).collect()
    }

    fn reduce(&self, step: usize, evidence: &Evidence<'_>) -> Result<Reduction, VlmError> {
        let missing = |what| missing(SPARSEVLM.name, what);
        let features = evidence.features.ok_or_else(|| missing("states of the visual tokens"))?;
        let attention = evidence.text_attention.ok_or_else(|| missing("text's attention"))?;
        let prompt = evidence.prompt.ok_or_else(|| missing("prompt's embeddings"))?;
        let (n, of) = (features.rows, prompt.visual.rows);
        let keep = self.keep.of(of);
        if keep >= of || n < 2 {
            return Ok(Reduction::keep((0..n).collect()));
        }
        let scores = attention.select_rows(&raters(prompt)).mean_over_rows();
        let kept = highest(&scores, budget(keep, of, step).clamp(1, n - 1));
        if prompt.marked {
            return Ok(Reduction::keep(kept));
        }
        let gone = others(n, &kept);
        let recycled = (gone.len() as f64 * 0.3) as usize + 1;
        let order = ranked(&gone.iter().map(|&row| scores[row]).collect::<Vec<_>>());
        let recycled: Vec<usize> = order.into_iter().take(recycled).map(|index| gone[index]).collect();
        let (merged, clusters) = clustered(&features.select_rows(&recycled), recycled.len() / 10 + 1);
        let mut into = vec![None; n];
        kept.iter().enumerate().for_each(|(row, &token)| into[token] = Some(row));
        recycled.iter().zip(clusters).for_each(|(&token, cluster)| into[token] = Some(kept.len() + cluster));
        Ok(Reduction { kept, merged: Some(merged), into, ..Reduction::default() })
    }
}

/// What step number `step` leaves of `of` visual tokens when their mean over all layers is to be `keep`.
fn budget(keep: usize, of: usize, step: usize) -> usize {
    let mean = keep as f64 / of as f64 * TOKENS;
    let above = BUDGETS.iter().position(|(budget, _)| *budget >= mean - 0.5).unwrap_or(BUDGETS.len() - 1).max(1);
    let ((low, least), (high, most)) = (BUDGETS[above - 1], BUDGETS[above]);
    // Half a token of 576 is a share that was rounded.
    let way = if (high - mean).abs() <= 0.5 { 1.0 } else { (mean - low) / (high - low) };
    let step = step.min(2);
    ((least[step] + (most[step] - least[step]) * way) * of as f64 / TOKENS).round_ties_even() as usize
}

/// The tokens behind the image that the visual tokens are most alike; all of them if they are so equally.
fn raters(prompt: &PromptStates) -> Vec<usize> {
    let text = &prompt.behind;
    let mut mean = vec![0.0; text.rows];
    for visual in prompt.visual.iter_rows() {
        let products: Vec<f32> = text.iter_rows().map(|word| dot(visual, word)).collect();
        let highest = products.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let total: f32 = products.iter().map(|product| (product - highest).exp()).sum();
        for (mean, product) in mean.iter_mut().zip(products) {
            *mean += (product - highest).exp() / total / prompt.visual.rows as f32;
        }
    }
    let threshold = mean.iter().sum::<f32>() / mean.len().max(1) as f32;
    let above: Vec<usize> = (0..mean.len()).filter(|&word| mean[word] > threshold).collect();
    if above.is_empty() { (0..mean.len()).collect() } else { above }
}

/// Rows whose distances a thread computes together.
const BLOCK: usize = 64;
/// Rows to which distances are computed side by side.
const LANES: usize = 16;

/// The distance of each row to those before it and to itself, over the root of the width.
fn distances(rows: &HostMatrix) -> Vec<Vec<f64>> {
    let (n, width) = (rows.rows, rows.cols);
    let block = |first: usize| {
        let end = (first + BLOCK).min(n);
        let mut block: Vec<Vec<f64>> = (first..end).map(|row| Vec::with_capacity(row + 1)).collect();
        for start in (0..end).step_by(LANES) {
            // Sixteen rows as columns. Where there are fewer, the rest is zeros that nobody asks for.
            let mut columns = vec![[0.0; LANES]; width];
            for (lane, row) in (start..(start + LANES).min(end)).enumerate() {
                columns.iter_mut().zip(rows.row(row)).for_each(|(column, value)| column[lane] = *value);
            }
            for (row, distances) in (first..end).zip(&mut block) {
                let squares = Arch::new().dispatch(|| squares(rows.row(row), &columns));
                let before = (row + 1).saturating_sub(start).min(LANES);
                distances.extend(squares[..before].iter().map(|squares| squares.sqrt() / (width as f64).sqrt()));
            }
        }
        block
    };
    (0..n).step_by(BLOCK).collect::<Vec<_>>().into_par_iter().flat_map_iter(block).collect()
}

/// The squared distances of a row to sixteen others. Each is summed up in the order of the columns.
#[expect(clippy::inline_always, reason = "what runs under pulp's dispatch gets its instruction set only by being inlined into it")]
#[inline(always)]
fn squares(row: &[f32], columns: &[[f32; LANES]]) -> [f64; LANES] {
    let mut sums = [0.0; LANES];
    for (value, column) in row.iter().zip(columns) {
        for (sum, other) in sums.iter_mut().zip(column) {
            let apart = f64::from(*value) - f64::from(*other);
            *sum += apart * apart;
        }
    }
    sums
}

/// Density-peak clustering with the nearest neighbours (Rodriguez & Laio, 2014; Du et al., 2016): `rows` as `count` means of clusters, and
/// which of these each is in.
fn clustered(rows: &HostMatrix, count: usize) -> (HostMatrix, Vec<usize>) {
    let (n, width) = (rows.rows, rows.cols);
    let count = count.min(n);
    // Each once: with as many rows as there may be, they are the most that is held.
    let once = distances(rows);
    let between = |a: usize, b: usize| once[a.max(b)][a.min(b)];
    let density: Vec<f64> = (0..n)
        .into_par_iter()
        .map(|row| {
            let mut nearest: Vec<f64> = (0..n).map(|other| between(row, other)).collect();
            nearest.sort_by(f64::total_cmp);
            (-nearest[..count].iter().map(|near| near * near).sum::<f64>() / count as f64).exp()
        })
        .collect();
    let farthest = once.iter().flatten().copied().fold(0.0, f64::max);
    let denser = |a: usize, b: usize| density[a] > density[b] || (density[a].total_cmp(&density[b]).is_eq() && a < b);
    let to_denser = |row: usize| (0..n).filter(|&other| denser(other, row)).map(|other| between(row, other)).fold(farthest, f64::min);
    let scores: Vec<f64> = (0..n).map(|row| to_denser(row) * density[row]).collect();
    let mut centres: Vec<usize> = (0..n).collect();
    centres.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
    centres.truncate(count);
    let nearest = |row: usize| (0..count).min_by(|&a, &b| between(centres[a], row).total_cmp(&between(centres[b], row)));
    let mut sums = vec![0.0; count * width];
    let mut members = vec![0_usize; count];
    // A centre is its own cluster's, also where another is as near. There is always a nearest: no count is 0.
    let cluster_of = |row| centres.iter().position(|&centre| centre == row).or_else(|| nearest(row)).unwrap_or_default();
    let clusters: Vec<usize> = (0..n).map(cluster_of).collect();
    for (row, &cluster) in clusters.iter().enumerate() {
        members[cluster] += 1;
        sums[cluster * width..][..width].iter_mut().zip(rows.row(row)).for_each(|(sum, value)| *sum += value);
    }
    for (sums, members) in sums.chunks_exact_mut(width.max(1)).zip(members) {
        // The source adds this to the count, and to the sum's disadvantage so do we.
        for sum in sums {
            *sum /= members as f32 + 1e-6;
        }
    }
    (HostMatrix::new(count, width, sums), clusters)
}
