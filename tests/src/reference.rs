//! The cases of `tests/reference`: what transformers makes of an image and a prompt.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use safetensors::SafeTensors;
use serde::Deserialize;

/// One image and one prompt with everything that transformers computed from them, in f32 on the CPU.
#[derive(Clone, Debug)]
pub struct ReferenceCase {
    /// Name, unique within the checkpoint.
    pub id: String,
    /// The image file.
    pub image: PathBuf,
    /// The question, where the prompt is the chat template's; `None` for a verbatim prompt.
    pub question: Option<String>,
    /// The whole prompt, its image placeholder not expanded.
    pub prompt: String,
    /// Ids after expansion.
    pub input_ids: Vec<u32>,
    /// Shape of the pixel tensor.
    pub pixels_shape: Vec<usize>,
    /// SHA-256 of the pixel tensor's little-endian f32 bytes.
    pub pixels_sha256: String,
    /// The pixel tensor itself, in a few cases.
    pub pixels: Option<Vec<f32>>,
    /// Logits of the first answer token over the whole vocabulary, before any repetition penalty.
    pub first_logits: Vec<f32>,
    /// Greedy tokens with the checkpoint's generation config, the end token included; at most [`ReferenceCase::NEW_TOKENS`].
    pub output_ids: Vec<u32>,
    /// `output_ids` as text, special tokens skipped.
    pub text: String,
    /// Lead of the chosen token over the runner-up, least over all steps.
    pub least_margin: f32,
    /// The twenty highest of `first_logits`.
    pub top: Vec<TopToken>,
}

/// A prompt about any number of images, of the Qwen2-VL families, with what transformers made of it.
#[derive(Clone, Debug)]
pub struct QwenCase {
    /// Name, unique within the checkpoint.
    pub id: String,
    /// The image files in their order.
    pub images: Vec<PathBuf>,
    /// The whole prompt, its image placeholders not expanded.
    pub prompt: String,
    /// Logits of the first answer token over the whole vocabulary, before any repetition penalty.
    pub first_logits: Vec<f32>,
    /// As [`ReferenceCase::output_ids`].
    pub output_ids: Vec<u32>,
    /// `output_ids` as text, special tokens skipped.
    pub text: String,
}

/// What transformers answers to one question of the embedded suite.
#[derive(Clone, Debug, Deserialize)]
pub struct SuiteAnswer {
    /// The question's id in the suite.
    pub id: String,
    /// The question.
    pub question: String,
    /// As [`ReferenceCase::output_ids`].
    pub output_ids: Vec<u32>,
    /// `output_ids` as text, special tokens skipped.
    pub text: String,
    /// As [`ReferenceCase::least_margin`].
    pub least_margin: f32,
}

/// One of the likeliest first tokens.
#[derive(Clone, Debug, Deserialize)]
pub struct TopToken {
    /// Token id.
    pub id: u32,
    /// The vocabulary's spelling; `None` for rows of the embedding that no token has.
    pub token: Option<String>,
    /// Logit, rounded to five digits.
    pub logit: f32,
}

#[derive(Deserialize)]
struct File {
    new_tokens: usize,
    weights_sha256: String,
    cases: Vec<Row>,
}

#[derive(Deserialize)]
struct QwenFile {
    weights_sha256: String,
    cases: Vec<QwenRow>,
}

#[derive(Deserialize)]
struct QwenRow {
    id: String,
    images: Vec<PathBuf>,
    prompt: String,
    output_ids: Vec<u32>,
    text: String,
}

#[derive(Deserialize)]
struct SuiteFile {
    weights_sha256: String,
    new_tokens: usize,
    per_family: usize,
    answers: Vec<SuiteAnswer>,
}

#[derive(Deserialize)]
struct Row {
    id: String,
    image: String,
    question: Option<String>,
    prompt: String,
    input_ids: Vec<u32>,
    pixels: Pixels,
    output_ids: Vec<u32>,
    text: String,
    least_margin: f32,
    top: Vec<TopToken>,
}

#[derive(Deserialize)]
struct Pixels {
    shape: Vec<usize>,
    sha256: String,
}

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The folder with the cases of a checkpoint: `tiny-llava`, `steady-llava`, `tiny-llava-next-vicuna` and so on.
pub fn cases_of(checkpoint: &str) -> PathBuf {
    root().join("tests/reference").join(checkpoint)
}

/// The checkpoint that a folder of cases belongs to: its own, or the embedded one of that name.
pub fn checkpoint_of(cases: &Path) -> PathBuf {
    let own = cases.join("checkpoint");
    if own.is_dir() { own } else { root().join("models").join(cases.file_name().unwrap_or_default()) }
}

/// Names of the embedded checkpoints, sorted: every one has its cases.
///
/// # Errors
/// When the folder with the models cannot be read, or one of the four types is missing.
pub fn embedded() -> Result<Vec<String>> {
    let models = root().join("models");
    let folders = fs::read_dir(&models).with_context(|| models.display().to_string())?.collect::<Result<Vec<_>, _>>()?;
    let checkpoints = folders.iter().filter(|folder| folder.path().join("config.json").is_file());
    let mut names: Vec<String> = checkpoints.map(|folder| folder.file_name().to_string_lossy().into_owned()).collect();
    names.sort_unstable();
    ensure!(names.len() >= 4, "{} holds only {names:?}", models.display());
    Ok(names)
}

impl ReferenceCase {
    /// Tokens that transformers was allowed to decode.
    pub const NEW_TOKENS: usize = 12;

