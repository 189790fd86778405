//! Where a visual token reducer may act, what it is shown there, and what it answers.
//!
//! A reducer is a list of [`Step`]s. It sees host data only and answers with indices (and new rows, if it makes some): it can be read and
//! tested without a model. The model gathers rows, merges those that it is told to, shortens the KV cache and keeps the positions.

use std::collections::BTreeSet;
use std::fmt;

use steady_kernels::Matrix;

use crate::{HostMatrix, VlmError, layout::Cells};

/// A visual token reduction method.
///
/// Methods must be deterministic: ties break by index, randomness is seeded from [`Evidence::image_key`].
pub trait TokenReducer: Send + Sync {
    /// Name for reports and errors, e.g. `fastv:k=2,keep=0.5`.
    fn name(&self) -> String;

    /// Where it acts, in the order in which a prompt passes these places; at most once at each.
    fn steps(&self) -> Vec<Step>;

    /// Chooses what stays at step number `step`, one behind the blocks of the tower.
    ///
    /// # Errors
    /// When it was not shown what it needs.
    fn reduce(&self, step: usize, evidence: &Evidence<'_>) -> Result<Reduction, VlmError> {
        let _ = evidence;
        Err(reducer_error(&self.name(), format!("has no answer at step {step}")))
    }

    /// Changes a picture at step number `step`, one before the tower: one colour of one view, `[height, width]`, to as many values.
    ///
    /// # Errors
    /// When it does not know what to do with this picture.
    fn redraw(&self, step: usize, plane: HostMatrix) -> Result<HostMatrix, VlmError> {
        let _ = plane;
        Err(reducer_error(&self.name(), format!("changes no picture at step {step}")))
    }

    /// Merges tokens at step number `step`, one in a block of the tower.
    ///
    /// # Errors
    /// When it does not know what to do with these tokens.
    fn merge(&self, step: usize, tokens: &TowerTokens<'_>) -> Result<Merge, VlmError> {
        let _ = tokens;
        Err(reducer_error(&self.name(), format!("merges nothing at step {step}")))
    }
}

/// One act of a [`TokenReducer`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Where it acts.
    pub site: Site,
    /// What it wants to see there. Anything not asked for is not computed.
    pub needs: Needs,
    /// Rotary positions from here on. Steps before the projector leave nothing to number.
    pub positions: PositionPolicy,
}

impl Step {
    /// One that needs nothing but the number of tokens.
    pub fn at(site: Site, positions: PositionPolicy) -> Self {
        Self { site, needs: Needs::default(), positions }
    }

    /// The same step, looking at more.
    #[must_use]
    pub fn seeing(self, needs: Needs) -> Self {
        Self { needs, ..self }
    }
}

/// A point on the way from pixels to an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Site {
    /// On the picture, before the vision tower. As many tokens come of it as before.
    BeforeTower,
    /// In block `b` of the vision tower (0-based), between its attention and its MLP.
    TowerBlock(usize),
    /// In every block of the vision tower that the features pass, between its attention and its MLP.
    TowerBlocks,
    /// On the vision tower's selected features, before the projector.
    AfterTower,
    /// On the projected visual tokens, before they join the prompt.
    AfterProjector,
    /// On the hidden states that enter decoder layer `k` (0-based). Layers below `k` keep their full KV cache.
    BeforeLayer(usize),
    /// As [`Self::BeforeLayer`] at a share of the decoder's depth, in 32nds: layer `round(depth * share / 32)`, at least 1 and above the
    /// layer of the step before. Not taken where that is none of the decoder's layers.
    PartWay(usize),
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BeforeTower => f.write_str("before the vision tower"),
            Self::TowerBlocks => f.write_str("in every block of the vision tower"),
            Self::TowerBlock(block) => write!(f, "in block {block} of the vision tower"),
            Self::AfterTower => f.write_str("after the vision tower"),
            Self::AfterProjector => f.write_str("after the projector"),
            Self::BeforeLayer(layer) => write!(f, "before layer {layer}"),
            Self::PartWay(share) => write!(f, "{share}/32 of the way through the decoder"),
        }
    }
}

