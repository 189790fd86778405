//! VisPruner: keep the visual tokens that the class token looks at most, and of the others those that no other resembles.
//!
//! Zhang et al., ICCV 2025 (arXiv 2412.01818v2). Read in the authors' repository Theia-4869/VisPruner at commit aefa01a,
//! `llava/model/llava_arch.py`; nothing is copied.
//!
//! `floor(keep * important)` tokens are kept by the class token's attention in the last but one layer, mean over heads. The rest, from the
//! most attended to the least, is thinned out: every second one is compared with all those between, and of the ones so compared the up to 8
//! that most resemble another go, until the budget is met. The ones that stay come out from the most to the least alike, in front of those
//! between, and the next round begins from there. It asks no question.
//!
//! The authors' code stops with an error where an odd number of tokens is to be thinned out (`important=0.75` with 58 of 576). Here the odd
//! one is compared like the others of its half. A round drops no more than it compares.

use std::sync::Arc;

use rayon::prelude::*;
use steady_methods::{Keep, Positions, VISPRUNER, Value};
use steady_vlm::{Evidence, Needs, Reduction, Site, Step, TokenReducer, VlmError};

use super::direction::{Cosines, SIDE, as_four};
use super::rank::ranked;
use super::{missing, policy};
use crate::implementation::{Built, Implementation};

pub(crate) const IMPLEMENTATION: Implementation = Implementation {
    method: &VISPRUNER,
    build: |values| match *values {
        [Value::Keep(keep), Value::Fraction(important), Value::Positions(positions)] => {
            Some(Built::Reducer(Arc::new(VisPruner { keep, important, positions })))
        }
        _ => None,
    },
};

/// The layer looked at, counted from the end.
const LAYER: i32 = -2;
/// Most tokens that a round drops.
const ROUND: usize = 8;

/// Keeps important and diverse visual tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VisPruner {
    /// How many stay.
    pub keep: Keep,
    /// What share of them by attention.
    pub important: f64,
    /// Positions of what is left.
    pub positions: Positions,
}

impl TokenReducer for VisPruner {
    fn name(&self) -> String {
        VISPRUNER.spell(&[Value::Keep(self.keep), Value::Fraction(self.important), Value::Positions(self.positions)])
    }

    fn steps(&self) -> Vec<Step> {
        let needs = Needs { features: true, cls_attention: [LAYER].into(), ..Needs::default() };
        vec![Step::at(Site::AfterTower, policy(self.positions)).seeing(needs)]
    }

    fn reduce(&self, _: usize, evidence: &Evidence<'_>) -> Result<Reduction, VlmError> {
        let features = evidence.features.ok_or_else(|| missing(VISPRUNER.name, "vision features"))?;
        let attention = evidence.cls_attention(LAYER).ok_or_else(|| missing(VISPRUNER.name, "class token's attention"))?;
        let keep = self.keep.of(features.rows);
        let mut kept = ranked(&attention.mean_over_rows());
        let residual = kept.split_off((keep as f64 * self.important) as usize);
        let diverse = keep - kept.len();
        kept.extend(thinned_out(&Cosines::of(features), residual, diverse));
        kept.sort_unstable();
        Ok(Reduction::keep(kept))
    }
}

/// `count` of the rows `residual` of `directions`.
fn thinned_out(directions: &Cosines<'_>, mut residual: Vec<usize>, count: usize) -> Vec<usize> {
    if count == 0 {
        return Vec::new();
    }
    let mut likest = Likest { directions, lists: vec![Vec::new(); directions.rows.rows] };
    let mut roles = vec![Role::Gone; directions.rows.rows];
    while residual.len() > count && residual.len() > 1 {
        let compared: Vec<usize> = residual.iter().copied().step_by(2).collect();
        let between: Vec<usize> = residual.iter().copied().skip(1).step_by(2).collect();
        for (of, role) in [(&compared, Role::Compared), (&between, Role::Between)] {
            for &row in of {
                roles[row] = role;
            }
        }
        let order = ranked(&likest.scores(&compared, &between, &roles, &residual));
        let drop = ROUND.min(residual.len() - count);
        for &index in &order[..drop.min(order.len())] {
            roles[compared[index]] = Role::Gone;
        }
        residual = order.into_iter().skip(drop).map(|index| compared[index]).chain(between).collect();
    }
    residual
}

