//! Images in: the image processors of CLIP-type towers. Files and sizes are steady-pixels'.

mod anyres;
mod clip_processor;
mod intensity;

use std::fmt::Debug;
use std::path::Path;

use image::RgbImage;
use serde_json::Value;

pub use anyres::{Pinpoints, TileLayout};
pub use clip_processor::{ClipProcessor, filter};
pub use intensity::Intensity;
pub use steady_pixels::{Filter, PixelBackend};

use crate::families::Redraw;
use crate::files::{Fields, Source};
use crate::layout::Frame;
use crate::{HostMatrix, VlmError};

/// Reads an image file as Pillow does: see [`steady_pixels::load`].
///
/// # Errors
/// When the file cannot be read, or is no picture that is taken.
pub fn load(path: &Path) -> Result<RgbImage, VlmError> {
    steady_pixels::load(path).map_err(VlmError::picture)
}

/// Decodes the bytes of an image file; `name` is what error messages call it: see [`steady_pixels::decode()`].
///
/// # Errors
/// When they are no picture that is taken.
pub fn decode(bytes: &[u8], name: &str) -> Result<RgbImage, VlmError> {
    steady_pixels::decode(bytes, name).map_err(VlmError::picture)
}

/// What becomes of images beside what a checkpoint's files say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImageOptions {
    /// Which of transformers' two image processors is computed. transformers 5 takes the torchvision one where torchvision is installed,
    /// whatever class a file names; only the `backend` of the call changes that (`AutoImageProcessor`, 5.24).
    pub backend: PixelBackend,
    /// Most pixels that an image is scaled to, in the place of what the file says, as with `max_pixels` in transformers. Only for processors that
    /// scale to a range of pixels.
    pub max_pixels: Option<usize>,
}

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

    /// CLIP's views with each colour of each as `redraw` leaves it.
    pub(crate) fn redrawn(&self, redraw: Redraw<'_>) -> Result<Self, VlmError> {
        let &[_, _, height, width] = self.shape.as_slice() else {
            let problem = format!("expected views of [3, height, width], found {:?}", self.shape);
            return Err(VlmError::Invalid { what: "pixel values".to_owned(), problem });
        };
        let mut data = Vec::with_capacity(self.data.len());
        for plane in self.data.chunks_exact((height * width).max(1)) {
            data.extend(redraw(HostMatrix::new(height, width, plane.to_vec()))?.data);
        }
        Ok(Self { data, ..self.clone() })
    }
}

/// How a checkpoint wants its images.
pub trait ImageProcessor: Debug + Send + Sync {
    /// The file the settings came from, for error messages.
    fn file(&self) -> &str;

    /// The settings by name, in words; equal for processors that do the same, wherever they were read from.
    fn settings(&self) -> [(&'static str, String); 5];

    /// What part of an image of this size the model sees, if it looks at one rectangle of it; tiles are several.
    fn frame(&self, width: u32, height: u32) -> Option<Frame>;

    /// Turns one image into what the vision tower takes.
    ///
    /// # Errors
    /// When the image has no pixels, or is so narrow that it cannot be resized.
    fn process(&self, image: &RgbImage) -> Result<PixelValues, VlmError>;
}

/// Hands the settings of a checkpoint's image processor to `read`, with the name of the file that they are in.
///
/// # Errors
/// When there are none, or `read` does not take them.
pub fn read_settings<T>(source: &Source, read: impl FnOnce(String, &Fields<'_>) -> Result<T, VlmError>) -> Result<T, VlmError> {
    // transformers 5 keeps all processors in one file; the section wins over a file of its own.
    let shared: Option<Value> = source.json(SHARED_FILE)?;
    if let Some(json) = &shared {
        let label = source.label_of(SHARED_FILE);
        if let Some(section) = Fields::root(&label, json)?.object(SECTION)? {
            return read(label.clone(), &section);
        }
    }
    let json = source.json(OWN_FILE)?.ok_or_else(|| {
        source.missing(
            OWN_FILE,
            "it says how images are resized and normalised (the `image_processor` section of processor_config.json would do)",
        )
    })?;
    let label = source.label_of(OWN_FILE);
    read(label.clone(), &Fields::root(&label, &json)?)
}
