//! The vision transformer of Qwen2-VL (Wang et al., 2024): full attention within an image, rotary positions in rows and columns,
//! layer norms, a plain MLP.

use steady_kernels::{Device, Element, Matrix, Rotation, Stretches};

use crate::{
    VlmError,
    families::qwen_vl::{
        config::QwenVisionConfig,
        encoder::QwenTower,
        tower::{Attention, Looks, MergerMlp, Patches, load_patch_embedding, patch_positions, rope},
    },
    nn::{Activation, Linear, Loader, Norm, Part, Rope, Visit, Visitor},
};

/// As hard-coded in the published model.
const EPSILON: f64 = 1e-6;

/// Patch embedding, blocks, merger.
#[derive(Clone, Debug)]
pub(crate) struct Qwen2Vl {
    config: QwenVisionConfig,
    patch_embedding: Linear,
    blocks: Vec<Block>,
    rope: Rope,
    merger_norm: Norm,
    merger: MergerMlp,
}

/// Pre-norm transformer block.
#[derive(Clone, Debug)]
struct Block {
    norm_1: Norm,
    attention: Attention,
    norm_2: Norm,
    fc1: Linear,
    fc2: Linear,
    act: Activation,
}

impl Qwen2Vl {
    pub(crate) fn load(loader: &mut Loader<'_>, config: &QwenVisionConfig) -> Result<Self, VlmError> {
        Ok(Self {
            patch_embedding: load_patch_embedding(loader, config)?,
            blocks: (0..config.depth).map(|block| Block::load(loader, config, block)).collect::<Result<_, _>>()?,
            rope: rope(config),
            merger_norm: loader.layer_norm("visual.merger.ln_q", config.hidden_size, EPSILON)?,
            merger: MergerMlp::load(loader, config)?,
            config: config.clone(),
        })
    }
}

impl QwenTower for Qwen2Vl {
    fn forward(&self, patches: Patches, device: &Device, element: Element, watched: Option<usize>) -> (Matrix, Option<Looks>) {
        let (rows, columns) = patches.tokens;
        let merged = self.config.merged_patches();
        let positions = patch_positions(0..rows * columns, columns, self.config.merge_size);
        let rotation = self.rope.at(&positions, device, Element::F32);
        let image = [Stretches { count: 1, len: positions.len() }];
        let mut hidden = self.patch_embedding.forward(&Matrix::new(patches.rows, patches.shape, device, element));
        let mut looks = None;
        for (index, block) in self.blocks.iter().enumerate() {
            if watched == Some(index) {
                looks = Some(block.attention.looks(&block.norm_1.forward(&hidden), &rotation));
            }
            hidden = block.forward(&hidden, &rotation, &image);
        }
        (hidden.reshape([rows * columns, merged * self.config.hidden_size]), looks)
    }

    fn sees_everything(&self) -> Vec<usize> {
        (0..self.blocks.len()).collect()
    }

    /// `[tokens, merged patches * width]` to `[tokens, decoder width]`, row by row.
    fn merge(&self, features: &Matrix) -> Matrix {
        self.merger.forward(features, self.config.hidden_size, &self.merger_norm)
    }

    fn pairs(&self, grid: (usize, usize)) -> Vec<usize> {
        let patches = grid.0 * grid.1 * self.config.merged_patches();
        vec![patches * patches; self.blocks.len()]
    }

    fn copy(&self) -> Box<dyn QwenTower> {
        Box::new(self.clone())
    }
}

impl Visit for Qwen2Vl {
    fn visit(&mut self, visitor: &mut Visitor<'_>) {
        visitor(Part::Linear(&mut self.patch_embedding));
        for block in &mut self.blocks {
            block.visit(visitor);
        }
        visitor(Part::Norm(&mut self.merger_norm));
        self.merger.visit(visitor);
    }
}

impl Block {
    fn load(loader: &mut Loader<'_>, config: &QwenVisionConfig, index: usize) -> Result<Self, VlmError> {
        let (width, inner) = (config.hidden_size, config.intermediate_size);
        let name = |part: &str| format!("visual.blocks.{index}.{part}");
        let norm_1 = loader.layer_norm(&name("norm1"), width, EPSILON)?;
        let attention = Attention::load(loader, config, index)?;
        let fc1 = loader.linear(&name("mlp.fc1"), [width, inner], true)?;
        Ok(Self {
            norm_1: norm_1.feeding(&[attention.entrance()]),
            norm_2: loader.layer_norm(&name("norm2"), width, EPSILON)?.feeding(&[&fc1]),
            attention,
            fc1,
            fc2: loader.linear(&name("mlp.fc2"), [inner, width], true)?,
            act: config.act,
        })
    }

    fn forward(&self, hidden: &Matrix, rotation: &Rotation, stretches: &[Stretches]) -> Matrix {
        let hidden = self.attention.onto(hidden, &self.norm_1.forward(hidden), rotation, stretches);
        let x = self.fc1.forward(&self.norm_2.forward(&hidden));
        self.fc2.onto(&self.act.apply(&x), &hidden)
    }
}

impl Visit for Block {
    fn visit(&mut self, visitor: &mut Visitor<'_>) {
        visitor(Part::Norm(&mut self.norm_1));
        self.attention.visit(visitor);
        visitor(Part::Norm(&mut self.norm_2));
        visitor(Part::Linear(&mut self.fc1));
        visitor(Part::Linear(&mut self.fc2));
    }
}
