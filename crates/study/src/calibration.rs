//! What quantizers calibrate with: questions that no study asks.

use steady_accel::{AccelError, Acceleration, Found, Samples};
use steady_bench::{Benchmark, world::EmbeddedSuite};
use steady_vlm::{Prepared, Vlm};

/// The model under an acceleration, as a study has it: a quantizer that calibrates does so with questions of the embedded world's training half.
/// `None` when the weights do not change.
///
/// # Errors
/// As [`Acceleration::quantize_seeing`].
pub async fn quantize(acceleration: &Acceleration, model: &Vlm) -> Result<Option<Vlm>, AccelError> {
    match acceleration.calibrates_with(model)? {
        0 => acceleration.quantize(model).await,
        count => acceleration.quantize_seeing(model, Some(&CalibrationSet::embedded(count, model))).await,
    }
}

/// The acceleration with the reducer that it searches for, and what the search came to: on `model`, whose weights are what they are to be, with questions of
/// the embedded world's training half. `None` where nothing is searched for.
///
/// # Errors
/// As [`Acceleration::searched`].
pub async fn search(acceleration: &Acceleration, model: &Vlm) -> Result<Option<(Acceleration, Found)>, AccelError> {
    match acceleration.searches_with() {
        0 => Ok(None),
        count => acceleration.searched(model, &CalibrationSet::embedded(count, model)).await,
    }
}

/// Questions about pictures, as `model` reads them.
pub(crate) struct CalibrationSet<'a> {
    suite: EmbeddedSuite,
    model: &'a Vlm,
}

impl<'a> CalibrationSet<'a> {
    /// `count` questions of the embedded world's training half.
    pub(crate) fn embedded(count: usize, model: &'a Vlm) -> Self {
        Self { suite: EmbeddedSuite::calibration(count), model }
    }

    /// What it is, for plans.
    pub(crate) fn describe(&self) -> String {
        let questions = self.suite.questions().len();
        format!("{}, training half, {questions} questions, sha256 {}", self.suite.name(), self.suite.fingerprint())
    }
}

impl Samples for CalibrationSet<'_> {
    fn count(&self) -> usize {
        self.suite.questions().len()
    }

    fn sample(&self, index: usize) -> Result<Prepared, AccelError> {
        let question = &self.suite.questions()[index];
        let failed = |problem: String| AccelError::Calibration { problem: format!("question {}: {problem}", question.id) };
        let image = self.suite.image(&question.image).map_err(|error| failed(error.to_string()))?;
        let prompt = self.model.prompt(&question.text).map_err(|error| failed(error.to_string()))?;
        self.model.prepare(&image, &prompt).map_err(|error| failed(error.to_string()))
    }
}
