//! How much memory a model takes, from the headers of its weight files: known before anything is allocated.

use std::fmt;
use std::sync::Arc;

use steady_kernels::{Device, Element};

use crate::{
    Extent, Precision, Sizes, cost, decoder,
    families::Architecture,
    nn::{LinearSize, Survey},
};

/// Sizes of a checkpoint's weights, and of what it remembers of a prompt: on a CPU, or on the device that it was [told of](Self::on).
#[derive(Clone)]
pub struct Footprint {
    survey: Survey,
    architecture: Arc<dyn Architecture>,
    device: Device,
}

impl fmt::Debug for Footprint {
    /// What was surveyed: equal for equal files, wherever the architecture says that they are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Footprint").field("survey", &self.survey).finish_non_exhaustive()
    }
}

impl Footprint {
    pub(crate) fn of(survey: Survey, architecture: &Arc<dyn Architecture>) -> Self {
        Self { survey, architecture: Arc::clone(architecture), device: Device::Cpu }
    }

    /// The same on `device`. A GPU computes in `f32` whatever weights are kept as, and pads their rows.
    #[must_use]
    pub fn on(&self, device: &Device) -> Self {
        Self { device: device.clone(), ..self.clone() }
    }

    /// What activations are kept as, and weights that are no matrices of a product.
    fn activations(&self, precision: Precision) -> Element {
        self.device.activations(precision.element())
    }

    /// The linear layers, in the order in which they are loaded.
    pub fn linears(&self) -> &[LinearSize] {
        &self.survey.linears
    }

    /// The head as a linear layer: it is none of [`Self::linears`], but can be packed as one. `stored` are its bytes in the files, none where it is the
    /// embedding.
    pub fn head(&self) -> Option<&LinearSize> {
        self.survey.head.as_ref()
    }

    /// Bytes of all weights in this precision, packed only if the checkpoint holds them packed: what
    /// [`Vlm::weight_bytes`](crate::Vlm::weight_bytes) will be.
    pub fn weight_bytes(&self, precision: Precision) -> u64 {
        let matrix = |rows: usize, width: usize| rows as u64 * precision.row_bytes(self.device.row(width));
        let bytes = |linear: &LinearSize| linear.packed.unwrap_or_else(|| matrix(linear.out, linear.input));
        let linears: u64 = self.linears().iter().map(bytes).sum();
        let tables: u64 = self.survey.tables.iter().map(|&[rows, width]| matrix(rows, width)).sum();
        let elements = self.survey.elements * self.activations(precision).size() as u64;
        linears + tables + elements + self.survey.norms * size_of::<f32>() as u64
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
        cost::kv_bytes(text, &vec![tokens; text.num_layers], self.activations(precision).size(), None) as u64
    }

    /// Most bytes of what is computed on the way and alive at once, weights, keys and values aside: while `image` passes the vision tower, and
    /// while a prompt of `tokens` tokens with it passes the decoder. `held` is how many such images are kept at once, as different weights
    /// see them. An upper bound, from shapes.
    pub fn activation_bytes(&self, precision: Precision, image: &Extent, tokens: usize, held: usize) -> u64 {
        let sizes = Sizes::new(self.activations(precision));
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
