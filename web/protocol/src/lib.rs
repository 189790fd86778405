//! What the page and its worker say to each other.
//!
//! The page shows; the worker holds the model and computes. A message crosses as the bytes of [`encode`], so both sides agree on these types
//! and on little else: with a request that means a [`Model::Folder`] or [`OwnQuestions`] goes an array, of these bytes and then the files, the model's first.
//! The worker keeps nothing between studies and makes no report: every answered group goes to the page, which derives what it shows, and hands the groups back when it asks for the
//! rest. So a worker may be ended at any time, which is how a study is cancelled, and a reloaded page goes on where it was.

mod embedded;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use steady_bench::FirstLook;

pub use embedded::{EMBEDDED, Embedded, EmbeddedFile};

/// From the page to the worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Request {
    /// Answer a study's questions. Answered by [`Response::Loading`]s, on a GPU [`Response::Preparing`]s, where some do not fit one
    /// [`Response::LeftOut`], one [`Response::Ready`], one
    /// [`Response::Planned`], [`Response::Answered`]s and [`Response::Finished`].
    Study(StudyRequest),
    /// Answer one question about one image. Answered by one [`Response::Asked`], after what comes before the answers of a study the first time.
    Ask(AskRequest),
    /// Read the visitor's own questions, and hold them. Answered by one [`Response::Looked`].
    Look(OwnQuestions),
    /// Show a picture of the questions that were read last. Answered by one [`Response::Shown`].
    Show(PictureRequest),
}

/// Who computes, and with which model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// Where the answers are computed.
    pub engine: EngineChoice,
    /// Which checkpoint answers.
    pub model: Model,
    /// Specs of the accelerations, without the baseline.
    pub accelerations: Vec<String>,
}

/// A checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Model {
    /// An [`Embedded`] one: the address of its folder.
    Address(String),
    /// A folder on the visitor's disk. Its files travel beside the request, in the order in which they are listed.
    Folder(Folder),
}

impl Model {
    /// How many files travel beside a request for it.
    pub fn files(&self) -> usize {
        match self {
            Self::Address(_) => 0,
            Self::Folder(folder) => folder.files.len(),
        }
    }

    /// Whether it was trained on the embedded suite, as those that come with the page were.
    pub fn knows_the_suite(&self) -> bool {
        matches!(self, Self::Address(_))
    }
}

/// Which folder on the visitor's disk is meant, as far as that can be said without reading it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Folder {
    /// The folder's own name.
    pub name: String,
    /// Its files.
    pub files: Vec<FolderFile>,
}

/// A file of a [`Folder`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderFile {
    /// Where it is below the folder, with `/` between the parts.
    pub path: String,
    /// Its size.
    pub bytes: u64,
}

/// Where the answers are to be computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineChoice {
    /// On the GPU if there is a hardware one that WebGPU reaches, else on the CPU.
    #[default]
    Auto,
    /// On whatever WebGPU offers, software adapters included.
    WebGpu,
    /// On the CPU.
    Cpu,
}

impl EngineChoice {
    /// Every choice there is.
    pub const ALL: [Self; 3] = [Self::Auto, Self::WebGpu, Self::Cpu];
}

/// Where the questions of a study come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Questions {
    /// The embedded suite.
    Suite {
        /// Names of the families to ask; empty for all.
        families: Vec<String>,
    },
    /// The visitor's own.
    Own(OwnQuestions),
}

/// The visitor's own questions: a table, and pictures beside it. The folder's files travel beside the request, in the order in which they are listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnQuestions {
    /// The files, all of them.
    pub folder: Folder,
    /// Which of them is the table, and how it is read: `FILE[,option=value]..`, as behind `--bench file:` on a command line.
    pub spec: String,
}

/// A study.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StudyRequest {
    /// Who computes.
    pub setting: Setting,
    /// What is asked.
    pub questions: Questions,
    /// How many questions at most, spread evenly over their families.
    pub count: usize,
    /// Specs of what is done to the images, without the clean ones, which are always asked about.
    pub perturbations: Vec<String>,
    /// Names of the changes that should not matter, under which the baseline answers once more.
    pub controls: Vec<String>,
    /// [`Answered::group`]s of an earlier, interrupted run of the same study.
    pub recorded: Vec<Vec<u8>>,
    /// The device that they were computed on, as its plan names it; where the choice is automatic the study stays there.
    pub begun: Option<String>,
}

/// One question about one image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskRequest {
    /// Comes back with the answer, so that a late answer to an earlier question is recognised.
    pub id: u32,
    /// Who computes.
    pub setting: Setting,
    /// The image.
    pub image: Pixels,
    /// The question.
    pub question: String,
}

/// A picture of the questions that were read last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PictureRequest {
    /// Comes back with the picture.
    pub id: u32,
    /// Id of the image.
    pub image: String,
    /// As what it is shown.
    pub form: PictureForm,
}

/// As what a picture is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PictureForm {
    /// Small, as a file that a browser shows; with what was done to the image, if anything was.
    Thumbnail(Option<String>),
    /// As the model gets it before its processor.
    Whole,
}

/// An image as rows of RGB bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pixels {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// `3 * width * height` bytes.
    pub rgb: Vec<u8>,
}

