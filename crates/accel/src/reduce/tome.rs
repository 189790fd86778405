//! ToMe, token merging: in every block of the vision tower, the patches that are most alike become one.
//!
//! Bolya et al., ICLR 2023 (arXiv 2210.09461). Read in the authors' repository facebookresearch/ToMe at commit af95e4b, `tome/merge.py` and
//! `tome/patch/timm.py`; nothing is copied.
//!
//! Between attention and MLP of a block, tokens are told apart by turns into two sets, the class token first. Each of the one set finds its
//! likest in the other, by the cosine of their keys, mean over heads. The `r` likest pairs become one token each: the mean, weighted by how
//! many patches a token stands for. Attention counts a token as often as it stands for patches (proportional attention). The class token
//! stays alone. It asks no question.
//!
//! - **How many**: the authors give `r`, the same in every block. Here `keep` says what is to be left of the patches, and the blocks up to
//!   the features share what has to go: LLaVA-1.5 takes its features from block 23 of 24, so that `keep=0.361` of 576 is `r=16`
//!   (LightCompress). A block can halve its patches at most; where equal shares would come to more, earlier blocks take more.
//! - **Order**: what is left stands as the authors leave it, the unmerged of the first set, then the second set. That is not the image's
//!   order, and the decoder counts positions along it.

use std::sync::Arc;

use rayon::prelude::*;
use steady_methods::{Keep, TOME, Value};
use steady_vlm::{Merge, PositionPolicy, Site, Step, TokenReducer, TowerTokens, VlmError};

use super::direction::{dot, mean_key, unit};
use super::rank::{best, ranked};
use crate::implementation::{Built, Implementation};

pub(crate) const IMPLEMENTATION: Implementation = Implementation {
    method: &TOME,
    build: |values| match *values {
        [Value::Keep(keep)] => Some(Built::Reducer(Arc::new(ToMe { keep }))),
        _ => None,
    },
};

/// Merges the patches that are most alike, block by block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ToMe {
    /// How many are left behind the tower.
    pub keep: Keep,
}

impl TokenReducer for ToMe {
    fn name(&self) -> String {
        TOME.spell(&[Value::Keep(self.keep)])
    }

    fn steps(&self) -> Vec<Step> {
        vec![Step::at(Site::TowerBlocks, PositionPolicy::Renumber)]
    }

    fn merge(&self, _: usize, tokens: &TowerTokens<'_>) -> Result<Merge, VlmError> {
        let patches = tokens.sizes.iter().sum::<f32>() as usize;
        let n = tokens.keys.rows;
        let pairs = share(n, self.keep.of(patches), tokens.blocks);
        let directions = unit(&mean_key(tokens.keys, tokens.heads));
        // The class token, which is not among these, is the first of all and so in the first set.
        let (first, second): (Vec<usize>, Vec<usize>) = (0..n).partition(|token| token % 2 == 1);
        let likest = |&token: &usize| {
            let alike: Vec<f32> = second.iter().map(|&other| dot(directions.row(token), directions.row(other))).collect();
            best(alike.iter().copied()).map_or((f32::NEG_INFINITY, 0), |other| (alike[other], other))
        };
        let likest: Vec<(f32, usize)> = first.par_iter().map(likest).collect();
        let scores: Vec<f32> = likest.iter().map(|(alike, _)| *alike).collect();
        let mut merged = vec![false; first.len()];
        ranked(&scores).into_iter().take(pairs).for_each(|index| merged[index] = true);

        let alone = first.len() - pairs;
        let mut into = if pairs == 0 { (0..n).collect() } else { vec![0; n] };
        let mut place = 0..alone;
        for (index, &token) in first.iter().enumerate().filter(|_| pairs > 0) {
            into[token] = if merged[index] { alone + likest[index].1 } else { place.next().unwrap_or_default() };
        }
        for (index, &token) in second.iter().enumerate().filter(|_| pairs > 0) {
            into[token] = alone + index;
        }
        Ok(Merge { into, tokens: n - pairs })
    }
}

/// How many of `n` tokens go in the first of `blocks` blocks, so that `keep` are left behind the last.
fn share(n: usize, keep: usize, blocks: usize) -> usize {
    let blocks = blocks.max(1);
    let equal = n.saturating_sub(keep).div_ceil(blocks);
    // Later blocks halve at most.
    let halved = u32::try_from(blocks - 1).ok().and_then(|blocks| keep.checked_mul(2_usize.checked_pow(blocks)?));
    equal.max(halved.map_or(0, |most| n.saturating_sub(most))).min(n / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left behind each of `blocks` blocks.
    fn lengths(n: usize, keep: usize, blocks: usize) -> Vec<usize> {
        let mut left = n;
        let mut after = |blocks| {
            left -= share(left, keep, blocks);
            left
        };
        (1..=blocks).rev().map(&mut after).collect()
    }

    #[test]
    fn blocks_share_what_has_to_go() {
        // The published r=16 in LLaVA-1.5's 23 blocks.
        assert_eq!(lengths(576, 208, 23), (1..24).map(|block| 576 - 16 * block).collect::<Vec<_>>());
        assert_eq!(lengths(144, 48, 4), [120, 96, 72, 48]);
        assert_eq!(lengths(144, 50, 4), [120, 96, 73, 50]);
        // Equal shares of 32 would leave the last block to halve 48.
        assert_eq!(lengths(144, 16, 4), [112, 64, 32, 16]);
        // Less than can be reached, and nothing to do.
        assert_eq!(lengths(144, 2, 4), [72, 36, 18, 9]);
        assert_eq!((lengths(144, 144, 2), lengths(10, 20, 1)), (vec![144, 144], vec![10]));
    }
}
