//! CLIP's vision transformer (Radford et al., 2021) as LLaVA uses it: no pooled output, the hidden states of one or more
//! layers, and on request the attention of the class token and the keys of a layer.

use std::collections::BTreeSet;

use steady_kernels::{Element, Matrix, Seen, attend_all};

use super::ClipVisionConfig;
use crate::{
    HostMatrix, PixelValues, VlmError,
    nn::{Activation, Linear, Loader, Norm, Part, Visit, Visitor},
    reduction::{Merger, Observed, TowerTask, TowerTokens, reducer_error},
};

/// The tower: patch embedding, pre-layernorm, encoder layers.
#[derive(Clone, Debug)]
pub(crate) struct Clip {
    config: ClipVisionConfig,
    patch_embedding: Linear,
    /// `[1, width]`
    class_embedding: Matrix,
    /// `[1 + patches, width]`
    position_embedding: Matrix,
    pre_layernorm: Norm,
    layers: Vec<Layer>,
    element: Element,
}

/// Pre-norm transformer layer.
#[derive(Clone, Debug)]
struct Layer {
    norm_1: Norm,
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    out_proj: Linear,
    norm_2: Norm,
    fc1: Linear,
    fc2: Linear,
    heads: usize,
    act: Activation,
}

/// Which of the tower's states are wanted.
pub(crate) struct Selection<'a> {
    /// Indices into the list of hidden states: 0 is the input of the first layer, `i` the output of layer `i - 1`.
    pub(crate) hidden_states: &'a [usize],
    /// Whether the class token stays in front of the patches.
    pub(crate) class_token: bool,
}

/// What became of one view.
pub(crate) struct Features {
    /// The selected hidden states side by side, `[tokens, states * width]`.
    pub(crate) states: Matrix,
    pub(crate) observed: Observed<Matrix>,
    /// Tokens that entered the MLP of each layer that was computed, the class token included: fewer than entered its attention where
    /// some were merged.
    pub(crate) lengths: Vec<usize>,
}

/// Patches that were merged on their way through the tower.
struct Merging {
    /// How many patches each token stands for, the class token first.
    sizes: Vec<f32>,
    /// Which token each of the patches at the start is part of by now.
    into: Vec<usize>,
}

impl Clip {
    pub(crate) fn load(loader: &mut Loader<'_>, config: &ClipVisionConfig) -> Result<Self, VlmError> {
        let (width, patch) = (config.hidden_size, config.patch_size);
        let embeddings = "vision_tower.embeddings";
        // llama.cpp's files end below the layers that nothing is taken from.
        let left_out = |layer: &usize| loader.leaves_out(&format!("vision_tower.encoder.layers.{layer}."));
        let layers = (0..config.num_layers).find(left_out).unwrap_or(config.num_layers);
        let tower = Self {
            config: config.clone(),
            patch_embedding: loader.linear_of_shape(
                &format!("{embeddings}.patch_embedding"),
                &[width, config.num_channels, patch, patch],
                false,
            )?,
            class_embedding: loader.matrix(&format!("{embeddings}.class_embedding"), &[width])?,
            position_embedding: loader.matrix(&format!("{embeddings}.position_embedding.weight"), &[1 + config.patches(), width])?,
            pre_layernorm: loader.layer_norm("vision_tower.pre_layrnorm", width, config.layer_norm_eps)?,
            layers: (0..layers).map(|layer| Layer::load(loader, config, layer)).collect::<Result<_, _>>()?,
            element: loader.element(),
        };
        // Only CLIP's pooled output passes through it, and LLaVA takes hidden states.
        let bare = loader.leaves_out("vision_tower.post_layernorm.");
        for part in ["weight", "bias"].into_iter().filter(|_| !bare) {
            loader.skip(&format!("vision_tower.post_layernorm.{part}"), &[width])?;
        }
        Ok(tower)
    }

