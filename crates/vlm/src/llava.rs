//! LLaVA-1.5 (Liu et al., 2023): a CLIP tower whose patch features pass a two-layer projector and take the place of the image
//! placeholders among the token embeddings of a Llama decoder.
//!
//! This file is what happens before the decoder: pixels to visual tokens. [`crate::llava_next`] says what becomes of several views
//! of one image.

use burn::tensor::Tensor;

use crate::{
    PixelValues, VlmError,
    checkpoint::{Activation, FeatureSelect, LlavaConfig},
    llava_next::TileJoin,
    nn::{Linear, LinearMap, Loader, activate},
    reduction::{Needs, Observations},
    vision::{Clip, clip::Selection},
};

/// Vision tower and projector.
#[derive(Clone, Debug)]
pub(crate) struct VisualEncoder {
    tower: Clip,
    projector: Projector,
    feature_layers: Vec<usize>,
    feature_select: FeatureSelect,
    /// LLaVA-NeXT: how the views of an image become one.
    join: Option<TileJoin>,
}

/// Linear, activation, linear.
#[derive(Clone, Debug)]
struct Projector {
    linear_1: Linear,
    linear_2: Linear,
    act: Activation,
}

/// One image's visual tokens.
pub(crate) struct VisualTokens {
    /// The tower's selected features of all views, `[views * view tokens, feature layers * vision width]`.
    pub(crate) features: Tensor<2>,
    /// The visual tokens, `[n, decoder width]`: the projected features, with LLaVA-NeXT joined.
    pub(crate) projected: Tensor<2>,
    pub(crate) observations: Observations<Tensor<2>>,
}

impl VisualEncoder {
    pub(crate) fn load(loader: &mut Loader<'_>, config: &LlavaConfig) -> Result<Self, VlmError> {
        Ok(Self {
            tower: Clip::load(loader, &config.vision)?,
            projector: Projector::load(loader, config)?,
            feature_layers: config.feature_layers.clone(),
            feature_select: config.feature_select,
            join: config.tiles.as_ref().map(|tiles| TileJoin::load(loader, tiles, config.text.hidden_size)).transpose()?,
        })
    }

    /// Pixels to visual tokens; also what `needs` wants to see of the tower.
    pub(crate) fn encode(&self, pixels: &PixelValues, needs: &Needs) -> Result<VisualTokens, VlmError> {
        self.tower.check(pixels)?;
        self.check_views(pixels, needs)?;
        let selection = Selection { hidden_states: &self.feature_layers, class_token: self.feature_select };
        let mut features = Vec::new();
        let mut observations = Observations::default();
        for view in pixels.views() {
            let (seen, observed) = self.tower.forward(view, &selection, needs)?;
            features.push(seen);
            observations = observed;
        }
        let features = Tensor::cat(features, 0);
        let projected = self.project(features.clone());
        let projected = match &self.join {
            Some(join) => join.join(projected, pixels.original),
            None => projected,
        };
        Ok(VisualTokens { features, projected, observations })
    }

    /// One view, or as many as the image's tiles; only one view can be shown to reducers.
    fn check_views(&self, pixels: &PixelValues, needs: &Needs) -> Result<(), VlmError> {
        let (found, expected) = (pixels.shape[0], self.join.as_ref().map_or(1, |join| join.views(pixels.original)));
        if found != expected {
            let (height, width) = pixels.original;
            let problem = format!("expected {expected} views of an image of {width}x{height} pixels, found {found}");
            return Err(VlmError::Invalid { what: "pixel values".to_owned(), problem });
        }
        if self.join.is_some() && needs.looks_at_the_tower() {
            let problem = "a token reducer asks for the vision tower's attention or keys, but LLaVA-NeXT's visual tokens come from \
                           several views with newlines between their rows; expected a method that acts after the projector";
            return Err(VlmError::Invalid { what: "acceleration".to_owned(), problem: problem.to_owned() });
        }
        Ok(())
    }

    /// `[n, feature layers * vision width]` to `[n, decoder width]`, row by row.
    pub(crate) fn project(&self, features: Tensor<2>) -> Tensor<2> {
        self.projector.forward(features)
    }

    /// A copy with mapped linear layers that shares everything else.
    pub(crate) fn map_linears<E>(&self, map: &mut LinearMap<'_, E>) -> Result<Self, E> {
        Ok(Self {
            tower: self.tower.map_linears(map)?,
            projector: Projector {
                linear_1: self.projector.linear_1.map(map)?,
                linear_2: self.projector.linear_2.map(map)?,
                act: self.projector.act,
            },
            ..self.clone()
        })
    }

    pub(crate) fn bytes(&self) -> usize {
        self.tower.bytes()
            + self.projector.linear_1.bytes()
            + self.projector.linear_2.bytes()
            + self.join.as_ref().map_or(0, TileJoin::bytes)
    }
}

impl Projector {
    fn load(loader: &mut Loader<'_>, config: &LlavaConfig) -> Result<Self, VlmError> {
        let (vision, text) = (config.vision.hidden_size * config.feature_layers.len(), config.text.hidden_size);
        let bias = config.projector_bias;
        let mut linear = |name, shape| loader.linear(name, shape, bias);
        Ok(Self {
            linear_1: linear("multi_modal_projector.linear_1", [vision, text])?,
            linear_2: linear("multi_modal_projector.linear_2", [text, text])?,
            act: config.projector_act,
        })
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.linear_2.forward(activate(self.act, self.linear_1.forward(x)))
    }
}
