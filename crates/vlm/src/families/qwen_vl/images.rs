//! The image processor of Qwen2-VL and Qwen2.5-VL: an image keeps its proportions, and its patches come one by one.
//!
//! The reference is transformers' (5.24), both kinds of it: `Qwen2VLImageProcessor` over torchvision, `Qwen2VLImageProcessorPil` over Pillow.

use std::borrow::Cow;

use image::RgbImage;
use steady_pixels::resize;

use crate::VlmError;
use crate::families::PixelRange;
use crate::files::{Fields, Source};
use crate::image::{Filter, ImageOptions, ImageProcessor, Intensity, PixelBackend, PixelValues, filter, read_settings};
use crate::layout::Frame;

/// Names under which it was published.
const TYPES: [&str; 3] = ["Qwen2VLImageProcessor", "Qwen2VLImageProcessorFast", "Qwen2VLImageProcessorPil"];
const FIRST_NAME: &str = "Qwen2_5_VLImageProcessor";
const TYPE_FIELDS: [&str; 2] = ["image_processor_type", "feature_extractor_type"];
/// Longest proportion of an image.
const MAX_RATIO: f64 = 200.0;
/// Most pixels that settings may ask for.
const MAX_PIXELS: usize = 100_000_000;

/// Settings of a Qwen2-VL-type image processor.
#[derive(Clone, Debug, PartialEq)]
pub struct QwenImageProcessor {
    file: String,
    resize: Option<Filter>,
    min_pixels: usize,
    max_pixels: usize,
    patch_size: usize,
    temporal_patch_size: usize,
    merge_size: usize,
    intensity: Intensity,
    backend: PixelBackend,
}

/// A file that names no class means the model's own.
fn check_type(fields: &Fields<'_>) -> Result<(), VlmError> {
    for name in TYPE_FIELDS {
        let Some(kind) = fields.text(name)? else { continue };
        if TYPES.contains(&kind) {
            return Ok(());
        }
        let problem = if kind == FIRST_NAME {
            format!(
                "`{FIRST_NAME}` is what the first published Qwen2.5-VL files call `{0}`; transformers does not know it any more: write `{0}`",
                TYPES[0]
            )
        } else {
            format!("expected `{}`, found `{kind}`: this model takes the patches of images of any size", TYPES[0])
        };
        return Err(fields.error(name, problem));
    }
    Ok(())
}

impl QwenImageProcessor {
    /// Reads the settings of a checkpoint.
    pub(super) fn read(source: &Source, options: ImageOptions) -> Result<Self, VlmError> {
        read_settings(source, |file, fields| Self::parse(file, fields, options))
    }

    fn parse(file: String, fields: &Fields<'_>, ImageOptions { backend, max_pixels: asked }: ImageOptions) -> Result<Self, VlmError> {
        check_type(fields)?;
        fields.only(&SETTINGS, &WITHOUT_EFFECT)?;
        let enabled = |name: &str| fields.bool(name).map(|value| value.unwrap_or(true));
        if !enabled("do_convert_rgb")? {
            return Err(fields.error("do_convert_rgb", "expected true: images are always RGB here"));
        }
        // `min_pixels` and `max_pixels` are the published names; they win over `size`, as in transformers.
        let (mut least, mut most) = (Some(56 * 56), Some(28 * 28 * 1280));
        if let Some(size) = fields.object("size")? {
            (least, most) = (size.size("shortest_edge")?, size.size("longest_edge")?);
        }
        let limit = |name: &str, edge: &str, from_size: Option<usize>| {
            fields.size(name)?.or(from_size).ok_or_else(|| fields.error("size", format!("expected `{edge}` in it, or `{name}` beside it")))
        };
        let (min_pixels, stated) = (limit("min_pixels", "shortest_edge", least)?, limit("max_pixels", "longest_edge", most)?);
        let max_pixels = asked.unwrap_or(stated);
        if min_pixels > max_pixels || max_pixels > MAX_PIXELS {
            let problem =
                format!("expected at least the {min_pixels} pixels of the lower limit and at most {MAX_PIXELS}, found {max_pixels}");
            return Err(fields.error("max_pixels", problem));
        }
        let side = |name: &str, default| match fields.size(name)? {
            Some(side) if side > 256 => Err(fields.error(name, format!("expected at most 256, found {side}"))),
            side => Ok(side.unwrap_or(default)),
        };
        let resize = if enabled("do_resize")? { Some(filter(fields)?) } else { None };
        if resize.is_none() && asked.is_some() {
            return Err(fields.error("do_resize", "is false, so images are never scaled, to any number of pixels"));
        }
        Ok(Self {
            resize,
            min_pixels,
            max_pixels,
            patch_size: side("patch_size", 14)?,
            temporal_patch_size: side("temporal_patch_size", 2)?,
            merge_size: side("merge_size", 2)?,
            intensity: Intensity::parse(fields, backend)?,
            backend,
            file,
        })
    }

