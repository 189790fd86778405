//! Images in: decoding, Pillow's resampling, the image processors of CLIP and of the Qwen2-VL families.

mod clip_processor;
mod decode;
mod intensity;
mod qwen_processor;
mod resize;

use image::RgbImage;

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
    /// CLIP: `[1, 3, height, width]`. Qwen2-VL: `[patches, values of a patch]`.
    pub shape: Vec<usize>,
    /// CLIP: channel by channel, row by row. Qwen2-VL: patch by patch.
    pub data: Vec<f32>,
    /// Qwen2-VL: frames, rows and columns of patches, transformers' `image_grid_thw`.
    pub grid: Option<[usize; 3]>,
}

/// How a checkpoint wants its images: whichever of the known kinds its file names.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ImageProcessor {
    /// One square of fixed size.
    Clip(ClipProcessor),
    /// Patches of an image in its own proportions.
    Qwen(QwenImageProcessor),
}

impl ImageProcessor {
    pub(crate) fn read(source: &Source) -> Result<Self, VlmError> {
        // transformers 5 keeps all processors in one file; the section wins over a file of its own.
        if let Some(json) = source.json(SHARED_FILE)? {
            let label = source.label_of(SHARED_FILE);
            if let Some(section) = Fields::root(&label, &json)?.object(SECTION)? {
                return Self::parse(label.clone(), &section);
            }
        }
        let json = source.json(OWN_FILE)?.ok_or_else(|| {
            source.missing(
                OWN_FILE,
                "it says how images are resized and normalised (the `image_processor` section of processor_config.json would do)",
            )
        })?;
        let label = source.label_of(OWN_FILE);
        Self::parse(label.clone(), &Fields::root(&label, &json)?)
    }

    fn parse(file: String, fields: &Fields<'_>) -> Result<Self, VlmError> {
        if fields.text("image_processor_type")?.is_some_and(|kind| qwen_processor::TYPES.contains(&kind)) {
            return QwenImageProcessor::parse(file, fields).map(Self::Qwen);
        }
        ClipProcessor::parse(file, fields).map(Self::Clip)
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
