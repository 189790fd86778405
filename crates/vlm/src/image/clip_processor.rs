//! CLIP's image processor, and what the LLaVA family puts in front of it: padding to a square with the mean colour (LLaVA-1.5 as
//! trained, LLaVA-Med), or any-resolution tiles (LLaVA-NeXT).
//!
//! The reference is transformers' (5.24), both kinds of it: `CLIPImageProcessor`, `LlavaImageProcessor` and `LlavaNextImageProcessor` over
//! torchvision, the same with `Pil` behind their names over Pillow. Resize with the backend's kernels, centre crop with zeros where the
//! image is too small, then [`super::intensity`].

use std::borrow::Cow;

use image::{RgbImage, imageops};
use steady_pixels::resize;

use super::anyres::Pinpoints;
use super::intensity::{Intensity, mean};
use super::{Filter, ImageOptions, ImageProcessor, PixelBackend, PixelValues};
use crate::VlmError;
use crate::files::Fields;
use crate::layout::Frame;

/// Largest side that settings may ask for.
const MAX_SIDE: usize = 8192;
/// Largest image that a step may make.
const MAX_PIXELS: u64 = 100_000_000;

/// Settings of a CLIP-type image processor.
#[derive(Clone, Debug, PartialEq)]
pub struct ClipProcessor {
    file: String,
    framing: Framing,
    resize: Option<(Size, Filter)>,
    /// Height and width.
    crop: Option<(usize, usize)>,
    intensity: Intensity,
    backend: PixelBackend,
}

/// What happens to an image before it is resized.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Framing {
    /// Nothing.
    Whole,
    /// It becomes a square of its longer side, the image in the middle of the mean colour.
    Square { colour: [u8; 3] },
    /// It is shown as a whole, squeezed to `base` (height and width), and in tiles of `side` at the best of the pinpoints.
    Tiles { pinpoints: Pinpoints, base: (usize, usize), side: usize },
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
    /// From the processor's settings; images are padded to a square if they or `pad` say so.
    ///
    /// # Errors
    /// When a setting is not known, or is of the wrong type.
    pub fn parse(file: String, fields: &Fields<'_>, pad: bool, options: ImageOptions) -> Result<Self, VlmError> {
        fields.only(&SETTINGS, &[&TYPE_FIELDS[..], &WITHOUT_EFFECT].concat())?;
        let enabled = |name: &str| fields.bool(name).map(|value| value.unwrap_or(true));
        if !enabled("do_convert_rgb")? {
            return Err(fields.error("do_convert_rgb", "expected true: images are always RGB here"));
        }
        let resize = if enabled("do_resize")? { Some((size(fields)?, filter(fields)?)) } else { None };
        let crop = if enabled("do_center_crop")? { Some(crop_size(fields)?) } else { None };
        let do_pad = fields.bool("do_pad")?.unwrap_or(false);
        let framing = match Class::of(fields)? {
            // Here `do_pad` is about batches: it makes the numbers of tiles equal.
            Class::LlavaNext => tiles(fields)?,
            Class::Clip if do_pad => {
                return Err(fields.error("do_pad", "expected false: CLIP's own processor does not pad (LlavaImageProcessor does)"));
            }
            Class::Llava if do_pad => Framing::Square { colour: mean_colour(fields)? },
            Class::Clip | Class::Llava if pad => Framing::Square { colour: mean_colour(fields)? },
            Class::Clip | Class::Llava => Framing::Whole,
        };
        let ImageOptions { backend, max_pixels } = options;
        if max_pixels.is_some() {
            let problem =
                format!("is the limit of processors that scale images to a range of pixels; that of {file} gives images of one size");
            return Err(VlmError::Invalid { what: "max_pixels".to_owned(), problem });
        }
        Ok(Self { file, framing, resize, crop, intensity: Intensity::parse(fields, backend)?, backend })
    }

    /// The resolutions at which tiles are cut, with their side, if this processor cuts any.
    pub fn tiling(&self) -> Option<(&Pinpoints, usize)> {
        match &self.framing {
            Framing::Tiles { pinpoints, side, .. } => Some((pinpoints, *side)),
            Framing::Whole | Framing::Square { .. } => None,
        }
    }

    /// Resizes and crops.
    fn fit<'a>(&self, mut image: Cow<'a, RgbImage>) -> Result<Cow<'a, RgbImage>, VlmError> {
        if let Some((size, filter)) = self.resize {
            let (width, height) = size.of(image.width(), image.height());
            if width * height > MAX_PIXELS || width == 0 || height == 0 {
                let problem = format!("{}x{} would be resized to {width}x{height}", image.width(), image.height());
                return Err(VlmError::image("(in memory)", problem));
            }
            image = Cow::Owned(resize(&image, width as u32, height as u32, filter, self.backend));
        }
        if let Some((height, width)) = self.crop {
            image = Cow::Owned(centre_crop(&image, width, height, self.backend));
        }
        Ok(image)
    }
}

