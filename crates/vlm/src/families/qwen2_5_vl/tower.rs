//! The vision transformer of Qwen2.5-VL (Bai et al., 2025): attention within windows in most blocks and over the image in a few,
//! rotary positions in rows and columns, RMS norms, a gated MLP.

use steady_kernels::{Device, Element, Matrix, Rotation, Stretches};

use crate::{
    VlmError,
    families::qwen_vl::{
        config::{QwenVisionConfig, Windows},
        encoder::QwenTower,
        tower::{Attention, Looks, MergerMlp, Patches, load_patch_embedding, patch_positions, rope},
    },
    nn::{Activation, Linear, Loader, Norm, Part, Rope, Visit, Visitor},
};

/// As hard-coded in the published model.
const EPSILON: f64 = 1e-6;

/// Patch embedding, blocks, merger.
#[derive(Clone, Debug)]
pub(crate) struct Qwen2_5Vl {
    config: QwenVisionConfig,
    windows: Windows,
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
    gate_proj: Linear,
    up_proj: Linear,
    down_proj: Linear,
    act: Activation,
}

/// Visual tokens window by window.
#[derive(Clone, Debug, PartialEq, Eq)]
struct WindowOrder {
    /// Which token of the image, row by row, is where.
    order: Vec<usize>,
    /// The windows in that order, in patches.
    stretches: Vec<Stretches>,
}

impl WindowOrder {
    /// Cuts `rows x columns` tokens into windows of `side x side`, smaller at the right and at the bottom. Windows of one size
    /// follow each other, which makes them batches and changes nothing else: no window sees another, and positions go along.
    fn new((rows, columns): (usize, usize), side: usize, merged_patches: usize) -> Self {
        let mut windows: Vec<Vec<usize>> = Vec::new();
        for top in (0..rows).step_by(side) {
            for left in (0..columns).step_by(side) {
                let lines = top..rows.min(top + side);
                windows.push(lines.flat_map(|row| (left..columns.min(left + side)).map(move |column| row * columns + column)).collect());
            }
        }
        windows.sort_by_key(|window| std::cmp::Reverse(window.len()));
        let stretches = windows
            .chunk_by(|a, b| a.len() == b.len())
            .map(|equal| Stretches { count: equal.len(), len: equal[0].len() * merged_patches })
            .collect();
        Self { order: windows.concat(), stretches }
    }

    /// Where each token of the image went.
    fn inverse(&self) -> Vec<usize> {
        let mut inverse = vec![0; self.order.len()];
        for (place, &token) in self.order.iter().enumerate() {
            inverse[token] = place;
        }
        inverse
    }

    /// Pairs of patches that see each other.
    fn pairs(&self) -> usize {
        self.stretches.iter().map(|stretches| stretches.count * stretches.len * stretches.len).sum()
    }
}

/// Tokens along the side of a window.
fn window_side(config: &QwenVisionConfig, windows: &Windows) -> usize {
    windows.size / config.merge_size / config.patch_size
}

impl Qwen2_5Vl {
    pub(crate) fn load(loader: &mut Loader<'_>, config: &QwenVisionConfig) -> Result<Self, VlmError> {
        Ok(Self {
            windows: config.windows.clone().unwrap_or_default(),
            patch_embedding: load_patch_embedding(loader, config)?,
            blocks: (0..config.depth).map(|block| Block::load(loader, config, block)).collect::<Result<_, _>>()?,
            rope: rope(config),
            merger_norm: loader.rms_norm("visual.merger.ln_q", config.hidden_size, EPSILON)?,
            merger: MergerMlp::load(loader, config)?,
            config: config.clone(),
        })
    }
}

impl QwenTower for Qwen2_5Vl {
    fn forward(&self, patches: Patches, device: &Device, element: Element, watched: Option<usize>) -> (Matrix, Option<Looks>) {
        let (rows, columns) = patches.tokens;
        let (tokens, merged, width) = (rows * columns, self.config.merged_patches(), self.config.hidden_size);
        let windows = WindowOrder::new(patches.tokens, window_side(&self.config, &self.windows), merged);
        let positions = patch_positions(windows.order.iter().copied(), columns, self.config.merge_size);
        let rotation = self.rope.at(&positions, device, Element::F32);
        let image = [Stretches { count: 1, len: tokens * merged }];

        let embedded = self.patch_embedding.forward(&Matrix::new(patches.rows, patches.shape, device, element));
        let squares = embedded.reshape([tokens, merged * width]);
        let mut hidden = squares.gather(&windows.order).reshape([tokens * merged, width]);
        let image_order = |x: &Matrix, width: usize| x.reshape([tokens, merged * width]).gather(&windows.inverse());
        let mut looks = None;
        for (index, block) in self.blocks.iter().enumerate() {
            if watched == Some(index) {
                let Looks { queries, keys, heads } = block.attention.looks(&block.norm_1.forward(&hidden), &rotation);
                let [queries, keys] = [queries, keys].map(|x| image_order(&x, width).reshape([tokens * merged, width]));
                looks = Some(Looks { queries, keys, heads });
            }
            let everything = self.windows.full_attention_blocks.contains(&index);
            hidden = block.forward(&hidden, &rotation, if everything { &image } else { &windows.stretches });
        }
        (image_order(&hidden, width), looks)
    }