/// From the worker to the page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Response {
    /// The model is on its way.
    Loading(Loading),
    /// The model is in place, and the GPU compiles what it computes with.
    Preparing(Preparing),
    /// Accelerations that do not fit the model, or are none. The rest runs without them.
    LeftOut(Vec<LeftOut>),
    /// Everything is in place.
    Ready(Engine),
    /// The study's plan with its questions, as bytes of steady-records: what the page needs to make a report of groups.
    Planned(Vec<u8>),
    /// A study went one group of questions further.
    Answered(Answered),
    /// A study is complete.
    Finished,
    /// The answers to an [`AskRequest`].
    Asked(AskReply),
    /// What was understood of the visitor's own questions.
    Looked(FirstLook),
    /// The answer to a [`PictureRequest`].
    Shown(PictureReply),
    /// The request cannot be carried out, for this reason. Groups that arrived before stay true.
    Failed(String),
}

/// How far the checkpoint's files have come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loading {
    /// The file on its way.
    pub file: String,
    /// Bytes that have come, over all files.
    pub received: u64,
    /// Bytes of all files, where the server says so.
    pub total: Option<u64>,
}

/// How far a GPU is with its kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preparing {
    /// Those that are compiled.
    pub ready: usize,
    /// All that there are to be.
    pub of: usize,
}

/// An acceleration that is left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// As it was asked for.
    pub spec: String,
    /// Why.
    pub reason: String,
}

/// What computes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Engine {
    /// The device's identity, as reports name it.
    pub device: String,
    /// `f32` or `f16`.
    pub dtype: String,
    /// Why this device and no other, in a sentence for people.
    pub reason: String,
}

/// A study's state after one more group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answered {
    /// The group's records, as bytes of steady-records; [`StudyRequest::recorded`] takes them back. Empty when all that is said is that the recorded groups
    /// were taken over.
    pub group: Vec<u8>,
    /// Answers there are by now.
    pub done: usize,
    /// Answers planned.
    pub total: usize,
}

/// The answers to one question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AskReply {
    /// [`AskRequest::id`].
    pub id: u32,
    /// The grids of cells through which the model looks at the image.
    pub views: Vec<View>,
    /// What each visual token shows; `None` for one that shows no part of the image (a class token, a newline).
    pub cells: Vec<Option<Cell>>,
    /// The baseline's answer first, then one for each acceleration.
    pub answers: Vec<AskedAnswer>,
}

/// A picture, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PictureReply {
    /// [`PictureRequest::id`].
    pub id: u32,
    /// The picture in the form that was asked for, or the reason.
    pub shown: Result<Shown, String>,
}

/// A picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shown {
    /// A PNG or JPEG file.
    File(Vec<u8>),
    /// An image.
    Pixels(Pixels),
}

/// A grid of cells.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct View {
    /// Rows of cells.
    pub rows: usize,
    /// Columns of cells.
    pub columns: usize,
    /// Where on the image it lies, where that is one rectangle.
    pub frame: Option<Frame>,
}

/// A cell of a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// Index of the view.
    pub view: usize,
    /// Row, from the top.
    pub row: usize,
    /// Column, from the left.
    pub column: usize,
}

/// A part of an image, in its pixels; it may reach over the edges.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
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

/// One answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AskedAnswer {
    /// Spec of the acceleration; `none` for the baseline.
    pub acceleration: String,
    /// The answer.
    pub text: String,
    /// Visual tokens that were kept, ascending; `None` when nothing was dropped.
    pub kept: Option<Vec<usize>>,
    /// What each step of a token reducer left of them, in the order of the steps; the last as in `kept`.
    pub steps: Vec<TokenStep>,
    /// The likeliest first tokens and their probabilities, falling.
    pub first_token: Vec<(String, f32)>,
    /// Wall time in milliseconds.
    pub wall_ms: f64,
}

/// A step of a token reducer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenStep {
    /// Where it acts, in words: `before layer 2`, `after the projector`.
    pub place: String,
    /// The decoder layer that it acts before, counted from 0; `None` in front of the decoder.
    pub layer: Option<usize>,
    /// Visual tokens that it left, ascending.
    pub kept: Vec<usize>,
    /// What went into others by then.
    pub gathered: Vec<Gathered>,
}

/// Visual tokens that became part of another, each of that which most of it is in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gathered {
    /// The kept one that they went into; `None` for one that was made of them.
    pub token: Option<usize>,
    /// Which they are, ascending.
    pub from: Vec<usize>,
}

/// Bytes that are no message: page and worker are of two builds.
#[derive(Debug, thiserror::Error)]
#[error("the page and its worker do not understand each other ({0}): reload the page")]
pub struct Misunderstood(#[from] postcard::Error);

/// The bytes of a message.
///
/// # Errors
/// [`Misunderstood`] if a message cannot be written, which no message of this crate causes.
pub fn encode<M: Serialize>(message: &M) -> Result<Vec<u8>, Misunderstood> {
    Ok(postcard::to_allocvec(message)?)
}

/// The message in `bytes`.
///
/// # Errors
/// [`Misunderstood`] if they hold something else.
pub fn decode<M: DeserializeOwned>(bytes: &[u8]) -> Result<M, Misunderstood> {
    Ok(postcard::from_bytes(bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_comes_back_whole_and_half_a_message_does_not() {
        let setting = Setting {
            engine: EngineChoice::Cpu,
            model: Model::Address("models/steady-llava/".into()),
            accelerations: vec!["w4:rtn".into()],
        };
        let request = Request::Study(StudyRequest {
            setting,
            questions: Questions::Suite { families: vec![] },
            count: 4,
            perturbations: vec!["noise=20".into()],
            controls: vec!["split".into()],
            recorded: vec![vec![1, 2, 3]],
            begun: Some("flex".into()),
        });
        let bytes = encode(&request).unwrap();
        assert_eq!(decode::<Request>(&bytes).unwrap(), request);
        assert!(decode::<Request>(&bytes[..bytes.len() - 1]).is_err());
    }
}