/// What a step asks to be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is asked for or not, in any combination")]
pub struct Needs {
    /// The rows the step acts on: vision features, projected tokens, or hidden states entering layer `k`.
    pub features: bool,
    /// [`Site::AfterTower`] only: the CLS token's row of the features, which is no visual token. Towers without a CLS token show none.
    pub class_token: bool,
    /// CLS attention of these vision layers, counted like Python list indices over the encoder's layers (`-1` is the last
    /// layer). Towers without a CLS token show what each visual token receives of the attention of all patches, mean over heads, queries
    /// and its own patches, as `[1, n]`. Where that layer keeps patches apart in windows, it is the next one that does not, or the last.
    pub cls_attention: BTreeSet<i32>,
    /// Query and key of the CLS token in these vision layers (same counting). Only towers with a CLS token have them.
    pub class_projections: BTreeSet<i32>,
    /// Attention keys of these vision layers (same counting). Of a visual token that is made of several patches it is their mean, rotated as
    /// for the attention.
    pub vision_keys: BTreeSet<i32>,
    /// The prompt as it enters the decoder, before any reduction. Makes the choice depend on the question.
    pub prompt: bool,
    /// [`Site::BeforeLayer`] only: the attention of layer `k - 1` from the last prompt token to the visual tokens. Makes the
    /// choice depend on the question.
    pub last_row_attention: bool,
    /// [`Site::BeforeLayer`] only: the attention that layer `k` itself would have from the last prompt token to the visual tokens. Makes the
    /// choice depend on the question.
    pub own_attention: bool,
    /// [`Site::BeforeLayer`] only: the attention of layer `k - 1` from each token behind the image to the visual tokens. Makes the choice
    /// depend on the question.
    pub text_attention: bool,
}

impl Needs {
    /// Everything that `self` or `other` asks for.
    #[must_use]
    pub fn union(mut self, other: &Self) -> Self {
        self.features |= other.features;
        self.class_token |= other.class_token;
        self.prompt |= other.prompt;
        self.last_row_attention |= other.last_row_attention;
        self.own_attention |= other.own_attention;
        self.text_attention |= other.text_attention;
        self.cls_attention.extend(&other.cls_attention);
        self.class_projections.extend(&other.class_projections);
        self.vision_keys.extend(&other.vision_keys);
        self
    }

    /// Whether anything inside the vision tower is asked for.
    pub(crate) fn looks_at_the_tower(&self) -> bool {
        self.class_token || !(self.cls_attention.is_empty() && self.class_projections.is_empty() && self.vision_keys.is_empty())
    }

    /// Whether the choice depends on the question.
    pub(crate) fn looks_at_the_question(&self) -> bool {
        self.prompt || self.looks_at_a_layer()
    }

    /// Whether a decoder layer's attention is asked for.
    fn looks_at_a_layer(&self) -> bool {
        self.last_row_attention || self.own_attention || self.text_attention
    }

    /// Everything that any step of `reducers` asks for.
    pub fn of<'a>(reducers: impl IntoIterator<Item = &'a dyn TokenReducer>) -> Self {
        reducers.into_iter().flat_map(TokenReducer::steps).fold(Self::default(), |all, step| all.union(&step.needs))
    }
}

