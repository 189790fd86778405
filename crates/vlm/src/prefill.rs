//! The prompt on its way through the decoder: where visual tokens are dropped, what later questions can share.
//!
//! Under the causal mask the states of everything up to the end of the image do not depend on the question. So that part, the
//! [`Prefix`], is computed once per image and acceleration, and every question branches off it. A reducer acts step by step. The first
//! step inside the decoder that looks at the question splits the layers: those below it are prefilled fully; the states entering its
//! layer are kept, and each question picks from them.

use std::{ops::Range, sync::Arc};

use steady_kernels::Matrix;

use crate::{
    Evidence, HostMatrix, Reduction, Site, Step, TokenReducer, VlmError,
    decoder::{Chunk, KvCache, LastRow, Llama},
    encoded::EncodedImage,
    layout::VisualLayout,
    nn::{Position, in_line},
    reduction::{PositionPolicy, observed, reducer_error},
};

/// Everything of a prompt up to the end of its image, prefilled; shared by all questions about that image.
pub struct Prefix<'r> {
    /// The prompt so far, before any reduction.
    pub(crate) ids: Vec<u32>,
    pub(crate) visual_tokens: usize,
    /// What it took to see the image.
    pub(crate) vision_flops: u64,
    /// What the steps so far left.
    pub(crate) left: Vec<Left>,
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

/// What a step of a reducer left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Where it acted.
    pub site: Site,
    /// Indices, among all visual tokens of the image, of those that are still there, ascending. A token that was merged from several of
    /// them inside the tower goes by the first; one that was made behind it by none.
    pub kept: Vec<usize>,
}

/// What is left to do of a reducer, and on what.
#[derive(Clone)]
pub(crate) struct Course<'r> {
    pub(crate) reducer: &'r dyn TokenReducer,
    /// The steps to come, with their numbers.
    pub(crate) steps: Vec<(usize, Step)>,
    pub(crate) image: EncodedImage,
    pub(crate) layout: VisualLayout,
    /// What the steps so far left.
    pub(crate) left: Vec<Left>,
}

/// A prefix whose upper layers wait for the question.
pub(crate) struct Waiting<'r> {
    course: Course<'r>,
    /// The states that enter the next step's layer.
    rows: Rows,
}

/// Hidden states with their place in the prompt.
#[derive(Clone)]
pub(crate) struct Rows {
    /// `[n, width]`
    pub(crate) hidden: Matrix,
    /// Rotary position of each row, `n` of them.
    pub(crate) positions: Vec<Position>,
    /// Position of the token that follows.
    pub(crate) next_position: usize,
    /// Those of the rows that are visual tokens, ascending.
    pub(crate) visual: Vec<VisualRow>,
}

/// A row that is a visual token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct VisualRow {
    pub(crate) row: usize,
    /// Which of the image's visual tokens it is; `None` for one that a step made.
    pub(crate) token: Option<usize>,
    /// How many of them it stands for.
    pub(crate) size: f32,
}

impl VisualRow {
    /// Visual token number `index` of `image`, in row `row` of a prompt's states.
    pub(crate) fn of(image: &EncodedImage, index: usize, row: usize) -> Self {
        let (token, patches) = image.merged().map_or((index, 1), |merged| merged.tokens[index]);
        Self { row, token: Some(token), size: patches as f32 }
    }
}

