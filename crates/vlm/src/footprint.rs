//! How much memory a model takes, from the headers of its weight files: known before anything is allocated.

use std::fmt;
use std::sync::Arc;

use crate::{
    Extent, Precision, Sizes, cost, decoder,
    families::Architecture,
    nn::{LinearSize, Survey},
};

/// Sizes of a checkpoint's weights, and of what it remembers of a prompt.
#[derive(Clone)]
pub struct Footprint {
    survey: Survey,
    architecture: Arc<dyn Architecture>,
}

impl fmt::Debug for Footprint {
    /// What was surveyed: equal for equal files, wherever the architecture says that they are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Footprint").field("survey", &self.survey).finish_non_exhaustive()
    }
}

impl Footprint {
    pub(crate) fn of(survey: Survey, architecture: &Arc<dyn Architecture>) -> Self {
        Self { survey, architecture: Arc::clone(architecture) }
    }

    /// The linear layers, in the order in which they are loaded.
    pub fn linears(&self) -> &[LinearSize] {
        &self.survey.linears
    }

    /// Bytes of all weights in this precision, packed only if the checkpoint holds them packed: what
    /// [`Vlm::weight_bytes`](crate::Vlm::weight_bytes) will be.
    pub fn weight_bytes(&self, precision: Precision) -> u64 {
        let linears: u64 = self.linears().iter().map(|linear| bytes(linear, precision)).sum();
        let tables: u64 = self.survey.tables.iter().map(|&[rows, width]| rows as u64 * precision.row_bytes(width)).sum();
        linears + tables + self.survey.elements * element_bytes(precision) + self.survey.norms * size_of::<f32>() as u64
    }

    /// The precision that most of the weights are published in.
    pub fn published(&self) -> Precision {
        self.survey.published
    }

    /// Bytes of the weights as they are published, whatever precision they are computed in.
    pub fn stored_bytes(&self) -> u64 {
        self.survey.stored
    }

    /// Bytes of the keys and values of `tokens` tokens.
    pub fn cache_bytes(&self, precision: Precision, tokens: usize) -> u64 {
        let text = self.architecture.decoder();
        cost::kv_bytes(text, &vec![tokens; text.num_layers], element_bytes(precision) as usize) as u64
    }

    /// Most bytes of what is computed on the way and alive at once, weights, keys and values aside: while `image` passes the vision tower, and
    /// while a prompt of `tokens` tokens with it passes the decoder. `held` is how many such images are kept at once, as different weights
    /// see them. An upper bound, from shapes.
    pub fn activation_bytes(&self, precision: Precision, image: &Extent, tokens: usize, held: usize) -> u64 {
        let sizes = Sizes::new(precision);
        let seen = self.architecture.image_bytes(image, sizes);
        let pixels = sizes.wide(1, image.values);
        let others = seen.kept * held.saturating_sub(1) as u64;
        let decoding = seen.kept + decoder::prompt_bytes(self.architecture.decoder(), tokens, sizes);
        pixels + others + seen.peak.max(decoding)
    }

    /// Bytes of the largest tensor on its way to the device: on the host it is `f32`, or what it stays if that is bf16.
    pub fn passing_bytes(&self, precision: Precision) -> u64 {
        let element = match precision {
            Precision::F32 | Precision::F16 => size_of::<f32>(),
            Precision::Bf16 => size_of::<half::bf16>(),
        };
        self.survey.largest * element as u64
    }
}

fn bytes(linear: &LinearSize, precision: Precision) -> u64 {
    linear.packed.unwrap_or_else(|| linear.out as u64 * precision.row_bytes(linear.input))
}

/// Of an activation.
fn element_bytes(precision: Precision) -> u64 {
    precision.element().size() as u64
}