    /// One view's features, with what `task` wants to see and to do on the way. Layers above the highest one wanted are not computed.
    pub(crate) async fn forward(&self, view: &[f32], selection: &Selection<'_>, task: &TowerTask<'_>) -> Result<Features, VlmError> {
        let attention_of = self.resolve(&task.needs.cls_attention)?;
        let projections_of = self.resolve(&task.needs.class_projections)?;
        let keys_of = self.resolve(&task.needs.vision_keys)?;
        // A hidden state needs the layers below it, an observation also its own layer.
        let observing = attention_of.iter().chain(&projections_of).chain(&keys_of).map(|(_, layer)| layer + 1);
        let depth = selection.hidden_states.iter().copied().chain(observing).max().unwrap_or(0);
        let lowest = selection.hidden_states.iter().copied().min().unwrap_or(0);
        let merger = task.merger.as_ref().map(|merger| merger.within(lowest));
        if let Some(merger) = &merger {
            check(merger, lowest, task)?;
        }
        if task.needs.class_token && selection.class_token {
            let problem = "asks for the class token's features beside the visual tokens, but the class token is a visual token of this model \
                           (`vision_feature_select_strategy` is `full`)";
            return Err(VlmError::Invalid { what: "token reducer".to_owned(), problem: problem.to_owned() });
        }
        let first = usize::from(!selection.class_token);

        let mut observed = Observed::default();
        if task.needs.looks_at_the_tower() {
            observed.heads = self.config.num_heads;
        }
        let mut merging: Option<Merging> = None;
        let mut hidden = self.embed(view);
        let mut features = vec![hidden.clone(); selection.hidden_states.len()];
        let mut lengths = Vec::with_capacity(depth);
        let layers = self.layers.get(..depth).ok_or_else(|| VlmError::Invalid {
            what: "vision tower".to_owned(),
            problem: format!("{depth} layers are looked at, and the checkpoint's files have {}", self.layers.len()),
        })?;
        for (index, layer) in layers.iter().enumerate() {
            let (mut next, seen) = layer.attend(&hidden, merging.as_ref());
            if let Some(merger) = &merger {
                next = merge(merger, index, next, &seen, layer.heads, &mut merging).await?;
            }
            for (name, _) in attention_of.iter().filter(|(_, layer)| *layer == index) {
                observed.cls_attention.push((*name, seen.class_attention(first)));
            }
            for (name, _) in projections_of.iter().filter(|(_, layer)| *layer == index) {
                observed.class_projections.push((*name, seen.class_projections()));
            }
            for (name, _) in keys_of.iter().filter(|(_, layer)| *layer == index) {
                observed.vision_keys.push((*name, seen.keys(first)));
            }
            lengths.push(next.dims()[0]);
            let next = layer.transform(&next);
            for (feature, _) in features.iter_mut().zip(selection.hidden_states).filter(|(_, state)| **state == index + 1) {
                *feature = next.clone();
            }
            hidden = next;
        }
        observed.merged_into = merging.map(|merging| merging.into_rows(selection.class_token));
        let features = Matrix::beside(&features);
        let tokens = features.dims()[0];
        if task.needs.class_token {
            observed.class_token = Some(features.slice(0..1));
        }
        Ok(Features { states: features.slice(first..tokens), observed, lengths })
    }

    /// Patches, class token in front, positions added, normalised: `[1 + patches, width]`.
    fn embed(&self, view: &[f32]) -> Matrix {
        let (rows, shape) = self.unfold(view);
        let patches = Matrix::new(rows, shape, &self.class_embedding.device(), self.element);
        let patches = self.patch_embedding.forward(&patches); // [patches, width]
        let tokens = Matrix::stack(&[self.class_embedding.clone(), patches]);
        self.pre_layernorm.forward(&tokens.add(&self.position_embedding))
    }

    /// Checks that pixels are views of the size that the tower takes.
    pub(crate) fn check_pixels(&self, pixels: &PixelValues) -> Result<(), VlmError> {
        let (channels, side) = (self.config.num_channels, self.config.image_size);
        let view = [channels, side, side];
        if pixels.shape.len() == 4 && pixels.shape[1..] == view && pixels.data.len() == pixels.shape.iter().product::<usize>() {
            return Ok(());
        }
        Err(VlmError::Invalid {
            what: "pixel values".to_owned(),
            problem: format!("the vision tower takes views of {view:?}, found {:?}", pixels.shape),
        })
    }

