//! The prompt on its way through the decoder: where visual tokens are dropped, what later questions can share.
//!
//! Under the causal mask the states of everything up to the end of the image do not depend on the question. So that part, the
//! [`Prefix`], is computed once per image and acceleration, and every question branches off it. A reducer inside the decoder
//! that looks at the question (FastV) splits the layers: those below it are prefilled fully; the states entering its layer are
//! kept, and each question picks from them.

use std::{ops::Range, sync::Arc};

use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use crate::{
    Evidence, HostMatrix, Reduction, Stage, TokenReducer, VlmError,
    decoder::{Chunk, KvCache, Llama, llama::LastRow},
    model::EncodedImage,
    nn::{Position, in_line},
    reduction::{PositionPolicy, observed, reducer_error},
};

/// Everything of a prompt up to the end of its image, prefilled; shared by all questions about that image.
pub struct Prefix<'r> {
    /// The prompt so far, before any reduction.
    pub(crate) ids: Vec<u32>,
    pub(crate) visual: Range<usize>,
    /// What it took to see the image.
    pub(crate) vision_flops: u64,
    /// The visual tokens that stay, once that is known.
    pub(crate) kept: Option<Vec<usize>>,
    pub(crate) sequence: Sequence,
    pub(crate) waiting: Option<Waiting<'r>>,
    pub(crate) decoder: Arc<Llama>,
}

impl Prefix<'_> {
    /// Tokens up to the end of the image, before any reduction.
    pub fn tokens(&self) -> usize {
        self.ids.len()
    }

    /// Tokens that each decoder layer holds; 0 for layers that wait for a question.
    pub fn kv_lengths(&self) -> Vec<usize> {
        self.sequence.cache.lengths()
    }
}

/// A reducer inside the decoder.
#[derive(Clone, Copy)]
pub(crate) struct Inside<'r> {
    pub(crate) layer: usize,
    pub(crate) reducer: &'r dyn TokenReducer,
}

/// A prefix whose upper layers wait for the question.
pub(crate) struct Waiting<'r> {
    inside: Inside<'r>,
    image: EncodedImage,
    /// The states that enter the reducer's layer.
    rows: Rows,
}

/// Hidden states with their place in the prompt.
#[derive(Clone)]
pub(crate) struct Rows {
    /// `[n, width]`
    pub(crate) hidden: Tensor<2>,
    /// Rotary position of each row, `n` of them.
    pub(crate) positions: Vec<Position>,
    /// Position of the token that follows.
    pub(crate) next_position: usize,
    /// Which of the rows are visual tokens.
    pub(crate) visual: Range<usize>,
}

/// Caches and positions of a prompt in progress. Layers below and above a reducer may count differently.
#[derive(Clone)]
pub(crate) struct Sequence {
    cache: KvCache,
    segments: Vec<Segment>,
}

#[derive(Clone)]
struct Segment {
    layers: Range<usize>,
    next_position: usize,
}

impl Sequence {
    pub(crate) fn kv_lengths(&self) -> Vec<usize> {
        self.cache.lengths()
    }

    /// A copy in buffers of its own with room for `room` more tokens.
    pub(crate) fn branch(&self, room: usize) -> Self {
        Self { cache: self.cache.branch(room), segments: self.segments.clone() }
    }

    /// Feeds tokens that follow what is held, through all layers; returns the states that leave the last one.
    pub(crate) fn extend(&mut self, decoder: &Llama, mut hidden: Tensor<2>) -> Tensor<2> {
        let tokens = hidden.dims()[0];
        for segment in &mut self.segments {
            let positions = segment.advance(tokens);
            let chunk = Chunk { hidden, positions: &positions };
            hidden = decoder.run(segment.layers.clone(), chunk, &mut self.cache);
        }
        hidden
    }
}

impl Segment {
    /// The positions of the next `tokens` tokens.
    fn advance(&mut self, tokens: usize) -> Vec<Position> {
        let first = self.next_position;
        self.next_position += tokens;
        in_line(first..self.next_position).collect()
    }
}

