//! Images in prompts, as transformers' `LlavaNextProcessor` puts them there: the base view, then the tiles' patches in the image's own
//! rows, a newline behind each.

use image::RgbImage;

use super::LlavaNextConfig;
use crate::VlmError;
use crate::activations::Extent;
use crate::families::{Expander, Expansion, Largest, llava};
use crate::image::{ClipProcessor, ImageProcessor, PixelValues};
use crate::layout::{Cell, Cells, View, row_by_row};

/// The views of an image, and the visual tokens that they become.
#[derive(Clone, Debug)]
pub(super) struct TileExpander {
    images: ClipProcessor,
    config: LlavaNextConfig,
}

impl TileExpander {
    pub(super) fn new(images: ClipProcessor, config: &LlavaNextConfig) -> Result<Self, VlmError> {
        llava::check_tiles(&images, Some((config.tiles.pinpoints(), config.llava.vision.image_size)))?;
        Ok(Self { images, config: config.clone() })
    }
}

impl Expander for TileExpander {
    fn image_processor(&self) -> &dyn ImageProcessor {
        &self.images
    }

    /// `[views, 3, S, S]`.
    fn pixels(&self, image: &RgbImage) -> Result<PixelValues, VlmError> {
        llava::pixels(&self.images, image, &self.config.llava)
    }

    fn expand(&self, pixels: &PixelValues) -> Result<Expansion, VlmError> {
        let side = self.config.llava.vision.grid();
        let (rows, columns) = self.config.tiles.shown(pixels.original);
        let (rows, columns) = (rows.len(), columns.len());
        let tiled = (0..rows).flat_map(|row| {
            let cells = (0..columns).map(move |column| Some(Cell { view: 1, row, column }));
            // A newline shows no part of the image.
            cells.chain(std::iter::once(None))
        });
        let shown = row_by_row(0, side, side).map(Some).chain(tiled).collect();
        let views = vec![View { rows: side, columns: side, frame: None }, View { rows, columns, frame: None }];
        Ok(Expansion::of(Cells::new(views, shown)))
    }

    fn extent(&self, width: u32, height: u32, _: Option<usize>) -> Result<Extent, VlmError> {
        let (side, original) = (self.config.llava.vision.image_size, (height as usize, width as usize));
        if width == 0 || height == 0 {
            return Err(VlmError::image("(in memory)", format!("has no pixels ({width}x{height})")));
        }
        let (rows, columns) = self.config.tiles.tiles(original);
        let views = 1 + rows * columns;
        Ok(Extent { views, values: views * 3 * side * side, tokens: self.config.tiles.tokens(original) })
    }

    fn largest(&self) -> Largest {
        let vision = &self.config.llava.vision;
        Largest { visual_tokens: self.config.tiles.most_tokens(), side: vision.grid(), pixels: vision.image_size }
    }

    fn most_images(&self) -> Option<usize> {
        Some(1)
    }
}
