//! The Llama decoder (Touvron et al., 2023), also Vicuna: RMSNorm, rotary positions, grouped-query attention, gated MLP. With a
//! sliding window it is Mistral (Jiang et al., 2023); with biases on queries, keys and values Qwen2 (Yang et al., 2024), and with
//! three-dimensional positions that of Qwen2-VL.

use std::ops::Range;

use steady_kernels::{
    CacheBits, CausalSight, Chosen, Device, Heads, KeyValues, LastRow as SeenRow, Matrix, Rotation, SCORES, Table, rows_at_once,
};

use super::{KvCache, LlamaConfig};
use crate::{
    VlmError,
    nn::{Activation, Linear, Loader, Norm, Part, Position, Rope, Visit, Visitor},
};

/// The canonical name of the head, without `.weight`.
const HEAD: &str = "lm_head";

/// Embedding, layers, final norm and head.
#[derive(Clone, Debug)]
pub(crate) struct Llama {
    embed_tokens: Table,
    layers: Vec<Layer>,
    norm: Norm,
    head: Head,
    rope: Rope,
    sliding_window: Option<usize>,
    /// What keys and values are rounded to, if they are.
    cache_bits: Option<CacheBits>,
    /// Tokens of a prompt that a CPU takes through all layers at a time.
    piece: usize,
}

/// What the logits come from.
#[derive(Clone, Debug)]
enum Head {
    /// The embedding.
    Tied,
    /// A table of its own.
    Table(Table),
    /// A linear layer, which can be packed.
    Linear(Linear),
}

#[derive(Clone, Debug)]
struct Layer {
    input_norm: Norm,
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    o_proj: Linear,
    post_attention_norm: Norm,
    gate_proj: Linear,
    up_proj: Linear,
    down_proj: Linear,
    heads: Heads,
    act: Activation,
}

/// Tokens of a prompt that a CPU takes through all layers at a time: enough for reading the weights to be little beside multiplying them, and few enough for an
/// MLP's numbers not to be most of the memory.
pub(crate) const PIECE: usize = 2048;

/// Tokens on their way through the decoder, on top of what the cache holds.
pub(crate) struct Chunk<'a> {
    /// `[tokens, width]`
    pub(crate) hidden: Matrix,
    /// Rotary position of each token.
    pub(crate) positions: &'a [Position],
}

/// One of several sequences that go through layers together: its rows among those of all, in their order, and what it holds.
pub(crate) struct Member<'a> {
    /// Rotary position of each of its tokens.
    pub(crate) positions: &'a [Position],
    pub(crate) cache: &'a mut KvCache,
}

/// Where a member's rows are, and what they may see.
struct Seat {
    rows: Range<usize>,
    rotation: Rotation,
    /// Of all its tokens, and of the last one alone.
    sights: [CausalSight; 2],
}

impl Llama {
    pub(crate) fn load(loader: &mut Loader<'_>, config: &LlamaConfig, tied: bool) -> Result<Self, VlmError> {
        let table = [config.vocab_size, config.hidden_size];
        let embed_tokens = loader.table("language_model.embed_tokens.weight", table)?;
        let layers = (0..config.num_layers).map(|layer| Layer::load(loader, config, layer)).collect::<Result<_, _>>()?;
        let norm = loader.rms_norm("language_model.norm", config.hidden_size, config.rms_norm_eps)?;
        let head = loader.head(HEAD, table, tied)?.map_or(Head::Tied, Head::Table);
        Ok(Self {
            embed_tokens,
            layers,
            norm,
            head,
            rope: Rope::new(&config.rope, config.head_dim),
            sliding_window: config.sliding_window,
            cache_bits: None,
            piece: PIECE,
        })
    }

    /// Embeddings of `ids`: `[ids, width]`.
    pub(crate) fn embed(&self, ids: &[u32]) -> Result<Matrix, VlmError> {
        let rows = self.embed_tokens.rows();
        if let Some(id) = ids.iter().find(|&&id| id as usize >= rows) {
            return Err(VlmError::Prompt(format!("token id {id} is outside the model's vocabulary of {rows}")));
        }
        Ok(self.embed_tokens.gather(ids))
    }

    /// The embedding of a token that was chosen of this model's logits, of which there is one a row: `[1, width]`.
    pub(crate) fn embed_chosen(&self, chosen: &Chosen) -> Matrix {
        self.embed_tokens.chosen(chosen)
    }