/// What a [`TokenReducer`] is shown: always the counts and the image key, the rest as asked for in [`Step::needs`].
#[derive(Clone, Debug)]
pub struct Evidence<'a> {
    /// Number of visual tokens to choose from, `n`.
    pub visual_tokens: usize,
    /// What the image's tokens show, before any reduction: views, and for each token its cell.
    pub cells: &'a Cells,
    /// Which of them each of the `n` tokens is; `None` for one that a step before made. Empty where no step came before.
    pub tokens: &'a [Option<usize>],
    /// How many of them each of the `n` tokens stands for. Empty where no step before merged any.
    pub sizes: &'a [f32],
    /// `[n, d]` rows the step acts on.
    pub features: Option<&'a HostMatrix>,
    /// `[1, d]`, the CLS token's.
    pub class_token: Option<&'a HostMatrix>,
    /// Attention from CLS to the `n` patches per vision head, `[heads, n]`, softmax over CLS and patches together.
    pub cls_attention: Vec<(i32, &'a HostMatrix)>,
    /// The CLS token's query and below it its key, all heads side by side, `[2, heads * head_dim]`.
    pub class_projections: Vec<(i32, &'a HostMatrix)>,
    /// Vision attention keys of the patches, all heads side by side, `[n, heads * head_dim]`.
    pub vision_keys: Vec<(i32, &'a HostMatrix)>,
    /// Heads of the vision tower's attention; 0 where nothing inside it was asked for.
    pub vision_heads: usize,
    /// The prompt as it enters the decoder.
    pub prompt: Option<&'a PromptStates>,
    /// Attention of layer `k - 1` from the last prompt token to the `n` visual tokens, mean over heads; the softmax ran over
    /// the whole row.
    pub last_row_attention: Option<&'a [f32]>,
    /// The same of layer `k`, as it would be if nothing were dropped before it.
    pub own_attention: Option<&'a [f32]>,
    /// Attention of layer `k - 1` from each of the `t` tokens behind the image to the `n` visual tokens, mean over heads, `[t, n]`; the
    /// softmax ran over whole rows.
    pub text_attention: Option<&'a HostMatrix>,
    /// Hash of the pixels: equal images, equal key. Seed of seeded controls.
    pub image_key: u64,
}

impl Default for Evidence<'_> {
    fn default() -> Self {
        Self {
            visual_tokens: 0,
            cells: Cells::NONE,
            tokens: &[],
            sizes: &[],
            features: None,
            class_token: None,
            cls_attention: Vec::new(),
            class_projections: Vec::new(),
            vision_keys: Vec::new(),
            vision_heads: 0,
            prompt: None,
            last_row_attention: None,
            own_attention: None,
            text_attention: None,
            image_key: 0,
        }
    }
}

impl<'a> Evidence<'a> {
    /// CLS attention of vision layer `layer`, if it was asked for.
    pub fn cls_attention(&self, layer: i32) -> Option<&'a HostMatrix> {
        find(&self.cls_attention, layer)
    }

    /// Query and key of the CLS token in vision layer `layer`, if they were asked for.
    pub fn class_projections(&self, layer: i32) -> Option<&'a HostMatrix> {
        find(&self.class_projections, layer)
    }

    /// Keys of vision layer `layer`, if they were asked for.
    pub fn vision_keys(&self, layer: i32) -> Option<&'a HostMatrix> {
        find(&self.vision_keys, layer)
    }
}

fn find<'a>(list: &[(i32, &'a HostMatrix)], layer: i32) -> Option<&'a HostMatrix> {
    list.iter().find(|(at, _)| *at == layer).map(|(_, matrix)| *matrix)
}

/// A prompt as it enters the decoder, before any reduction: embeddings of text and visual tokens, `[_, decoder width]` each.
#[derive(Clone, Debug, PartialEq)]
pub struct PromptStates {
    /// The text before the end of the image.
    pub before: HostMatrix,
    /// The visual tokens.
    pub visual: HostMatrix,
    /// The text behind the image.
    pub behind: HostMatrix,
    /// Whether the last row before and the first behind are marks around the image (Qwen's `<|vision_start|>` and `<|vision_end|>`).
    pub marked: bool,
}

/// The answer of a step behind the tower. Which rows are left: the kept tokens in their order, then the merged ones, unless `order` says
/// otherwise.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reduction {
    /// Indices of the visual tokens that stay, ascending, each at most once.
    pub kept: Vec<usize>,
    /// New values of the kept tokens, `[kept, d]`, if others were merged into them.
    pub rewritten: Option<HostMatrix>,
    /// New tokens behind the kept ones, `[_, d]`.
    pub merged: Option<HostMatrix>,
    /// Where the rows that are left stand, for methods that do not leave them in the image's order: a permutation of the kept ones, counted
    /// from 0, and the merged ones behind them. Only where positions are renumbered.
    pub order: Option<Vec<usize>>,
    /// How many of the image's tokens each row that is left stands for, kept before merged; `None` for as many as before, and one for each new row.
    pub sizes: Option<Vec<f32>>,
    /// For each of the tokens, the row that is left which most of it is in, kept before merged: its own for a kept one, none for one that is
    /// dropped. Empty where nothing went into another.
    pub into: Vec<Option<usize>>,
    /// Whether nothing may be left (a method that withdraws every visual token).
    pub may_be_empty: bool,
}

