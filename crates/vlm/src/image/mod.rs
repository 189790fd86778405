//! Images in: decoding, Pillow's resampling, the image processors of CLIP, of the LLaVA families around it, and of the Qwen2-VL
//! families.

mod anyres;
mod clip_processor;
mod decode;
mod intensity;
mod qwen_processor;
mod resize;

use image::RgbImage;

pub use anyres::{Pinpoints, TileLayout};
pub use clip_processor::ClipProcessor;
pub use decode::{decode, load};
pub use qwen_processor::QwenImageProcessor;
pub use resize::{Filter, resize};

use crate::VlmError;
use crate::checkpoint::fields::Fields;
use crate::checkpoint::source::Source;

const OWN_FILE: &str = "preprocessor_config.json";
const SHARED_FILE: &str = "processor_config.json";
const SECTION: &str = "image_processor";

/// Pixels as the vision tower takes them.
#[derive(Clone, Debug, PartialEq)]
pub struct PixelValues {
    /// CLIP: `[views, 3, height, width]`: one view of the whole image, and with LLaVA-NeXT its tiles behind it. Qwen2-VL:
    /// `[patches, values of a patch]`.
    pub shape: Vec<usize>,
    /// CLIP: view by view, channel by channel, row by row. Qwen2-VL: patch by patch.
    pub data: Vec<f32>,
    /// Height and width of the image that they were made of.
    pub original: (usize, usize),
    /// Qwen2-VL: frames, rows and columns of patches, transformers' `image_grid_thw`.
    pub grid: Option<[usize; 3]>,
}

impl PixelValues {
    /// CLIP's views one by one, `[3, height, width]` each.
    pub(crate) fn views(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.data.chunks_exact(self.shape[1..].iter().product::<usize>().max(1))
    }
}

/// What part of an image the grid of its visual tokens lies on, in the image's pixels. It reaches over the edges where padding was added.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Frame {
    /// From the image's left edge.
    pub left: f64,
    /// From the image's upper edge.
    pub top: f64,
    /// Its width.
    pub width: f64,
    /// Its height.
    pub height: f64,
}

/// How a checkpoint wants its images: whichever of the known kinds its file names.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ImageProcessor {
    /// Views that are squares of a fixed size: one, or several with LLaVA-NeXT.
    Clip(ClipProcessor),
    /// Patches of an image in its own proportions.
    Qwen(QwenImageProcessor),
}

impl ImageProcessor {
    /// From the processor's file. `pad` stands for the LLaVA repository's `image_aspect_ratio: pad`, which its checkpoints keep in
    /// another file: images are padded to a square whatever the processor's class.
    pub(crate) fn read(source: &Source, pad: bool) -> Result<Self, VlmError> {
        // transformers 5 keeps all processors in one file; the section wins over a file of its own.
        if let Some(json) = source.json(SHARED_FILE)? {
            let label = source.label_of(SHARED_FILE);
            if let Some(section) = Fields::root(&label, &json)?.object(SECTION)? {
                return Self::parse(label.clone(), &section, pad);
            }
        }
        let json = source.json(OWN_FILE)?.ok_or_else(|| {
            source.missing(
                OWN_FILE,
                "it says how images are resized and normalised (the `image_processor` section of processor_config.json would do)",
            )
        })?;
        let label = source.label_of(OWN_FILE);
        Self::parse(label.clone(), &Fields::root(&label, &json)?, pad)
    }

    fn parse(file: String, fields: &Fields<'_>, pad: bool) -> Result<Self, VlmError> {
        if fields.text("image_processor_type")?.is_some_and(|kind| qwen_processor::TYPES.contains(&kind)) {
            return QwenImageProcessor::parse(file, fields).map(Self::Qwen);
        }
        ClipProcessor::parse(file, fields, pad).map(Self::Clip)
    }

    /// The resolutions at which tiles are cut, with their side, if this processor cuts any.
    pub(crate) fn tiling(&self) -> Option<(&Pinpoints, usize)> {
        match self {
            Self::Clip(processor) => processor.tiling(),
            Self::Qwen(_) => None,
        }
    }

    /// The file the settings came from, for error messages.
    pub(crate) fn file(&self) -> &str {
        match self {
            Self::Clip(processor) => processor.file(),
            Self::Qwen(processor) => processor.file(),
        }
    }

    /// The settings by name, in words; equal for processors that do the same, wherever they were read from.
    pub fn settings(&self) -> [(&'static str, String); 4] {
        match self {
            Self::Clip(processor) => processor.settings(),
            Self::Qwen(processor) => processor.settings(),
        }
    }

    /// What part of an image of this size the model sees, if all its visual tokens lie on one grid; LLaVA-NeXT's do not.
    pub fn frame(&self, width: u32, height: u32) -> Option<Frame> {
        match self {
            Self::Clip(processor) => processor.frame(width, height),
            Self::Qwen(_) => Some(Frame { left: 0.0, top: 0.0, width: f64::from(width), height: f64::from(height) }),
        }
    }

    /// Turns one image into what the vision tower takes.
    ///
    /// # Errors
    /// When the image has no pixels, or is so narrow that it cannot be resized.
    pub fn process(&self, image: &RgbImage) -> Result<PixelValues, VlmError> {
        match self {
            Self::Clip(processor) => processor.process(image),
            Self::Qwen(processor) => processor.process(image),
        }
    }
}