    /// Number of layers.
    pub(crate) fn depth(&self) -> usize {
        self.layers.len()
    }

    pub(crate) fn empty_cache(&self) -> KvCache {
        KvCache::new(self.layers.len(), self.cache_bits)
    }

    /// What keys and values are rounded to, if they are.
    pub(crate) fn cache_bits(&self) -> Option<CacheBits> {
        self.cache_bits
    }

    /// The same decoder, whose keys and values are rounded to `bits` as they are written.
    pub(crate) fn with_cache_bits(self, bits: CacheBits) -> Self {
        Self { cache_bits: Some(bits), ..self }
    }

    /// The same decoder, whose head is a linear layer called `lm_head`, also where it is the embedding.
    pub(crate) fn with_linear_head(self) -> Self {
        let table = match &self.head {
            Head::Tied => &self.embed_tokens,
            Head::Table(table) => table,
            Head::Linear(_) => return self,
        };
        let head = Head::Linear(Linear::dense(HEAD, table.weight()));
        Self { head, ..self }
    }

    /// What becomes of `x`, the outputs of the norm called `norm` for the tokens of a whole prompt, until it is added to the states: attention or
    /// MLP. `None` where no layer has that norm.
    pub(crate) fn behind_norm(&self, norm: &str, x: &Matrix, positions: &[Position]) -> Option<Matrix> {
        let layer =
            self.layers.iter().find(|layer| [&layer.input_norm, &layer.post_attention_norm].iter().any(|own| own.name() == norm))?;
        if layer.post_attention_norm.name() == norm {
            return Some(layer.down_proj.forward(&layer.gated(x)));
        }
        let rotation = self.rope.at(positions, &x.device(), x.element());
        let sight = CausalSight::new(0, self.sliding_window);
        let mut held = KeyValues::empty(self.cache_bits);
        let [queries, keys, values] = Linear::forward_all([&layer.q_proj, &layer.k_proj, &layer.v_proj], x);
        let queries = held.remember(&queries, &keys, &values, &rotation, layer.heads);
        Some(layer.o_proj.forward(&held.attend(&queries, layer.heads, &sight).0))
    }

    /// Runs a chunk through `layers`, appending to their caches, and returns the states that leave the last of them: of every
    /// token, or of the last one alone where that is the decoder's own last layer. The layers must hold equally many tokens. Beside them
    /// the attention of the last token in the last of `layers`; `None` if there are no layers to run.
    ///
    /// On a CPU a long chunk goes through all layers in pieces, so that what lies between the layers' products does not grow with its length.
    pub(crate) fn run(&self, layers: Range<usize>, chunk: Chunk<'_>, cache: &mut KvCache) -> (Matrix, Option<LastRow>) {
        let Chunk { hidden, positions } = chunk;
        let [tokens, _] = hidden.dims();
        let rows = if hidden.device() == Device::Cpu { self.piece } else { tokens };
        if tokens <= rows {
            return self.run_piece(layers, Chunk { hidden, positions }, cache);
        }
        let (mut left, mut last_row) = (Vec::new(), None);
        for first in (0..tokens).step_by(rows) {
            let end = tokens.min(first + rows);
            let piece = Chunk { hidden: hidden.slice(first..end), positions: &positions[first..end] };
            drop(last_row.take());
            let (states, row) = self.run_piece(layers.clone(), piece, cache);
            left.push(states);
            last_row = row;
        }
        if !layers.is_empty() && layers.end == self.layers.len() {
            // One row left each piece, and the prompt's last one is that of the last piece.
            left.drain(..left.len() - 1);
        }
        (Matrix::stack(&left), last_row)
    }

    /// What the last token of `chunk`, a whole prompt that enters layer `index`, would look at there.
    pub(crate) fn look_ahead(&self, index: usize, chunk: &Chunk<'_>) -> LastRow {
        let (layer, device) = (&self.layers[index], chunk.hidden.device());
        let tokens = chunk.hidden.dims()[0];
        let rotation = self.rope.at(chunk.positions, &device, chunk.hidden.element());
        let x = layer.input_norm.forward(&chunk.hidden);
        let (keys, mut held) = (layer.k_proj.forward(&x), KeyValues::empty(self.cache_bits));
        let queries = layer.q_proj.forward(&x.slice(tokens - 1..tokens));
        // Only what is looked at matters, so the keys stand in for the values.
        let queries = held.remember(&queries, &keys, &keys, &rotation, layer.heads);
        let sight = CausalSight::new(tokens - 1, self.sliding_window);
        LastRow(held.attend(&queries, layer.heads, &sight).1)
    }

