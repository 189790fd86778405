//! CLIP's vision transformer (Radford et al., 2021) as LLaVA uses it: no pooled output, the hidden states of one or more
//! layers, and on request the attention of the class token and the keys of a layer.

use std::collections::BTreeSet;

use burn::tensor::{DType, Int, Tensor, TensorData};

use super::ClipVisionConfig;
use crate::{
    PixelValues, VlmError,
    nn::{
        Activation, Linear, Loader, Norm, Part, Visit, Visitor, activate,
        attention::{probabilities, split_heads, weighted},
    },
    reduction::{Merger, Observed, TowerTask, TowerTokens, reducer_error},
};

/// The tower: patch embedding, pre-layernorm, encoder layers.
#[derive(Clone, Debug)]
pub(crate) struct Clip {
    config: ClipVisionConfig,
    patch_embedding: Linear,
    /// `[1, width]`
    class_embedding: Tensor<2>,
    /// `[1 + patches, width]`
    position_embedding: Tensor<2>,
    pre_layernorm: Norm,
    layers: Vec<Layer>,
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

/// What a layer lets others look at.
struct Glimpse {
    /// `[heads, tokens, tokens]`
    probabilities: Tensor<3>,
    /// `[heads, tokens, head_dim]`
    keys: Tensor<3>,
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
    pub(crate) states: Tensor<2>,
    pub(crate) observed: Observed<Tensor<2>>,
    /// Tokens that entered the MLP of each layer that was computed, the class token included: fewer than entered its attention where
    /// some were merged.
    pub(crate) lengths: Vec<usize>,
}

/// Patches that were merged on their way through the tower.
struct Merging {
    /// How many patches each token stands for, the class token first, `[1 + n, 1]`.
    sizes: Tensor<2>,
    /// Which token each of the patches at the start is part of by now, `[patches]`.
    into: Tensor<1, Int>,
}

impl Clip {
    pub(crate) fn load(loader: &mut Loader<'_>, config: &ClipVisionConfig) -> Result<Self, VlmError> {
        let (width, patch) = (config.hidden_size, config.patch_size);
        let embeddings = "vision_tower.embeddings";
        let class_embedding: Tensor<1> = loader.tensor(&format!("{embeddings}.class_embedding"), [width])?;
        let tower = Self {
            config: config.clone(),
            patch_embedding: loader.linear_of_shape(
                &format!("{embeddings}.patch_embedding"),
                &[width, config.num_channels, patch, patch],
                false,
            )?,
            class_embedding: class_embedding.unsqueeze(),
            position_embedding: loader.tensor(&format!("{embeddings}.position_embedding.weight"), [1 + config.patches(), width])?,
            pre_layernorm: loader.layer_norm("vision_tower.pre_layrnorm", width, config.layer_norm_eps)?,
            layers: (0..config.num_layers).map(|layer| Layer::load(loader, config, layer)).collect::<Result<_, _>>()?,
        };
        // Only CLIP's pooled output passes through it, and LLaVA takes hidden states.
        for part in ["weight", "bias"] {
            loader.skip(&format!("vision_tower.post_layernorm.{part}"), &[width])?;
        }
        Ok(tower)
    }

    /// One view's features, with what `task` wants to see and to do on the way. Layers above the highest one wanted are not computed.
    pub(crate) fn forward(&self, view: &[f32], selection: &Selection<'_>, task: &TowerTask<'_>) -> Result<Features, VlmError> {
        let attention_of = self.resolve(&task.needs.cls_attention)?;
        let keys_of = self.resolve(&task.needs.vision_keys)?;
        // A hidden state needs the layers below it, an observation also its own layer.
        let observing = attention_of.iter().chain(&keys_of).map(|(_, layer)| layer + 1);
        let depth = selection.hidden_states.iter().copied().chain(observing).max().unwrap_or(0);
        if let Some(merger) = &task.merger {
            check(merger, selection, task)?;
        }
        let first = usize::from(!selection.class_token);

        let mut observed = Observed::default();
        let mut merging: Option<Merging> = None;
        let mut hidden = self.embed(view);
        let [_, width] = hidden.dims();
        let mut features = vec![hidden.clone(); selection.hidden_states.len()];
        let mut lengths = Vec::with_capacity(depth);
        for (index, layer) in self.layers[..depth].iter().enumerate() {
            let (mut next, seen) = layer.attend(hidden, merging.as_ref());
            if let Some(merger) = &task.merger {
                next = merge(merger, index, next, &seen, layer.heads, &mut merging)?;
            }
            for (name, _) in attention_of.iter().filter(|(_, layer)| *layer == index) {
                observed.cls_attention.push((*name, seen.cls_attention(first)));
            }
            for (name, _) in keys_of.iter().filter(|(_, layer)| *layer == index) {
                observed.vision_keys.push((*name, seen.keys(first)));
            }
            lengths.push(next.dims()[0]);
            let next = layer.transform(next);
            for (feature, _) in features.iter_mut().zip(selection.hidden_states).filter(|(_, state)| **state == index + 1) {
                *feature = next.clone();
            }
            hidden = next;
        }
        observed.merged_into = merging.map(|merging| merging.into_rows(selection.class_token));
        let features = Tensor::cat(features, 1);
        let tokens = features.dims()[0];
        let width = width * selection.hidden_states.len();
        Ok(Features { states: features.slice([first..tokens, 0..width]), observed, lengths })
    }