    /// A view of `[channels, height, width]` pixels to one row per patch, `[patches, channels * patch * patch]`: a convolution
    /// whose stride is its kernel size is a product with these rows.
    fn unfold(&self, view: &[f32]) -> (Vec<f32>, [usize; 2]) {
        let (channels, side, patch) = (self.config.num_channels, self.config.image_size, self.config.patch_size);
        let grid = side / patch;
        let mut rows = Vec::with_capacity(grid * grid * channels * patch * patch);
        for top in (0..grid).map(|row| row * patch) {
            for left in (0..grid).map(|col| col * patch) {
                for channel in 0..channels {
                    for y in top..top + patch {
                        let line = (channel * side + y) * side + left;
                        rows.extend_from_slice(&view[line..line + patch]);
                    }
                }
            }
        }
        (rows, [grid * grid, channels * patch * patch])
    }

    /// Layer numbers as asked for, with what they mean: `-1` is the last layer.
    fn resolve(&self, layers: &BTreeSet<i32>) -> Result<Vec<(i32, usize)>, VlmError> {
        let count = self.layers.len();
        layers
            .iter()
            .map(|&name| {
                let index = if name < 0 { name + count as i32 } else { name };
                match usize::try_from(index) {
                    Ok(index) if index < count => Ok((name, index)),
                    _ => Err(VlmError::Invalid { what: format!("vision layer {name}"), problem: format!("the tower has {count} layers") }),
                }
            })
            .collect()
    }
}

impl Visit for Clip {
    fn visit(&mut self, visitor: &mut Visitor<'_>) {
        visitor(Part::Linear(&mut self.patch_embedding));
        visitor(Part::Matrix(&mut self.class_embedding));
        visitor(Part::Matrix(&mut self.position_embedding));
        visitor(Part::Norm(&mut self.pre_layernorm));
        for layer in &mut self.layers {
            layer.visit(visitor);
        }
    }
}

/// Whether `merger` can act here: every state that is wanted, of which `lowest` is the lowest, must come behind it.
fn check(merger: &Merger<'_>, lowest: usize, task: &TowerTask<'_>) -> Result<(), VlmError> {
    let Some(last) = merger.last_block() else {
        let problem = "acts in every block of the vision tower that the features pass, and these pass none";
        return Err(reducer_error(&merger.name(), problem.to_owned()));
    };
    if last >= lowest {
        let problem =
            format!("acts in block {last} of the vision tower, but the features are those that leave block {}", lowest as i64 - 1);
        return Err(reducer_error(&merger.name(), problem));
    }
    if task.needs.looks_at_the_tower() {
        let problem = "looks at the vision tower's attention or keys and merges its tokens, which are then others; expected one of both";
        return Err(reducer_error(&merger.name(), problem.to_owned()));
    }
    Ok(())
}

/// Lets `merger` merge the patches among `hidden`, which leave the attention of block `block`; the class token in front stays as it is.
async fn merge(
    merger: &Merger<'_>,
    block: usize,
    hidden: Matrix,
    seen: &Seen,
    heads: usize,
    merging: &mut Option<Merging>,
) -> Result<Matrix, VlmError> {
    let Some(blocks) = merger.acts_in(block) else { return Ok(hidden) };
    let [tokens, width] = hidden.dims();
    let patches = HostMatrix::from_device(&hidden.slice(1..tokens)).await?;
    let keys = HostMatrix::from_device(&seen.keys(1)).await?;
    let sizes = merging.as_ref().map_or_else(|| vec![1.0; tokens], |merging| merging.sizes.clone());
    let patch_sizes = &sizes[1..];
    let tokens = TowerTokens { block, hidden: &patches, keys: &keys, sizes: patch_sizes, heads, blocks };
    let Some(merge) = merger.merge(&tokens)? else { return Ok(hidden) };
    // Sums of sizes, and means weighted by them.
    let mut left = vec![0.0; merge.tokens];
    let mut mean = vec![0.0; merge.tokens * width];
    for ((&into, &size), row) in merge.into.iter().zip(patch_sizes).zip(patches.iter_rows()) {
        left[into] += size;
        for (sum, value) in mean[into * width..][..width].iter_mut().zip(row) {
            *sum += value * size;
        }
    }
    for (row, size) in mean.chunks_exact_mut(width).zip(&left) {
        for value in row {
            *value /= size;
        }
    }
    let into = match merging.take() {
        Some(before) => before.into.into_iter().map(|token| merge.into[token]).collect(),
        None => merge.into,
    };
    let mean = Matrix::new(mean, [merge.tokens, width], &hidden.device(), hidden.element());
    *merging = Some(Merging { sizes: [&sizes[..1], &left].concat(), into });
    Ok(Matrix::stack(&[hidden.slice(0..1), mean]))
}