    /// What each token of `chunk` looks at in layer `index`, mean over heads, `[tokens, columns]`: the last ones of those that the layer
    /// holds, as they entered it. `columns` are places among those that are held.
    pub(crate) async fn attention(
        &self,
        index: usize,
        chunk: &Chunk<'_>,
        cache: &mut KvCache,
        columns: &[usize],
    ) -> Result<crate::HostMatrix, VlmError> {
        let (layer, device) = (&self.layers[index], chunk.hidden.device());
        let (tokens, held) = (chunk.hidden.dims()[0], cache.layer(index).len());
        let queries = layer.q_proj.forward(&layer.input_norm.forward(&chunk.hidden));
        let mut seen = Vec::with_capacity(tokens * columns.len());
        let rows = rows_at_once(layer.heads.queries, held, SCORES);
        for first in (0..tokens).step_by(rows) {
            let end = tokens.min(first + rows);
            let rotation = self.rope.at(&chunk.positions[first..end], &device, chunk.hidden.element());
            // Keys behind the piece are hidden like all that follows a token.
            let piece = queries.slice(first..end);
            let looks = cache.layer(index).looks(&piece, &rotation, layer.heads, held - tokens + first, self.sliding_window).await?;
            seen.extend(looks.chunks(held).flat_map(|row| columns.iter().map(|&column| row[column])));
        }
        Ok(crate::HostMatrix::new(tokens, columns.len(), seen))
    }

    fn run_piece(&self, layers: Range<usize>, chunk: Chunk<'_>, cache: &mut KvCache) -> (Matrix, Option<LastRow>) {
        let Chunk { hidden, positions } = chunk;
        self.run_together(layers, hidden, &mut [Member { positions, cache }])
    }

    /// Runs the tokens of several sequences through `layers`, each behind what it holds by itself: a product is one of all rows, attention is one of each sequence.
    /// Gives what [`Self::run`] gives, of one member after the other, and what the last token of the last one looked at. Nothing is cut into pieces.
    pub(crate) fn run_together(&self, layers: Range<usize>, mut hidden: Matrix, members: &mut [Member<'_>]) -> (Matrix, Option<LastRow>) {
        let (device, mut end) = (hidden.device(), 0);
        let entering = layers.start;
        let mut seat = |member: &mut Member<'_>| {
            let (tokens, past) = (member.positions.len(), if layers.is_empty() { 0 } else { member.cache.layer(entering).len() });
            let sight = |tokens: usize| CausalSight::new(past + member.positions.len() - tokens, self.sliding_window);
            let rows = end..end + tokens;
            end = rows.end;
            Seat { rows, rotation: self.rope.at(member.positions, &device, hidden.element()), sights: [sight(tokens), sight(1)] }
        };
        let seats: Vec<Seat> = members.iter_mut().map(&mut seat).collect();
        let several = seats.iter().any(|seat| seat.rows.len() > 1);
        let mut last_row = None;
        for index in layers {
            let mut held: Vec<&mut KeyValues> = members.iter_mut().map(|member| member.cache.layer(index)).collect();
            // Only the head sees what leaves the last layer, and only of the last token.
            let last_only = several && index + 1 == self.layers.len();
            let (next, seen) = self.layers[index].forward(&hidden, &seats, &mut held, last_only);
            hidden = next;
            last_row = seen.map(LastRow);
        }
        (hidden, last_row)
    }

    /// Next-token logits after each row of `hidden`: `[rows, vocabulary]`.
    pub(crate) fn logits(&self, hidden: &Matrix) -> Matrix {
        let x = self.norm.forward(hidden);
        match &self.head {
            Head::Tied => self.embed_tokens.project(&x),
            Head::Table(table) => table.project(&x),
            Head::Linear(linear) => linear.forward(&x),
        }
    }
}

impl Visit for Llama {
    fn visit(&mut self, visitor: &mut Visitor<'_>) {
        visitor(Part::Table(&mut self.embed_tokens));
        for layer in &mut self.layers {
            layer.visit(visitor);
        }
        visitor(Part::Norm(&mut self.norm));
        match &mut self.head {
            Head::Tied => {}
            Head::Table(table) => visitor(Part::Table(table)),
            Head::Linear(linear) => visitor(Part::Linear(linear)),
        }
    }
}