impl Reduction {
    /// Keeps `kept` and merges nothing.
    pub fn keep(kept: Vec<usize>) -> Self {
        Self { kept, ..Self::default() }
    }

    /// Number of visual rows after the reduction.
    pub fn rows(&self) -> usize {
        self.kept.len() + self.merged.as_ref().map_or(0, |merged| merged.rows)
    }

    /// Of each row that is left, kept before merged, the tokens that went into it, ascending: of a kept one others than itself.
    pub(crate) fn gathered(&self) -> Vec<Vec<usize>> {
        let mut gathered = vec![Vec::new(); self.rows()];
        for (token, row) in self.into.iter().enumerate() {
            if let Some(row) = row.filter(|_| self.kept.binary_search(&token).is_err()) {
                gathered[row].push(token);
            }
        }
        gathered
    }

    /// Checks the answer of reducer `name` against `tokens` visual tokens of width `width`.
    pub(crate) fn checked(self, name: &str, tokens: usize, width: usize, positions: PositionPolicy) -> Result<Self, VlmError> {
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
        for (what, rows) in [("rewritten", &self.rewritten), ("merged", &self.merged)] {
            if let Some(rows) = rows.as_ref().filter(|rows| rows.cols != width) {
                return fail(format!("{what} tokens have width {}, expected {width}", rows.cols));
            }
        }
        if let Some(rewritten) = self.rewritten.as_ref().filter(|rewritten| rewritten.rows != self.kept.len()) {
            return fail(format!("rewrote {} of {} kept tokens, expected all", rewritten.rows, self.kept.len()));
        }
        if let Some(sizes) = self.sizes.as_ref().filter(|sizes| sizes.len() != self.rows()) {
            return fail(format!("gave sizes of {} tokens, {} are left", sizes.len(), self.rows()));
        }
        if !self.into.is_empty() && self.into.len() != tokens {
            return fail(format!("said of {} tokens what they went into, expected {tokens}", self.into.len()));
        }
        if let Some(row) = self.into.iter().flatten().find(|row| **row >= self.rows()) {
            return fail(format!("a token went into row {row}, and {} are left", self.rows()));
        }
        if let Some(order) = &self.order {
            let mut sorted = order.clone();
            sorted.sort_unstable();
            if !sorted.iter().copied().eq(0..self.rows()) {
                return fail(format!("the order {order:?} is no permutation of the {} rows that are left", self.rows()));
            }
        }
        if self.order.is_some() && positions == PositionPolicy::Keep {
            return fail("tokens that are moved have no original position to keep".to_owned());
        }
        if self.merged.is_some() && positions == PositionPolicy::Keep {
            return fail("merged tokens have no original position to keep".to_owned());
        }
        Ok(self)
    }
}

/// Rotary positions after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PositionPolicy {
    /// `0..n` over what is left: text after the image moves up.
    Renumber,
    /// Every token keeps the position it had in the full prompt.
    Keep,
}

/// The patches inside a block of the vision tower. A class token is not among them: it is never merged.
#[derive(Clone, Debug)]
pub struct TowerTokens<'a> {
    /// Index of the block.
    pub block: usize,
    /// States between attention and MLP, `[n, width]`.
    pub hidden: &'a HostMatrix,
    /// The block's attention keys, all heads side by side, `[n, heads * head_dim]`.
    pub keys: &'a HostMatrix,
    /// How many patches each of the `n` tokens stands for.
    pub sizes: &'a [f32],
    /// Heads of the block's attention.
    pub heads: usize,
    /// Blocks in which the reducer has yet to act, this one included.
    pub blocks: usize,
}

