//! Qwen2-VL (Wang et al., 2024) and Qwen2.5-VL (Bai et al., 2025): a vision tower that takes images in their own proportions,
//! whose merger makes one visual token of each square of patches; these take the place of the image placeholders among the
//! token embeddings of a Qwen2 decoder, at positions that tell rows from columns (M-RoPE).
//!
//! The two differ in the tower alone. Every image passes it on its own, so that patches of two images never see each other.

use std::ops::Range;

use burn::tensor::{DType, Device, Tensor};

use crate::{
    PixelValues, VlmError,
    checkpoint::{QwenVisionConfig, QwenVlConfig},
    cost,
    nn::{LinearMap, Loader, Position, in_line},
    reduction::Needs,
    vision::{
        qwen::Patches,
        qwen2_5_vl::{Qwen2_5Vl, WindowOrder, window_side},
        qwen2_vl::Qwen2Vl,
    },
};

/// The vision tower with its merger.
#[derive(Clone, Debug)]
pub(crate) struct QwenEncoder {
    tower: Tower,
    config: QwenVisionConfig,
    device: Device,
    dtype: DType,
}

#[derive(Clone, Debug)]
enum Tower {
    Qwen2(Box<Qwen2Vl>),
    Qwen2_5(Box<Qwen2_5Vl>),
}

/// One image's visual tokens.
pub(crate) struct Seen {
    /// `[n, merged patches * vision width]`
    pub(crate) features: Tensor<2>,
    /// `[n, decoder width]`
    pub(crate) projected: Tensor<2>,
    /// Rows and columns of visual tokens.
    pub(crate) grid: (usize, usize),
    pub(crate) flops: u64,
}

impl QwenEncoder {
    pub(crate) fn load(loader: &mut Loader<'_>, config: &QwenVlConfig) -> Result<Self, VlmError> {
        let vision = &config.vision;
        let tower = match &vision.windows {
            None => Tower::Qwen2(Box::new(Qwen2Vl::load(loader, vision)?)),
            Some(windows) => Tower::Qwen2_5(Box::new(Qwen2_5Vl::load(loader, vision, windows)?)),
        };
        Ok(Self { tower, config: vision.clone(), device: loader.device.clone(), dtype: loader.dtype })
    }

    /// Pixels to visual tokens.
    pub(crate) fn encode(&self, pixels: &PixelValues, needs: &Needs) -> Result<Seen, VlmError> {
        if needs.looks_at_the_tower() {
            let problem = "a token reducer asks for the vision tower's class token or keys; this tower has no class token, and its \
                           patches are not its visual tokens";
            return Err(VlmError::Invalid { what: "acceleration".to_owned(), problem: problem.to_owned() });
        }
        let patches = Patches::of(pixels, &self.config)?;
        let grid = patches.tokens;
        let (device, dtype) = (&self.device, self.dtype);
        let features = match &self.tower {
            Tower::Qwen2(tower) => tower.forward(patches, device, dtype),
            Tower::Qwen2_5(tower) => tower.forward(patches, device, dtype),
        };
        Ok(Seen { projected: self.project(features.clone()), features, grid, flops: self.flops(grid) })
    }

    /// `[n, merged patches * vision width]` to `[n, decoder width]`, row by row.
    pub(crate) fn project(&self, features: Tensor<2>) -> Tensor<2> {
        match &self.tower {
            Tower::Qwen2(tower) => tower.merge(features),
            Tower::Qwen2_5(tower) => tower.merge(features),
        }
    }

    fn flops(&self, grid: (usize, usize)) -> u64 {
        let config = &self.config;
        let patches = grid.0 * grid.1 * config.merged_patches();
        let pairs = |block: usize| match &config.windows {
            Some(windows) if !windows.full_attention_blocks.contains(&block) => {
                WindowOrder::new(grid, window_side(config, windows), config.merged_patches()).pairs()
            }
            _ => patches * patches,
        };
        cost::qwen_vision_flops(config, patches, (0..config.depth).map(pairs))
    }