    /// Side of a patch, frames in a patch, side of the square of patches that becomes one visual token.
    pub(crate) fn patching(&self) -> [usize; 3] {
        [self.patch_size, self.temporal_patch_size, self.merge_size]
    }

    /// Side in pixels of a visual token.
    pub(crate) fn factor(&self) -> usize {
        self.patch_size * self.merge_size
    }

    /// Values of the patches that become one visual token.
    pub(super) fn values(&self) -> usize {
        3 * self.temporal_patch_size * self.factor() * self.factor()
    }

    /// Between which numbers of pixels images are scaled, if they are.
    pub(super) fn range(&self) -> Option<PixelRange> {
        let step = self.factor() * self.factor();
        self.resize.map(|_| PixelRange { least: self.min_pixels, most: self.max_pixels, step })
    }

    /// Visual tokens of an image of this size, scaled as the settings say, or to at most `max_pixels`.
    pub(super) fn tokens(&self, width: u32, height: u32, max_pixels: Option<usize>) -> Result<usize, VlmError> {
        let (height, width) = self.sides(width, height, max_pixels.unwrap_or(self.max_pixels))?;
        Ok(height / self.factor() * (width / self.factor()))
    }

    /// Height and width that an image of this size is resized to.
    fn sides(&self, width: u32, height: u32, max_pixels: usize) -> Result<(usize, usize), VlmError> {
        let wrong = |problem: String| VlmError::image("(in memory)", format!("{width}x{height} pixels: {problem}"));
        if width == 0 || height == 0 {
            return Err(VlmError::image("(in memory)", format!("has no pixels ({width}x{height})")));
        }
        if f64::from(width.max(height)) / f64::from(width.min(height)) > MAX_RATIO {
            return Err(wrong(format!("one side is more than {MAX_RATIO} times the other")));
        }
        let factor = self.factor();
        let sides = if self.resize.is_some() {
            smart_resize((height, width), factor, self.min_pixels, max_pixels)
        } else {
            (height as usize, width as usize)
        };
        if sides.0.saturating_mul(sides.1) > MAX_PIXELS && self.resize.is_some() {
            return Err(wrong(format!("would be resized to {}x{}", sides.1, sides.0)));
        }
        if !sides.0.is_multiple_of(factor) || !sides.1.is_multiple_of(factor) {
            return Err(wrong(format!("the settings do not resize, and its sides are no multiples of {factor}")));
        }
        Ok(sides)
    }

    /// Most visual tokens that an image becomes.
    pub(crate) fn most_tokens(&self) -> usize {
        self.max_pixels / (self.factor() * self.factor())
    }
}

impl ImageProcessor for QwenImageProcessor {
    /// All of it: only its proportions change.
    fn frame(&self, width: u32, height: u32) -> Option<Frame> {
        Some(Frame { left: 0.0, top: 0.0, width: f64::from(width), height: f64::from(height) })
    }

    /// The file the settings came from, for error messages.
    fn file(&self) -> &str {
        &self.file
    }

    /// The settings by name, in words.
    fn settings(&self) -> [(&'static str, String); 5] {
        let Self { min_pixels, max_pixels, patch_size, temporal_patch_size, merge_size, .. } = self;
        let resize = self.resize.map(|filter| format!("to {min_pixels} to {max_pixels} pixels, {filter:?}"));
        let patches = format!("{patch_size}x{patch_size}, {temporal_patch_size} frames, {merge_size}x{merge_size} merged");
        let [rescale, normalize, backend] = self.intensity.settings();
        [("resize", resize), ("patches", Some(patches)), rescale, normalize, backend]
            .map(|(name, value)| (name, value.unwrap_or_else(|| "none".to_owned())))
    }

    /// Resizes, rescales, normalises and cuts one image into patches: `[patches, 3 * frames * patch * patch]`, the patches of a
    /// visual token behind each other. A still image is repeated for every frame.
    ///
    /// # Errors
    /// When the image has no pixels, one of its sides is more than 200 times the other, or (only if the settings do not resize)
    /// its sides are no multiples of a visual token's.
    fn process(&self, image: &RgbImage) -> Result<PixelValues, VlmError> {
        let (width, height) = image.dimensions();
        let sides = self.sides(width, height, self.max_pixels)?;
        let resized: Cow<'_, RgbImage> = match self.resize {
            Some(filter) => Cow::Owned(resize(image, sides.1 as u32, sides.0 as u32, filter, self.backend)),
            None => Cow::Borrowed(image),
        };
        let (rows, columns) = (sides.0 / self.factor(), sides.1 / self.factor());
        let (merge, patch) = (self.merge_size, self.patch_size);
        let grid = [1, rows * merge, columns * merge];
        let values = 3 * self.temporal_patch_size * patch * patch;
        let levels: [[f32; 256]; 3] = std::array::from_fn(|channel| self.intensity.levels(channel));
        let mut data = Vec::with_capacity(grid[1] * grid[2] * values);
        for square in 0..rows * columns {
            for place in 0..merge * merge {
                let top = (square / columns * merge + place / merge) * patch;
                let left = (square % columns * merge + place % merge) * patch;
                for (channel, levels) in levels.iter().enumerate() {
                    let first = data.len();
                    for y in top..top + patch {
                        let line = (y * resized.width() as usize + left) * 3;
                        let line = &resized.as_raw()[line..line + patch * 3];
                        data.extend(line.iter().skip(channel).step_by(3).map(|level| levels[usize::from(*level)]));
                    }
                    for _ in 1..self.temporal_patch_size {
                        data.extend_from_within(first..first + patch * patch);
                    }
                }
            }
        }
        let original = (height as usize, width as usize);
        Ok(PixelValues { shape: vec![grid[1] * grid[2], values], data, original, grid: Some(grid) })
    }
}