/// What a row is in a round.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Gone,
    Compared,
    Between,
}

/// Rows that are most like another, from the most alike on, with how alike they are.
type Alike = Vec<(f32, u32)>;

/// What each row is most like, so that not every round compares all with all. Rows go, and none comes: what was among the likest of all is among the likest of
/// those that are left.
struct Likest<'a> {
    directions: &'a Cosines<'a>,
    /// Empty before it was looked for.
    lists: Vec<Alike>,
}

/// Rows that are remembered of each.
const LIKEST: usize = 64;
/// With so few of them left, others are looked for when they are for any: half are in the part of the round that counts, by chance, and soon none would be.
const FEW: usize = 16;
/// Rows that are compared with others as those are read: they stay in a core's cache.
const TILE: usize = 32;

impl Likest<'_> {
    /// How alike each of `compared` is to the likest row of `between`, where rows are `residual`.
    fn scores(&mut self, compared: &[usize], between: &[usize], roles: &[Role], residual: &[usize]) -> Vec<f32> {
        let known = |lists: &[Alike], row: usize| {
            lists[row].iter().find(|(_, other)| roles[*other as usize] == Role::Between).map(|(alike, _)| *alike)
        };
        if compared.iter().any(|&row| known(&self.lists, row).is_none()) {
            let left = |row: usize| self.lists[row].iter().filter(|(_, other)| roles[*other as usize] != Role::Gone).count();
            let few: Vec<usize> = residual.iter().copied().filter(|&row| left(row) <= FEW.min(residual.len() - 2)).collect();
            if 2 * few.len() > residual.len() {
                self.look_at_all(residual);
            } else {
                self.look_at(&few, residual);
            }
        }
        let alike = |&row: &usize| {
            let likest = || between.iter().map(|&other| self.directions.between(row, other)).fold(f32::MIN, f32::max);
            known(&self.lists, row).unwrap_or_else(likest)
        };
        compared.par_iter().map(alike).collect()
    }

    /// Finds the lists of `rows` among `residual`.
    fn look_at(&mut self, rows: &[usize], residual: &[usize]) {
        let lists = |some: &[usize]| {
            let mut lists: Vec<Alike> = vec![Vec::with_capacity(LIKEST); some.len()];
            for tile in residual.chunks(TILE) {
                for (four, lists) in some.chunks(SIDE).zip(lists.chunks_mut(SIDE)) {
                    for others in tile.chunks(SIDE) {
                        let screened = self.directions.screened(as_four(four), as_four(others));
                        for ((&row, list), cosines) in four.iter().zip(lists.iter_mut()).zip(screened) {
                            for (&other, cosine) in others.iter().zip(cosines) {
                                if self.may_be_among(list, cosine) {
                                    remember(list, self.directions.between(row, other), row, other);
                                }
                            }
                        }
                    }
                }
            }
            lists
        };
        let found: Vec<Alike> = rows.par_chunks(TILE).flat_map_iter(lists).collect();
        for (&row, list) in rows.iter().zip(found) {
            self.lists[row] = list;
        }
    }

    /// Whether a row of this screened cosine can be among the likest in a list. What is no number tells nothing.
    fn may_be_among(&self, list: &Alike, cosine: f32) -> bool {
        let is_less = list.len() >= LIKEST && list.last().is_some_and(|(least, _)| cosine + self.directions.slack() <= *least);
        !is_less
    }

    /// Finds the lists of all `rows` among themselves, each pair once.
    fn look_at_all(&mut self, rows: &[usize]) {
        let none = || vec![Vec::new(); rows.len()];
        let with_tile = |mut lists: Vec<Alike>, first: usize| {
            let end = (first + TILE).min(rows.len());
            for start in (first..rows.len()).step_by(TILE) {
                let places: Vec<usize> = (start..(start + TILE).min(rows.len())).collect();
                for at in (first..end).step_by(SIDE) {
                    let four = &rows[at..(at + SIDE).min(end)];
                    for places in places.chunks(SIDE).filter(|places| places[places.len() - 1] > at) {
                        let screened = self.directions.screened(as_four(four), as_four(places).map(|place| rows[place]));
                        for ((row_at, &row), cosines) in (at..).zip(four).zip(screened) {
                            for (&place, cosine) in places.iter().zip(cosines).filter(|(place, _)| **place > row_at) {
                                let other = rows[place];
                                if self.may_be_among(&lists[row_at], cosine) {
                                    remember(&mut lists[row_at], self.directions.between(row, other), row, other);
                                }
                                if self.may_be_among(&lists[place], cosine) {
                                    remember(&mut lists[place], self.directions.between(other, row), other, row);
                                }
                            }
                        }
                    }
                }
            }
            lists
        };
        let both = |a: Vec<Alike>, b: Vec<Alike>| a.into_iter().zip(b).map(|(a, b)| joined(a, b)).collect();
        // Each thread has lists of its own, so that there are few to join; the tiles of one are spread, as the first ones have most to compare.
        let threads = rayon::current_num_threads();
        let of_thread = |thread: usize| (0..rows.len()).step_by(TILE).skip(thread).step_by(threads).fold(none(), with_tile);
        let found = (0..threads).into_par_iter().map(of_thread).reduce(none, both);
        for (&row, list) in rows.iter().zip(found) {
            self.lists[row] = list;
        }
    }
}