    fn sees_everything(&self) -> Vec<usize> {
        let inside = |block: &usize| *block < self.blocks.len();
        self.windows.full_attention_blocks.iter().copied().filter(inside).collect()
    }

    /// `[tokens, merged patches * width]` to `[tokens, decoder width]`, row by row.
    fn merge(&self, features: &Matrix) -> Matrix {
        self.merger.forward(features, self.config.hidden_size, &self.merger_norm)
    }

    fn pairs(&self, grid: (usize, usize)) -> Vec<usize> {
        let patches = grid.0 * grid.1 * self.config.merged_patches();
        let within = WindowOrder::new(grid, window_side(&self.config, &self.windows), self.config.merged_patches()).pairs();
        let everything = |block| self.windows.full_attention_blocks.contains(&block);
        (0..self.blocks.len()).map(|block| if everything(block) { patches * patches } else { within }).collect()
    }

    fn copy(&self) -> Box<dyn QwenTower> {
        Box::new(self.clone())
    }
}

impl Visit for Qwen2_5Vl {
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
        let norm_1 = loader.rms_norm(&name("norm1"), width, EPSILON)?;
        let attention = Attention::load(loader, config, index)?;
        let gate_proj = loader.linear(&name("mlp.gate_proj"), [width, inner], true)?;
        let up_proj = loader.linear(&name("mlp.up_proj"), [width, inner], true)?;
        let mut block = Self {
            norm_1: norm_1.feeding(&[attention.entrance()]),
            norm_2: loader.rms_norm(&name("norm2"), width, EPSILON)?.feeding(&[&gate_proj, &up_proj]),
            down_proj: loader.linear(&name("mlp.down_proj"), [inner, width], true)?,
            attention,
            gate_proj,
            up_proj,
            act: config.act,
        };
        block.join();
        Ok(block)
    }

    /// Layers that see the same are one product where their device has one.
    fn join(&mut self) {
        Linear::join([&mut self.gate_proj, &mut self.up_proj]);
    }

    fn forward(&self, hidden: &Matrix, rotation: &Rotation, stretches: &[Stretches]) -> Matrix {
        let hidden = self.attention.onto(hidden, &self.norm_1.forward(hidden), rotation, stretches);
        let x = self.norm_2.forward(&hidden);
        let gated = {
            let [gate, up] = Linear::forward_all([&self.gate_proj, &self.up_proj], &x);
            self.act.gated(&gate, &up)
        };
        self.down_proj.onto(&gated, &hidden)
    }
}

impl Visit for Block {
    fn visit(&mut self, visitor: &mut Visitor<'_>) {
        visitor(Part::Norm(&mut self.norm_1));
        self.attention.visit(visitor);
        visitor(Part::Norm(&mut self.norm_2));
        for linear in [&mut self.gate_proj, &mut self.up_proj, &mut self.down_proj] {
            visitor(Part::Linear(linear));
        }
        self.join();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn windows_of_a_small_image_by_hand() {
        // Three rows and five columns in windows of 2x2: two whole ones, one narrow, two low, one corner.
        let windows = WindowOrder::new((3, 5), 2, 4);
        assert_eq!(windows.order, [0, 1, 5, 6, 2, 3, 7, 8, 4, 9, 10, 11, 12, 13, 14]);
        let stretches = [(2, 16), (3, 8), (1, 4)].map(|(count, len)| Stretches { count, len });
        assert_eq!(windows.stretches, stretches);
        assert_eq!(windows.pairs(), 2 * 256 + 3 * 64 + 16);
    }

    proptest! {
        #[test]
        fn every_token_is_in_the_window_of_its_place(rows in 1usize..20, columns in 1usize..20, side in 1usize..7) {
            let windows = WindowOrder::new((rows, columns), side, 1);
            let inverse = windows.inverse();
            for (token, place) in inverse.iter().enumerate() {
                prop_assert_eq!(windows.order[*place], token);
            }
            let mut places = windows.order.iter();
            for Stretches { count, len } in &windows.stretches {
                for _ in 0..*count {
                    let of: Vec<(usize, usize)> =
                        places.by_ref().take(*len).map(|token| (token / columns / side, token % columns / side)).collect();
                    prop_assert!(of.len() == *len && of.iter().all(|window| *window == of[0]));
                }
            }
            prop_assert_eq!(places.count(), 0);
        }
    }
}