    /// Patches, class token in front, positions added, normalised: `[1 + patches, width]`.
    fn embed(&self, view: &[f32]) -> Tensor<2> {
        let patches = self.unfold(view);
        let device = self.class_embedding.device();
        let patches = Tensor::<2>::from_data(patches, (&device, self.class_embedding.dtype()));
        let patches = self.patch_embedding.forward(patches); // [patches, width]
        let tokens = Tensor::cat(vec![self.class_embedding.clone(), patches], 0);
        self.pre_layernorm.forward(tokens + self.position_embedding.clone())
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
    fn unfold(&self, view: &[f32]) -> TensorData {
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
        TensorData::new(rows, [grid * grid, channels * patch * patch])
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
        visitor(Part::Tensor(&mut self.class_embedding));
        visitor(Part::Tensor(&mut self.position_embedding));
        visitor(Part::Norm(&mut self.pre_layernorm));
        for layer in &mut self.layers {
            layer.visit(visitor);
        }
    }
}

/// Whether `merger` can act here: every state that is wanted must come behind it.
fn check(merger: &Merger<'_>, selection: &Selection<'_>, task: &TowerTask<'_>) -> Result<(), VlmError> {
    let last = merger.last_block();
    let lowest = selection.hidden_states.iter().copied().min().unwrap_or(0);
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
fn merge(
    merger: &Merger<'_>,
    block: usize,
    hidden: Tensor<2>,
    seen: &Glimpse,
    heads: usize,
    merging: &mut Option<Merging>,
) -> Result<Tensor<2>, VlmError> {
    let [tokens, width] = hidden.dims();
    let device = hidden.device();
    let (class, patches) = (hidden.clone().slice([0..1, 0..width]), hidden.clone().slice([1..tokens, 0..width]));
    let ones = || Tensor::<2>::ones([tokens, 1], (&device, DType::F32));
    let sizes = merging.as_ref().map_or_else(ones, |merging| merging.sizes.clone());
    let patch_sizes = sizes.clone().slice([1..tokens, 0..1]);
    let shown = TowerTokens { block, hidden: &patches, keys: &seen.keys(1), sizes: &patch_sizes, heads };
    let Some(merge) = merger.merge(&shown)? else { return Ok(hidden) };
    // Sums of sizes, and means weighted by them, in f32: a token may stand for many.
    let sum = |rows: Tensor<2>| {
        let [_, columns] = rows.dims();
        Tensor::<2>::zeros([merge.tokens, columns], (&device, DType::F32)).select_assign(
            0,
            merge.into.clone(),
            rows,
            burn::tensor::IndexingUpdateOp::Add,
        )
    };
    let left = sum(patch_sizes.clone());
    let mean = sum(patches.cast(DType::F32) * patch_sizes) / left.clone();
    let into = match merging.take() {
        Some(before) => merge.into.clone().select(0, before.into),
        None => merge.into.clone(),
    };
    let class_size = sizes.slice([0..1, 0..1]);
    *merging = Some(Merging { sizes: Tensor::cat(vec![class_size, left], 0), into });
    Ok(Tensor::cat(vec![class.clone(), mean.cast(class.dtype())], 0))
}

impl Merging {
    /// What attention scores are raised by, so that a token counts as often as it stands for patches: ToMe's proportional attention.
    /// `[1, 1, 1 + n]`
    fn raise(&self) -> Tensor<3> {
        let [tokens, _] = self.sizes.dims();
        self.sizes.clone().log().reshape([1, 1, tokens])
    }

    /// Which visual token each of those at the start became, as one row; the class token is the first of them where it is one.
    fn into_rows(self, class_token: bool) -> Tensor<2> {
        let into = self.into.float().cast(DType::F32);
        let into = if class_token {
            let first = Tensor::<1>::zeros([1], (&into.device(), DType::F32));
            Tensor::cat(vec![first, into + 1.0], 0)
        } else {
            into
        };
        into.unsqueeze()
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
        Ok(Self {
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
        })
    }

    /// The attention's half, `[tokens, width]` to the same.
    fn attend(&self, hidden: Tensor<2>, merging: Option<&Merging>) -> (Tensor<2>, Glimpse) {
        let x = self.norm_1.forward(hidden.clone());
        let heads = |x| split_heads(x, self.heads).swap_dims(0, 1); // [heads, tokens, head_dim]
        let q = heads(self.q_proj.forward(x.clone()));
        let k = heads(self.k_proj.forward(x.clone()));
        let v = heads(self.v_proj.forward(x));
        let raise = merging.map(Merging::raise);
        let probabilities = probabilities(q, k.clone(), raise.as_ref());
        let hidden = hidden + self.out_proj.forward(weighted(probabilities.clone(), v));
        (hidden, Glimpse { probabilities, keys: k })
    }

    /// The MLP's half, `[tokens, width]` to the same.
    fn transform(&self, hidden: Tensor<2>) -> Tensor<2> {
        let x = self.fc1.forward(self.norm_2.forward(hidden.clone()));
        hidden + self.fc2.forward(activate(self.act, x))
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
    }
}

impl Glimpse {
    /// The class token's attention to the tokens from `first` on, `[heads, tokens - first]`.
    fn cls_attention(&self, first: usize) -> Tensor<2> {
        let [heads, tokens, _] = self.probabilities.dims();
        let row = self.probabilities.clone().slice([0..heads, 0..1, first..tokens]);
        row.reshape([heads, tokens - first])
    }

    /// Keys of the tokens from `first` on, heads side by side, `[tokens - first, width]`.
    fn keys(&self, first: usize) -> Tensor<2> {
        let [heads, tokens, head_dim] = self.keys.dims();
        let keys = self.keys.clone().swap_dims(0, 1); // [tokens, heads, head_dim]
        let keys = keys.slice([first..tokens, 0..heads, 0..head_dim]);
        keys.reshape([tokens - first, heads * head_dim])
    }
}
