//! Any-resolution tiling of LLaVA-NeXT (Liu et al., 2024): which resolution an image is shown at, how it is cut into tiles, and
//! which of the tiles' patches show the image and not its padding. Geometry alone; sizes are `(height, width)` throughout.

use std::ops::Range;

use image::{RgbImage, imageops};
use steady_pixels::resize;

use super::{Filter, PixelBackend};
use crate::VlmError;
use crate::files::{Fields, expected};

/// The resolutions that an image may be shown at besides the base view, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pinpoints(Vec<(usize, usize)>);

/// How the tiles of an image become rows of patches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TileLayout {
    pinpoints: Pinpoints,
    /// Side of a tile in pixels.
    side: usize,
    /// Patches along one side of a tile.
    grid: usize,
}

impl Pinpoints {
    /// What transformers assumes where a file names none.
    const DEFAULT: [(usize, usize); 5] = [(336, 672), (672, 336), (672, 672), (1008, 336), (336, 1008)];

    pub(crate) fn parse(fields: &Fields<'_>, name: &str) -> Result<Self, VlmError> {
        const KIND: &str = "a list of [height, width] of at most 16384 pixels each";
        const MAX_SIDE: u64 = 1 << 14;
        let Some(value) = fields.get(name) else { return Ok(Self(Self::DEFAULT.to_vec())) };
        let side = |value: &serde_json::Value| value.as_u64().filter(|side| (1..=MAX_SIDE).contains(side)).map(|side| side as usize);
        let pair = |value: &serde_json::Value| match value.as_array()?.as_slice() {
            [height, width] => Some((side(height)?, side(width)?)),
            _ => None,
        };
        let list = value.as_array().and_then(|list| list.iter().map(pair).collect::<Option<Vec<_>>>());
        match list {
            Some(list) if !list.is_empty() => Ok(Self(list)),
            _ => Err(fields.error(name, expected(KIND, value))),
        }
    }

    /// The first pinpoint that is not a whole number of tiles of this side.
    pub(crate) fn not_tiled_by(&self, side: usize) -> Option<(usize, usize)> {
        self.0.iter().copied().find(|(height, width)| !height.is_multiple_of(side) || !width.is_multiple_of(side))
    }

    /// The resolution that shows most of the image's own pixels, the least waste on ties, the first in the list on further ones.
    pub(crate) fn best_for(&self, (height, width): (usize, usize)) -> (usize, usize) {
        let rank = |&(tall, wide): &(usize, usize)| {
            // Truncated products of f64, as in the reference: a pixel more or less decides between resolutions.
            let scale = (wide as f64 / width as f64).min(tall as f64 / height as f64);
            let shown = (width as f64 * scale) as usize * (height as f64 * scale) as usize;
            let effective = shown.min(width * height);
            (effective, std::cmp::Reverse(tall * wide - effective.min(tall * wide)))
        };
        let mut best = self.0[0];
        for candidate in &self.0[1..] {
            if rank(candidate) > rank(&best) {
                best = *candidate;
            }
        }
        best
    }

    /// The image at its best resolution, proportions kept, black around it, cut into tiles of `side`: row by row.
    pub(crate) fn tiles(&self, image: &RgbImage, side: usize, filter: Filter, backend: PixelBackend) -> Vec<RgbImage> {
        let original = (image.height() as usize, image.width() as usize);
        let (height, width) = self.best_for(original);
        let (shown_height, shown_width) = fitted(original, (height, width));
        let shown = resize(image, shown_width as u32, shown_height as u32, filter, backend);
        let mut canvas = RgbImage::new(width as u32, height as u32);
        imageops::replace(&mut canvas, &shown, ((width - shown_width) / 2) as i64, ((height - shown_height) / 2) as i64);
        let corners = (0..height).step_by(side).flat_map(|top| (0..width).step_by(side).map(move |left| (top, left)));
        corners.map(|(top, left)| imageops::crop_imm(&canvas, left as u32, top as u32, side as u32, side as u32).to_image()).collect()
    }
}

