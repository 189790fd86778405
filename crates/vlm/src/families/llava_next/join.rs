//! Several views become one sequence of visual tokens: the tiles' projected patches are put back into the image's own rows, padding is
//! cut off, and a learned newline token ends every row.

use steady_kernels::Matrix;

use super::LlavaNextConfig;
use crate::{
    PixelValues, VlmError,
    families::{
        Encoded, Encoding, Joined, VisualEncoder,
        llava::{ClipProjector, Views},
    },
    image::TileLayout,
    nn::{Loader, Part, Visit, Visitor},
    reduction::{TowerTask, reducer_error},
};

/// Tower, projector, and what joins the views of one image.
#[derive(Clone, Debug)]
pub(super) struct LlavaNextEncoder {
    views: ClipProjector,
    layout: TileLayout,
    /// `[1, decoder width]`
    newline: Matrix,
}

impl LlavaNextEncoder {
    pub(super) fn load(loader: &mut Loader<'_>, config: &LlavaNextConfig) -> Result<Self, VlmError> {
        let views = ClipProjector::load(loader, &config.llava)?;
        let newline = loader.matrix("image_newline", &[config.llava.text.hidden_size])?;
        Ok(Self { views, layout: config.tiles.clone(), newline })
    }

    /// Views patches of all views, `[views * patches, width]`, to the visual tokens of an image of `original` height and
    /// width, `[tokens, width]`: the base view, then the image row by row.
    fn join(&self, projected: Matrix, original: (usize, usize)) -> Matrix {
        Matrix::stack(&[projected, self.newline.clone()]).gather(&self.layout.order(original))
    }

    async fn seen(&self, pixels: &PixelValues, task: &TowerTask<'_>) -> Result<Encoded, VlmError> {
        if let Some(merger) = &task.merger {
            let problem = "merges tokens inside the vision tower, but LLaVA-NeXT puts the patches of several views back into rows; \
                           expected a method that acts after the projector";
            return Err(reducer_error(&merger.name(), problem.to_owned()));
        }
        let (rows, columns) = self.layout.tiles(pixels.original);
        let views = 1 + rows * columns;
        let Views { features, projected, observed, flops } = self.views.encode(pixels, views, task).await?;
        let newline = projected.dims()[0];
        let tokens = self.layout.order(pixels.original).into_iter().map(|patch| (patch != newline).then_some(patch)).collect();
        let order = Joined { views, reading: self.layout.reading(pixels.original), tokens };
        let projected = self.join(projected, pixels.original);
        Ok(Encoded { features, projected, observed, order: Some(order), flops })
    }
}

impl VisualEncoder for LlavaNextEncoder {
    fn encode<'a>(&'a self, pixels: &'a PixelValues, task: &'a TowerTask<'_>) -> Encoding<'a> {
        Box::pin(self.seen(pixels, task))
    }

    fn project(&self, features: &Matrix) -> Matrix {
        self.views.project(features)
    }

    fn copy(&self) -> Box<dyn VisualEncoder> {
        Box::new(self.clone())
    }
}

impl Visit for LlavaNextEncoder {
    fn visit(&mut self, visitor: &mut Visitor<'_>) {
        self.views.visit(visitor);
        visitor(Part::Matrix(&mut self.newline));
    }
}
