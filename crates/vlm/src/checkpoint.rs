//! A checkpoint: files, and the family that its configuration names.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use steady_kernels::Device;

use crate::decoder::Llama;
use crate::families::{Architecture, FAMILIES, Family, Opening};
use crate::files::{
    self, Bytes, CONFIG, Description, FORMATS, Fields, FormatRow, GenerationConfig, Layout, ReadAt, Source, WeightFormat, Weights,
};
use crate::image::{self, ImageOptions, ImageProcessor, Intensity};
use crate::nn::Loader;
use crate::text::{ChatTemplate, Processor, Tokenizer};
use crate::{Footprint, Precision, Vlm, VlmError};

/// An opened checkpoint. Opening reads and checks the configuration; weights, tokenizer and processors are read when asked for.
#[derive(Debug)]
pub struct Checkpoint {
    source: Source,
    family: Family,
    architecture: Arc<dyn Architecture>,
    format: Arc<dyn WeightFormat>,
    generation: GenerationConfig,
    images: ImageOptions,
    /// Once it was asked for: whoever judges a model's memory by a prompt loads it next, and a tokenizer takes a while to read.
    processor: OnceLock<Arc<Processor>>,
    footprint: OnceLock<Arc<Footprint>>,
    /// Reading all of the files takes a while, too.
    sha256: OnceLock<String>,
}

/// Family, architecture, format of weights, and how to decode.
type Configured = (Family, Arc<dyn Architecture>, Arc<dyn WeightFormat>, GenerationConfig);

/// The families and packed formats that a checkpoint may be of.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// Families.
    pub families: &'a [Family],
    /// Formats of packed weights.
    pub formats: &'a [FormatRow],
}

impl Default for Known<'_> {
    /// Those of this crate.
    fn default() -> Self {
        Self { families: FAMILIES, formats: FORMATS }
    }
}

impl Checkpoint {
    /// Opens a folder with `config.json`, `*.safetensors`, `tokenizer.json` and the processor's files.
    ///
    /// # Errors
    /// When the folder or its `config.json` is missing, or names an architecture or setting that is not known, or a vision tower
    /// that is nowhere to be found.
    pub fn open(dir: &Path) -> Result<Self, VlmError> {
        Self::from_source(Source::folder(dir)?, None, &Known::default())
    }

    /// Opens a folder in the LLaVA repository's layout, whose CLIP tower is in the folder `tower`.
    ///
    /// # Errors
    /// As [`Checkpoint::open`], or when the checkpoint brings its own tower.
    pub fn open_with_tower(dir: &Path, tower: &Path) -> Result<Self, VlmError> {
        Self::from_source(Source::folder(dir)?, Some(tower), &Known::default())
    }

    /// Opens a checkpoint whose files are compiled into the program, as `(file name, bytes)`.
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub fn from_files(name: &str, files: &'static [(&'static str, &'static [u8])]) -> Result<Self, VlmError> {
        let files = files.iter().map(|(file, bytes)| ((*file).to_owned(), Bytes::Static(bytes)));
        Self::from_source(Source::of_files(name, files), None, &Known::default())
    }

    /// Opens a checkpoint whose files somebody fetched, as `(file name, bytes)`.
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub fn from_fetched(name: &str, files: Vec<(String, Vec<u8>)>) -> Result<Self, VlmError> {
        let files = files.into_iter().map(|(file, bytes)| (file, Bytes::Fetched(Arc::new(bytes))));
        Self::from_source(Source::of_files(name, files), None, &Known::default())
    }

    /// Opens a checkpoint whose files are read piece by piece where they are, as `(path below the folder, file)`. Beside the model's tensors
    /// no more than one of them is in memory at a time.
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub fn from_readers(name: &str, files: Vec<(String, Arc<dyn ReadAt>)>) -> Result<Self, VlmError> {
        let files = files.into_iter().map(|(file, reader)| (file, Bytes::Elsewhere(reader)));
        Self::from_source(Source::of_files(name, files), None, &Known::default())
    }

    /// Opens a model in llama.cpp's files: `file`, and the one that holds vision tower and projector (`mmproj`), which lies beside it. How it is
    /// configured, what its tokens are and how it is asked is as in `base`, the float checkpoint, whose weights are not read.
    ///
    /// # Errors
    /// When a file is missing or broken, or says otherwise than the base's configuration.
    pub fn open_gguf(file: &Path, base: &Self) -> Result<Self, VlmError> {
        let mut files = files::gguf_files(file)?;
        for name in base.source.files()?.into_iter().filter(|name| !files::is_weights(name)) {
            let bytes = base.source.require(&name, "it was listed in the folder")?;
            files.push((name, bytes));
        }
        let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned();
        // Of a base in the LLaVA repository's layout the tower's folder says how images are processed.
        let tower = base.architecture.tower().and_then(Source::path);
        Ok(Self::from_source(Source::of_files(&name, files), tower, &Known::default())?.with_images(base.images))
    }

    /// Opens a folder of one of `known`'s families and formats: the ones of this crate, or others beside them.
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub fn open_as(dir: &Path, known: &Known<'_>) -> Result<Self, VlmError> {
        Self::from_source(Source::folder(dir)?, None, known)
    }