impl Rows {
    /// What is left after `reduction`: text, kept visual rows, the rows it `merged`, text.
    pub(crate) fn reduced(&self, reduction: &Reduction, merged: Option<Tensor<2>>) -> Self {
        let [count, width] = self.hidden.dims();
        let Range { start, end } = self.visual.clone();
        let kept: Vec<usize> = (0..start).chain(reduction.kept.iter().map(|&index| start + index)).chain(end..count).collect();
        let device = self.hidden.device();
        let mut hidden = select(&self.hidden, &kept, &device);
        let visual_end = start + reduction.rows();
        if let Some(merged) = merged {
            let before = start + reduction.kept.len();
            let left = hidden.dims()[0];
            hidden = Tensor::cat(vec![hidden.clone().slice([0..before, 0..width]), merged, hidden.slice([before..left, 0..width])], 0);
        }
        let rows = hidden.dims()[0];
        let (positions, next_position) = match reduction.positions {
            PositionPolicy::Renumber => (in_line(0..rows).collect(), rows),
            PositionPolicy::Keep => (kept.iter().map(|&row| self.positions[row]).collect(), self.next_position),
        };
        Self { hidden, positions, next_position, visual: start..visual_end }
    }

    /// These rows and then `hidden`, whose positions continue.
    fn followed_by(&self, hidden: Tensor<2>) -> Self {
        let next_position = self.next_position + hidden.dims()[0];
        let mut positions = self.positions.clone();
        positions.extend(in_line(self.next_position..next_position));
        Self { hidden: Tensor::cat(vec![self.hidden.clone(), hidden], 0), positions, next_position, visual: self.visual.clone() }
    }

    fn chunk(&self) -> Chunk<'_> {
        Chunk { hidden: self.hidden.clone(), positions: &self.positions }
    }
}

/// Rows `indices` of a `[n, width]` tensor.
pub(crate) fn select(rows: &Tensor<2>, indices: &[usize], device: &Device) -> Tensor<2> {
    let [count, width] = rows.dims();
    if indices.is_empty() {
        return rows.clone().slice([0..0, 0..width]);
    }
    if indices.len() == count {
        return rows.clone();
    }
    let picked: Vec<i32> = indices.iter().map(|&index| index as i32).collect();
    let picked = TensorData::new(picked, [indices.len()]);
    let picked = Tensor::<1, Int>::from_data(picked, (device, DType::I32));
    rows.clone().select(0, picked)
}

/// A prompt, or its prefix, after the decoder has seen it.
pub(crate) struct Prefilled<'r> {
    pub(crate) sequence: Sequence,
    /// The states that leave the last layer; `None` while layers wait.
    pub(crate) hidden: Option<Tensor<2>>,
    /// What a reducer inside the decoder kept.
    pub(crate) kept: Option<Vec<usize>>,
    pub(crate) waiting: Option<Waiting<'r>>,
}

/// Runs `rows` through the decoder.
pub(crate) fn prefill<'r>(decoder: &Llama, rows: &Rows) -> Prefilled<'r> {
    let depth = decoder.depth();
    let mut cache = decoder.empty_cache();
    let hidden = decoder.run(0..depth, rows.chunk(), &mut cache);
    let segments = vec![Segment { layers: 0..depth, next_position: rows.next_position }];
    Prefilled { sequence: Sequence { cache, segments }, hidden: Some(hidden), kept: None, waiting: None }
}

/// Runs `rows` through the decoder with a reducer in it. With `question_follows`, one that looks at the question is left waiting
/// for it.
pub(crate) async fn prefill_reducing<'r>(
    decoder: &Llama,
    rows: Rows,
    inside: Inside<'r>,
    image: &EncodedImage,
    question_follows: bool,
) -> Result<Prefilled<'r>, VlmError> {
    let mut cache = decoder.empty_cache();
    let (hidden, last_row) = decoder.run_watched(0..inside.layer, rows.chunk(), &mut cache);
    let below = Segment { layers: 0..inside.layer, next_position: rows.next_position };
    let entering = Rows { hidden, ..rows };
    let sequence = Sequence { cache, segments: vec![below] };
    if question_follows && inside.reducer.needs().last_row_attention {
        return Ok(Prefilled {
            sequence,
            hidden: None,
            kept: None,
            waiting: Some(Waiting { inside, image: image.clone(), rows: entering }),
        });
    }
    let attention = attention_to(last_row, &entering.visual, inside.reducer).await?;
    cross(decoder, sequence, &entering, inside, image, attention.as_deref()).await
}

