//! CLIP's vision transformer (Radford et al., 2021) as LLaVA uses it: no pooled output, the hidden states of one or more
//! layers, and on request the attention of the class token and the keys of a layer.

use std::collections::BTreeSet;

use burn::tensor::{Tensor, TensorData};

use crate::{
    PixelValues, VlmError,
    checkpoint::{Activation, ClipVisionConfig, FeatureSelect},
    nn::{
        LayerNorm, Linear, LinearMap, Loader, activate,
        attention::{probabilities, split_heads, weighted},
        tensor_bytes,
    },
    reduction::{Needs, Observations},
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
    pre_layernorm: LayerNorm,
    layers: Vec<Layer>,
}

/// Pre-norm transformer layer.
#[derive(Clone, Debug)]
struct Layer {
    norm_1: LayerNorm,
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    out_proj: Linear,
    norm_2: LayerNorm,
    fc1: Linear,
    fc2: Linear,
    heads: usize,
    act: Activation,
}

/// What a layer lets others look at.
struct Seen {
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
    pub(crate) class_token: FeatureSelect,
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
            loader.weights.skip(&format!("vision_tower.post_layernorm.{part}"), &[width])?;
        }
        Ok(tower)
    }

    /// The selected hidden states of one view side by side, `[tokens, states * width]`, and the observations that `needs` asks for. Layers
    /// above the highest one wanted are not computed.
    pub(crate) fn forward(
        &self,
        view: &[f32],
        selection: &Selection<'_>,
        needs: &Needs,
    ) -> Result<(Tensor<2>, Observations<Tensor<2>>), VlmError> {
        let attention_of = self.resolve(&needs.cls_attention)?;
        let keys_of = self.resolve(&needs.vision_keys)?;
        // A hidden state needs the layers below it, an observation also its own layer.
        let depth = selection
            .hidden_states
            .iter()
            .copied()
            .chain(attention_of.iter().chain(&keys_of).map(|(_, layer)| layer + 1))
            .max()
            .unwrap_or(0);
        let first = match selection.class_token {
            FeatureSelect::Default => 1,
            FeatureSelect::Full => 0,
        };

        let mut observations = Observations::default();
        let mut hidden = self.embed(view);
        let [tokens, width] = hidden.dims();
        let mut features = vec![hidden.clone(); selection.hidden_states.len()];
        for (index, layer) in self.layers[..depth].iter().enumerate() {
            let (next, seen) = layer.forward(hidden);
            for (name, _) in attention_of.iter().filter(|(_, layer)| *layer == index) {
                observations.cls_attention.push((*name, seen.cls_attention(first)));
            }
            for (name, _) in keys_of.iter().filter(|(_, layer)| *layer == index) {
                observations.vision_keys.push((*name, seen.keys(first)));
            }
            for (feature, _) in features.iter_mut().zip(selection.hidden_states).filter(|(_, state)| **state == index + 1) {
                *feature = next.clone();
            }
            hidden = next;
        }
        let features = Tensor::cat(features, 1);
        let width = width * selection.hidden_states.len();
        Ok((features.slice([first..tokens, 0..width]), observations))
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
    pub(crate) fn check(&self, pixels: &PixelValues) -> Result<(), VlmError> {
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

    /// A copy with mapped linear layers that shares everything else.
    pub(crate) fn map_linears<E>(&self, map: &mut LinearMap<'_, E>) -> Result<Self, E> {
        Ok(Self {
            patch_embedding: self.patch_embedding.map(map)?,
            layers: self.layers.iter().map(|layer| layer.map_linears(map)).collect::<Result<_, _>>()?,
            ..self.clone()
        })
    }

    pub(crate) fn bytes(&self) -> usize {
        self.patch_embedding.bytes()
            + tensor_bytes(&self.class_embedding)
            + tensor_bytes(&self.position_embedding)
            + self.pre_layernorm.bytes()
            + self.layers.iter().map(Layer::bytes).sum::<usize>()
    }
}

impl Layer {
    fn load(loader: &mut Loader<'_>, config: &ClipVisionConfig, index: usize) -> Result<Self, VlmError> {
        let (width, inner, eps) = (config.hidden_size, config.intermediate_size, config.layer_norm_eps);
        let name = |part: &str| format!("vision_tower.encoder.layers.{index}.{part}");
        Ok(Self {
            norm_1: loader.layer_norm(&name("layer_norm1"), width, eps)?,
            q_proj: loader.linear(&name("self_attn.q_proj"), [width, width], true)?,
            k_proj: loader.linear(&name("self_attn.k_proj"), [width, width], true)?,
            v_proj: loader.linear(&name("self_attn.v_proj"), [width, width], true)?,
            out_proj: loader.linear(&name("self_attn.out_proj"), [width, width], true)?,
            norm_2: loader.layer_norm(&name("layer_norm2"), width, eps)?,
            fc1: loader.linear(&name("mlp.fc1"), [width, inner], true)?,
            fc2: loader.linear(&name("mlp.fc2"), [inner, width], true)?,
            heads: config.num_heads,
            act: config.act,
        })
    }

    /// `[tokens, width]` to the same.
    fn forward(&self, hidden: Tensor<2>) -> (Tensor<2>, Seen) {
        let x = self.norm_1.forward(hidden.clone());
        let heads = |x| split_heads(x, self.heads).swap_dims(0, 1); // [heads, tokens, head_dim]
        let q = heads(self.q_proj.forward(x.clone()));
        let k = heads(self.k_proj.forward(x.clone()));
        let v = heads(self.v_proj.forward(x));
        let probabilities = probabilities(q, k.clone(), None);
        let hidden = hidden + self.out_proj.forward(weighted(probabilities.clone(), v));

        let x = self.fc1.forward(self.norm_2.forward(hidden.clone()));
        let hidden = hidden + self.fc2.forward(activate(self.act, x));
        let seen = Seen { probabilities, keys: k };
        (hidden, seen)
    }

    fn map_linears<E>(&self, map: &mut LinearMap<'_, E>) -> Result<Self, E> {
        Ok(Self {
            q_proj: self.q_proj.map(map)?,
            k_proj: self.k_proj.map(map)?,
            v_proj: self.v_proj.map(map)?,
            out_proj: self.out_proj.map(map)?,
            fc1: self.fc1.map(map)?,
            fc2: self.fc2.map(map)?,
            ..self.clone()
        })
    }

    fn bytes(&self) -> usize {
        let linears = [&self.q_proj, &self.k_proj, &self.v_proj, &self.out_proj, &self.fc1, &self.fc2];
        linears.into_iter().map(Linear::bytes).sum::<usize>() + self.norm_1.bytes() + self.norm_2.bytes()
    }
}

impl Seen {
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