impl ImageProcessor for ClipProcessor {
    /// What part of an image of this size is left of it, unless it is cut into tiles.
    fn frame(&self, width: u32, height: u32) -> Option<Frame> {
        let framed = match self.framing {
            Framing::Whole => (width, height),
            Framing::Square { .. } => (width.max(height), width.max(height)),
            Framing::Tiles { .. } => return None,
        };
        let resized = self.resize.map_or((framed.0.into(), framed.1.into()), |(size, _)| size.of(framed.0, framed.1));
        let crop = self.crop.map_or(resized, |(height, width)| (width as u64, height as u64));
        // start and length on one axis
        let part = |image: u32, framed: u32, resized: u64, crop: u64| {
            let before = Overlap::of(resized as usize, crop as usize, self.backend);
            let pixel = f64::from(framed) / resized as f64;
            let start = (before.source as f64 - before.target as f64) * pixel - f64::from((framed - image) / 2);
            (start, crop as f64 * pixel)
        };
        let (left, across) = part(width, framed.0, resized.0, crop.0);
        let (top, down) = part(height, framed.1, resized.1, crop.1);
        Some(Frame { left, top, width: across, height: down })
    }

    /// The file the settings came from, for error messages.
    fn file(&self) -> &str {
        &self.file
    }

    /// The settings by name, in words.
    fn settings(&self) -> [(&'static str, String); 5] {
        let framing = match &self.framing {
            Framing::Whole => String::new(),
            Framing::Square { colour } => format!("padded to a square with {colour:?}, "),
            Framing::Tiles { pinpoints, base, side } => format!("whole {base:?} and tiles of {side} at the best of {pinpoints:?}, "),
        };
        let resize = self.resize.map(|(size, filter)| format!("{framing}{size:?}, {filter:?}"));
        let crop = self.crop.map(|(height, width)| format!("{height}x{width}"));
        let [rescale, normalize, backend] = self.intensity.settings();
        [("resize", resize), ("crop", crop), rescale, normalize, backend]
            .map(|(name, value)| (name, value.unwrap_or_else(|| "none".to_owned())))
    }

    /// Frames, resizes, crops, rescales and normalises one image.
    ///
    /// # Errors
    /// When the image has no pixels, or is so narrow that resizing its short side would need more than 100 million pixels.
    fn process(&self, image: &RgbImage) -> Result<PixelValues, VlmError> {
        if image.is_empty() {
            return Err(VlmError::image("(in memory)", format!("has no pixels ({}x{})", image.width(), image.height())));
        }
        let filter = self.resize.map_or(Filter::Bicubic, |(_, filter)| filter);
        let views = match &self.framing {
            Framing::Whole => vec![Cow::Borrowed(image)],
            Framing::Square { colour } => vec![square(image, *colour)?],
            Framing::Tiles { pinpoints, base, side } => {
                let whole = resize(image, base.1 as u32, base.0 as u32, filter, self.backend);
                std::iter::once(whole).chain(pinpoints.tiles(image, *side, filter, self.backend)).map(Cow::Owned).collect()
            }
        };
        let count = views.len();
        let mut data = Vec::new();
        let mut size = (0, 0);
        for view in views {
            let view = self.fit(view)?;
            size = (view.height() as usize, view.width() as usize);
            data.reserve(3 * size.0 * size.1);
            for channel in 0..3 {
                let values = self.intensity.levels(channel);
                data.extend(view.as_raw().iter().skip(channel).step_by(3).map(|level| values[*level as usize]));
            }
        }
        let original = (image.height() as usize, image.width() as usize);
        Ok(PixelValues { shape: vec![count, 3, size.0, size.1], data, original, grid: None })
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

/// The image in the middle of a square of its longer side, the odd row or column behind it.
fn square(image: &RgbImage, colour: [u8; 3]) -> Result<Cow<'_, RgbImage>, VlmError> {
    let (width, height) = image.dimensions();
    if width == height {
        return Ok(Cow::Borrowed(image));
    }
    let side = width.max(height);
    if u64::from(side) * u64::from(side) > MAX_PIXELS {
        return Err(VlmError::image("(in memory)", format!("{width}x{height} would be padded to {side}x{side}")));
    }
    let mut out = RgbImage::from_pixel(side, side, image::Rgb(colour));
    imageops::replace(&mut out, image, i64::from((side - width) / 2), i64::from((side - height) / 2));
    Ok(Cow::Owned(out))
}

/// The middle `width` x `height` pixels; where the image is smaller, zeros around it.
fn centre_crop(image: &RgbImage, width: usize, height: usize, backend: PixelBackend) -> RgbImage {
    let mut out = RgbImage::new(width as u32, height as u32);
    let columns = Overlap::of(image.width() as usize, width, backend);
    let rows = Overlap::of(image.height() as usize, height, backend);
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
    /// Over Pillow, transformers pads both axes before it crops as soon as one is too small, `ceil(padding / 2)` in front; the crop
    /// then starts at `floor((size - crop) / 2)`, which is negative for the small axis, plus that padding. Over torchvision only the small
    /// axis is padded, `floor(padding / 2)` in front.
    fn of(size: usize, crop: usize, backend: PixelBackend) -> Self {
        let padding = crop.saturating_sub(size);
        let target = match backend {
            PixelBackend::Torchvision => padding / 2,
            PixelBackend::Pil => padding.div_ceil(2),
        };
        Self { source: size.saturating_sub(crop) / 2, target, length: size.min(crop) }
    }
}

/// Settings beside those read below that change nothing here.
const WITHOUT_EFFECT: [&str; 11] = [
    "aspect_ratio_setting",
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

const SETTINGS: [&str; 14] = [
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
    "image_grid_pinpoints",
    "use_square_size",
];

/// The processor classes, by what happens to an image before it is resized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Clip,
    Llava,
    LlavaNext,
}

impl Class {
    /// Every name that one class has had; without one it is CLIP's.
    const NAMES: [(&str, Self); 10] = [
        ("CLIPImageProcessor", Self::Clip),
        ("CLIPImageProcessorFast", Self::Clip),
        ("CLIPImageProcessorPil", Self::Clip),
        ("CLIPFeatureExtractor", Self::Clip),
        ("LlavaImageProcessor", Self::Llava),
        ("LlavaImageProcessorFast", Self::Llava),
        ("LlavaImageProcessorPil", Self::Llava),
        ("LlavaNextImageProcessor", Self::LlavaNext),
        ("LlavaNextImageProcessorFast", Self::LlavaNext),
        ("LlavaNextImageProcessorPil", Self::LlavaNext),
    ];

    fn of(fields: &Fields<'_>) -> Result<Self, VlmError> {
        let mut family = None;
        for name in TYPE_FIELDS {
            let Some(kind) = fields.text(name)? else { continue };
            let Some((_, known)) = Self::NAMES.iter().find(|(known, _)| *known == kind) else {
                let known: Vec<&str> = Self::NAMES.iter().map(|(known, _)| *known).collect();
                return Err(fields.unknown(name, kind, &known));
            };
            family.get_or_insert(*known);
        }
        let untyped = if fields.get("image_grid_pinpoints").is_some() { Self::LlavaNext } else { Self::Clip };
        Ok(family.unwrap_or(untyped))
    }
}

const TYPE_FIELDS: [&str; 2] = ["image_processor_type", "feature_extractor_type"];

/// The mean as a colour, rounded down.
fn mean_colour(fields: &Fields<'_>) -> Result<[u8; 3], VlmError> {
    let mean = mean(fields)?;
    if mean.iter().any(|mean| !(0.0..=1.0).contains(mean)) {
        return Err(fields.error("image_mean", "expected numbers from 0 to 1: images are padded with it as a colour"));
    }
    Ok(mean.map(|mean| (mean * 255.0) as u8))
}

/// Tiles are as large as the crop, the base view as `size` says.
fn tiles(fields: &Fields<'_>) -> Result<Framing, VlmError> {
    let base = match size(fields)? {
        Size::ShortestEdge(edge) => (edge, edge),
        Size::Exact { height, width } => (height, width),
    };
    let (side, width) = crop_size(fields)?;
    if side != width {
        return Err(fields.error("crop_size", format!("expected square tiles, found {side}x{width}")));
    }
    let pinpoints = Pinpoints::parse(fields, "image_grid_pinpoints")?;
    if let Some((height, width)) = pinpoints.not_tiled_by(side) {
        let problem = format!("{height}x{width} is not a whole number of tiles of {side} pixels (`crop_size`)");
        return Err(fields.error("image_grid_pinpoints", problem));
    }
    Ok(Framing::Tiles { pinpoints, base, side })
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

/// The filter that `resample` names by Pillow's numbers.
///
/// # Errors
/// When it is none of those known.
pub fn filter(fields: &Fields<'_>) -> Result<Filter, VlmError> {
    match fields.i64("resample")? {
        Some(1) => Ok(Filter::Lanczos),
        Some(2) => Ok(Filter::Bilinear),
        None | Some(3) => Ok(Filter::Bicubic),
        Some(other) => Err(fields.unknown("resample", &other.to_string(), &["1 (lanczos)", "2 (bilinear)", "3 (bicubic)"])),
    }
}
