//! DivPrune: keep the visual tokens that differ most from one another.
//!
//! The subset that maximises the smallest pairwise distance (the max–min diversity problem), found greedily: start with
//! the token whose nearest neighbour is farthest, then always add the token farthest from everything kept so far. The
//! distance is one minus the cosine of the projected features. Looks at neither question nor attention.

use std::sync::Arc;

use rayon::prelude::*;
use steady_methods::{DIVPRUNE, Keep, Value};
use steady_vlm::{Evidence, HostMatrix, Needs, PositionPolicy, Reduction, Site, Step, TokenReducer, VlmError};

use super::direction::{Cosines, SIDE, as_four, dot};
use super::greedy::{Worth, greedily};
use super::missing;
use super::rank::ranked;
use crate::implementation::{Built, Implementation};

pub(crate) const IMPLEMENTATION: Implementation = Implementation {
    method: &DIVPRUNE,
    build: |values| match *values {
        [Value::Keep(keep)] => Some(Built::Reducer(Arc::new(DivPrune { keep }))),
        _ => None,
    },
};

/// Keeps the most diverse visual tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DivPrune {
    /// How many stay.
    pub keep: Keep,
}

impl TokenReducer for DivPrune {
    fn name(&self) -> String {
        DIVPRUNE.spell(&[Value::Keep(self.keep)])
    }

    fn steps(&self) -> Vec<Step> {
        let seeing = Needs { features: true, ..Needs::default() };
        vec![Step::at(Site::AfterProjector, PositionPolicy::Renumber).seeing(seeing)]
    }

    fn reduce(&self, _: usize, evidence: &Evidence<'_>) -> Result<Reduction, VlmError> {
        let features = evidence.features.ok_or_else(|| missing(DIVPRUNE.name, "projected features"))?;
        Ok(Reduction::keep(most_diverse(features, self.keep.of(features.rows))))
    }
}

/// Indices of `count` rows, ascending. Equal distances go to the lower index.
fn most_diverse(features: &HostMatrix, count: usize) -> Vec<usize> {
    if count == 0 || features.rows == 0 {
        return Vec::new();
    }
    let distances = Distances::of(features);
    let first = distances.most_alone();
    // From the first on, what counts is the distance to the nearest of those kept.
    let alone = |index: usize| if index == first { f32::MAX } else { distances.between(first, index) };
    let values: Vec<f32> = (0..features.rows).into_par_iter().map(alone).collect();
    let chosen = |worth: Worth, _: &[usize], values: &mut [f32]| {
        for index in distances.beside(worth.index) {
            values[index] = values[index].min(distances.between(worth.index, index));
        }
        worth.index
    };
    let mut kept = greedily(values, count, chosen, |some, kept| distances.look_again(some, kept));
    kept.sort_unstable();
    kept
}

/// Rows that are compared with others as those are read: they stay in a core's cache.
const TILE: usize = 32;
/// Rows whose nearest others a thread looks for together.
const BLOCK: usize = 64;
/// Rows to either side that are tried first: of an image they are often alike.
const BESIDE: usize = 8;
/// The first columns, one of so many, often tell already that two rows are far apart.
const HEAD: usize = 6;

/// Distances of rows: one minus the cosine.
struct Distances<'a> {
    cosines: Cosines<'a>,
    /// How many columns the heads of rows have; a multiple of sixteen.
    head: usize,
    /// The share of each row's length that is behind its head.
    tails: Vec<f32>,
}

impl<'a> Distances<'a> {
    fn of(rows: &'a HostMatrix) -> Self {
        let (cosines, head) = (Cosines::of(rows), rows.cols / HEAD / 16 * 16);
        let tail = |(row, scale): (&[f32], &f32)| dot(&row[head..], &row[head..]).sqrt() * scale;
        Self { head, tails: rows.iter_rows().zip(&cosines.scales).map(tail).collect(), cosines }
    }

    fn between(&self, i: usize, j: usize) -> f32 {
        1.0 - self.cosines.between(i, j)
    }

    /// The rows to either side of one.
    fn beside(&self, row: usize) -> impl Iterator<Item = usize> {
        (row.saturating_sub(BESIDE)..(row + BESIDE + 1).min(self.cosines.rows.rows)).filter(move |other| *other != row)
    }

