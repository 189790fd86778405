//! What quantizers calibrate with: questions that no study asks.

use sha2::{Digest, Sha256};
#[cfg(not(target_family = "wasm"))]
use steady_accel::PackedFolder;
use steady_accel::{AccelError, Acceleration, Found, Reconstruction, Samples, reconstruction};
use steady_bench::{Benchmark, Question, select, world::EmbeddedSuite};
use steady_vlm::{Prepared, Vlm};

/// Where the questions come from that quantizers calibrate with, and that reducers are searched for with.
#[derive(Clone, Copy, Default)]
pub enum CalibrateWith<'a> {
    /// The embedded world's training half, which no study asks.
    #[default]
    Embedded,
    /// A benchmark, which the study is not to ask: families take turns, and within one the order is that of the hashes of the questions' ids.
    Benchmark(&'a dyn Benchmark),
}

/// What is calibrated with, and where what comes of it is kept.
#[derive(Clone, Copy, Default)]
pub struct Calibrate<'a> {
    /// The questions.
    pub with: CalibrateWith<'a>,
    /// Packed layers of earlier times.
    #[cfg(not(target_family = "wasm"))]
    pub kept: Option<&'a PackedFolder<'a>>,
}

impl<'a> From<CalibrateWith<'a>> for Calibrate<'a> {
    fn from(with: CalibrateWith<'a>) -> Self {
        Self { with, ..Self::default() }
    }
}

/// The model under an acceleration, as a study has it: a quantizer that calibrates does so with questions of `with`. `None` when the weights do not change.
///
/// # Errors
/// As [`Acceleration::quantize_seeing`].
pub async fn quantize<'a>(acceleration: &Acceleration, model: &Vlm, with: impl Into<Calibrate<'a>>) -> Result<Option<Vlm>, AccelError> {
    match acceleration.calibrates_with(model)? {
        0 => acceleration.quantize(model).await,
        count => acceleration.quantize_seeing(model, Some(&CalibrationSet::of(with.into(), count, model))).await,
    }
}

/// The acceleration with the reducer that it searches for, and what the search came to: on `model`, whose weights are what they are to be, with questions of
/// `with`. `None` where nothing is searched for.
///
/// # Errors
/// As [`Acceleration::searched`].
pub async fn search(
    acceleration: &Acceleration,
    model: &Vlm,
    with: CalibrateWith<'_>,
) -> Result<Option<(Acceleration, Found)>, AccelError> {
    match acceleration.searches_with() {
        0 => Ok(None),
        count => acceleration.searched(model, &CalibrationSet::of(with.into(), count, model)).await,
    }
}

/// How far the outputs of the layers of `packed`, which was made of `model`, are from those in float, for `count` questions of `with`.
///
/// # Errors
/// As [`reconstruction`].
pub async fn reconstruct(model: &Vlm, packed: &Vlm, with: CalibrateWith<'_>, count: usize) -> Result<Vec<Reconstruction>, AccelError> {
    reconstruction(model, packed, &CalibrationSet::of(with.into(), count, model)).await
}

/// Questions about pictures, as `model` reads them. Pictures are opened one at a time.
pub(crate) struct CalibrationSet<'a> {
    set: Set<'a>,
    model: &'a Vlm,
    #[cfg(not(target_family = "wasm"))]
    kept: Option<&'a PackedFolder<'a>>,
}

enum Set<'a> {
    Embedded(EmbeddedSuite),
    Benchmark(&'a dyn Benchmark, Vec<Question>),
}

impl<'a> CalibrationSet<'a> {
    /// `count` questions, or as many as there are.
    pub(crate) fn of(calibrate: Calibrate<'a>, count: usize, model: &'a Vlm) -> Self {
        let set = match calibrate.with {
            CalibrateWith::Embedded => Set::Embedded(EmbeddedSuite::calibration(count)),
            CalibrateWith::Benchmark(benchmark) => {
                // The first of a file are seldom like all of it.
                let mut all: Vec<&Question> = benchmark.questions().iter().collect();
                all.sort_by_cached_key(|question| Sha256::digest(&question.id));
                Set::Benchmark(benchmark, select(all, count))
            }
        };
        Self {
            set,
            model,
            #[cfg(not(target_family = "wasm"))]
            kept: calibrate.kept,
        }
    }

    fn benchmark(&self) -> &dyn Benchmark {
        match &self.set {
            Set::Embedded(suite) => suite,
            Set::Benchmark(benchmark, _) => *benchmark,
        }
    }

    fn questions(&self) -> &[Question] {
        match &self.set {
            Set::Embedded(suite) => suite.questions(),
            Set::Benchmark(_, questions) => questions,
        }
    }

    /// What it is, for plans.
    pub(crate) fn describe(&self) -> String {
        let (benchmark, questions) = (self.benchmark(), self.questions().len());
        let half = if matches!(self.set, Set::Embedded(_)) { ", training half" } else { "" };
        format!("{}{half}, {questions} questions, sha256 {}", benchmark.name(), benchmark.fingerprint())
    }
}

impl Samples for CalibrationSet<'_> {
    #[cfg(not(target_family = "wasm"))]
    fn kept(&self) -> Option<&PackedFolder<'_>> {
        self.kept
    }

    fn count(&self) -> usize {
        self.questions().len()
    }

    fn sample(&self, index: usize) -> Result<Prepared, AccelError> {
        let question = &self.questions()[index];
        let failed = |problem: String| AccelError::Calibration { problem: format!("question {}: {problem}", question.id) };
        let images = self.benchmark().images(&question.image).map_err(|error| failed(error.to_string()))?;
        let [(_, image)] = &images[..] else {
            return Err(failed(format!("shows {} images; questions to calibrate with show one", images.len())));
        };
        let prompt = self.model.prompt(&question.text).map_err(|error| failed(error.to_string()))?;
        self.model.prepare(image, &prompt).map_err(|error| failed(error.to_string()))
    }
}
