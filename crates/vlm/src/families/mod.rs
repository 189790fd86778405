//! The families of models: a folder each, and a row each in [`FAMILIES`].
//!
//! A family says how its `config.json` is read ([`Family::open`]), what an image becomes in a prompt ([`Expander`]), and how it becomes
//! visual tokens ([`VisualEncoder`]). Everything else, decoder included, is shared and asks the family only through these.

pub mod llava;
pub mod llava_next;
pub mod qwen2_5_vl;
pub mod qwen2_vl;
pub mod qwen_vl;

use std::any::Any;
use std::fmt::Debug;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use ::image::RgbImage;
use steady_kernels::Matrix;

use crate::activations::{Extent, ImageBytes, Sizes};
use crate::decoder::LlamaConfig;
use crate::files::{Fields, GgufFacts, Source};
use crate::image::{ImageOptions, ImageProcessor, PixelValues};
use crate::layout::{Cells, VisualLayout};
use crate::nn::{Loader, Position, Visit, in_line};
use crate::reduction::{Observed, TowerTask};
use crate::text::{Conversation, Piece, Processor};
use crate::{HostMatrix, VlmError};

/// Every family that is known.
pub const FAMILIES: &[Family] = &[llava::FAMILY, llava_next::FAMILY, qwen2_vl::FAMILY, qwen2_5_vl::FAMILY];

/// A family of models, as a row of a table.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// Its name in reports and plans, e.g. `llava-1.5`.
    pub name: &'static str,
    /// What `model_type` in `config.json` calls it.
    pub model_types: &'static [&'static str],
    /// The classes that `architectures` names.
    pub architectures: &'static [&'static str],
    /// Prefixes of tensor names in published files and what they become, the longest match first. Each rule shortens a name or ends in
    /// a prefix that no rule begins with.
    pub names: &'static [(&'static str, &'static str)],
    /// Reads the configuration.
    pub open: fn(&Opening<'_>) -> Result<Arc<dyn Architecture>, VlmError>,
}

/// A checkpoint of some family that is being opened.
#[derive(Debug)]
pub struct Opening<'a> {
    /// `config.json`.
    pub root: Fields<'a>,
    /// The checkpoint's files.
    pub source: &'a Source,
    /// The folder of a vision tower that the user named.
    pub tower: Option<&'a Path>,
    families: &'a [Family],
}

impl<'a> Opening<'a> {
    pub(crate) fn new(root: Fields<'a>, source: &'a Source, tower: Option<&'a Path>, families: &'a [Family]) -> Self {
        Self { root, source, tower, families }
    }

    /// The family that `model_type` names.
    ///
    /// # Errors
    /// When it is missing, or names none that is known.
    pub(crate) fn family(&self) -> Result<&'a Family, VlmError> {
        const NAME: &str = "model_type";
        let known = || -> Vec<&str> { self.families.iter().flat_map(|family| family.model_types).copied().collect() };
        // A class that nobody knows says more than its type.
        self.check_class()?;
        let Some(name) = self.root.text(NAME)? else {
            return Err(self.root.error(NAME, format!("is missing; known: {}", known().join(", "))));
        };
        let family = self.families.iter().find(|family| family.model_types.contains(&name));
        family.ok_or_else(|| self.root.unknown(NAME, name, &known()))
    }

    /// Checks that `architectures`, where it names a class, names one that is known.
    fn check_class(&self) -> Result<(), VlmError> {
        const NAME: &str = "architectures";
        let Some(classes) = self.root.get(NAME).filter(|classes| classes.as_array().is_none_or(|classes| !classes.is_empty())) else {
            return Ok(());
        };
        let class = classes.get(0).and_then(|name| name.as_str()).unwrap_or("");
        let known: Vec<&str> = self.families.iter().flat_map(|family| family.architectures).copied().collect();
        if known.contains(&class) { Ok(()) } else { Err(self.root.unknown(NAME, class, &known)) }
    }

    /// Refuses a tower in a second folder, for families that hold theirs.
    ///
    /// # Errors
    /// When the user named one.
    pub fn without_tower(&self) -> Result<(), VlmError> {
        let Some(tower) = self.tower else { return Ok(()) };
        let problem = "this checkpoint holds its vision tower itself; only the LLaVA repository's layout has a second folder";
        Err(VlmError::Invalid { what: format!("vision tower {}", tower.display()), problem: problem.to_owned() })
    }
}