/// The size of an image that fills `target` in one direction and keeps its proportions in the other, rounded up.
fn fitted((height, width): (usize, usize), (tall, wide): (usize, usize)) -> (usize, usize) {
    let (by_width, by_height) = (wide as f64 / width as f64, tall as f64 / height as f64);
    if by_width < by_height {
        (((height as f64 * by_width).ceil() as usize).min(tall), wide)
    } else {
        (tall, ((width as f64 * by_height).ceil() as usize).min(wide))
    }
}

impl TileLayout {
    /// Tiles of `side` pixels with `grid` x `grid` patches each; `pinpoints` are whole numbers of tiles.
    pub(crate) fn new(pinpoints: Pinpoints, side: usize, grid: usize) -> Self {
        Self { pinpoints, side, grid }
    }

    pub(crate) fn pinpoints(&self) -> &Pinpoints {
        &self.pinpoints
    }

    /// Rows and columns of tiles, the base view not counted.
    pub(crate) fn tiles(&self, original: (usize, usize)) -> (usize, usize) {
        let (height, width) = self.pinpoints.best_for(original);
        (height / self.side, width / self.side)
    }

    /// Rows and columns of the tiled patches that show the image and not its padding.
    pub(crate) fn shown(&self, original: (usize, usize)) -> (Range<usize>, Range<usize>) {
        let (tile_rows, tile_cols) = self.tiles(original);
        let (rows, cols) = (tile_rows * self.grid, tile_cols * self.grid);
        let (height, width) = (original.0 as f64, original.1 as f64);
        if width / height > cols as f64 / rows as f64 {
            let shown = floor_after_seven_digits(height * (cols as f64 / width));
            let padding = (rows - shown.min(rows)) / 2;
            (padding..rows - padding, 0..cols)
        } else {
            let shown = floor_after_seven_digits(width * (rows as f64 / height));
            let padding = (cols - shown.min(cols)) / 2;
            (0..rows, padding..cols - padding)
        }
    }

    /// Visual tokens of an image: the base view, then every shown row of patches with a newline behind it.
    pub fn tokens(&self, original: (usize, usize)) -> usize {
        let (rows, cols) = self.shown(original);
        self.grid * self.grid + rows.len() * (cols.len() + 1)
    }

    /// The most visual tokens that any image becomes.
    pub fn most_tokens(&self) -> usize {
        let tokens = |&(height, width): &(usize, usize)| {
            let (rows, cols) = (height / self.side * self.grid, width / self.side * self.grid);
            self.grid * self.grid + rows * (cols + 1)
        };
        self.pinpoints.0.iter().map(tokens).max().unwrap_or(0)
    }

    /// All patches, as rows of all views' patches, view after view: those of the base view, then those of the tiles row by row across tiles,
    /// padding included.
    pub(crate) fn reading(&self, original: (usize, usize)) -> Vec<usize> {
        let (tile_rows, tile_cols) = self.tiles(original);
        let (grid, patches) = (self.grid, self.grid * self.grid);
        let tiled = (0..tile_rows * grid).flat_map(|row| {
            (0..tile_cols * grid).map(move |col| (1 + row / grid * tile_cols + col / grid) * patches + row % grid * grid + col % grid)
        });
        (0..patches).chain(tiled).collect()
    }

    /// The order in which patches become tokens, as rows of all views' patches, view after view; the newline is the row behind
    /// the last patch.
    pub(crate) fn order(&self, original: (usize, usize)) -> Vec<usize> {
        let (tile_rows, tile_cols) = self.tiles(original);
        let (grid, patches) = (self.grid, self.grid * self.grid);
        let newline = (1 + tile_rows * tile_cols) * patches;
        let (rows, cols) = self.shown(original);
        let mut order: Vec<usize> = (0..patches).collect();
        for row in rows {
            order.extend(cols.clone().map(|col| {
                let view = 1 + row / grid * tile_cols + col / grid;
                view * patches + row % grid * grid + col % grid
            }));
            order.push(newline);
        }
        order
    }
}