    /// A copy with mapped linear layers that shares everything else.
    pub(crate) fn map_linears<E>(&self, map: &mut LinearMap<'_, E>) -> Result<Self, E> {
        let tower = match &self.tower {
            Tower::Qwen2(tower) => Tower::Qwen2(Box::new(tower.map_linears(map)?)),
            Tower::Qwen2_5(tower) => Tower::Qwen2_5(Box::new(tower.map_linears(map)?)),
        };
        Ok(Self { tower, ..self.clone() })
    }

    pub(crate) fn bytes(&self) -> usize {
        match &self.tower {
            Tower::Qwen2(tower) => tower.bytes(),
            Tower::Qwen2_5(tower) => tower.bytes(),
        }
    }
}

/// M-RoPE: positions of a prompt of `len` tokens with `images` in it (where, and rows and columns of visual tokens), and the
/// position of the token that follows. Text counts on from the largest position before it; a visual token has the time at which
/// its image begins, and its row and column added to that.
pub(crate) fn positions(len: usize, images: &[(Range<usize>, (usize, usize))]) -> (Vec<Position>, usize) {
    let mut positions = Vec::with_capacity(len);
    let mut next = 0;
    for (span, (rows, columns)) in images {
        let text = span.start - positions.len();
        positions.extend(in_line(next..next + text));
        next += text;
        positions.extend((0..*rows).flat_map(|row| (0..*columns).map(move |column| [next, next + row, next + column])));
        next += rows.max(columns);
    }
    let text = len - positions.len();
    positions.extend(in_line(next..next + text));
    (positions, next + text)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::Value;

    use super::positions;

    #[test]
    fn two_images_by_hand() {
        let (found, next) = positions(11, &[(1..3, (1, 2)), (4..10, (2, 3))]);
        let expected =
            [[0, 0, 0], [1, 1, 1], [1, 1, 2], [3, 3, 3], [4, 4, 4], [4, 4, 5], [4, 4, 6], [4, 5, 4], [4, 5, 5], [4, 5, 6], [7, 7, 7]];
        assert_eq!((found.as_slice(), next), (expected.as_slice(), 8));
    }

    /// `get_rope_index` of transformers, with and without images.
    #[test]
    fn positions_are_those_of_transformers() {
        let reference = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference");
        let mut compared = 0;
        for file in ["tiny-qwen2-vl/resaved", "tiny-qwen2-vl/published", "tiny-qwen2_5-vl/resaved", "tiny-qwen2_5-vl/published"] {
            let read = |path: &str| -> Value { serde_json::from_slice(&std::fs::read(reference.join(path)).unwrap()).unwrap() };
            let placeholder = read(&format!("{file}/config.json"))["image_token_id"].clone();
            for case in read(&format!("{file}.json"))["cases"].as_array().unwrap() {
                let ids = case["input_ids"].as_array().unwrap();
                let mut at = 0;
                let images: Vec<_> = case["grids"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|grid| {
                        let side = |index: usize| grid[index].as_u64().unwrap() as usize / 2;
                        let start = at + ids[at..].iter().position(|id| *id == placeholder).unwrap();
                        at = start + side(1) * side(2);
                        (start..at, (side(1), side(2)))
                    })
                    .collect();
                let (found, next) = positions(ids.len(), &images);
                assert_eq!(next as u64, case["next_position"].as_u64().unwrap(), "{file} {}", case["id"]);
                for (axis, expected) in case["positions"].as_array().unwrap().iter().enumerate() {
                    let found: Vec<usize> = found.iter().map(|position| position[axis]).collect();
                    assert_eq!(serde_json::json!(found), *expected, "{file} {} {axis}", case["id"]);
                }
                compared += 1;
            }
        }
        assert_eq!(compared, 64);
    }
}
