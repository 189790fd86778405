//! Where a visual token reducer may act, what it is shown there, and what it answers.
//!
//! A reducer sees host data only and returns indices (and, if it merges, new rows): it can be read and tested without a
//! model. The model gathers rows, shortens the KV cache and keeps the positions.

use std::collections::BTreeSet;

use burn::tensor::Tensor;

use crate::{HostMatrix, VlmError};

/// A visual token reduction method.
///
/// Methods must be deterministic: ties break by index, randomness is seeded from [`Evidence::image_key`].
pub trait TokenReducer: Send + Sync {
    /// Name for reports and errors, e.g. `fastv:k=2,keep=0.5`.
    fn name(&self) -> String;
    /// Where the method acts.
    fn stage(&self) -> Stage;
    /// What it wants to see there. Anything not asked for is not computed. Default: nothing but the number of tokens.
    fn needs(&self) -> Needs {
        Needs::default()
    }
    /// Chooses what stays.
    fn reduce(&self, evidence: &Evidence<'_>) -> Result<Reduction, VlmError>;
}

/// The point at which a [`TokenReducer`] acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// On the vision tower's selected features, before the projector.
    AfterVision,
    /// On the projected visual tokens, before they join the prompt.
    AfterProjector,
    /// On the hidden states that enter decoder layer `k` (0-based). Layers below `k` keep their full KV cache.
    BeforeLayer(usize),
}

/// What a [`TokenReducer`] asks to be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The rows the method acts on: vision features, projected tokens, or hidden states entering layer `k`.
    pub features: bool,
    /// CLS attention of these vision layers, counted like Python list indices over the encoder's layers (`-1` is the last
    /// layer). Only towers with a CLS token have it.
    pub cls_attention: BTreeSet<i32>,
    /// Attention keys of these vision layers (same counting).
    pub vision_keys: BTreeSet<i32>,
    /// [`Stage::BeforeLayer`] only: the attention of layer `k - 1` from the last prompt token to the visual tokens. Makes the
    /// choice depend on the question.
    pub last_row_attention: bool,
}

impl Needs {
    /// Everything that `self` or `other` asks for.
    #[must_use]
    pub fn union(mut self, other: &Self) -> Self {
        self.features |= other.features;
        self.last_row_attention |= other.last_row_attention;
        self.cls_attention.extend(&other.cls_attention);
        self.vision_keys.extend(&other.vision_keys);
        self
    }

    /// Whether anything inside the vision tower is asked for.
    pub(crate) fn looks_at_the_tower(&self) -> bool {
        !(self.cls_attention.is_empty() && self.vision_keys.is_empty())
    }

    /// Everything that any of `reducers` asks for.
    pub fn of<'a>(reducers: impl IntoIterator<Item = &'a dyn TokenReducer>) -> Self {
        reducers.into_iter().fold(Self::default(), |all, reducer| all.union(&reducer.needs()))
    }
}

/// What a [`TokenReducer`] is shown: always the counts and the image key, the rest as asked for in [`TokenReducer::needs`].
#[derive(Clone, Debug, Default)]
pub struct Evidence<'a> {
    /// Number of visual tokens to choose from, `n`.
    pub visual_tokens: usize,
    /// Rows and columns of the patch grid the tokens come from, row-major; `rows * cols == n`. One row of all tokens where they
    /// are no grid (LLaVA-NeXT's views and newlines).
    pub grid: (usize, usize),
    /// `[n, d]` rows the method acts on.
    pub features: Option<&'a HostMatrix>,
    /// Attention from CLS to the `n` patches per vision head, `[heads, n]`, softmax over CLS and patches together.
    pub cls_attention: Vec<(i32, &'a HostMatrix)>,
    /// Vision attention keys of the patches, all heads side by side, `[n, heads * head_dim]`.
    pub vision_keys: Vec<(i32, &'a HostMatrix)>,
    /// Attention of layer `k - 1` from the last prompt token to the `n` visual tokens, mean over heads; the softmax ran over
    /// the whole row.
    pub last_row_attention: Option<&'a [f32]>,
    /// Hash of the pixels: equal images, equal key. Seed of seeded controls.
    pub image_key: u64,
}

impl<'a> Evidence<'a> {
    /// CLS attention of vision layer `layer`, if it was asked for.
    pub fn cls_attention(&self, layer: i32) -> Option<&'a HostMatrix> {
        find(&self.cls_attention, layer)
    }

    /// Keys of vision layer `layer`, if they were asked for.
    pub fn vision_keys(&self, layer: i32) -> Option<&'a HostMatrix> {
        find(&self.vision_keys, layer)
    }
}