/// `int(round(x, 7))`: whole numbers that floating point missed by a hair count as reached.
fn floor_after_seven_digits(x: f64) -> usize {
    ((x * 1e7).round() / 1e7) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn published() -> Pinpoints {
        Pinpoints(Pinpoints::DEFAULT.to_vec())
    }

    fn published_layout() -> TileLayout {
        TileLayout::new(published(), 336, 24)
    }

    /// By hand: what each resolution shows of the image is compared, then what it wastes.
    #[test]
    fn the_best_resolution() {
        for (original, best) in [
            ((336, 672), (336, 672)),
            ((672, 336), (672, 336)),
            ((500, 500), (672, 672)),
            ((100, 100), (336, 672)), // all show all of it; the first of the least wasteful
            ((200, 2000), (336, 1008)),
            ((2000, 200), (1008, 336)),
            ((1, 5000), (336, 672)), // nothing is left of a hair's breadth anywhere
        ] {
            assert_eq!(published().best_for(original), best, "{original:?}");
        }
    }

    /// The paper's most: four tiles and the base view make 5 x 576 patches; 48 rows have a newline each.
    #[test]
    fn token_counts_by_hand() {
        let layout = published_layout();
        assert_eq!(layout.tokens((672, 672)), 576 + 48 * 49);
        assert_eq!(layout.most_tokens(), 576 + 48 * 49);
        // 300 x 400 (width x height) fits into two tiles, one above the other; it fills them in width, so 32 of 48 rows show it.
        assert_eq!(layout.tokens((400, 300)), 576 + 32 * 25);
        // A hair's breadth of 49 x 1 is less than a row of patches: only the base view is left.
        assert_eq!(layout.tokens((1, 49)), 576);
        // 640 x 480 (width x height) is 36 rows of 48.
        assert_eq!(layout.tokens((480, 640)), 576 + 36 * 49);
    }

    proptest! {
        #[test]
        fn every_shown_patch_is_taken_once_in_reading_order(height in 1_usize..3000, width in 1_usize..3000) {
            let layout = published_layout();
            let order = layout.order((height, width));
            prop_assert_eq!(order.len(), layout.tokens((height, width)));
            prop_assert!(order.len() <= layout.most_tokens());
            let (tile_rows, tile_cols) = layout.tiles((height, width));
            let newline = (1 + tile_rows * tile_cols) * 576;
            let mut patches: Vec<usize> = order.iter().copied().filter(|row| *row != newline).collect();
            let count = patches.len();
            patches.sort_unstable();
            patches.dedup();
            prop_assert_eq!(patches.len(), count);
            prop_assert!(patches.iter().all(|row| *row < newline));
            let rows = layout.shown((height, width)).0;
            prop_assert_eq!(order.iter().filter(|row| **row == newline).count(), rows.len());
            prop_assert!(rows.is_empty() || *order.last().unwrap() == newline);
        }

        /// What is cut away is black, and no more than a patch of it is left on either side.
        #[test]
        fn what_is_not_shown_is_padding(height in 40_usize..1500, width in 40_usize..1500) {
            let layout = published_layout();
            let (rows, cols) = layout.shown((height, width));
            let (tall, wide) = published().best_for((height, width));
            let (shown_height, shown_width) = fitted((height, width), (tall, wide));
            let patch = 14;
            prop_assert!((rows.len() * patch).abs_diff(shown_height) <= 2 * patch, "{rows:?} {shown_height}");
            prop_assert!((cols.len() * patch).abs_diff(shown_width) <= 2 * patch, "{cols:?} {shown_width}");
        }
    }
}