/// The last row of each seat.
fn last_rows(rows: &Matrix, seats: &[Seat]) -> Matrix {
    match seats {
        // On a GPU a range of rows is a view.
        [seat] => rows.slice(seat.rows.end - 1..seat.rows.end),
        seats => rows.gather(&seats.iter().map(|seat| seat.rows.end - 1).collect::<Vec<_>>()),
    }
}

/// What the last token looked at in the layer that ran last.
pub(crate) struct LastRow(SeenRow);

impl LastRow {
    /// Its attention to the held tokens `columns`, which ascend, mean over heads, on the host.
    pub(crate) async fn mean_over_heads(self, columns: &[usize]) -> Result<Vec<f32>, VlmError> {
        let (Some(&first), Some(&last)) = (columns.first(), columns.last()) else { return Ok(Vec::new()) };
        let width = last + 1 - first;
        let heads = self.0.read(first..last + 1).await?;
        let mean = crate::HostMatrix::new(heads.len() / width, width, heads).mean_over_rows();
        Ok(columns.iter().map(|column| mean[column - first]).collect())
    }
}

impl Layer {
    fn load(loader: &mut Loader<'_>, config: &LlamaConfig, index: usize) -> Result<Self, VlmError> {
        let (width, inner, eps) = (config.hidden_size, config.intermediate_size, config.rms_norm_eps);
        let queries = config.num_heads * config.head_dim;
        let keys = config.num_kv_heads * config.head_dim;
        let (attention_bias, mlp_bias) = (config.attention_bias, config.mlp_bias);
        let name = |part: &str| format!("language_model.layers.{index}.{part}");
        let input_norm = loader.rms_norm(&name("input_layernorm"), width, eps)?;
        let mut projection = |part: &str, shape, bias| loader.linear(&name(part), shape, bias);
        let q_proj = projection("self_attn.q_proj", [width, queries], attention_bias)?;
        let k_proj = projection("self_attn.k_proj", [width, keys], attention_bias)?;
        let v_proj = projection("self_attn.v_proj", [width, keys], attention_bias)?;
        let o_proj = projection("self_attn.o_proj", [queries, width], config.output_bias)?;
        let gate_proj = projection("mlp.gate_proj", [width, inner], mlp_bias)?;
        let up_proj = projection("mlp.up_proj", [width, inner], mlp_bias)?;
        let down_proj = projection("mlp.down_proj", [inner, width], mlp_bias)?;
        let mut layer = Self {
            input_norm: input_norm.feeding(&[&q_proj, &k_proj, &v_proj]),
            post_attention_norm: loader.rms_norm(&name("post_attention_layernorm"), width, eps)?.feeding(&[&gate_proj, &up_proj]),
            q_proj,
            k_proj,
            v_proj,
            o_proj,
            gate_proj,
            up_proj,
            down_proj,
            heads: Heads { queries: config.num_heads, keys: config.num_kv_heads },
            act: config.act,
        };
        layer.join();
        Ok(layer)
    }

    /// Layers that see the same are one product where their device has one.
    fn join(&mut self) {
        Linear::join([&mut self.q_proj, &mut self.k_proj, &mut self.v_proj]);
        Linear::join([&mut self.gate_proj, &mut self.up_proj]);
    }

    /// Rows of the tokens of all seats to the same; with `last_only` every token is remembered, but of each seat only the last one goes on. Beside them what the last
    /// token of the last seat looked at.
    fn forward(&self, hidden: &Matrix, seats: &[Seat], held: &mut [&mut KeyValues], last_only: bool) -> (Matrix, Option<SeenRow>) {
        // Nothing but the queries outlives this block: a long prompt's matrices are most of what it takes.
        let queries = {
            let x = self.input_norm.forward(hidden);
            self.remember(&x, seats, held, last_only)
        };
        let (mut attended, mut last_row) = (Vec::with_capacity(seats.len()), None);
        for ((queries, seat), held) in queries.into_iter().zip(seats).zip(held) {
            let (rows, seen) = held.attend(&queries, self.heads, &seat.sights[usize::from(last_only)]);
            attended.push(rows);
            last_row = Some(seen);
        }
        let going_on = if last_only { &last_rows(hidden, seats) } else { hidden };
        let hidden = self.o_proj.onto(&Matrix::stack(&attended), going_on);
        drop(attended);
        let x = self.post_attention_norm.forward(&hidden);
        (self.down_proj.onto(&self.gated(&x), &hidden), last_row)
    }