impl<'r> Waiting<'r> {
    /// Runs the question `hidden` through the layers below the reducer, lets it choose, and runs what is left through the rest.
    pub(crate) async fn resume(&self, decoder: &Llama, mut sequence: Sequence, hidden: Tensor<2>) -> Result<Prefilled<'r>, VlmError> {
        let tokens = hidden.dims()[0];
        let below = &mut sequence.segments[0];
        let positions = below.advance(tokens);
        let chunk = Chunk { hidden, positions: &positions };
        let layers = below.layers.clone();
        let (hidden, last_row) = decoder.run_watched(layers, chunk, &mut sequence.cache);
        let attention = attention_to(last_row, &self.rows.visual, self.inside.reducer).await?;
        let entering = self.rows.followed_by(hidden);
        cross(decoder, sequence, &entering, self.inside, &self.image, attention.as_deref()).await
    }
}

/// The attention row that the reducer asks for, mean over heads, visual columns.
async fn attention_to(last_row: Option<LastRow>, visual: &Range<usize>, reducer: &dyn TokenReducer) -> Result<Option<Vec<f32>>, VlmError> {
    match last_row.filter(|_| reducer.needs().last_row_attention) {
        Some(row) => row.mean_over_heads(visual.clone()).await.map(Some),
        None => Ok(None),
    }
}

/// Reduces the states that enter the reducer's layer and runs the rest of the layers.
async fn cross<'r>(
    decoder: &Llama,
    mut sequence: Sequence,
    entering: &Rows,
    Inside { layer, reducer }: Inside<'r>,
    image: &EncodedImage,
    attention: Option<&[f32]>,
) -> Result<Prefilled<'r>, VlmError> {
    let visual = entering.visual.clone();
    let width = entering.hidden.dims()[1];
    let features = || entering.hidden.clone().slice([visual.clone(), 0..width]);
    let reduction = ask(reducer, image, features, attention).await?;
    let merged = reduction.merged.as_ref();
    let merged = merged.map(|merged| Tensor::from_data(merged.to_data(), (&entering.hidden.device(), entering.hidden.dtype())));
    let rows = entering.reduced(&reduction, merged);
    if rows.positions.is_empty() {
        let problem = "leaves no token at all: there is no text before the image";
        return Err(reducer_error(&reducer.name(), problem.to_owned()));
    }
    let above = layer..decoder.depth();
    let hidden = decoder.run(above.clone(), rows.chunk(), &mut sequence.cache);
    sequence.segments.push(Segment { layers: above, next_position: rows.next_position });
    Ok(Prefilled { sequence, hidden: Some(hidden), kept: Some(reduction.kept), waiting: None })
}

/// Shows `reducer` what it needs and checks its answer. `features` are the rows it acts on.
pub(crate) async fn ask(
    reducer: &dyn TokenReducer,
    image: &EncodedImage,
    features: impl Fn() -> Tensor<2>,
    last_row_attention: Option<&[f32]>,
) -> Result<Reduction, VlmError> {
    let name = reducer.name();
    let needs = reducer.needs();
    if needs.last_row_attention && last_row_attention.is_none() {
        let problem = "needs the attention of the decoder layer below, and there is none at its stage";
        return Err(reducer_error(&name, problem.to_owned()));
    }
    let [visual_tokens, width] = features().dims();
    let rows = if needs.features { Some(HostMatrix::from_tensor(&features()).await?) } else { None };
    let seen = image.observations();
    let evidence = Evidence {
        visual_tokens,
        grid: image.grid(),
        features: rows.as_ref(),
        cls_attention: observed(&name, "CLS attention", &needs.cls_attention, &seen.cls_attention)?,
        vision_keys: observed(&name, "keys", &needs.vision_keys, &seen.vision_keys)?,
        last_row_attention,
        image_key: image.key(),
    };
    let mut reduction = reducer.reduce(&evidence)?;
    if image.places_tokens() {
        // Renumbered, a token would be elsewhere in the image.
        reduction.positions = PositionPolicy::Keep;
    }
    reduction.checked(&name, visual_tokens, width)
}

/// The decoder layer at whose entry `reducer` acts, if it acts inside the decoder at all.
pub(crate) fn inside(reducer: Option<&dyn TokenReducer>, depth: usize) -> Result<Option<Inside<'_>>, VlmError> {
    let Some(reducer) = reducer else {
        return Ok(None);
    };
    let Stage::BeforeLayer(layer) = reducer.stage() else {
        return Ok(None);
    };
    if layer >= depth {
        let problem = format!("acts before layer {layer}, but the decoder has layers 0 to {}", depth - 1);
        return Err(reducer_error(&reducer.name(), problem));
    }
    Ok(Some(Inside { layer, reducer }))
}
