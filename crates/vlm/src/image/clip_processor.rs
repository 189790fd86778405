//! CLIP's image processor.
//!
//! The reference is transformers' Pillow backend (`CLIPImageProcessorPil` of 5.23, `CLIPImageProcessor` with
//! `use_fast=False` of earlier versions), not the torchvision one: resize with Pillow's kernels, centre crop with zeros
//! where the image is too small, `x * rescale_factor` in f64 rounded to f32, then `(x - mean) / std` in f32.

use image::RgbImage;

use super::PixelValues;
use super::intensity::Intensity;
use super::resize::{Filter, resize};
use crate::VlmError;
use crate::checkpoint::fields::{Fields, expected};

/// Largest side that settings may ask for.
const MAX_SIDE: usize = 8192;

/// Settings of a CLIP-type image processor.
#[derive(Clone, Debug, PartialEq)]
pub struct ClipProcessor {
    file: String,
    resize: Option<(Size, Filter)>,
    /// Height and width.
    crop: Option<(usize, usize)>,
    intensity: Intensity,
}

/// What an image is resized to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Size {
    /// The shorter side becomes this; the longer one follows, rounded down.
    ShortestEdge(usize),
    /// Both sides given, proportions ignored.
    Exact { height: usize, width: usize },
}

impl ClipProcessor {
    pub(super) fn parse(file: String, fields: &Fields<'_>) -> Result<Self, VlmError> {
        check_known(fields)?;
        let enabled = |name: &str| fields.bool(name).map(|value| value.unwrap_or(true));
        if !enabled("do_convert_rgb")? {
            return Err(fields.error("do_convert_rgb", "expected true: images are always RGB here"));
        }
        if fields.bool("do_pad")?.unwrap_or(false) {
            return Err(fields.error("do_pad", "expected false: padding to a square is not known here"));
        }
        let resize = if enabled("do_resize")? { Some((size(fields)?, filter(fields)?)) } else { None };
        let crop = if enabled("do_center_crop")? { Some(crop_size(fields)?) } else { None };
        Ok(Self { file, resize, crop, intensity: Intensity::parse(fields)? })
    }

    /// The file the settings came from, for error messages.
    pub(super) fn file(&self) -> &str {
        &self.file
    }