    /// Remembers the keys and values of `x`, which the norm before the attention gave, and gives the queries of each seat, rotated; with `last_only` those of its last
    /// token.
    fn remember(&self, x: &Matrix, seats: &[Seat], held: &mut [&mut KeyValues], last_only: bool) -> Vec<Matrix> {
        let [queries, keys, values] = if last_only {
            let queries = self.q_proj.forward(&last_rows(x, seats));
            let [keys, values] = Linear::forward_all([&self.k_proj, &self.v_proj], x);
            [queries, keys, values]
        } else {
            Linear::forward_all([&self.q_proj, &self.k_proj, &self.v_proj], x)
        };
        let part = |rows: &Matrix, range: Range<usize>| if range.len() == rows.dims()[0] { rows.clone() } else { rows.slice(range) };
        let seats = seats.iter().zip(held).enumerate();
        seats
            .map(|(at, (seat, held))| {
                let asking = if last_only { at..at + 1 } else { seat.rows.clone() };
                let [keys, values] = [&keys, &values].map(|rows| part(rows, seat.rows.clone()));
                held.remember(&part(&queries, asking), &keys, &values, &seat.rotation, self.heads)
            })
            .collect()
    }

    /// What goes into the last projection of the MLP, for what the norm before it gave.
    fn gated(&self, x: &Matrix) -> Matrix {
        let [gate, up] = Linear::forward_all([&self.gate_proj, &self.up_proj], x);
        self.act.gated(&gate, &up)
    }
}

impl Visit for Layer {
    fn visit(&mut self, visitor: &mut Visitor<'_>) {
        visitor(Part::Norm(&mut self.input_norm));
        for linear in [&mut self.q_proj, &mut self.k_proj, &mut self.v_proj, &mut self.o_proj] {
            visitor(Part::Linear(linear));
        }
        visitor(Part::Norm(&mut self.post_attention_norm));
        for linear in [&mut self.gate_proj, &mut self.up_proj, &mut self.down_proj] {
            visitor(Part::Linear(linear));
        }
        self.join();
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use pollster::FutureExt;

    use super::*;
    use crate::{Precision, checkpoint::Checkpoint, matrix::read_now, nn::in_line};

    /// The decoder of a reference checkpoint with the head left aside.
    fn decoder(piece: usize) -> Llama {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference/tiny-qwen2-vl/resaved");
        let checkpoint = Checkpoint::open(&folder).unwrap();
        let device = Device::Cpu;
        let mut loader = Loader::new(checkpoint.weights().unwrap(), checkpoint.format(), &device, Precision::F32);
        let text = checkpoint.architecture().decoder();
        Llama { piece, ..Llama::load(&mut loader, text, false).unwrap() }
    }

    /// Everything that a run leaves behind.
    fn run(decoder: &Llama, tokens: usize) -> [Vec<f32>; 3] {
        let ids: Vec<u32> = (0..tokens as u32).map(|token| token * 7 % 256).collect();
        let positions: Vec<Position> = in_line(0..tokens).collect();
        let mut cache = decoder.empty_cache();
        let hidden = decoder.embed(&ids).unwrap();
        let (below, row) = decoder.run(0..1, Chunk { hidden, positions: &positions }, &mut cache);
        let row = row.unwrap().mean_over_heads(&(0..tokens).collect::<Vec<_>>()).block_on().unwrap();
        let (last, _) = decoder.run(1..2, Chunk { hidden: below.clone(), positions: &positions }, &mut cache);
        assert_eq!(cache.lengths(), [tokens; 2]);
        [read_now(&below), row, read_now(&decoder.logits(&last))]
    }

    #[test]
    fn in_pieces_it_is_the_same() {
        let (whole, pieces) = (decoder(PIECE), decoder(16));
        for tokens in [16, 17, 100] {
            for (whole, pieces) in run(&whole, tokens).iter().zip(run(&pieces, tokens)) {
                assert_eq!(whole.len(), pieces.len());
                for (a, b) in whole.iter().zip(pieces) {
                    assert!((a - b).abs() < 1e-4, "{tokens} tokens: {a} {b}");
                }
            }
        }
    }
}
