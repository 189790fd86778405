//! What can go wrong between a folder on disk and an answer, each naming the file and the field.

use std::path::PathBuf;

use steady_pixels::PictureError;

/// Every failure of this crate.
///
/// `file` is always given as the reader would find it: the path for a folder, `name:file` for a checkpoint held in memory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VlmError {
    /// The operating system refused to open, read or map a file.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// What was opened.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A file that the published layout requires is not there.
    #[error("{checkpoint} has no {file}: {purpose}")]
    MissingFile {
        /// The checkpoint's folder or name.
        checkpoint: String,
        /// The file, or the alternatives, looked for.
        file: String,
        /// What it is needed for.
        purpose: String,
    },
    /// A file that stands for something else: a link, a pointer, a part of another model.
    #[error("{file} {problem}")]
    NotItself {
        /// The file.
        file: String,
        /// What it is, and what to do.
        problem: String,
    },
    /// What was found when the checkpoint was opened, and matters only now.
    #[error(transparent)]
    Earlier(std::sync::Arc<VlmError>),
    /// A JSON file that does not parse.
    #[error("{file} is not valid JSON: {source}")]
    Json {
        /// The file.
        file: String,
        /// Line, column and reason.
        source: serde_json::Error,
    },
    /// A field of a configuration file that is missing, of the wrong type, or names something unknown.
    #[error("{file}: `{field}`: {problem}")]
    Field {
        /// The file.
        file: String,
        /// Dotted path of the field, e.g. `text_config.hidden_act`.
        field: String,
        /// What was expected and what was found.
        problem: String,
    },
    /// A weight file whose header or size is broken.
    #[error("{file} is not a usable safetensors file: {problem}")]
    Safetensors {
        /// The file.
        file: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A file of llama.cpp's whose header or size is broken, or that is of a kind that is not read.
    #[error("{file} is not a usable GGUF file: {problem}")]
    Gguf {
        /// The file.
        file: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A tensor that the model needs is in none of the checkpoint's files.
    #[error("{checkpoint}: tensor `{tensor}` is missing from {files}")]
    MissingTensor {
        /// The checkpoint's folder or name.
        checkpoint: String,
        /// The canonical name.
        tensor: String,
        /// The files searched.
        files: String,
    },
    /// Tensors in the files that no part of the model asked for.
    #[error("{checkpoint}: {} not part of the model: {}", count(tensors.len(), "tensor is", "tensors are"), some_of(tensors))]
    UnusedTensors {
        /// The checkpoint's folder or name.
        checkpoint: String,
        /// `name (file)` of each, sorted, as written in the files.
        tensors: Vec<String>,
    },
    /// One tensor that is there but cannot be used: wrong shape, element type, value, or present twice.
    #[error("{file}: tensor `{tensor}`: {problem}")]
    Tensor {
        /// The file.
        file: String,
        /// The name as written in the file.
        tensor: String,
        /// What was expected and what was found.
        problem: String,
    },
    /// A tokenizer file that the tokenizer library refuses, or text that it cannot encode.
    #[error("{file}: tokenizer: {problem}")]
    Tokenizer {
        /// The file.
        file: String,
        /// The library's reason.
        problem: String,
    },
    /// A chat template that does not compile or render, or that raised an exception of its own.
    #[error("{file}: chat template: {problem}")]
    Template {
        /// The file.
        file: String,
        /// The template engine's reason with the line.
        problem: String,
    },
    /// Bytes that are not an image this crate reads, or an image that is too large.
    #[error("image {image}: {problem}")]
    Image {
        /// The path or id of the image.
        image: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The device gave no result, for a reason that its runtime puts in its own words.
    #[error("the device gave no result, as when a GPU is lost or out of memory ({0})")]
    Device(String),
    /// A prompt that does not fit the checkpoint, e.g. with another number of image placeholders than images.
    #[error("prompt: {0}")]
    Prompt(String),
    /// An argument or a combination of settings that the model cannot run with.
    #[error("{what}: {problem}")]
    Invalid {
        /// The argument or setting.
        what: String,
        /// What was expected and what was found.
        problem: String,
    },
}

impl VlmError {
    pub(crate) fn field(file: &str, field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Field { file: file.to_owned(), field: field.into(), problem: problem.into() }
    }

    pub(crate) fn tensor(file: &str, tensor: &str, problem: impl Into<String>) -> Self {
        Self::Tensor { file: file.to_owned(), tensor: tensor.to_owned(), problem: problem.into() }
    }

    pub(crate) fn picture(error: PictureError) -> Self {
        match error {
            PictureError::Io { path, source } => Self::Io { path, source },
            PictureError::Refused { name: image, problem } => Self::Image { image, problem },
        }
    }

    pub(crate) fn image(image: &str, problem: impl Into<String>) -> Self {
        Self::Image { image: image.to_owned(), problem: problem.into() }
    }
}

fn count(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

/// The first few of a long list, so that a checkpoint of another architecture does not fill the screen.
fn some_of(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown}, and {more} more"),
    }
}
