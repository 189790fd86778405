//! Several views become one sequence of visual tokens: the tiles' projected patches are put back into the image's own rows, padding is
//! cut off, and a learned newline token ends every row.

use burn::tensor::{DType, Int, Tensor, TensorData};

use super::LlavaNextConfig;
use crate::{
    PixelValues, VlmError,
    families::{
        Encoded, VisualEncoder,
        llava::{ClipProjector, Views},
    },
    image::TileLayout,
    nn::{Loader, Part, Visit, Visitor},
    reduction::{Observed, TowerTask, reducer_error},
};

/// Tower, projector, and what joins the views of one image.
#[derive(Clone, Debug)]
pub(super) struct LlavaNextEncoder {
    views: ClipProjector,
    layout: TileLayout,
    /// `[1, decoder width]`
    newline: Tensor<2>,
}

impl LlavaNextEncoder {
    pub(super) fn load(loader: &mut Loader<'_>, config: &LlavaNextConfig) -> Result<Self, VlmError> {
        let views = ClipProjector::load(loader, &config.llava)?;
        let newline: Tensor<1> = loader.tensor("image_newline", [config.llava.text.hidden_size])?;
        Ok(Self { views, layout: config.tiles.clone(), newline: newline.unsqueeze() })
    }

    /// Views patches of all views, `[views * patches, width]`, to the visual tokens of an image of `original` height and
    /// width, `[tokens, width]`: the base view, then the image row by row.
    fn join(&self, projected: Tensor<2>, original: (usize, usize)) -> Tensor<2> {
        let order: Vec<i32> = self.layout.order(original).into_iter().map(|row| row as i32).collect();
        let tokens = order.len();
        let device = projected.device();
        let order = TensorData::new(order, [tokens]);
        let order = Tensor::<1, Int>::from_data(order, (&device, DType::I32));
        Tensor::cat(vec![projected, self.newline.clone()], 0).select(0, order)
    }
}

impl VisualEncoder for LlavaNextEncoder {
    fn encode(&self, pixels: &PixelValues, task: &TowerTask<'_>) -> Result<Encoded, VlmError> {
        if task.needs.looks_at_the_tower() {
            let problem = "a token reducer asks for the vision tower's attention or keys, but LLaVA-NeXT's visual tokens come from \
                           several views with newlines between their rows; expected a method that acts after the projector";
            return Err(VlmError::Invalid { what: "acceleration".to_owned(), problem: problem.to_owned() });
        }
        if let Some(merger) = &task.merger {
            let problem = "merges tokens inside the vision tower, but LLaVA-NeXT puts the patches of several views back into rows; \
                           expected a method that acts after the projector";
            return Err(reducer_error(&merger.name(), problem.to_owned()));
        }
        let (rows, columns) = self.layout.tiles(pixels.original);
        let Views { features, projected, flops, .. } = self.views.encode(pixels, 1 + rows * columns, task)?;
        let projected = self.join(projected, pixels.original);
        Ok(Encoded { features, projected, observed: Observed::default(), flops })
    }

    fn project(&self, features: Tensor<2>) -> Tensor<2> {
        self.views.project(features)
    }

    fn features_are_apart(&self) -> Option<&'static str> {
        Some(
            "LLaVA-NeXT's visual tokens come from several views with newlines between their rows; expected a method that acts after the \
             projector",
        )
    }

    fn copy(&self) -> Box<dyn VisualEncoder> {
        Box::new(self.clone())
    }
}

impl Visit for LlavaNextEncoder {
    fn visit(&mut self, visitor: &mut Visitor<'_>) {
        self.views.visit(visitor);
        visitor(Part::Tensor(&mut self.newline));
    }
}