/// Height and width with sides that are multiples of `factor`, between `min_pixels` and `max_pixels`, proportions nearly kept.
/// Halves round to even, as Python rounds.
fn smart_resize((height, width): (u32, u32), factor: usize, min_pixels: usize, max_pixels: usize) -> (usize, usize) {
    let (height, width) = (f64::from(height), f64::from(width));
    let factor = factor as f64;
    let nearest = |side: f64| (side / factor).round_ties_even() * factor;
    let pixels = nearest(height) * nearest(width);
    let sides = if pixels > max_pixels as f64 {
        let shrink = (height * width / max_pixels as f64).sqrt();
        [height, width].map(|side| ((side / shrink / factor).floor() * factor).max(factor))
    } else if pixels < min_pixels as f64 {
        let grow = (min_pixels as f64 / (height * width)).sqrt();
        [height, width].map(|side| (side * grow / factor).ceil() * factor)
    } else {
        [height, width].map(nearest)
    };
    let [height, width] = sides.map(|side| side as usize);
    (height, width)
}

/// Settings beside those read above that change nothing here; those of videos are among them.
const WITHOUT_EFFECT: [&str; 13] = [
    "image_processor_type",
    "feature_extractor_type",
    "processor_class",
    "_valid_processor_keys",
    "data_format",
    "input_data_format",
    "device",
    "return_tensors",
    "disable_grouping",
    "default_to_square",
    "auto_map",
    "do_center_crop",
    "crop_size",
];

const SETTINGS: [&str; 14] = [
    "do_convert_rgb",
    "do_resize",
    "size",
    "min_pixels",
    "max_pixels",
    "resample",
    "do_rescale",
    "rescale_factor",
    "do_normalize",
    "image_mean",
    "image_std",
    "patch_size",
    "temporal_patch_size",
    "merge_size",
];

#[cfg(test)]
mod tests {
    use super::smart_resize;

    /// Values of `transformers.models.qwen2_vl.image_processing_qwen2_vl.smart_resize` (5.23).
    #[test]
    fn sides_are_those_of_transformers() {
        for (from, limits, expected) in SIZES {
            assert_eq!(smart_resize(from, limits.0, limits.1, limits.2), expected, "{from:?} {limits:?}");
        }
    }

    type Size = ((u32, u32), (usize, usize, usize), (usize, usize));
    const SIZES: [Size; 12] = [
        ((70, 490), (28, 3136, 1_003_520), (56, 504)),
        ((42, 98), (28, 3136, 1_003_520), (56, 112)),
        ((28, 28), (28, 3136, 1_003_520), (56, 56)),
        ((1, 1), (28, 3136, 1_003_520), (56, 56)),
        ((3, 2), (28, 3136, 1_003_520), (84, 56)),
        ((13, 1900), (28, 3136, 1_003_520), (28, 700)),
        ((480, 640), (12, 576, 8640), (72, 96)),
        ((1000, 1000), (28, 3136, 1_003_520), (980, 980)),
        ((4000, 3000), (28, 3136, 1_003_520), (1148, 840)),
        ((9, 5), (12, 576, 8640), (36, 24)),
        ((210, 66), (28, 3136, 1_003_520), (224, 56)),
        ((14, 2800), (28, 3136, 1_003_520), (28, 812)),
    ];
}