/// The answer of a step inside the tower. Each token that is left is the mean of those that become part of it, weighted by their sizes.
#[derive(Clone, Debug)]
pub struct Merge {
    /// For each of the `n` tokens, which of the tokens that are left it becomes part of.
    pub into: Vec<usize>,
    /// How many are left.
    pub tokens: usize,
}

/// Whether `reducer` acts before or inside the tower: then what leaves the tower is of use to no other.
pub fn changes_the_image(reducer: &dyn TokenReducer) -> bool {
    reducer.steps().iter().any(|step| step.site < Site::AfterTower)
}

/// What is asked of a vision tower beside its features.
#[derive(Clone, Default)]
pub struct TowerTask<'r> {
    /// What to show.
    pub needs: Needs,
    /// Who merges tokens inside.
    pub merger: Option<Merger<'r>>,
}

/// A reducer that acts inside the tower, with its steps there: block and number of the step.
#[derive(Clone)]
pub struct Merger<'r> {
    reducer: &'r dyn TokenReducer,
    steps: Vec<(usize, usize)>,
    /// The step that is taken in every block.
    throughout: Option<usize>,
}

impl<'r> Merger<'r> {
    /// The part of `reducer` that acts inside the tower, if there is one.
    pub fn of(reducer: &'r dyn TokenReducer) -> Option<Self> {
        let (mut steps, mut throughout) = (Vec::new(), None);
        for (index, step) in reducer.steps().into_iter().enumerate() {
            match step.site {
                Site::TowerBlock(block) => steps.push((block, index)),
                Site::TowerBlocks => throughout = Some(index),
                _ => {}
            }
        }
        (!steps.is_empty() || throughout.is_some()).then_some(Self { reducer, steps, throughout })
    }

    /// The same in a tower whose features leave the block before number `blocks`: what acts in every block acts in those below.
    pub(crate) fn within(&self, blocks: usize) -> Self {
        let every = self.throughout.into_iter().flat_map(|step| (0..blocks).map(move |block| (block, step)));
        Self { reducer: self.reducer, steps: self.steps.iter().copied().chain(every).collect(), throughout: None }
    }

    /// The reducer's name.
    pub fn name(&self) -> String {
        self.reducer.name()
    }

    /// In how many blocks it acts from `block` on, if it does in that one.
    pub(crate) fn acts_in(&self, block: usize) -> Option<usize> {
        let acts = self.steps.iter().any(|(at, _)| *at == block);
        acts.then(|| self.steps.iter().filter(|(at, _)| *at >= block).count())
    }

    /// The last block in which it acts, if it does in any.
    pub(crate) fn last_block(&self) -> Option<usize> {
        self.steps.last().map(|(block, _)| *block)
    }

    /// What it answers in `tokens.block`; `None` if it does not act there.
    ///
    /// # Errors
    /// When the reducer fails or breaks its contract.
    pub fn merge(&self, tokens: &TowerTokens<'_>) -> Result<Option<Merge>, VlmError> {
        let Some((_, step)) = self.steps.iter().find(|(block, _)| *block == tokens.block) else { return Ok(None) };
        let merge = self.reducer.merge(*step, tokens)?;
        let (given, n) = (merge.into.len(), tokens.hidden.rows);
        if given != n || merge.tokens == 0 || merge.tokens > n {
            let problem = format!("merged {given} of {n} tokens into {}; expected all of them into at least one", merge.tokens);
            return Err(reducer_error(&self.name(), problem));
        }
        if let Some(into) = merge.into.iter().find(|into| **into >= merge.tokens) {
            let problem = format!("merged a token into number {into} of {}; expected one of those that are left", merge.tokens);
            return Err(reducer_error(&self.name(), problem));
        }
        Ok(Some(merge))
    }
}