    fn from_source(source: Source, tower: Option<&Path>, known: &Known<'_>) -> Result<Self, VlmError> {
        let (family, architecture, format, generation) = Self::read(&source, tower, known)?;
        let images = ImageOptions::default();
        Ok(Self {
            source,
            family,
            architecture,
            format,
            generation,
            images,
            processor: OnceLock::new(),
            footprint: OnceLock::new(),
            sha256: OnceLock::new(),
        })
    }

    /// What `config.json` says.
    fn read(source: &Source, tower: Option<&Path>, known: &Known<'_>) -> Result<Configured, VlmError> {
        files::refuse_adapter(source)?;
        let label = source.label_of(CONFIG);
        let json = source.json(CONFIG)?.ok_or_else(|| source.missing(CONFIG, "it names the architecture and its sizes"))?;
        let opening = Opening::new(Fields::root(&label, &json)?, source, tower, known.families);
        let family = *opening.family()?;
        let architecture = (family.open)(&opening)?;
        let format = match files::gguf_format(source, || architecture.gguf(), architecture.decoder())? {
            Some(format) => format,
            None => files::format_of(&opening.root, known.formats)?,
        };
        let generation = GenerationConfig::read(source, &opening.root, architecture.decoder().bos_token_id)?;
        Ok((family, architecture, format, generation))
    }