/// Caches and positions of a prompt in progress. Layers below and above a step may count differently.
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
    pub(crate) fn empty(decoder: &Llama) -> Self {
        Self { cache: decoder.empty_cache(), segments: Vec::new() }
    }

    pub(crate) fn kv_lengths(&self) -> Vec<usize> {
        self.cache.lengths()
    }

    /// The first layer whose keys or values are not all finite, but for those of the last `beyond` tokens.
    pub(crate) async fn first_not_finite(&self, beyond: usize) -> Result<Option<usize>, VlmError> {
        self.cache.first_not_finite(beyond).await
    }

    /// A copy in buffers of its own with room for `room` more tokens.
    pub(crate) fn branch(&self, room: usize) -> Self {
        Self { cache: self.cache.branch(room), segments: self.segments.clone() }
    }

    /// Feeds tokens that follow what is held, through all layers that hold something; returns the states that leave the last one.
    pub(crate) fn extend(&mut self, decoder: &Llama, hidden: Matrix) -> Matrix {
        self.extend_watched(decoder, hidden).0
    }

    /// As [`Self::extend`], and the attention of the last token in the last layer.
    fn extend_watched(&mut self, decoder: &Llama, mut hidden: Matrix) -> (Matrix, Option<LastRow>) {
        let tokens = hidden.dims()[0];
        let mut last_row = None;
        for segment in &mut self.segments {
            let positions = segment.advance(tokens);
            let chunk = Chunk { hidden, positions: &positions };
            (hidden, last_row) = decoder.run(segment.layers.clone(), chunk, &mut self.cache);
        }
        (hidden, last_row)
    }

    /// Runs `rows`, which have positions of their own, through all layers that hold what stands before them.
    fn go_on(&mut self, decoder: &Llama, rows: &Rows) -> Matrix {
        let mut hidden = rows.hidden.clone();
        for segment in &mut self.segments {
            segment.next_position = rows.next_position;
            (hidden, _) = decoder.run(segment.layers.clone(), Chunk { hidden, positions: &rows.positions }, &mut self.cache);
        }
        hidden
    }

    /// Runs `rows` through the layers from where the sequence ends up to `end`, which from then on hold them.
    fn climb(&mut self, decoder: &Llama, rows: &Rows, end: usize) -> (Matrix, Option<LastRow>) {
        let layers = self.segments.last().map_or(0, |segment| segment.layers.end)..end;
        self.segments.push(Segment { layers: layers.clone(), next_position: rows.next_position });
        decoder.run(layers, rows.chunk(), &mut self.cache)
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
    /// The states of the visual tokens, `[visual, width]`.
    fn features(&self) -> Matrix {
        let rows: Vec<usize> = self.visual.iter().map(|visual| visual.row).collect();
        match (rows.first(), rows.last()) {
            (Some(&first), Some(&last)) if last - first + 1 == rows.len() => self.hidden.slice(first..last + 1),
            _ => self.hidden.gather(&rows),
        }
    }

    /// What is left after `reduction`: text and kept visual rows in their order, the rows it `merged` behind the last kept one. New rows
    /// come as the states that they are from here on.
    pub(crate) fn reduced(
        &self,
        reduction: &Reduction,
        positions: PositionPolicy,
        rewritten: Option<Matrix>,
        merged: Option<Matrix>,
    ) -> Self {
        let count = self.hidden.dims()[0];
        let mut visual = self.visual.iter().enumerate().peekable();
        let mut kept = reduction.kept.iter().peekable();
        // Of each row that is left, where it is in the table of old, rewritten and merged rows.
        let (mut order, mut left) = (Vec::with_capacity(count), Vec::new());
        let (mut behind_kept, mut first_visual) = (None, None);
        for row in 0..count {
            let Some((index, held)) = visual.next_if(|(_, visual)| visual.row == row) else {
                order.push(row);
                continue;
            };
            first_visual.get_or_insert(order.len());
            if kept.next_if_eq(&&index).is_none() {
                continue;
            }
            let source = if rewritten.is_some() { count + left.len() } else { row };
            left.push(VisualRow { row: order.len(), ..*held });
            order.push(source);
            behind_kept = Some(order.len());
        }
        let at = behind_kept.or(first_visual).unwrap_or(order.len());
        let first_merged = count + rewritten.as_ref().map_or(0, |rows| rows.dims()[0]);
        let new = merged.as_ref().map_or(0, |rows| rows.dims()[0]);
        order.splice(at..at, first_merged..first_merged + new);
        left.extend((0..new).map(|index| VisualRow { row: at + index, token: None, size: 1.0 }));
        if let Some(sizes) = &reduction.sizes {
            for (visual, size) in left.iter_mut().zip(sizes) {
                visual.size = *size;
            }
        }
        let (positions, next_position) = match positions {
            PositionPolicy::Renumber => (in_line(0..order.len()).collect(), order.len()),
            PositionPolicy::Keep => {
                // Rewritten rows stand where the old ones stood.
                let stood = self.visual.iter().enumerate().filter(|(index, _)| reduction.kept.binary_search(index).is_ok());
                let stood: Vec<usize> = stood.map(|(_, visual)| visual.row).collect();
                let of = |&source: &usize| self.positions[if source < count { source } else { stood[source - count] }];
                (order.iter().map(of).collect(), self.next_position)
            }
        };
        let new_rows: Vec<Matrix> = rewritten.into_iter().chain(merged).filter(|rows| rows.dims()[0] > 0).collect();
        let hidden = if new_rows.is_empty() {
            self.hidden.gather(&order)
        } else {
            Matrix::stack(&[vec![self.hidden.clone()], new_rows].concat()).gather(&order)
        };
        Self { hidden, positions, next_position, visual: left }
    }

    /// These rows and then `hidden`, whose positions continue.
    fn followed_by(&self, hidden: Matrix) -> Self {
        let next_position = self.next_position + hidden.dims()[0];
        let mut positions = self.positions.clone();
        positions.extend(in_line(self.next_position..next_position));
        Self { hidden: Matrix::stack(&[self.hidden.clone(), hidden]), positions, next_position, visual: self.visual.clone() }
    }

    /// The first `count` rows, and the others, of no reducer's concern any more.
    fn split_at(self, count: usize) -> (Self, Self) {
        let [rows, _] = self.hidden.dims();
        let part = |range: Range<usize>| Self {
            hidden: self.hidden.slice(range.clone()),
            positions: self.positions[range].to_vec(),
            next_position: self.next_position,
            visual: Vec::new(),
        };
        (part(0..count), part(count..rows))
    }

    fn chunk(&self) -> Chunk<'_> {
        Chunk { hidden: self.hidden.clone(), positions: &self.positions }
    }

    /// Which of the image's visual tokens are still there.
    pub(crate) fn kept(&self) -> Vec<usize> {
        self.visual.iter().filter_map(|visual| visual.token).collect()
    }
}

