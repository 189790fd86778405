//! The greedy choice of the next token, made where the logits are.
//!
//! Tokens that were there before may be made less likely by the penalty of CTRL (Keskar et al., 2019): a positive logit is divided by it, a
//! negative one multiplied. Two launches: many workgroups find the best of their logits each, then one finds the best of all.

use bytemuck::{Pod, Zeroable};

use crate::{Gpu, Kernel, Rows, Words, queue::Bound};

/// Reads `logits`, `seen`; writes `found`.
pub(crate) static PARTIAL: Kernel =
    Kernel { name: "argmax_partial", source: &[include_str!("argmax.wgsl"), include_str!("argmax_partial.wgsl")], reads: 2, writes: 1 };

/// Reads `found`; writes `choice`, `seen`.
pub(crate) static CHOOSE: Kernel =
    Kernel { name: "argmax_choose", source: &[include_str!("argmax.wgsl"), include_str!("argmax_choose.wgsl")], reads: 1, writes: 2 };

/// Logits of a workgroup in the first launch, in which each of 256 lanes takes four or more.
const SHARE: usize = 1024;
/// Most workgroups of the first launch: as many as the second has lanes.
const MOST: usize = 256;

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Numbers {
    logits: u32,
    vocab: u32,
    groups: u32,
    penalised: u32,
    penalty: f32,
}

/// The tokens of a text so far, and what a repetition costs.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// A bit for each token of the vocabulary, the first in the lowest bit of the first word. The chosen token's bit is set: this memory
    /// changes.
    pub tokens: &'a Words,
    /// 1 changes no logit; it is not below that as a rule.
    pub penalty: f32,
}

/// Chooses the token of the largest of `logits [1, vocab]`, the first of several that are equal. The result is three words: the token, 0, and
/// whether any logit is not finite (1, else 0). Such a logit is never chosen; where none is finite the token is 0. [`Weight::chosen`] takes the
/// first two as they are.
///
/// [`Weight::chosen`]: crate::Weight::chosen
///
/// # Panics
/// When `logits` is not one row of at least one number, or `seen` has too few bits.
pub fn choose(gpu: &Gpu, logits: &Rows, seen: Option<Seen<'_>>) -> Words {
    let [rows, vocab] = logits.dims();
    assert!(rows == 1 && vocab > 0, "a choice from [{rows}, {vocab}]");
    assert!(seen.is_none_or(|seen| 32 * seen.tokens.len() >= vocab), "a bit for each of {vocab} tokens");
    let groups = vocab.div_ceil(SHARE).min(MOST);
    let numbers = Numbers {
        logits: logits.start() as u32,
        vocab: vocab as u32,
        groups: groups as u32,
        penalised: u32::from(seen.is_some()),
        penalty: seen.map_or(1.0, |seen| seen.penalty),
    };
    let found = gpu.empty_words(groups * 3);
    let choice = gpu.empty_words(3);
    // Without a set of tokens something must be bound all the same.
    let unset = gpu.empty_words(1);
    let (read, written) = seen.map_or((Bound::from(logits), Bound::from(&unset)), |seen| (seen.tokens.into(), seen.tokens.into()));
    gpu.launch(&PARTIAL, &[logits.into(), read], &[(&found).into()], numbers, [groups, 1, 1]);
    gpu.launch(&CHOOSE, &[(&found).into()], &[(&choice).into(), written], numbers, [1, 1, 1]);
    choice
}
