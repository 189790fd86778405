//! Pixels to visual tokens: CLIP tower and projector.

use steady_kernels::Matrix;

use super::config::{FeatureSelect, LlavaConfig};
use crate::{
    Extent, ImageBytes, PixelValues, Sizes, VlmError,
    activations::most,
    cost::product,
    families::{Encoded, Encoding, VisualEncoder},
    nn::{Activation, Linear, Loader, Part, Visit, Visitor},
    reduction::{Observed, TowerTask},
    vision::{Clip, ClipVisionConfig, Selection, view_bytes},
};

/// Vision tower and projector, view by view.
#[derive(Clone, Debug)]
pub(in crate::families) struct ClipProjector {
    tower: Clip,
    linear_1: Linear,
    act: Activation,
    linear_2: Linear,
    config: LlavaConfig,
}

/// What became of the views of an image.
pub(in crate::families) struct Views {
    /// The tower's selected features of all views, `[views * view tokens, feature layers * vision width]`.
    pub(in crate::families) features: Matrix,
    /// The same, projected: `[views * view tokens, decoder width]`.
    pub(in crate::families) projected: Matrix,
    /// What was seen of each view.
    pub(in crate::families) observed: Vec<Observed<Matrix>>,
    pub(in crate::families) flops: u64,
}

impl ClipProjector {
    pub(in crate::families) fn load(loader: &mut Loader<'_>, config: &LlavaConfig) -> Result<Self, VlmError> {
        let tower = Clip::load(loader, &config.vision)?;
        let (vision, text) = (config.vision.hidden_size * config.feature_layers.len(), config.text.hidden_size);
        let mut linear = |name, shape| loader.linear(name, shape, config.projector_bias);
        Ok(Self {
            tower,
            linear_1: linear("multi_modal_projector.linear_1", [vision, text])?,
            act: config.projector_act,
            linear_2: linear("multi_modal_projector.linear_2", [text, text])?,
            config: config.clone(),
        })
    }

    /// Pixels of `views` views to visual tokens.
    pub(in crate::families) async fn encode(&self, pixels: &PixelValues, views: usize, task: &TowerTask<'_>) -> Result<Views, VlmError> {
        self.tower.check_pixels(pixels)?;
        let found = pixels.shape[0];
        if found != views {
            let (height, width) = pixels.original;
            let problem = format!("expected {views} views of an image of {width}x{height} pixels, found {found}");
            return Err(VlmError::Invalid { what: "pixel values".to_owned(), problem });
        }
        let class_token = self.config.feature_select == FeatureSelect::Full;
        let selection = Selection { hidden_states: &self.config.feature_layers, class_token };
        // A layer above, computed because a reducer looks at it, is no cost of those who do not.
        let depth = self.config.feature_layers.iter().copied().max().unwrap_or(0);
        let mut states = Vec::new();
        let (mut observed, mut flops) = (Vec::with_capacity(views), 0);
        for view in pixels.views() {
            let seen = self.tower.forward(view, &selection, task).await?;
            flops += vision_flops(&self.config, &seen.lengths[..depth]);
            states.push(seen.states);
            observed.push(seen.observed);
        }
        let features = Matrix::stack(&states);
        let projected = self.project(&features);
        Ok(Views { features, projected, observed, flops })
    }

    /// `[n, feature layers * vision width]` to `[n, decoder width]`, row by row.
    pub(in crate::families) fn project(&self, features: &Matrix) -> Matrix {
        self.linear_2.forward(&self.act.apply(&self.linear_1.forward(features)))
    }
}

impl Visit for ClipProjector {
    fn visit(&mut self, visitor: &mut Visitor<'_>) {
        self.tower.visit(visitor);
        visitor(Part::Linear(&mut self.linear_1));
        visitor(Part::Linear(&mut self.linear_2));
    }
}

/// One view, whose projected features are the visual tokens.
#[derive(Clone, Debug)]
pub(in crate::families) struct LlavaEncoder(ClipProjector);

