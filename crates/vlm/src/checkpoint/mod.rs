//! A checkpoint: a set of files in the layout that Hugging Face publishes, on disk, compiled in or fetched.

mod config;
mod decisive;
pub(crate) mod fields;
mod generation_config;
mod names;
mod original;
pub mod published;
mod qwen_config;
pub(crate) mod source;
mod tower;
mod weights;

use std::path::Path;
use std::sync::{Arc, OnceLock};

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

pub use config::{Activation, ClipVisionConfig, FeatureSelect, LlamaConfig, LlavaConfig, ModelConfig, RopeConfig, RopeScaling};
pub use generation_config::GenerationConfig;
pub use names::canonical_name;
pub use original::{Conversation, OriginalLayout};
pub use qwen_config::{QwenVisionConfig, QwenVlConfig, Windows};
pub use weights::{HostTensor, Weights};

use crate::image::ImageProcessor;
use crate::text::{ChatTemplate, Processor, Tokenizer};
use crate::{Footprint, VlmError};
use fields::Fields;
use source::{Bytes, Source};

/// An opened checkpoint. Opening reads and checks the configuration; weights, tokenizer and processors are read when asked for.
#[derive(Debug)]
pub struct Checkpoint {
    source: Source,
    /// The CLIP tower's own folder, in the LLaVA repository's layout.
    tower: Option<Source>,
    config: ModelConfig,
    generation: GenerationConfig,
    /// Once it was asked for: whoever judges a model's memory by a prompt loads it next, and a tokenizer takes a while to read.
    processor: OnceLock<Arc<Processor>>,
}

impl Checkpoint {
    /// Opens a folder with `config.json`, `*.safetensors`, `tokenizer.json` and the processor's files.
    ///
    /// # Errors
    /// When the folder or its `config.json` is missing, or names an architecture or setting that is not known, or a vision tower
    /// that is nowhere to be found.
    pub fn open(dir: &Path) -> Result<Self, VlmError> {
        Self::from_source(Source::folder(dir)?, None)
    }

    /// Opens a folder in the LLaVA repository's layout, whose CLIP tower is in the folder `tower`.
    ///
    /// # Errors
    /// As [`Checkpoint::open`], or when the checkpoint brings its own tower.
    pub fn open_with_tower(dir: &Path, tower: &Path) -> Result<Self, VlmError> {
        Self::from_source(Source::folder(dir)?, Some(tower))
    }

    /// Opens a checkpoint whose files are compiled into the program, as `(file name, bytes)`.
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub fn from_files(name: &str, files: &'static [(&'static str, &'static [u8])]) -> Result<Self, VlmError> {
        let files = files.iter().map(|(file, bytes)| ((*file).to_owned(), Bytes::Static(bytes)));
        Self::from_source(Source::memory(name, files), None)
    }

    /// Opens a checkpoint whose files somebody fetched, as `(file name, bytes)`.
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub fn from_fetched(name: &str, files: Vec<(String, Vec<u8>)>) -> Result<Self, VlmError> {
        let files = files.into_iter().map(|(file, bytes)| (file, Bytes::Fetched(Arc::new(bytes))));
        Self::from_source(Source::memory(name, files), None)
    }

    fn from_source(source: Source, given_tower: Option<&Path>) -> Result<Self, VlmError> {
        let label = source.label_of(config::FILE);
        let json = source.json(config::FILE)?.ok_or_else(|| source.missing(config::FILE, "it names the architecture and its sizes"))?;
        let root = Fields::root(&label, &json)?;
        let (config, tower) = if let Some(id) = original::vision_tower(&root)? {
            let tower = tower::find(id, source.path(), given_tower, &root)?;
            let label = tower.label_of(config::FILE);
            let json = tower.json(config::FILE)?.ok_or_else(|| tower.missing(config::FILE, "it states the tower's sizes"))?;
            (ModelConfig::Llava(original::parse(&root, id, &Fields::root(&label, &json)?)?), Some(tower))
        } else {
            if let Some(tower) = given_tower {
                let problem = "this checkpoint holds its vision tower itself; only the LLaVA repository's layout has a second folder";
                return Err(VlmError::Invalid { what: format!("vision tower {}", tower.display()), problem: problem.to_owned() });
            }
            (ModelConfig::parse(&root)?, None)
        };
        let generation = GenerationConfig::read(&source, &config)?;
        Ok(Self { source, tower, config, generation, processor: OnceLock::new() })
    }

    /// The same checkpoint under another name: a folder in the hub's cache is called after a commit.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.source.rename(name);
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
        let mut hash = Sha256::new();
        for source in std::iter::once(&self.source).chain(&self.tower) {
            for file in source.files()? {
                let bytes = source.require(&file, "it was listed in the folder")?;
                hash.update((file.len() as u64).to_le_bytes());
                hash.update(file.as_bytes());
                hash.update((bytes.len() as u64).to_le_bytes());
                hash.update(&*bytes);
            }
        }
        Ok(HEXLOWER.encode(&hash.finalize()))
    }

    /// The architecture's configuration, class defaults filled in.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// How the checkpoint wants to be decoded.
    pub fn generation_config(&self) -> &GenerationConfig {
        &self.generation
    }

    /// The weight files, indexed by canonical name; nothing is converted yet.
    ///
    /// # Errors
    /// When there is no weight file, a header is broken, or the shard index and the shards disagree.
    pub fn weights(&self) -> Result<Weights, VlmError> {
        let mut weights = Weights::open(&self.source, self.config.tie_word_embeddings())?;
        if let Some(tower) = &self.tower {
            weights.add_tower(tower)?;
        }
        Ok(weights)
    }

    /// How much memory the model takes; of the weight files only the headers are read.
    ///
    /// # Errors
    /// As [`Checkpoint::weights`].
    pub fn footprint(&self) -> Result<Footprint, VlmError> {
        Ok(Footprint::of(&self.weights()?, self.config.text()))
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
    pub fn image_processor(&self) -> Result<ImageProcessor, VlmError> {
        let pad = self.config.original().is_some_and(|original| original.pad);
        ImageProcessor::read(self.tower.as_ref().unwrap_or(&self.source), pad)
    }

    /// The chat template, from whichever of the published places holds it; the repository's own in its layout.
    ///
    /// # Errors
    /// When there is none or it does not compile.
    pub fn chat_template(&self) -> Result<ChatTemplate, VlmError> {
        ChatTemplate::read(&self.source, &self.config)
    }

    /// Tokenizer, image processor and placeholder expansion in one: what turns an image and a prompt into model inputs. Read once.
    ///
    /// # Errors
    /// When one of them cannot be read, or the image token of the processor, the tokenizer and the model disagree.
    pub fn processor(&self) -> Result<Arc<Processor>, VlmError> {
        if let Some(processor) = self.processor.get() {
            return Ok(Arc::clone(processor));
        }
        let processor = Arc::new(Processor::read(&self.source, &self.config, self.image_processor()?)?);
        Ok(Arc::clone(self.processor.get_or_init(|| processor)))
    }
}