fn find<'a>(list: &[(i32, &'a HostMatrix)], layer: i32) -> Option<&'a HostMatrix> {
    list.iter().find(|(at, _)| *at == layer).map(|(_, matrix)| *matrix)
}

/// A reducer's answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Reduction {
    /// Indices of the visual tokens that stay, ascending, each at most once.
    pub kept: Vec<usize>,
    /// New rows of the feature width, appended after the kept ones.
    pub merged: Option<HostMatrix>,
    /// Rotary positions from here on.
    pub positions: PositionPolicy,
    /// Whether `kept` may be empty (a method that withdraws every visual token).
    pub may_be_empty: bool,
}

impl Reduction {
    /// Keeps `kept`, merges nothing, numbers positions as `positions` says.
    pub fn keep(kept: Vec<usize>, positions: PositionPolicy) -> Self {
        Self { kept, merged: None, positions, may_be_empty: false }
    }

    /// Number of visual rows after the reduction.
    pub fn rows(&self) -> usize {
        self.kept.len() + self.merged.as_ref().map_or(0, |merged| merged.rows)
    }

    /// Checks the answer of reducer `name` against `tokens` visual tokens of width `width`.
    pub(crate) fn checked(self, name: &str, tokens: usize, width: usize) -> Result<Self, VlmError> {
        let fail = |problem| Err(reducer_error(name, problem));
        if let Some([before, after]) = self.kept.windows(2).find(|pair| pair[0] >= pair[1]) {
            return fail(format!("kept indices must ascend without repeats, found {before} before {after}"));
        }
        if let Some(&last) = self.kept.last()
            && last >= tokens
        {
            return fail(format!("kept index {last} is out of range for {tokens} visual tokens"));
        }
        if self.rows() == 0 && !self.may_be_empty {
            return fail("dropped every visual token".to_owned());
        }
        if let Some(merged) = &self.merged {
            if merged.cols != width {
                return fail(format!("merged tokens have width {}, expected {width}", merged.cols));
            }
            if self.positions == PositionPolicy::Keep {
                return fail("merged tokens have no original position to keep".to_owned());
            }
        }
        Ok(self)
    }
}

/// Rotary positions after a reduction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PositionPolicy {
    /// `0..n` over what is left: text after the image moves up.
    Renumber,
    /// Every token keeps the position it had in the full prompt.
    Keep,
}

/// Vision-side evidence that was computed together with an image, by layer as asked for: tensors of the device, then matrices of the host.
#[derive(Clone, Debug)]
pub(crate) struct Observations<M> {
    pub(crate) cls_attention: Vec<(i32, M)>,
    pub(crate) vision_keys: Vec<(i32, M)>,
}

impl<M> Default for Observations<M> {
    fn default() -> Self {
        Self { cls_attention: Vec::new(), vision_keys: Vec::new() }
    }
}

impl Observations<Tensor<2>> {
    /// Brings them to the host.
    pub(crate) async fn read(self) -> Result<Observations<HostMatrix>, VlmError> {
        Ok(Observations { cls_attention: read(self.cls_attention).await?, vision_keys: read(self.vision_keys).await? })
    }
}

async fn read(layers: Vec<(i32, Tensor<2>)>) -> Result<Vec<(i32, HostMatrix)>, VlmError> {
    let mut matrices = Vec::with_capacity(layers.len());
    for (layer, tensor) in layers {
        matrices.push((layer, HostMatrix::from_tensor(&tensor).await?));
    }
    Ok(matrices)
}

/// The part of `have` that reducer `name` asked for in `want`; an error if the image was encoded without it.
pub(crate) fn observed<'a>(
    name: &str,
    what: &str,
    want: &BTreeSet<i32>,
    have: &'a [(i32, HostMatrix)],
) -> Result<Vec<(i32, &'a HostMatrix)>, VlmError> {
    want.iter()
        .map(|&layer| {
            have.iter().find(|(at, _)| *at == layer).map(|(at, matrix)| (*at, matrix)).ok_or_else(|| {
                let problem = format!("needs the {what} of vision layer {layer}, but the image was encoded without it");
                reducer_error(name, problem)
            })
        })
        .collect()
}

pub(crate) fn reducer_error(name: &str, problem: String) -> VlmError {
    VlmError::Invalid { what: format!("token reducer {name}"), problem }
}
