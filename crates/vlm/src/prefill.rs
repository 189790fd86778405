//! The prompt on its way through the decoder: where visual tokens are dropped, what later questions can share.
//!
//! Under the causal mask the states of everything up to the end of the image do not depend on the question. So that part, the
//! [`Prefix`], is computed once per image and acceleration, and every question branches off it. A reducer acts step by step. The first
//! step inside the decoder that looks at the question splits the layers: those below it are prefilled fully; the states entering its
//! layer are kept, and each question picks from them.

use std::{ops::Range, sync::Arc};

use steady_kernels::Matrix;

use crate::{
    Evidence, HostMatrix, Needs, PromptStates, Reduction, Site, Step, TokenReducer, VlmError,
    decoder::{Chunk, KvCache, LastRow, Llama, Member},
    encoded::EncodedImage,
    families::Joined,
    layout::{Cells, View, VisualLayout},
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

/// Where a row that is left of several views comes from: the visual token that it is, if it is one, and those that went into it.
type Origin = (Option<usize>, Vec<usize>);

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
    /// What went into others by then, by what it went into.
    pub gathered: Vec<Gathered>,
}

/// Visual tokens of the image that became part of another, each of that which most of it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gathered {
    /// The kept one that they went into; `None` for one that was made of them.
    pub token: Option<usize>,
    /// Their indices among all visual tokens of the image, ascending.
    pub from: Vec<usize>,
}

/// What is left to do of a reducer, and on what.
#[derive(Clone)]
pub(crate) struct Course<'r> {
    pub(crate) reducer: &'r dyn TokenReducer,
    /// The steps to come, with their numbers.
    pub(crate) steps: Vec<(usize, Step)>,
    pub(crate) image: EncodedImage,
    pub(crate) layout: VisualLayout,
    /// The prompt as far as it is known, before any reduction.
    pub(crate) ids: Vec<u32>,
    pub(crate) decoder: Arc<Llama>,
    /// What the steps so far left.
    pub(crate) left: Vec<Left>,
}

/// A prefix of which the rest waits for the question: upper layers, or all of them.
pub(crate) struct Waiting<'r> {
    course: Course<'r>,
    /// The states that enter the next step's layer, or the decoder.
    rows: Rows,
}

/// What a decoder layer's attention is, for the visual tokens that a step acts on.
#[derive(Default)]
pub(crate) struct Looks {
    last_row: Option<Vec<f32>>,
    own: Option<Vec<f32>>,
    text: Option<HostMatrix>,
}