/// What a checkpoint of a family is, once its configuration is read.
pub trait Architecture: Debug + Send + Sync {
    /// The family's configuration, typed, for those who know the family.
    fn config(&self) -> &dyn Any;

    /// The decoder.
    fn decoder(&self) -> &LlamaConfig;

    /// Whether `lm_head` is the token embedding.
    fn tied(&self) -> bool;

    /// Layers of the vision tower.
    fn vision_layers(&self) -> usize;

    /// The image placeholder's text where no processor file names it.
    fn image_token(&self) -> &'static str;

    /// How a question is put where no file of the checkpoint says it.
    fn conversation(&self) -> Option<Conversation> {
        None
    }

    /// What llama.cpp's files say of it, if the family is read from them.
    ///
    /// # Errors
    /// When it is one that they cannot describe.
    fn gguf(&self) -> Option<Result<GgufFacts, VlmError>> {
        None
    }

    /// The files of a vision tower that is kept apart from the checkpoint.
    fn tower(&self) -> Option<&Source> {
        None
    }

    /// Reads the image processor's settings.
    ///
    /// # Errors
    /// When they are missing, or one is not known.
    fn image_processor(&self, source: &Source, options: ImageOptions) -> Result<Arc<dyn ImageProcessor>, VlmError>;

    /// Reads tokenizer and image processor.
    ///
    /// # Errors
    /// When one of them cannot be read, or does not fit the model.
    fn processor(&self, source: &Source, options: ImageOptions) -> Result<Processor, VlmError>;

    /// Loads vision tower and projector.
    ///
    /// # Errors
    /// When a tensor is missing or of the wrong shape.
    fn encoder(&self, loader: &mut Loader<'_>) -> Result<Box<dyn VisualEncoder>, VlmError>;

    /// What such an image takes in memory on its way to visual tokens: an upper bound that is not far from the truth.
    fn image_bytes(&self, image: &Extent, sizes: Sizes) -> ImageBytes;
}

/// What becomes of an image placeholder: transformers' image processor, and the part of its processor that is about images.
pub trait Expander: Debug + Send + Sync {
    /// The image processor.
    fn image_processor(&self) -> &dyn ImageProcessor;

    /// The image as the vision tower sees it.
    ///
    /// # Errors
    /// When the image cannot be processed, or becomes something else than the tower takes.
    fn pixels(&self, image: &RgbImage) -> Result<PixelValues, VlmError> {
        self.image_processor().process(image)
    }

    /// What the placeholder of this image becomes.
    ///
    /// # Errors
    /// When the pixels are another family's.
    fn expand(&self, pixels: &PixelValues) -> Result<Expansion, VlmError>;

    /// What the vision tower takes of an image of this size, known without its pixels: as it is processed, or scaled to at most `max_pixels`
    /// where there is a [`Self::pixel_range`].
    ///
    /// # Errors
    /// When no image of this size can be processed.
    fn extent(&self, width: u32, height: u32, max_pixels: Option<usize>) -> Result<Extent, VlmError>;

    /// Between which numbers of pixels images are scaled; `None` where all become one size, or keep theirs.
    fn pixel_range(&self) -> Option<PixelRange> {
        None
    }

    /// The most that an image becomes.
    fn largest(&self) -> Largest;