impl Merging {
    /// What attention scores are raised by, so that a token counts as often as it stands for patches: ToMe's proportional attention.
    /// `[1, 1 + n]`
    fn raise(&self, like: &Matrix) -> Matrix {
        let raise: Vec<f32> = self.sizes.iter().map(|size| size.ln()).collect();
        Matrix::new(raise, [1, self.sizes.len()], &like.device(), Element::F32)
    }

    /// Which visual token each of those at the start became; the class token is the first of them where it is one.
    fn into_rows(self, class_token: bool) -> Vec<usize> {
        if class_token { std::iter::once(0).chain(self.into.into_iter().map(|into| into + 1)).collect() } else { self.into }
    }
}

impl Layer {
    fn load(loader: &mut Loader<'_>, config: &ClipVisionConfig, index: usize) -> Result<Self, VlmError> {
        let (width, inner, eps) = (config.hidden_size, config.intermediate_size, config.layer_norm_eps);
        let name = |part: &str| format!("vision_tower.encoder.layers.{index}.{part}");
        let norm_1 = loader.layer_norm(&name("layer_norm1"), width, eps)?;
        let mut linear = |part: &str, shape| loader.linear(&name(part), shape, true);
        let q_proj = linear("self_attn.q_proj", [width, width])?;
        let k_proj = linear("self_attn.k_proj", [width, width])?;
        let v_proj = linear("self_attn.v_proj", [width, width])?;
        let out_proj = linear("self_attn.out_proj", [width, width])?;
        let fc1 = linear("mlp.fc1", [width, inner])?;
        let fc2 = linear("mlp.fc2", [inner, width])?;
        let mut layer = Self {
            norm_1: norm_1.feeding(&[&q_proj, &k_proj, &v_proj]),
            norm_2: loader.layer_norm(&name("layer_norm2"), width, eps)?.feeding(&[&fc1]),
            q_proj,
            k_proj,
            v_proj,
            out_proj,
            fc1,
            fc2,
            heads: config.num_heads,
            act: config.act,
        };
        layer.join();
        Ok(layer)
    }

    /// Layers that see the same are one product where their device has one.
    fn join(&mut self) {
        Linear::join([&mut self.q_proj, &mut self.k_proj, &mut self.v_proj]);
    }

    /// The attention's half, `[tokens, width]` to the same, and what there was to see.
    fn attend(&self, hidden: &Matrix, merging: Option<&Merging>) -> (Matrix, Seen) {
        let x = self.norm_1.forward(hidden);
        let [q, k, v] = Linear::forward_all([&self.q_proj, &self.k_proj, &self.v_proj], &x);
        let (attended, seen) = attend_all(q, k, &v, self.heads, merging.map(|merging| merging.raise(hidden)));
        (self.out_proj.onto(&attended, hidden), seen)
    }

    /// The MLP's half, `[tokens, width]` to the same.
    fn transform(&self, hidden: &Matrix) -> Matrix {
        let x = self.fc1.forward(&self.norm_2.forward(hidden));
        self.fc2.onto(&self.act.apply(&x), hidden)
    }
}

impl Visit for Layer {
    fn visit(&mut self, visitor: &mut Visitor<'_>) {
        visitor(Part::Norm(&mut self.norm_1));
        for linear in [&mut self.q_proj, &mut self.k_proj, &mut self.v_proj, &mut self.out_proj] {
            visitor(Part::Linear(linear));
        }
        visitor(Part::Norm(&mut self.norm_2));
        for linear in [&mut self.fc1, &mut self.fc2] {
            visitor(Part::Linear(linear));
        }
        self.join();
    }
}