    /// Reads all cases of a folder.
    ///
    /// # Errors
    /// When a file is missing or broken, or the cases were made from other weights than those now in the checkpoint.
    pub fn load_all(dir: &Path) -> Result<Vec<Self>> {
        let path = dir.join("cases.json");
        let text = fs::read_to_string(&path).with_context(|| format!("{}: run tests/reference/make_cases.py", path.display()))?;
        let file: File = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
        ensure!(file.new_tokens == Self::NEW_TOKENS, "{}: made with {} new tokens", path.display(), file.new_tokens);
        is_of(&path, &file.weights_sha256, &checkpoint_of(dir))?;
        let bytes = fs::read(dir.join("tensors.safetensors")).context("tensors.safetensors")?;
        let tensors = SafeTensors::deserialize(&bytes).context("tensors.safetensors")?;
        file.cases.into_iter().map(|row| Self::new(dir, row, &tensors)).collect()
    }

    fn new(dir: &Path, row: Row, tensors: &SafeTensors<'_>) -> Result<Self> {
        let logits = tensors.tensor(&format!("{}.logits", row.id)).with_context(|| format!("logits of {}", row.id))?;
        let pixels = tensors.tensor(&format!("{}.pixels", row.id)).ok();
        Ok(Self {
            image: dir.join("images").join(row.image),
            first_logits: floats(logits.data()),
            pixels: pixels.map(|pixels| floats(pixels.data())),
            pixels_shape: row.pixels.shape,
            pixels_sha256: row.pixels.sha256,
            id: row.id,
            question: row.question,
            prompt: row.prompt,
            input_ids: row.input_ids,
            output_ids: row.output_ids,
            text: row.text,
            least_margin: row.least_margin,
            top: row.top,
        })
    }
}

impl QwenCase {
    /// Reads all cases of `checkpoint` (`resaved`, `published`), which lies in the folder `dir` beside them.
    ///
    /// # Errors
    /// As [`ReferenceCase::load_all`].
    pub fn load_all(dir: &Path, checkpoint: &str) -> Result<Vec<Self>> {
        let path = dir.join(checkpoint).with_extension("json");
        let file: QwenFile = serde_json::from_str(&fs::read_to_string(&path)?).with_context(|| path.display().to_string())?;
        is_of(&path, &file.weights_sha256, &dir.join(checkpoint))?;
        let bytes = fs::read(path.with_extension("safetensors")).with_context(|| path.display().to_string())?;
        let tensors = SafeTensors::deserialize(&bytes)?;
        let case = |row: QwenRow| {
            let logits = tensors.tensor(&format!("{}.logits", row.id)).with_context(|| format!("logits of {}", row.id))?;
            Ok(Self {
                images: row.images.iter().map(|image| dir.join("images").join(image)).collect(),
                first_logits: floats(logits.data()),
                id: row.id,
                prompt: row.prompt,
                output_ids: row.output_ids,
                text: row.text,
            })
        };
        file.cases.into_iter().map(case).collect()
    }
}

impl SuiteAnswer {
    /// Reads the answers of an embedded checkpoint, whose cases are in `dir`, and how many questions of each family they are to.
    ///
    /// # Errors
    /// As [`ReferenceCase::load_all`].
    pub fn load_all(dir: &Path) -> Result<(usize, Vec<Self>)> {
        let path = dir.join("suite.json");
        let text = fs::read_to_string(&path).with_context(|| format!("{}: run tests/reference/make_cases.py", path.display()))?;
        let file: SuiteFile = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
        ensure!(file.new_tokens == ReferenceCase::NEW_TOKENS, "{}: made with {} new tokens", path.display(), file.new_tokens);
        is_of(&path, &file.weights_sha256, &checkpoint_of(dir))?;
        Ok((file.per_family, file.answers))
    }
}

/// Checks that a file was made from the weights that are now in `checkpoint`.
fn is_of(file: &Path, sha256: &str, checkpoint: &Path) -> Result<()> {
    let (file, shown) = (file.display(), checkpoint.display());
    ensure!(
        weights_sha256(checkpoint)? == sha256,
        "{file} was made from other weights than those in {shown}: run tests/reference/make_cases.py again"
    );
    Ok(())
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|quad| f32::from_le_bytes([quad[0], quad[1], quad[2], quad[3]])).collect()
}

/// Of the weight files, in the order of their names.
fn weights_sha256(checkpoint: &Path) -> Result<String> {
    let mut files: Vec<PathBuf> = fs::read_dir(checkpoint)
        .with_context(|| checkpoint.display().to_string())?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|ending| ending == "safetensors"));
    files.sort_unstable();
    let mut all = Vec::new();
    for file in files {
        all.extend(fs::read(&file).with_context(|| file.display().to_string())?);
    }
    Ok(sha256(&all))
}

/// SHA-256 in hex.
pub fn sha256(bytes: &[u8]) -> String {
    use data_encoding::HEXLOWER;
    use sha2::{Digest, Sha256};
    HEXLOWER.encode(&Sha256::digest(bytes))
}

/// The hash by which git names a file of these bytes, in hexadecimal, as `git hash-object` prints it.
pub fn git_sha1(bytes: &[u8]) -> String {
    use data_encoding::HEXLOWER;
    use sha1::{Digest, Sha1};
    let blob = [format!("blob {}\0", bytes.len()).as_bytes(), bytes].concat();
    HEXLOWER.encode(&Sha1::digest(blob))
}