    /// The row whose nearest other row is farthest, of equals the first. No matrix of distances is kept: of 16,384 tokens it would be a gigabyte.
    ///
    /// The nearest of the rows beside it is a bound for each. Only those whose bound is not below the best so far are compared with all, as distance-based
    /// outliers are found (S. Bay and M. Schwabacher, "Mining distance-based outliers in near linear time with randomization and a simple pruning rule", 2003).
    fn most_alone(&self) -> usize {
        let in_order = |i: usize, j: usize| self.between(i.min(j), i.max(j));
        let bound = |row: usize| self.beside(row).map(|other| in_order(row, other)).fold(f32::INFINITY, f32::min);
        let bounds: Vec<f32> = (0..self.cosines.rows.rows).into_par_iter().map(bound).collect();
        let mut best: Option<(f32, usize)> = None;
        let better = |row: usize, value: f32, best: Option<(f32, usize)>| {
            best.is_none_or(|(most, first)| value > most || value >= most && row < first)
        };
        for block in ranked(&bounds).chunks(BLOCK * rayon::current_num_threads()) {
            let open: Vec<usize> = block.iter().copied().filter(|&row| better(row, bounds[row], best)).collect();
            if open.is_empty() {
                break;
            }
            let floor = best.map_or(f32::NEG_INFINITY, |(most, _)| most);
            let nearest: Vec<f32> = open.par_chunks(BLOCK).flat_map_iter(|rows| self.nearest(rows, floor)).collect();
            for (row, value) in open.into_iter().zip(nearest) {
                if better(row, value, best) {
                    best = Some((value, row));
                }
            }
        }
        best.map_or(0, |(_, row)| row)
    }

    /// The distance of each of `rows` to the nearest of all others, or to any that is nearer than `floor`.
    fn nearest(&self, rows: &[usize], floor: f32) -> Vec<f32> {
        let n = self.cosines.rows.rows;
        let mut nearest = vec![f32::INFINITY; rows.len()];
        let mut open: Vec<usize> = (0..rows.len()).collect();
        for start in (0..n).step_by(TILE) {
            open.retain(|&place| nearest[place] >= floor);
            let tile: Vec<usize> = (start..(start + TILE).min(n)).collect();
            for places in open.chunks(SIDE) {
                let ones = as_four(places).map(|place| rows[place]);
                for others in tile.chunks(SIDE) {
                    let cosines = self.cosines.screened(ones, as_four(others));
                    for ((&place, row), cosines) in places.iter().zip(ones).zip(cosines) {
                        for (&other, cosine) in others.iter().zip(cosines).filter(|(other, _)| **other != row) {
                            if self.may_be_nearer(cosine, nearest[place]) {
                                nearest[place] = nearest[place].min(self.between(row.min(other), row.max(other)));
                            }
                        }
                    }
                }
            }
        }
        nearest
    }

    /// Whether two rows of this screened cosine can be nearer than that. What is no number tells nothing.
    fn may_be_nearer(&self, cosine: f32, distance: f32) -> bool {
        let is_far = cosine + self.cosines.slack() <= 1.0 - distance;
        !is_far
    }

    /// Makes each value the distance to the nearest of `kept`.
    fn look_again(&self, some: &mut [Worth], kept: &[usize]) {
        some.sort_unstable_by_key(|worth| worth.seen);
        let first = some.first().map_or(0, |worth| worth.seen);
        for start in (first..kept.len()).step_by(TILE) {
            let end = (start + TILE).min(kept.len());
            for four in some.chunks_mut(SIDE) {
                for others in kept.get(start.max(four[0].seen)..end).unwrap_or_default().chunks(SIDE) {
                    self.look_at(four, others);
                }
            }
        }
    }

    /// Lowers the values of up to four to their distances to the nearest of up to four others.
    fn look_at(&self, four: &mut [Worth], others: &[usize]) {
        let (ones, all) = (as_four(four).map(|worth| worth.index), as_four(others));
        // What the rest adds to a cosine is the product of the tails at most (Cauchy and Schwarz).
        let tails = |one: usize, other: usize| self.tails[one] * self.tails[other];
        let all_far = |cosines: [[f32; SIDE]; SIDE]| {
            four.iter().zip(cosines).all(|(worth, cosines)| {
                all.iter().zip(cosines).all(|(&other, cosine)| !self.may_be_nearer(cosine + tails(worth.index, other), worth.value))
            })
        };
        if all_far([[0.0; SIDE]; SIDE]) && all_far(self.cosines.screened_heads(self.head, ones, all)) {
            return;
        }
        for (worth, cosines) in four.iter_mut().zip(self.cosines.screened(ones, all)) {
            for (&other, cosine) in others.iter().zip(cosines) {
                if self.may_be_nearer(cosine, worth.value) {
                    worth.value = worth.value.min(self.between(other, worth.index));
                }
            }
        }
    }
}