/// A prompt, or its prefix, after the decoder has seen it.
pub(crate) struct Prefilled<'r> {
    pub(crate) sequence: Sequence,
    /// The states that leave the last layer; `None` while layers wait.
    pub(crate) hidden: Option<Matrix>,
    /// What each step left.
    pub(crate) left: Vec<Left>,
    pub(crate) waiting: Option<Waiting<'r>>,
}

/// Runs `rows` through the decoder.
pub(crate) fn prefill<'r>(decoder: &Llama, rows: &Rows) -> Prefilled<'r> {
    let mut sequence = Sequence::empty(decoder);
    let (hidden, _) = sequence.climb(decoder, rows, decoder.depth());
    Prefilled { sequence, hidden: Some(hidden), left: Vec::new(), waiting: None }
}

/// As [`prefill`], in two pieces of about one length.
pub(crate) fn prefill_in_two<'r>(decoder: &Llama, rows: Rows) -> Prefilled<'r> {
    let count = rows.positions.len();
    if count < 2 {
        return prefill(decoder, &rows);
    }
    let (first, second) = rows.split_at(count / 2);
    let mut sequence = Sequence::empty(decoder);
    sequence.climb(decoder, &first, decoder.depth());
    let hidden = sequence.go_on(decoder, &second);
    Prefilled { sequence, hidden: Some(hidden), left: Vec::new(), waiting: None }
}

/// Runs `rows` through the decoder with the steps of `course` in it. With `question_follows`, the first one that looks at the question is
/// left waiting for it.
pub(crate) async fn prefill_reducing<'r>(
    decoder: &Llama,
    rows: Rows,
    course: Course<'r>,
    question_follows: bool,
) -> Result<Prefilled<'r>, VlmError> {
    climb(decoder, Sequence::empty(decoder), rows, course, question_follows).await
}

impl<'r> Waiting<'r> {
    /// Runs the question `hidden` through the layers below the step, lets it choose, and runs what is left through the rest.
    pub(crate) async fn resume(&self, decoder: &Llama, mut sequence: Sequence, hidden: Matrix) -> Result<Prefilled<'r>, VlmError> {
        let (hidden, last_row) = sequence.extend_watched(decoder, hidden);
        let entering = self.rows.followed_by(hidden);
        let mut course = self.course.clone();
        let rows = Box::pin(course.step(&entering, last_row)).await?;
        climb(decoder, sequence, rows, course, false).await
    }
}