/// What was seen of, and done in, the vision tower while an image passed it, by layer as asked for: matrices of the device, then of the
/// host.
#[derive(Clone, Debug)]
pub struct Observed<M> {
    /// Attention of the class token, `[heads, n]`.
    pub cls_attention: Vec<(i32, M)>,
    /// Query and key of the class token, `[2, heads * head_dim]`.
    pub class_projections: Vec<(i32, M)>,
    /// Keys, `[n, heads * head_dim]`.
    pub vision_keys: Vec<(i32, M)>,
    /// The class token's features, `[1, d]`, where it is no visual token.
    pub class_token: Option<M>,
    /// Heads of its attention; 0 where nothing was asked for.
    pub heads: usize,
    /// For each visual token that there would have been without merging, which of those that are left it is part of.
    pub merged_into: Option<Vec<usize>>,
}

impl<M> Default for Observed<M> {
    fn default() -> Self {
        Self {
            cls_attention: Vec::new(),
            class_projections: Vec::new(),
            vision_keys: Vec::new(),
            class_token: None,
            heads: 0,
            merged_into: None,
        }
    }
}

impl Observed<Matrix> {
    /// Brings them to the host.
    pub(crate) async fn read(self) -> Result<Observed<HostMatrix>, VlmError> {
        let Self { cls_attention, class_projections, vision_keys, class_token, heads, merged_into } = self;
        let class_token = match class_token {
            Some(row) => Some(HostMatrix::from_device(&row).await?),
            None => None,
        };
        let (cls_attention, class_projections) = (read(cls_attention).await?, read(class_projections).await?);
        Ok(Observed { cls_attention, class_projections, vision_keys: read(vision_keys).await?, class_token, heads, merged_into })
    }
}

async fn read(layers: Vec<(i32, Matrix)>) -> Result<Vec<(i32, HostMatrix)>, VlmError> {
    let mut matrices = Vec::with_capacity(layers.len());
    for (layer, matrix) in layers {
        matrices.push((layer, HostMatrix::from_device(&matrix).await?));
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

/// `steps` in a decoder of `depth` layers: [`Site::PartWay`] became a layer, or the end.
fn settled(steps: Vec<Step>, depth: usize) -> Vec<Step> {
    let mut above = 1;
    let mut settled = Vec::with_capacity(steps.len());
    for mut step in steps {
        if let Site::PartWay(share) = step.site {
            let layer = ((depth * share) as f64 / 32.0).round_ties_even() as usize;
            step.site = Site::BeforeLayer(layer.max(above));
            if layer.max(above) >= depth {
                break;
            }
        }
        if let Site::BeforeLayer(layer) = step.site {
            above = layer + 1;
        }
        settled.push(step);
    }
    settled
}

/// The steps of `reducer`, settled and checked against a decoder of `depth` layers.
pub(crate) fn steps(reducer: &dyn TokenReducer, depth: usize) -> Result<Vec<Step>, VlmError> {
    let steps = settled(reducer.steps(), depth);
    let fail = |problem: String| Err(reducer_error(&reducer.name(), problem));
    if let Some([before, after]) = steps.windows(2).find(|pair| pair[0].site >= pair[1].site) {
        return fail(format!("acts {} and then {}; steps come in the order in which a prompt passes them", before.site, after.site));
    }
    for step in &steps {
        if let Site::BeforeLayer(layer) = step.site
            && layer >= depth
        {
            return fail(format!("acts before layer {layer}, but the decoder has layers 0 to {}", depth - 1));
        }
        let below = step.needs.last_row_attention || step.needs.text_attention;
        if below && !matches!(step.site, Site::BeforeLayer(1..)) {
            return fail("needs the attention of the decoder layer below, and there is none at its stage".to_owned());
        }
        if step.needs.own_attention && !matches!(step.site, Site::BeforeLayer(_)) {
            return fail("needs the attention of the decoder layer that follows, and there is none at its stage".to_owned());
        }
        if step.needs.class_token && step.site != Site::AfterTower {
            return fail(format!("needs the class token's features {}; they are those after the vision tower", step.site));
        }
    }
    Ok(steps)
}

pub(crate) fn reducer_error(name: &str, problem: String) -> VlmError {
    VlmError::Invalid { what: format!("token reducer {name}"), problem }
}