/// Puts `other` into the list of `row` if it is among the likest so far.
fn remember(list: &mut Alike, alike: f32, row: usize, other: usize) {
    let full = list.len() >= LIKEST;
    if other == row || alike.is_nan() || full && list.last().is_some_and(|(least, _)| alike <= *least) {
        return;
    }
    if full {
        list.pop();
    }
    list.insert(list.partition_point(|(more, _)| *more >= alike), (alike, other as u32));
}

/// The likest of two lists of one row.
fn joined(mut a: Alike, b: Alike) -> Alike {
    if a.is_empty() {
        return b;
    }
    a.extend(b);
    a.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    a.truncate(LIKEST);
    a
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use steady_vlm::HostMatrix;

    use super::*;

    /// As it is defined: every round compares one half with all of the other.
    fn by_definition(directions: &Cosines<'_>, mut residual: Vec<usize>, count: usize) -> Vec<usize> {
        while residual.len() > count && residual.len() > 1 {
            let (compared, between): (Vec<usize>, Vec<usize>) = (0..residual.len()).partition(|place| place % 2 == 0);
            let alike =
                |&place: &usize| between.iter().map(|&other| directions.between(residual[place], residual[other])).fold(f32::MIN, f32::max);
            let order = ranked(&compared.iter().map(alike).collect::<Vec<_>>());
            let drop = ROUND.min(residual.len() - count);
            let left = order.into_iter().skip(drop).map(|index| compared[index]).chain(between);
            residual = left.map(|place| residual[place]).collect();
        }
        residual
    }

    proptest! {
        /// Few directions, so that many are equal; and more rows than a list remembers.
        #[test]
        fn lists_change_nothing(data in prop::collection::vec(-2_i8..3, 150 * 3), rows in 2_usize..150, count in 1_usize..150) {
            let data = data[..rows * 3].iter().map(|value| f32::from(*value)).collect();
            let features = HostMatrix::new(rows, 3, data);
            let directions = Cosines::of(&features);
            let residual: Vec<usize> = (0..rows).rev().collect();
            prop_assert_eq!(thinned_out(&directions, residual.clone(), count), by_definition(&directions, residual, count));
        }
    }
}