/// Runs `rows` through the rest of the layers, and takes a step of `course` wherever one is due.
async fn climb<'r>(
    decoder: &Llama,
    mut sequence: Sequence,
    mut rows: Rows,
    mut course: Course<'r>,
    question_follows: bool,
) -> Result<Prefilled<'r>, VlmError> {
    while let Some((_, step)) = course.steps.first() {
        let Site::BeforeLayer(layer) = step.site else { break };
        let waits = question_follows && step.needs.last_row_attention;
        let (hidden, last_row) = sequence.climb(decoder, &rows, layer);
        let entering = Rows { hidden, ..rows };
        if waits {
            let left = course.left.clone();
            return Ok(Prefilled { sequence, hidden: None, left, waiting: Some(Waiting { course, rows: entering }) });
        }
        rows = Box::pin(course.step(&entering, last_row)).await?;
    }
    let (hidden, _) = sequence.climb(decoder, &rows, decoder.depth());
    Ok(Prefilled { sequence, hidden: Some(hidden), left: course.left, waiting: None })
}

impl Course<'_> {
    /// Takes the next step, on the states that enter its layer.
    async fn step(&mut self, entering: &Rows, last_row: Option<LastRow>) -> Result<Rows, VlmError> {
        let reducer = self.reducer;
        let attention = match last_row.filter(|_| self.steps[0].1.needs.last_row_attention) {
            Some(row) => {
                let columns: Vec<usize> = entering.visual.iter().map(|visual| visual.row).collect();
                Some(row.mean_over_heads(&columns).await?)
            }
            None => None,
        };
        let (site, reduction, positions) = self.ask(entering, || entering.features(), attention.as_deref()).await?;
        let states = |rows: &HostMatrix| rows.on(&entering.hidden.device(), entering.hidden.element());
        let rows = entering.reduced(&reduction, positions, reduction.rewritten.as_ref().map(states), reduction.merged.as_ref().map(states));
        if rows.positions.is_empty() {
            let problem = "leaves no token at all: there is no text before the image";
            return Err(reducer_error(&reducer.name(), problem.to_owned()));
        }
        self.left.push(Left { site, kept: rows.kept() });
        Ok(rows)
    }

    /// Shows the reducer what it needs for its next step and checks its answer. `features` are the rows it acts on.
    pub(crate) async fn ask(
        &mut self,
        rows: &Rows,
        features: impl Fn() -> Matrix,
        last_row_attention: Option<&[f32]>,
    ) -> Result<(Site, Reduction, PositionPolicy), VlmError> {
        let (index, Step { site, needs, positions }) = self.steps.remove(0);
        let name = self.reducer.name();
        let [visual_tokens, width] = features().dims();
        let shown = if needs.features { Some(HostMatrix::from_device(&features()).await?) } else { None };
        let tokens: Vec<Option<usize>> = rows.visual.iter().map(|visual| visual.token).collect();
        let sizes: Vec<f32> = rows.visual.iter().map(|visual| visual.size).collect();
        let first = self.left.is_empty();
        let seen = self.image.observed();
        let evidence = Evidence {
            visual_tokens,
            cells: self.layout.cells(),
            tokens: if first { &[] } else { &tokens },
            sizes: if sizes.iter().any(|size| (size - 1.0).abs() > f32::EPSILON) { &sizes } else { &[] },
            features: shown.as_ref(),
            cls_attention: observed(&name, "CLS attention", &needs.cls_attention, &seen.cls_attention)?,
            vision_keys: observed(&name, "keys", &needs.vision_keys, &seen.vision_keys)?,
            last_row_attention,
            image_key: self.image.key(),
        };
        let reduction = self.reducer.reduce(index, &evidence)?;
        // Renumbered, a token would be elsewhere in the image.
        let positions = if self.image.places_tokens() { PositionPolicy::Keep } else { positions };
        Ok((site, reduction.checked(&name, visual_tokens, width, positions)?, positions))
    }
}