    /// The settings by name, in words.
    pub(super) fn settings(&self) -> [(&'static str, String); 4] {
        let resize = self.resize.map(|(size, filter)| format!("{size:?}, {filter:?}"));
        let crop = self.crop.map(|(height, width)| format!("{height}x{width}"));
        let [rescale, normalize] = self.intensity.settings();
        [("resize", resize), ("crop", crop), rescale, normalize].map(|(name, value)| (name, value.unwrap_or_else(|| "none".to_owned())))
    }

    /// Resizes, crops, rescales and normalises one image.
    ///
    /// # Errors
    /// When the image has no pixels, or is so narrow that resizing its short side would need more than 100 million pixels.
    pub fn process(&self, image: &RgbImage) -> Result<PixelValues, VlmError> {
        const MAX_PIXELS: u64 = 100_000_000;
        if image.is_empty() {
            return Err(VlmError::image("(in memory)", format!("has no pixels ({}x{})", image.width(), image.height())));
        }
        let mut image = std::borrow::Cow::Borrowed(image);
        if let Some((size, filter)) = self.resize {
            let (width, height) = size.of(image.width(), image.height());
            if width * height > MAX_PIXELS || width == 0 || height == 0 {
                let problem = format!("{}x{} would be resized to {width}x{height}", image.width(), image.height());
                return Err(VlmError::image("(in memory)", problem));
            }
            image = std::borrow::Cow::Owned(resize(&image, width as u32, height as u32, filter));
        }
        if let Some((height, width)) = self.crop {
            image = std::borrow::Cow::Owned(centre_crop(&image, width, height));
        }
        let (width, height) = (image.width() as usize, image.height() as usize);
        let mut data = Vec::with_capacity(3 * width * height);
        for channel in 0..3 {
            let values = self.intensity.levels(channel);
            data.extend(image.as_raw().iter().skip(channel).step_by(3).map(|level| values[*level as usize]));
        }
        Ok(PixelValues { shape: vec![1, 3, height, width], data, grid: None })
    }
}

impl Size {
    /// Width and height that an image of `width` x `height` becomes.
    fn of(self, width: u32, height: u32) -> (u64, u64) {
        match self {
            Self::Exact { height, width } => (width as u64, height as u64),
            Self::ShortestEdge(edge) => {
                let (short, long) = (u64::from(width.min(height)), u64::from(width.max(height)));
                // `int(edge * long / short)`: the division is in f64.
                let other = ((edge as u64 * long) as f64 / short as f64) as u64;
                if width <= height { (edge as u64, other) } else { (other, edge as u64) }
            }
        }
    }
}

/// The middle `width` x `height` pixels; where the image is smaller, zeros around it, the odd one before.
fn centre_crop(image: &RgbImage, width: usize, height: usize) -> RgbImage {
    let mut out = RgbImage::new(width as u32, height as u32);
    let columns = Overlap::of(image.width() as usize, width);
    let rows = Overlap::of(image.height() as usize, height);
    let (from, to) = (image.width() as usize * 3, width * 3);
    let raw: &mut [u8] = &mut out;
    for row in 0..rows.length {
        let source = (rows.source + row) * from + columns.source * 3;
        let target = (rows.target + row) * to + columns.target * 3;
        raw[target..target + columns.length * 3].copy_from_slice(&image.as_raw()[source..source + columns.length * 3]);
    }
    out
}

/// Which samples of one axis survive the crop, and where they go.
struct Overlap {
    source: usize,
    target: usize,
    length: usize,
}

impl Overlap {
    /// transformers pads both axes before it crops as soon as one is too small, `ceil(padding / 2)` in front; the crop
    /// then starts at `floor((size - crop) / 2)`, which is negative for the small axis, plus that padding.
    fn of(size: usize, crop: usize) -> Self {
        if size >= crop {
            Self { source: (size - crop) / 2, target: 0, length: crop }
        } else {
            Self { source: 0, target: (crop - size).div_ceil(2), length: size }
        }
    }
}

/// Settings beside those read below that change nothing here.
const WITHOUT_EFFECT: [&str; 10] = [
    "processor_class",
    "_valid_processor_keys",
    "data_format",
    "input_data_format",
    "device",
    "return_tensors",
    "disable_grouping",
    "default_to_square",
    "image_seq_length",
    "auto_map",
];

const SETTINGS: [&str; 13] = [
    "do_convert_rgb",
    "do_resize",
    "size",
    "resample",
    "do_center_crop",
    "crop_size",
    "do_rescale",
    "rescale_factor",
    "do_normalize",
    "image_mean",
    "image_std",
    "do_pad",
    "use_square_size",
];

fn check_known(fields: &Fields<'_>) -> Result<(), VlmError> {
    const TYPES: [&str; 4] = ["CLIPImageProcessor", "CLIPImageProcessorFast", "CLIPImageProcessorPil", "CLIPFeatureExtractor"];
    for name in ["image_processor_type", "feature_extractor_type"] {
        if let Some(kind) = fields.text(name)?
            && !TYPES.contains(&kind)
        {
            return Err(fields.unknown(name, kind, &TYPES));
        }
    }
    for key in fields.keys().filter(|key| fields.get(key).is_some()) {
        let typed = matches!(key, "image_processor_type" | "feature_extractor_type");
        if !typed && !SETTINGS.contains(&key) && !WITHOUT_EFFECT.contains(&key) {
            return Err(fields.error(key, format!("is not a known setting; known: {}", SETTINGS.join(", "))));
        }
    }
    Ok(())
}

fn size(fields: &Fields<'_>) -> Result<Size, VlmError> {
    const NAME: &str = "size";
    if fields.get(NAME).is_some_and(serde_json::Value::is_number) {
        return Ok(Size::ShortestEdge(side(fields, NAME)?));
    }
    let Some(size) = fields.object(NAME)? else { return Ok(Size::ShortestEdge(224)) };
    let sides: Vec<&str> = size.keys().filter(|key| size.get(key).is_some()).collect();
    match sides.as_slice() {
        ["shortest_edge"] => Ok(Size::ShortestEdge(side(&size, "shortest_edge")?)),
        ["height", "width"] | ["width", "height"] => Ok(Size::Exact { height: side(&size, "height")?, width: side(&size, "width")? }),
        other => {
            let problem = format!("expected `shortest_edge`, or `height` and `width`, found {}", other.join(", "));
            Err(fields.error(NAME, problem))
        }
    }
}

fn crop_size(fields: &Fields<'_>) -> Result<(usize, usize), VlmError> {
    const NAME: &str = "crop_size";
    if fields.get(NAME).is_some_and(serde_json::Value::is_number) {
        return side(fields, NAME).map(|side| (side, side));
    }
    let Some(size) = fields.object(NAME)? else { return Ok((224, 224)) };
    Ok((side(&size, "height")?, side(&size, "width")?))
}

fn side(fields: &Fields<'_>, name: &str) -> Result<usize, VlmError> {
    match fields.size(name)? {
        Some(side) if side <= MAX_SIDE => Ok(side),
        Some(side) => Err(fields.error(name, format!("expected at most {MAX_SIDE} pixels, found {side}"))),
        None => Err(fields.error(name, "is missing")),
    }
}

/// Pillow's numbers for its filters.
pub(super) fn filter(fields: &Fields<'_>) -> Result<Filter, VlmError> {
    match fields.i64("resample")? {
        Some(1) => Ok(Filter::Lanczos),
        Some(2) => Ok(Filter::Bilinear),
        None | Some(3) => Ok(Filter::Bicubic),
        Some(other) => Err(fields.unknown("resample", &other.to_string(), &["1 (lanczos)", "2 (bilinear)", "3 (bicubic)"])),
    }
}

/// One number per channel, or one for all three. Rounded to f32 once, as numpy does.
pub(super) fn channels(fields: &Fields<'_>, name: &str, default: [f64; 3]) -> Result<[f32; 3], VlmError> {
    let wrong = |value| fields.error(name, expected("a number or a list of three numbers", value));
    let values = match fields.get(name) {
        None => default,
        Some(value @ serde_json::Value::Array(list)) => match list.iter().map(serde_json::Value::as_f64).collect::<Vec<_>>()[..] {
            [Some(red), Some(green), Some(blue)] => [red, green, blue],
            _ => return Err(wrong(value)),
        },
        Some(value) => [value.as_f64().ok_or_else(|| wrong(value))?; 3],
    };
    Ok(values.map(|value| value as f32))
}