/// What was there to be seen when some tokens went through the layers below a step.
struct Passed {
    /// The states that leave the last of them.
    hidden: Matrix,
    /// What the last token looked at there.
    last_row: Option<LastRow>,
    /// Of the same tokens the states that entered the last stretch of layers.
    below: Matrix,
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
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct VisualRow {
    pub(crate) row: usize,
    /// Which of the image's visual tokens it is; `None` for one that a step made.
    pub(crate) token: Option<usize>,
    /// How many of them it stands for.
    pub(crate) size: f32,
    /// Others of them that went into it.
    pub(crate) gathered: Vec<usize>,
}

impl VisualRow {
    /// Visual token number `index` of `image`, in row `row` of a prompt's states.
    pub(crate) fn of(image: &EncodedImage, index: usize, row: usize) -> Self {
        let Some(merged) = image.merged() else { return Self { row, token: Some(index), size: 1.0, gathered: Vec::new() } };
        let tokens = &merged.tokens[index];
        Self { row, token: tokens.first().copied(), size: tokens.len() as f32, gathered: tokens.get(1..).unwrap_or_default().to_vec() }
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

    /// The same tokens, behind which others come than here; there is room for `room` of them.
    pub(crate) fn branch(&self, room: usize) -> Self {
        Self { cache: self.cache.branch(room), segments: self.segments.clone() }
    }

    /// Feeds tokens that follow what is held, through all layers that hold something; returns the states that leave the last one.
    pub(crate) fn extend(&mut self, decoder: &Llama, hidden: Matrix) -> Matrix {
        self.extend_watched(decoder, hidden).hidden
    }

    /// As [`Self::extend`] for several sequences whose steps acted below the same layers: `tokens` says how many of the rows of `hidden` follow each. Gives the states
    /// that leave the last layer, of the last token of each.
    pub(crate) fn extend_together(sequences: &mut [&mut Self], decoder: &Llama, mut hidden: Matrix, tokens: &[usize]) -> Matrix {
        if let [sequence] = sequences {
            return sequence.extend(decoder, hidden);
        }
        for segment in 0..sequences.first().map_or(0, |sequence| sequence.segments.len()) {
            let layers = sequences[0].segments[segment].layers.clone();
            let mut positions: Vec<Vec<Position>> = Vec::with_capacity(sequences.len());
            for (sequence, &tokens) in sequences.iter_mut().zip(tokens) {
                positions.push(sequence.segments[segment].advance(tokens));
            }
            let members = sequences.iter_mut().zip(&positions).map(|(sequence, positions)| {
                debug_assert_eq!(sequence.segments[segment].layers, layers);
                Member { positions, cache: &mut sequence.cache }
            });
            (hidden, _) = decoder.run_together(layers.clone(), hidden, &mut members.collect::<Vec<_>>());
        }
        hidden
    }

    /// As [`Self::extend`], and what there was to see.
    fn extend_watched(&mut self, decoder: &Llama, mut hidden: Matrix) -> Passed {
        let tokens = hidden.dims()[0];
        let (mut below, mut last_row) = (hidden.clone(), None);
        for segment in &mut self.segments {
            below = hidden.clone();
            let positions = segment.advance(tokens);
            let chunk = Chunk { hidden, positions: &positions };
            (hidden, last_row) = decoder.run(segment.layers.clone(), chunk, &mut self.cache);
        }
        Passed { hidden, last_row, below }
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
        let layers = self.end()..end;
        self.segments.push(Segment { layers: layers.clone(), next_position: rows.next_position });
        decoder.run(layers, rows.chunk(), &mut self.cache)
    }

    /// As [`Self::climb`] to the layer of a step. The last stretch is one layer where the step looks at it from several tokens.
    fn climb_to(&mut self, decoder: &Llama, rows: &Rows, layer: usize, needs: &Needs) -> Passed {
        let mut below = rows.clone();
        if needs.text_attention && self.end() + 1 < layer {
            below.hidden = self.climb(decoder, rows, layer - 1).0;
        }
        let (hidden, last_row) = self.climb(decoder, &below, layer);
        Passed { hidden, last_row, below: below.hidden }
    }

    /// The layer behind the last that holds something.
    fn end(&self) -> usize {
        self.segments.last().map_or(0, |segment| segment.layers.end)
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
            left.push(VisualRow { row: order.len(), ..held.clone() });
            order.push(source);
            behind_kept = Some(order.len());
        }
        let at = behind_kept.or(first_visual).unwrap_or(order.len());
        let first_merged = count + rewritten.as_ref().map_or(0, |rows| rows.dims()[0]);
        let new = merged.as_ref().map_or(0, |rows| rows.dims()[0]);
        order.splice(at..at, first_merged..first_merged + new);
        left.extend((0..new).map(|index| VisualRow { row: at + index, token: None, size: 1.0, gathered: Vec::new() }));
        for (visual, gathered) in left.iter_mut().zip(reduction.gathered()) {
            let went = gathered.into_iter().map(|index| &self.visual[index]);
            visual.gathered.extend(went.flat_map(|went| went.token.iter().chain(&went.gathered)));
            visual.gathered.sort_unstable();
        }
        if let Some(sizes) = &reduction.sizes {
            for (visual, size) in left.iter_mut().zip(sizes) {
                visual.size = *size;
            }
        }
        if let Some(places) = &reduction.order {
            let (rows, sources) = (left.clone(), left.iter().map(|visual| order[visual.row]).collect::<Vec<_>>());
            for (place, &from) in left.iter_mut().zip(places) {
                order[place.row] = sources[from];
                *place = VisualRow { row: place.row, ..rows[from].clone() };
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

    /// These rows with `visual` in place of all visual tokens, which are `tokens` of the image, each with those that went into it; counted anew.
    pub(crate) fn with_visual(&self, visual: Matrix, tokens: Vec<(Option<usize>, Vec<usize>)>) -> Self {
        let count = self.hidden.dims()[0];
        let first = self.visual.first().map_or(0, |visual| visual.row);
        let is_visual = |row: &usize| self.visual.binary_search_by_key(row, |visual| visual.row).is_ok();
        let (before, behind) = (0..first, (first..count).filter(|row| !is_visual(row)));
        let order: Vec<usize> = before.chain(count..count + tokens.len()).chain(behind).collect();
        let row = |(at, (token, gathered))| VisualRow { row: first + at, token, size: 1.0, gathered };
        let visual_rows = tokens.into_iter().enumerate().map(row);
        Self {
            hidden: Matrix::stack(&[self.hidden.clone(), visual]).gather(&order),
            positions: in_line(0..order.len()).collect(),
            next_position: order.len(),
            visual: visual_rows.collect(),
        }
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

    /// What a step at `site` left of the image's visual tokens, which are these.
    pub(crate) fn left(&self, site: Site) -> Left {
        let mut kept: Vec<usize> = self.visual.iter().filter_map(|visual| visual.token).collect();
        kept.sort_unstable();
        let of = |visual: &VisualRow| Gathered { token: visual.token, from: visual.gathered.clone() };
        Left { site, kept, gathered: self.visual.iter().filter(|visual| !visual.gathered.is_empty()).map(of).collect() }
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
    /// What waits for a question in front of the decoder.
    pub(crate) fn new(course: Course<'r>, rows: Rows) -> Self {
        Self { course, rows }
    }

    /// The whole prompt and the steps to come, if nothing of it went into the decoder: the step before it looks at the question `ids`.
    pub(crate) fn before_decoder(&self, ids: &[u32], hidden: &Matrix) -> Option<(Rows, Course<'r>)> {
        let (_, step) = self.course.steps.first()?;
        let before = !matches!(step.site, Site::BeforeLayer(_));
        before.then(|| (self.rows.followed_by(hidden.clone()), self.course.with(ids)))
    }

    /// Runs the question `ids`, whose embeddings are `hidden`, through the layers below the step, lets it choose, and runs what is left
    /// through the rest.
    pub(crate) async fn resume(
        &self,
        decoder: &Llama,
        mut sequence: Sequence,
        ids: &[u32],
        hidden: Matrix,
    ) -> Result<Prefilled<'r>, VlmError> {
        let passed = sequence.extend_watched(decoder, hidden);
        let entering = self.rows.followed_by(passed.hidden.clone());
        let mut course = self.course.with(ids);
        let looks = Box::pin(course.looks(&entering, passed, &mut sequence)).await?;
        let rows = Box::pin(course.step(&entering, looks)).await?;
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
        let waits = question_follows && step.needs.looks_at_the_question();
        let passed = sequence.climb_to(decoder, &rows, layer, &step.needs);
        let entering = Rows { hidden: passed.hidden.clone(), ..rows };
        if waits {
            let left = course.left.clone();
            return Ok(Prefilled { sequence, hidden: None, left, waiting: Some(Waiting { course, rows: entering }) });
        }
        let looks = Box::pin(course.looks(&entering, passed, &mut sequence)).await?;
        rows = Box::pin(course.step(&entering, looks)).await?;
    }
    let (hidden, _) = sequence.climb(decoder, &rows, decoder.depth());
    Ok(Prefilled { sequence, hidden: Some(hidden), left: course.left, waiting: None })
}

impl Course<'_> {
    /// The same steps, with `ids` behind the prompt.
    fn with(&self, ids: &[u32]) -> Self {
        Self { ids: [self.ids.as_slice(), ids].concat(), ..self.clone() }
    }

    /// Whether the next step stands before the decoder and looks at the question.
    pub(crate) fn waits_before_decoder(&self) -> bool {
        let waits = |step: &Step| !matches!(step.site, Site::BeforeLayer(_)) && step.needs.looks_at_the_question();
        self.steps.first().is_some_and(|(_, step)| waits(step))
    }

    /// What the next step wants to see of attention. `entering` are the states that enter its layer; `passed` and `sequence` is what went
    /// through the layers below, the prompt's last tokens at least.
    async fn looks(&self, entering: &Rows, passed: Passed, sequence: &mut Sequence) -> Result<Looks, VlmError> {
        let Some((_, Step { needs, site: Site::BeforeLayer(layer), .. })) = self.steps.first() else { return Ok(Looks::default()) };
        let columns: Vec<usize> = entering.visual.iter().map(|visual| visual.row).collect();
        let last_row = match passed.last_row.filter(|_| needs.last_row_attention) {
            Some(row) => Some(row.mean_over_heads(&columns).await?),
            None => None,
        };
        let own = if needs.own_attention {
            Some(self.decoder.look_ahead(*layer, &entering.chunk()).mean_over_heads(&columns).await?)
        } else {
            None
        };
        let text = if needs.text_attention {
            let behind = self.ids.len() - self.layout.end();
            let (rows, passed_rows) = (entering.positions.len(), passed.below.dims()[0]);
            let hidden = passed.below.slice(passed_rows - behind..passed_rows);
            let chunk = Chunk { hidden, positions: &entering.positions[rows - behind..] };
            Some(self.decoder.attention(layer - 1, &chunk, &mut sequence.cache, &columns).await?)
        } else {
            None
        };
        Ok(Looks { last_row, own, text })
    }

    /// The prompt as it entered the decoder.
    async fn prompt(&self) -> Result<PromptStates, VlmError> {
        let visual = HostMatrix::from_device(self.image.projected()).await?;
        let (end, width) = (self.layout.end(), visual.cols);
        let shown: Vec<bool> = {
            let mut shown = vec![false; end];
            self.layout.positions().for_each(|position| shown[position] = true);
            shown
        };
        let before: Vec<u32> = self.ids.iter().zip(shown).filter(|(_, shown)| !shown).map(|(id, _)| *id).collect();
        let mut text = [before.as_slice(), &self.ids[end..]].into_iter().map(|ids| async move {
            if ids.is_empty() {
                Ok(HostMatrix::new(0, width, Vec::new()))
            } else {
                HostMatrix::from_device(&self.decoder.embed(ids)?).await
            }
        });
        let (Some(before), Some(behind)) = (text.next(), text.next()) else { unreachable!("two of two") };
        Ok(PromptStates { before: before.await?, visual, behind: behind.await?, marked: self.image.marked() })
    }

    /// Takes the next step, on the states that enter its layer.
    async fn step(&mut self, entering: &Rows, looks: Looks) -> Result<Rows, VlmError> {
        let reducer = self.reducer;
        let (site, reduction, positions) = self.ask(entering, || entering.features(), looks).await?;
        let states = |rows: &HostMatrix| rows.on(&entering.hidden.device(), entering.hidden.element());
        let rows = entering.reduced(&reduction, positions, reduction.rewritten.as_ref().map(states), reduction.merged.as_ref().map(states));
        if rows.positions.is_empty() {
            let problem = "leaves no token at all: there is no text before the image";
            return Err(reducer_error(&reducer.name(), problem.to_owned()));
        }
        self.left.push(rows.left(site));
        Ok(rows)
    }

    /// Shows the reducer what it needs for its next step and checks its answer. `features` are the rows it acts on.
    pub(crate) async fn ask(
        &mut self,
        rows: &Rows,
        features: impl Fn() -> Matrix,
        looks: Looks,
    ) -> Result<(Site, Reduction, PositionPolicy), VlmError> {
        let (index, Step { site, needs, positions }) = self.steps.remove(0);
        let name = self.reducer.name();
        let [visual_tokens, width] = features().dims();
        if visual_tokens == 0 && !self.left.is_empty() {
            return Err(reducer_error(&name, format!("has nothing to do {site}: the step before left no visual token")));
        }
        let shown = if needs.features { Some(HostMatrix::from_device(&features()).await?) } else { None };
        let tokens: Vec<Option<usize>> = rows.visual.iter().map(|visual| visual.token).collect();
        let sizes: Vec<f32> = rows.visual.iter().map(|visual| visual.size).collect();
        let first = self.left.is_empty();
        let prompt = if needs.prompt { Some(Box::pin(self.prompt()).await?) } else { None };
        let evidence = Evidence {
            cells: self.layout.cells(),
            tokens: if first { &[] } else { &tokens },
            sizes: if sizes.iter().any(|size| (size - 1.0).abs() > f32::EPSILON) { &sizes } else { &[] },
            features: shown.as_ref(),
            prompt: prompt.as_ref(),
            last_row_attention: looks.last_row.as_deref(),
            own_attention: looks.own.as_deref(),
            text_attention: looks.text.as_ref(),
            ..self.seen(&name, &needs, visual_tokens, 0)?
        };
        let reduction = self.reducer.reduce(index, &evidence)?;
        // Renumbered, a token would be elsewhere in the image.
        let positions = if self.image.places_tokens() { PositionPolicy::Keep } else { positions };
        Ok((site, reduction.checked(&name, visual_tokens, width, positions)?, positions))
    }

    /// What a step sees of view number `view` of the image, which has `visual_tokens` tokens.
    fn seen(&self, name: &str, needs: &Needs, visual_tokens: usize, view: usize) -> Result<Evidence<'_>, VlmError> {
        let evidence = Evidence { visual_tokens, image_key: self.image.key(), ..Evidence::default() };
        let Some(seen) = self.image.observed(view) else { return Ok(evidence) };
        Ok(Evidence {
            class_token: seen.class_token.as_ref().filter(|_| needs.class_token),
            cls_attention: observed(name, "CLS attention", &needs.cls_attention, &seen.cls_attention)?,
            class_projections: observed(name, "CLS projections", &needs.class_projections, &seen.class_projections)?,
            vision_keys: observed(name, "keys", &needs.vision_keys, &seen.vision_keys)?,
            vision_heads: seen.heads,
            ..evidence
        })
    }

    /// As [`Self::ask`] for a step on the features of several views: it chooses from each view by itself. What is left, as features and as
    /// visual tokens: the first view's, then of the tiles what they keep, row by row across tiles, with the new rows that a method puts in
    /// front of what it keeps and then the others behind, tile by tile. Newlines and padding have no place in it.
    pub(crate) async fn ask_each_view(&mut self, joined: &Joined) -> Result<(Site, Matrix, Vec<Origin>), VlmError> {
        let (index, Step { site, needs, positions }) = self.steps.remove(0);
        let name = self.reducer.name();
        if positions == PositionPolicy::Keep {
            let problem = "keeps positions, but several views are put together anew; expected positions=renumber";
            return Err(reducer_error(&name, problem.to_owned()));
        }
        let features = HostMatrix::from_device(self.image.features()).await?;
        let patches = features.rows / joined.views;
        let cells = Cells::of(View { rows: 1, columns: patches, frame: None });
        let prompt = if needs.prompt { Some(Box::pin(self.prompt()).await?) } else { None };
        // Where each patch is read, and which visual token it is.
        let mut reading = vec![0; features.rows];
        joined.reading.iter().enumerate().for_each(|(at, &patch)| reading[patch] = at);
        let mut token_of = vec![None; features.rows];
        joined.tokens.iter().enumerate().for_each(|(token, patch)| patch.iter().for_each(|&patch| token_of[patch] = Some(token)));

        let (mut kept, mut leading, mut behind) = (Vec::new(), Vec::new(), Vec::new());
        let mut left: Vec<(Vec<f32>, Origin)> = Vec::new();
        for view in 0..joined.views {
            let first = view * patches;
            let own = features.select_rows(&(first..first + patches).collect::<Vec<_>>());
            let evidence = Evidence {
                cells: &cells,
                features: Some(&own).filter(|_| needs.features),
                prompt: prompt.as_ref(),
                ..self.seen(&name, &needs, patches, view)?
            };
            let reduction = self.reducer.reduce(index, &evidence)?.checked(&name, patches, own.cols, positions)?;
            let order = reduction.order.clone().unwrap_or_else(|| (0..reduction.rows()).collect());
            let keeps = reduction.kept.len();
            let in_order = order.iter().filter(|row| **row < keeps).is_sorted();
            if reduction.rewritten.is_some() || !in_order {
                let problem = "rewrites or moves tokens, which its source defines for one view only; this image has several";
                return Err(reducer_error(&name, problem.to_owned()));
            }
            let mut before_kept = true;
            let mut gathered = reduction.gathered();
            for row in order {
                let went: Vec<usize> = std::mem::take(&mut gathered[row]).into_iter().filter_map(|patch| token_of[first + patch]).collect();
                match (row.checked_sub(keeps), &reduction.merged) {
                    (Some(new), Some(merged)) if view == 0 => left.push((merged.row(new).to_vec(), (None, went))),
                    (Some(new), Some(merged)) if before_kept => leading.push((merged.row(new).to_vec(), (None, went))),
                    (Some(new), Some(merged)) => behind.push((merged.row(new).to_vec(), (None, went))),
                    _ => {
                        before_kept = false;
                        let patch = first + reduction.kept[row];
                        let here = (own.row(reduction.kept[row]).to_vec(), (token_of[patch], went));
                        if view == 0 { left.push(here) } else { kept.push((reading[patch], here)) }
                    }
                }
            }
        }
        kept.sort_by_key(|(reading, _)| *reading);
        left.extend(kept.into_iter().map(|(_, row)| row).chain(leading).chain(behind));
        let (rows, tokens): (Vec<_>, Vec<_>) = left.into_iter().unzip();
        let rows = HostMatrix::new(tokens.len(), features.cols, rows.concat());
        Ok((site, rows.on(&self.image.features().device(), self.image.features().element()), tokens))
    }
}