    /// How many images a prompt may have, where there is a limit.
    fn most_images(&self) -> Option<usize> {
        None
    }
}

/// Between which numbers of pixels images are scaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PixelRange {
    /// Fewest pixels.
    pub least: usize,
    /// Most pixels.
    pub most: usize,
    /// Pixels of a visual token.
    pub step: usize,
}

/// What an image placeholder becomes.
#[derive(Clone, Debug, PartialEq)]
pub struct Expansion {
    /// Visual tokens, and text between them.
    pub pieces: Vec<Piece>,
    /// What the visual tokens show.
    pub cells: Cells,
}

impl Expansion {
    /// Nothing but visual tokens.
    pub fn of(cells: Cells) -> Self {
        Self { pieces: vec![Piece::Visual(cells.tokens())], cells }
    }
}

/// The most that an image becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Largest {
    /// Visual tokens.
    pub visual_tokens: usize,
    /// Rows, and columns, of the grid of visual tokens: with several views of one of them, else of the largest square image.
    pub side: usize,
    /// Side in pixels of the image that has this grid.
    pub pixels: usize,
}

/// Vision tower, and whatever is between it and the decoder.
pub trait VisualEncoder: Visit + Debug + Send + Sync {
    /// Pixels to visual tokens; also what `task` wants to see of the tower and to do in it.
    ///
    /// # Errors
    /// When the pixels are not what the tower takes, or the task is nothing that it can do.
    fn encode<'a>(&'a self, pixels: &'a PixelValues, task: &'a TowerTask<'_>) -> Encoding<'a>;

    /// Features to visual tokens, row by row.
    fn project(&self, features: &Matrix) -> Matrix;

    /// The same image, each colour of each view, `[height, width]`, as `redraw` leaves it.
    ///
    /// # Errors
    /// When the pixels are not what the tower takes, or `redraw` fails.
    fn redrawn(&self, pixels: &PixelValues, redraw: Redraw<'_>) -> Result<PixelValues, VlmError> {
        pixels.redrawn(redraw)
    }

    /// Positions of a prompt of `len` tokens with these images in it, and that of the token that follows.
    fn positions(&self, len: usize, images: &[&VisualLayout]) -> (Vec<Position>, usize) {
        let _ = images;
        (in_line(0..len).collect(), len)
    }

    /// Whether a token stands on each side of an image in a prompt and marks where it begins and ends.
    fn marks_images(&self) -> bool {
        false
    }

    /// Whether a visual token's position says where in the image it is, so that it must keep it whatever else is dropped.
    fn places_tokens(&self) -> bool {
        false
    }

    /// A copy that shares all weights.
    fn copy(&self) -> Box<dyn VisualEncoder>;
}

/// What is done to one colour of one view, `[height, width]`; the size stays.
pub type Redraw<'a> = &'a dyn Fn(HostMatrix) -> Result<HostMatrix, VlmError>;

/// An image on its way through tower and projector. It waits for the device only where a reducer looks into the tower.
pub type Encoding<'a> = Pin<Box<dyn Future<Output = Result<Encoded, VlmError>> + 'a>>;

/// How the patches of several views, which all have as many, become visual tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// Views; the first shows the whole image.
    pub views: usize,
    /// All patches as they are read: those of the first view, then row by row those of the tiles beside each other, padding included.
    pub reading: Vec<usize>,
    /// For each visual token the patch that it is; `None` for one that shows nothing of the image.
    pub tokens: Vec<Option<usize>>,
}

/// What became of one image.
#[derive(Debug)]
pub struct Encoded {
    /// What the projection takes: a row per visual token, with several views joined behind it a row per patch of every view.
    pub features: Matrix,
    /// The visual tokens, `[n, decoder width]`.
    pub projected: Matrix,
    /// What the task wanted to see: of each view as many rows of the features have, which follow each other.
    pub observed: Vec<Observed<Matrix>>,
    /// Where the visual tokens are not the features' rows one by one, how they are joined.
    pub order: Option<Joined>,
    /// Floating-point operations that it took.
    pub flops: u64,
}
