//! Facts about a model.

use crate::{Precision, checkpoint::Checkpoint, families::Largest, text::Processor};

/// Facts about a loaded model, for reports.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelInfo {
    /// The checkpoint's name.
    pub name: String,
    /// The family's name: `llava-1.5`, `llava-next`, `qwen2-vl`, `qwen2.5-vl`.
    pub architecture: String,
    /// What weights are kept as, and what is computed in.
    pub precision: Precision,
    /// Visual tokens per image before any reduction; where images differ, the most that one becomes.
    pub visual_tokens: usize,
    /// Rows and columns of the grid of visual tokens; where images differ, of the largest square one, and with LLaVA-NeXT of one view.
    pub grid: (usize, usize),
    /// Side of the image that the vision tower takes at once, in pixels; where images differ, of the largest square one.
    pub image_size: usize,
    /// Layers of the vision tower.
    pub vision_layers: usize,
    /// Layers of the decoder.
    pub decoder_layers: usize,
    /// Width of the decoder's residual stream.
    pub decoder_width: usize,
    /// Rows of embedding and head.
    pub vocab_size: usize,
    /// Longest prompt and answer together, in tokens.
    pub max_tokens: usize,
}

impl ModelInfo {
    pub(super) fn of(checkpoint: &Checkpoint, processor: &Processor, precision: Precision) -> Self {
        let architecture = checkpoint.architecture();
        let text = architecture.decoder();
        let Largest { visual_tokens, side, pixels } = processor.largest();
        Self {
            name: checkpoint.name().to_owned(),
            architecture: checkpoint.family().to_owned(),
            precision,
            visual_tokens,
            grid: (side, side),
            image_size: pixels,
            vision_layers: architecture.vision_layers(),
            decoder_layers: text.num_layers,
            decoder_width: text.hidden_size,
            vocab_size: text.vocab_size,
            max_tokens: text.max_position_embeddings,
        }
    }
}