impl LlavaEncoder {
    pub(in crate::families) fn load(loader: &mut Loader<'_>, config: &LlavaConfig) -> Result<Self, VlmError> {
        ClipProjector::load(loader, config).map(Self)
    }
}

impl VisualEncoder for LlavaEncoder {
    fn encode<'a>(&'a self, pixels: &'a PixelValues, task: &'a TowerTask<'_>) -> Encoding<'a> {
        Box::pin(async move {
            let Views { features, projected, observed, flops } = self.0.encode(pixels, 1, task).await?;
            Ok(Encoded { features, projected, observed, order: None, flops })
        })
    }

    fn project(&self, features: &Matrix) -> Matrix {
        self.0.project(features)
    }

    fn copy(&self) -> Box<dyn VisualEncoder> {
        Box::new(self.clone())
    }
}

impl Visit for LlavaEncoder {
    fn visit(&mut self, visitor: &mut Visitor<'_>) {
        self.0.visit(visitor);
    }
}

/// What the views of an image take in memory on their way to projected features. It follows [`ClipProjector::encode`].
pub(in crate::families) fn views_bytes(config: &LlavaConfig, image: &Extent, sizes: Sizes) -> ImageBytes {
    let (vision, text, selected) = (config.vision.hidden_size, config.text.hidden_size, config.feature_layers.len());
    let tokens = image.views * config.view_tokens();
    let features = sizes.rows(tokens, vision * selected);
    let projecting = features + sizes.rows(tokens, text) + sizes.product(tokens, text);
    // The states of a view are cut out of those of all its tokens, which stay with them.
    let states = sizes.rows(image.views * (config.vision.patches() + 1), vision * selected);
    ImageBytes {
        peak: most([states + view_bytes(&config.vision, selected, sizes), states + features, states + projecting]),
        kept: states.max(features) + sizes.rows(tokens, text),
    }
}

/// FLOPs from the pixels of one view to visual tokens, when `lengths[l]` tokens enter the MLP of layer `l`, the class token included.
fn vision_flops(config: &LlavaConfig, lengths: &[usize]) -> u64 {
    let ClipVisionConfig { hidden_size: width, intermediate_size: inner, num_channels, patch_size, .. } = config.vision;
    let patches = config.vision.patches();
    let mut entering = patches + 1;
    let mut layers = 0;
    for &left in lengths {
        layers += 4 * product(entering, width, width) + 2 * product(entering, entering, width) + 2 * product(left, width, inner);
        entering = left;
    }
    let tokens = entering - usize::from(config.feature_select == FeatureSelect::Default);
    let features = width * config.feature_layers.len();
    let text = config.text.hidden_size;
    product(patches, num_channels * patch_size * patch_size, width) + layers + product(tokens, features, text) + product(tokens, text, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::tests::llama_7b;

    #[test]
    fn vision_by_hand() {
        let config = LlavaConfig {
            vision: ClipVisionConfig::VIT_L_14_336,
            text: llama_7b(),
            image_token_id: 32_000,
            original: None,
            feature_layers: vec![23],
            feature_select: FeatureSelect::Default,
            projector_act: Activation::Gelu,
            projector_bias: true,
            tie_word_embeddings: false,
        };
        // CLIP-L/14 at 336 px: 576 patches of 588 values, 577 tokens, 23 of 24 layers, projector 1024 -> 4096 -> 4096.
        let patches = 2 * 576 * 588 * 1024u64;
        let layer = 2 * 577 * (4 * 1024 * 1024 + 2 * 1024 * 4096) + 4 * 577 * 577 * 1024u64;
        let projector = 2 * 576 * (1024 * 4096 + 4096 * 4096u64);
        assert_eq!(vision_flops(&config, &[577; 23]), patches + 23 * layer + projector);
        // Half of the patches merged in the last layer: its MLP and the projector work on 289 tokens, class token apart.
        let mut lengths = [577; 23];
        lengths[22] = 289;
        let saved = 2 * (577 - 289) * 2 * 1024 * 4096u64;
        assert_eq!(vision_flops(&config, &lengths), patches + 23 * layer - saved + projector / 2);
    }
}