    /// The same checkpoint under another name: a folder in the hub's cache is called after a commit.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.source.rename(name);
        self
    }

    /// The same checkpoint, whose images are processed in another way.
    #[must_use]
    pub fn with_images(mut self, images: ImageOptions) -> Self {
        (self.images, self.processor) = (images, OnceLock::new());
        self
    }

    /// The folder's name, or the name given to [`Checkpoint::from_files`] or [`Checkpoint::named`].
    pub fn name(&self) -> &str {
        self.source.name()
    }

    /// SHA-256 in hex over the files that decide a model's behaviour (configuration, tokenizer, processors, chat template,
    /// weights), each as name, length and content, sorted by name; those of a second folder follow. Equal for a folder and for the
    /// same files compiled in.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn sha256(&self) -> Result<String, VlmError> {
        if let Some(known) = self.sha256.get() {
            return Ok(known.clone());
        }
        let sha256 = self.hash()?;
        Ok(self.sha256.get_or_init(|| sha256).clone())
    }

    #[tracing::instrument(skip_all, name = "hash files")]
    fn hash(&self) -> Result<String, VlmError> {
        let mut hash = Sha256::new();
        for source in std::iter::once(&self.source).chain(self.architecture.tower()) {
            for file in source.files()? {
                let bytes = source.require(&file, "it was listed in the folder")?;
                hash.update((file.len() as u64).to_le_bytes());
                hash.update(file.as_bytes());
                hash.update(bytes.size().to_le_bytes());
                for piece in files::pieces(0..bytes.size()) {
                    let io = |error| VlmError::Io { path: source.label_of(&file).into(), source: error };
                    hash.update(&*bytes.stretch(piece).map_err(io)?);
                }
            }
        }
        Ok(HEXLOWER.encode(&hash.finalize()))
    }

    /// The name of its family, e.g. `llava-1.5`.
    pub fn family(&self) -> &'static str {
        self.family.name
    }

    /// What its family knows of it.
    pub fn architecture(&self) -> &dyn Architecture {
        &*self.architecture
    }

    /// Its family's configuration, class defaults filled in, if `C` is the type of that.
    pub fn config<C: 'static>(&self) -> Option<&C> {
        self.architecture.config().downcast_ref()
    }

    /// How its linear layers are stored.
    pub(crate) fn format(&self) -> Arc<dyn WeightFormat> {
        Arc::clone(&self.format)
    }

    /// How the checkpoint wants to be decoded.
    pub fn generation_config(&self) -> &GenerationConfig {
        &self.generation
    }

    /// The weight files, indexed by canonical name; nothing is converted yet. Of a configuration that ties head and embedding, files that hold
    /// both are read so far as to see whether they are one.
    ///
    /// # Errors
    /// When there is no weight file, a header is broken, or the shard index and the shards disagree.
    pub fn weights(&self) -> Result<Weights, VlmError> {
        let mut weights = Weights::open(&self.source, self.family.names, self.architecture.tied())?;
        if let Some(tower) = self.architecture.tower() {
            weights.add_tower(tower)?;
        }
        Ok(weights)
    }

    /// Writes the packed layers of `model`, a form of this checkpoint's on the CPU, with all else of it into the new folder `folder`, in a layout
    /// that other tools load.
    ///
    /// # Errors
    /// When the checkpoint is packed already, or its tower lies in another folder; when the layout does not hold what the layers hold, or has no place for
    /// one; when a file cannot be written.
    pub fn publish(&self, model: &Vlm, layout: Layout, folder: &Path) -> Result<(), VlmError> {
        let refused = |problem: &str| VlmError::Invalid { what: self.name().to_owned(), problem: problem.to_owned() };
        if self.source.json(CONFIG)?.is_some_and(|config| config.get("quantization_config").is_some()) {
            return Err(refused("is packed already (`quantization_config` in config.json); give the float checkpoint"));
        }
        if self.source.files()?.iter().any(|file| files::is_gguf(Path::new(file))) {
            return Err(refused("is in llama.cpp's files already; give the float checkpoint"));
        }
        if self.architecture.tower().is_some() {
            return Err(refused("has its vision tower in another folder, which is not written"));
        }
        let layers = model.packed_linears();
        if let Some((name, _)) = layers.iter().find(|(name, _)| !layout.takes(name)) {
            return Err(refused(&format!("{name} is packed, and {} files are written with a packed decoder alone", layout.name())));
        }
        let described = || self.described(layout);
        files::publish(&self.source, &self.weights()?, layers, &model.norm_feeds(), layout, described, folder)
    }

    /// What llama.cpp's files hold of it beside tensors.
    fn described(&self, layout: Layout) -> Result<Description<'_>, VlmError> {
        let refused = |problem: String| VlmError::Invalid { what: format!("{} as {}", self.name(), layout.name()), problem };
        let decoder = self.architecture.decoder();
        let facts = self.architecture.gguf().ok_or_else(|| refused(format!("models of {} are not written so", self.family())))??;
        if let Some(problem) = files::unlike(decoder, &facts) {
            return Err(refused(problem));
        }
        if let Some(beware) = &facts.beware {
            tracing::warn!("{}: {beware}", self.name());
        }
        let intensity = image::read_settings(&self.source, |_, fields| Intensity::parse(fields, self.images.backend))?;
        let pixels =
            intensity.normalization().ok_or_else(|| refused("expected pixels that are divided by 255 and normalised".to_owned()))?;
        let vocabulary = files::vocabulary(&self.source, &self.tokenizer()?, decoder.vocab_size, &self.generation.eos_token_ids)?;
        Ok(Description { name: self.name(), facts, decoder, vocabulary, pixels })
    }

    /// The precision that most of its weights are published in.
    ///
    /// # Errors
    /// As [`Checkpoint::footprint`].
    pub fn published(&self) -> Result<Precision, VlmError> {
        Ok(self.footprint()?.published())
    }

    /// How much memory the model takes; of the weight files only the headers are read. It is loaded without being read, so that nothing
    /// is counted that loading would not take. Found once.
    ///
    /// # Errors
    /// As [`Checkpoint::weights`], or when a tensor is missing or of the wrong shape.
    pub fn footprint(&self) -> Result<Arc<Footprint>, VlmError> {
        if let Some(footprint) = self.footprint.get() {
            return Ok(Arc::clone(footprint));
        }
        let device = Device::Cpu;
        let weights = self.weights()?;
        let tied = weights.tied();
        let mut loader = Loader::survey(weights, self.format(), &device);
        let text = self.architecture.decoder();
        self.architecture.encoder(&mut loader)?;
        Llama::load(&mut loader, text, tied)?;
        let footprint = Arc::new(Footprint::of(loader.surveyed(), &self.architecture));
        Ok(Arc::clone(self.footprint.get_or_init(|| footprint)))
    }

    /// The tokenizer of `tokenizer.json`.
    ///
    /// # Errors
    /// When it is missing or broken.
    pub fn tokenizer(&self) -> Result<Tokenizer, VlmError> {
        Tokenizer::read(&self.source)
    }

    /// The image processor of `processor_config.json` or `preprocessor_config.json`; the tower's in the LLaVA repository's layout.
    ///
    /// # Errors
    /// When both are missing, or a setting is not known.
    pub fn image_processor(&self) -> Result<Arc<dyn ImageProcessor>, VlmError> {
        self.architecture.image_processor(&self.source, self.images)
    }

    /// The chat template, from whichever of the published places holds it; the repository's own in its layout.
    ///
    /// # Errors
    /// When there is none or it does not compile.
    pub fn chat_template(&self) -> Result<ChatTemplate, VlmError> {
        ChatTemplate::read(&self.source, self.architecture.image_token(), self.architecture.conversation())
    }

    /// Tokenizer, image processor and placeholder expansion in one: what turns an image and a prompt into model inputs. Read once.
    ///
    /// # Errors
    /// When one of them cannot be read, or the image token of the processor, the tokenizer and the model disagree.
    pub fn processor(&self) -> Result<Arc<Processor>, VlmError> {
        if let Some(processor) = self.processor.get() {
            return Ok(Arc::clone(processor));
        }
        let processor = Arc::new(self.processor_with(self.images)?);
        Ok(Arc::clone(self.processor.get_or_init(|| processor)))
    }

    /// As [`Checkpoint::processor`], with images processed in another way.
    ///
    /// # Errors
    /// As [`Checkpoint::processor`].
    pub fn processor_with(&self, images: ImageOptions) -> Result<Processor, VlmError> {
        self.architecture.processor(&self.source, images)
    }

    /// How its images are processed, as far as its files do not say.
    pub fn images(&self) -> ImageOptions {
        self.images
    }
}
